#![doc = include_str!("../README.md")]
//!
//! | module | what |
//! |---|---|
//! | [`baseline`] | what is usual at this time of day, and what is not |
//! | [`burn`] | how fast error budgets are spent |
//! | [`changepoint`] | where the level of a series changed, recorded or online |
//! | [`engine`] | hundreds of thousands of series on one core, in bounded state |
//! | [`forecast`] | what a series will do, how sure that is, when it reaches a limit |
//! | [`forest`] | isolation forest: rows, sliding, alerts, and as a detector |
//! | [`group`] | detectors over all metrics of an entity |
//! | [`multivariate`] | metrics that leave their usual relation |
//! | [`novelty`] | stretches of a series unlike any before |
//! | [`rolling`] | series that left their norm, by robust deviation |
//! | [`sli`] | error ratios derived from request counts, as a source |

pub mod baseline;
pub mod burn;
pub mod changepoint;
mod clock;
pub mod engine;
mod error;
mod events;
pub mod forecast;
pub mod forest;
pub mod group;
pub mod multivariate;
pub mod novelty;
pub mod rolling;
mod rows;
pub mod sli;
mod state;

pub use baseline::{BaselineDetector, BaselineFit, ContextualBaseline, FittedBaselines};
pub use burn::{BurnRate, BurnRateDetector};
pub use changepoint::{ChangePointDetector, OnlineChangePoints};
pub use engine::{EngineDetector, EngineFit, StreamEngine};
pub use error::FitError;
pub use forecast::{ForecastDetector, ForecastFit, SeasonalForecast};
pub use forest::{AlertPrefilter, ForestDetector, ForestFit, IsolationForest, SlidingForest};
pub use multivariate::{MultivariateDetector, MultivariateFit};
pub use novelty::{NoveltyFit, NoveltySeriesDetector};
pub use rolling::{FittedRolling, RollingDetector, RollingFit};
pub use rows::Rows;
