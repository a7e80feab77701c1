#![doc = include_str!("../README.md")]
//!
//! | module | what |
//! |---|---|
//! | [`baseline`] | what is usual at this time of day, and what is not |
//! | [`changepoint`] | where the level of a recorded series changed |
//! | [`correlate`] | alerts into incidents: de-duplication, grouping with reasons, suspects |
//! | [`forest`] | isolation forest: rows, sliding, alerts, and as a detector |
//! | [`group`] | detectors over all metrics of an entity |
//! | [`intake`] | alerts of Alertmanager as the model's |
//! | [`multivariate`] | metrics that leave their usual relation |
//! | [`novelty`] | stretches of a series unlike any before |
//! | [`rolling`] | series that left their norm, by robust deviation |
//! | [`sli`] | error ratios derived from request counts, as a source |

pub mod baseline;
pub mod changepoint;
pub mod correlate;
mod error;
pub mod forest;
pub mod group;
pub mod intake;
pub mod multivariate;
pub mod novelty;
pub mod rolling;
mod rows;
pub mod sli;
mod state;

pub use baseline::{BaselineDetector, BaselineFit, ContextualBaseline, FittedBaselines};
pub use correlate::Correlator;
pub use error::FitError;
pub use forest::{AlertPrefilter, ForestDetector, ForestFit, IsolationForest, SlidingForest};
pub use multivariate::{MultivariateDetector, MultivariateFit};
pub use rolling::{FittedRolling, RollingDetector, RollingFit};
pub use rows::Rows;
