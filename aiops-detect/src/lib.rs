#![doc = include_str!("../README.md")]
//!
//! | module | what |
//! |---|---|
//! | [`baseline`] | what is usual at this time of day, and what is not |
//! | [`changepoint`] | where the level of a recorded series changed |
//! | [`forest`] | isolation forest: rows, sliding, alerts, and as a detector |
//! | [`group`] | detectors over all metrics of an entity |
//! | [`multivariate`] | metrics that leave their usual relation |
//! | [`novelty`] | stretches of a series unlike any before |
//! | [`rolling`] | series that left their norm, by robust deviation |
//! | [`sli`] | error ratios derived from request counts, as a source |

pub mod baseline;
pub mod changepoint;
mod error;
pub mod forest;
pub mod group;
pub mod multivariate;
pub mod novelty;
pub mod rolling;
mod rows;
pub mod sli;
mod state;

pub use baseline::{BaselineDetector, BaselineFit, ContextualBaseline, FittedBaselines};
pub use error::FitError;
pub use forest::{AlertPrefilter, ForestDetector, ForestFit, IsolationForest, SlidingForest};
pub use multivariate::{MultivariateDetector, MultivariateFit};
pub use rolling::{FittedRolling, RollingDetector, RollingFit};
pub use rows::Rows;
