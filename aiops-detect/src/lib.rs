#![doc = include_str!("../README.md")]
//!
//! | module | what |
//! |---|---|
//! | [`baseline`] | what is usual at this time of day, and what is not |
//! | [`burn`] | how fast error budgets are spent |
//! | [`changepoint`] | where the level of a series changed, recorded or online |
//! | [`correlate`] | alerts into incidents: de-duplication, grouping with reasons, suspects |
//! | [`coverage`] | which services have metrics, logs and traces that correlate |
//! | [`drift`] | inputs and hits of a model that are no longer what they were: a request to learn anew |
//! | [`engine`] | hundreds of thousands of series on one core, in bounded state |
//! | [`ensemble`] | several detectors as one, budgets of false alarms, findings that wait for a person |
//! | [`forecast`] | what a series will do, how sure that is, when it reaches a limit |
//! | [`forest`] | isolation forest: rows, sliding, alerts, and as a detector |
//! | [`gpu`] | incident classes of GPU fleets, with tables of XIDs, DCGM fields and log lines |
//! | [`group`] | detectors over all metrics of an entity |
//! | [`intake`] | alerts of Alertmanager as the model's |
//! | [`multivariate`] | metrics that leave their usual relation |
//! | [`novelty`] | stretches of a series unlike any before |
//! | [`precursor`] | what came before labelled incidents, learned and matched |
//! | [`regression`] | what got worse with a change; a canary against its baseline |
//! | [`relation`] | metrics that part from those they normally move together with |
//! | [`rolling`] | series that left their norm, by robust deviation |
//! | [`sli`] | error ratios derived from request counts, as a source |
//! | [`stats`] | tests without distributions that know of autocorrelation |
//! | [`taxonomy`] | what kinds of incidents are called, whether the names still mean the same, and application errors told apart |
//! | [`usecase`] | named detectors: leaks, noisy neighbours, cold starts, capacity, cost, flaky tests, schemas, access, caches, regions, deployments, jobs, concurrency, networks, settings |

pub mod baseline;
pub mod burn;
pub mod changepoint;
mod checked;
mod clock;
pub mod correlate;
pub mod coverage;
pub mod drift;
pub mod engine;
pub mod ensemble;
mod error;
mod events;
pub mod forecast;
pub mod forest;
pub mod gpu;
pub mod group;
pub mod intake;
pub mod multivariate;
pub mod novelty;
pub mod precursor;
pub mod regression;
pub mod relation;
pub mod rolling;
mod rows;
mod seam;
pub mod sli;
mod state;
pub mod stats;
pub mod taxonomy;
pub mod usecase;

pub use aiops_compact::ConfigError;
pub use baseline::{BaselineDetector, BaselineFit, ContextualBaseline, FittedBaselines};
pub use burn::{BurnRate, BurnRateDetector};
pub use changepoint::{ChangePointDetector, OnlineChangePoints};
pub use checked::{Checked, Options};
pub use correlate::Correlator;
pub use drift::{DriftDetector, DriftWatch, RetrainRequest};
pub use engine::{EngineDetector, EngineFit, StreamEngine};
pub use ensemble::{AlarmBudget, EnsembleDetector, EnsembleFit, ValidatedEnsemble, ValidationBook};
pub use error::FitError;
pub use forecast::{ForecastDetector, ForecastFit, SeasonalForecast};
pub use forest::{AlertPrefilter, ForestDetector, ForestFit, IsolationForest, SlidingForest};
pub use multivariate::{MultivariateDetector, MultivariateFit};
pub use novelty::{NoveltyFit, NoveltySeriesDetector};
pub use regression::{CanaryDetector, RegressionDetector};
pub use relation::{CorrelationBreakDetector, CorrelationBreakFit};
pub use rolling::{FittedRolling, RollingDetector, RollingFit};
pub use rows::Rows;
pub use usecase::{UseCase, UseCaseDetector};
