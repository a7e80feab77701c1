//! Several detectors as one, thresholds that keep a budget of false alarms, and findings that wait for a person. // DET-08
//!
//! Scores of different detectors cannot be averaged: 6 σ of one may be rarer than 20 of another, and what is always a little off drowns what
//! is seldom far off. Here every member is first *calibrated*: [`TailCalibration`] turns a score into the probability of one as high
//! in healthy data, by its rank there (a conformal p-value; Vovk, Gammerman and Shafer 2005) and, beyond the ranks, by a
//! generalised Pareto tail (Siffer et al., *Anomaly detection in streams with extreme value theory*, 2017). [`combine`]
//! joins these p-values by a rule that holds whatever depends on what ([`Combination`]), each member weighted by how often
//! persons found it right.
//!
//! | type | what |
//! |---|---|
//! | [`EnsembleFit`], [`EnsembleDetector`] | detectors behind the [`Detector`](aiops_core::seam::Detector) seam as one; healthy windows calibrate them |
//! | [`ScoreEnsemble`] | the same for streams of scores |
//! | [`AlarmBudget`] | the level at which findings are told, moved within bounds until false alarms are as many as allowed |
//! | [`ValidationBook`], [`BookFile`] | findings too unsure to be told, held until a person judged them; in memory, and on disk |
//! | [`ValidatedEnsemble`] | an ensemble whose unsure findings go to the book |

mod book;
mod budget;
mod combine;
mod detector;
mod file;
mod fit;
mod score;
mod tail;
mod validated;

pub use book::{
    Admission, BookCounts, BookError, BookEvent, BookOptions, Held, HeldId, Judgement, Pattern,
    ValidationBook,
};
pub use budget::{AlarmBudget, BudgetOptions};
pub use combine::{Combination, combine, confidence};
pub use detector::{Combined, EnsembleDetector};
pub use file::{BOOK_VERSION, BookFile};
pub use fit::{EnsembleFit, EnsembleOptions, FITTED_VERSION, FittedEnsemble, FittedMember};
pub use score::{ScoreEnsemble, ScoreMember};
pub use tail::{TailCalibration, TailOptions};
pub use validated::ValidatedEnsemble;
