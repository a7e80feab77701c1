//! Where the level of a series changed for good. // DET-05
//!
//! - [`change_points`] cuts a recorded series exactly (PELT): the better judge where the whole series is there.
//! - [`OnlineChangePoints`] follows a series sample by sample in bounded memory (Bayesian online change point detection).
//! - [`ChangePointDetector`] uses either on the series of a window, behind the [`Detector`](aiops_core::seam::Detector) seam.

mod detector;
mod online;
mod power;
mod run;
pub(crate) mod runs;
mod segment;

pub use detector::{ChangePointDetector, DetectorConfig, DetectorOptions, Method};
pub use online::{ONLINE_VERSION, OnlineChange, OnlineChangePoints, OnlineConfig, OnlineOptions};
pub use segment::{ChangePoint, SegmentConfig, SegmentOptions, change_points};
