//! Compaction of telemetry: from millions of samples to the few that say something, with shapes and a ranked briefing.
//!
//! Everything is synchronous and does no I/O; only [`briefing::MetricCompactor`] also implements the asynchronous
//! [`Compactor`](aiops_core::seam::Compactor) seam.
//!
//! | module | what |
//! |---|---|
//! | [`rolling`] | deviation of each sample from the window before it: 3σ and median/MAD, push and batch |
//! | [`shape`] | what an excursion looks like, since when, how much |
//! | [`deviation`] | which series of a window left their norm; the most deviating entities and metrics |
//! | [`logs`] | templates of log lines and their variables; which templates of a window say something |
//! | [`briefing`] | ranked, cited lines within a token budget |
//!
//! ```
//! use aiops_compact::rolling::{RollingConfig, RollingSigma, Score};
//!
//! let mut rolling = RollingSigma::new(RollingConfig::new(60)?);
//! let quiet = (0..60).map(|i| 20.0 + f64::from(i % 3));
//! let flagged = quiet.chain([80.0]).filter(|value| matches!(rolling.push(*value), Score::Sigma(s) if s.abs() > 3.0));
//! assert_eq!(flagged.collect::<Vec<_>>(), [80.0]);
//! # Ok::<(), aiops_compact::ConfigError>(())
//! ```

pub mod briefing;
pub mod deviation;
mod error;
pub mod logs;
mod moments;
pub mod order;
pub mod rolling;
pub mod shape;
mod topk;

pub use error::{ConfigError, LengthMismatch};
pub use moments::Moments;
pub use topk::TopK;
