//! Has what a model was learned from become something else? Drift of its inputs and of its hits. // DET-09, DET-11
//!
//! | type | watches | source |
//! |---|---|---|
//! | [`psi`] | binned distributions, the population stability index | Siddiqi, *Credit Risk Scorecards*, 2006; its distribution: Yurdakul, *Statistical properties of the population stability index*, 2018 |
//! | [`ks_two_sample`] | distributions, without bins | Smirnov 1939; small samples: Stephens, *EDF statistics for goodness of fit*, 1974 |
//! | [`Adwin`] | the mean of a stream, with a window that adapts | Bifet and Gavaldà, *Learning from time-changing data with adaptive windowing*, 2007 |
//!
//! A [`FeatureReference`] is what one input looked like while learning; [`FeatureReference::compare`] calls it drifted when the
//! index is large *and* the Kolmogorov-Smirnov test, reckoned with independent samples, says that this is no chance: either
//! alone is wrong, the index on short samples, the test on long ones. A [`DriftWatch`] holds the references of one
//! model, streams its inputs and the outcomes of its alarms through, and makes a [`RetrainRequest`], with reasons, and not
//! again until the model was renewed or the hold-off is over. [`DriftDetector`] does the same for the series of a window:
//! data drift as a finding.

mod adwin;
mod detector;
mod ks;
mod psi;
mod reference;
mod watch;

pub use adwin::{Adwin, AdwinOptions, MeanShift};
pub use detector::{DriftDetector, DriftFit, FittedDrift};
pub use ks::{KsTest, ks_two_sample};
pub use psi::{Psi, PsiOptions, psi};
pub use reference::{Drift, DriftOptions, FeatureReference};
pub use watch::{DriftReason, DriftWatch, DriftWatchOptions, RetrainRequest};
