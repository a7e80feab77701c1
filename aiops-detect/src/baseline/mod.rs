//! What is usual at this time of day, and how far a sample is from it. // DET-01
//!
//! # Method
//! The local day is cut into cells. Each has a robust location and scale (median, MAD) of its samples and those of its
//! neighbours, so that a thin cell borrows from the next one; no scale falls below a share of the typical one, because a
//! cell that happened to be quiet would call every flicker an event. What the day of the week adds is used only where it
//! lowered the residual on weeks it was not learned from: weekday cells with a scale of their own are worse on data that
//! has no weekly rhythm. A deviation is divided by the recent spread of deviations where that is above one, so that a series
//! which has become restless does not raise an alarm a minute.
//!
//! Days are those of a stated zone, by its rules for daylight saving time, so a job at 9:00 local time stays in its cell.
//!
//! # What is known beforehand
//! A [`Calendar`](aiops_core::model::Calendar) makes the third axis ([`ContextualBaseline::with_calendar`]). What a nightly
//! batch job or a sales day does is learned by hour of that event and kept out of ordinary hours, so a processor at 95 % is usual
//! while the job runs and a finding at the same hour of a night without it. Maintenance is neither judged nor learned. An
//! event is trusted once it was seen on [`event_days`](BaselineOptions::event_days) occasions. Without a calendar nothing changes.
//!
//! # Three ways to use it
//! - [`ContextualBaseline::fit`] learns a series from history, [`ContextualBaseline::judge`] judges samples one by one
//!   without learning.
//! - [`ContextualBaseline::push`] judges and then learns from what was no anomaly, from the first sample on.
//! - [`BaselineFit`] and [`BaselineDetector`] do the first for whole windows, behind the seams.
//!
//! State is bounded: about 1.4 KB a series at the default cells, 1.8 KB where the weekday is used, and for each event of the
//! calendar about 80 bytes and 24 for each of its hours ([`SeriesBaseline::state_bytes`]).

mod config;
mod detector;
mod event;
mod fit;
mod series;
mod state;

pub use config::{BaselineConfig, BaselineOptions};
pub use detector::{BaselineDetector, BaselineFit, FITTED_VERSION, FittedBaselines, PLAIN_VERSION};
pub use event::During;
pub use series::{Alarm, ContextualBaseline, Judged, Rejected, Watch};
pub use state::SeriesBaseline;
pub(crate) use state::{Cell, smallest_scale};
