//! What a sample is, or why it is none.

use aiops_core::model::{Baseline, Severity};
use jiff::Timestamp;

use crate::baseline::Alarm;

/// Why a sample was not taken in. It is counted by its series, and changes nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// NaN, ±∞, or beyond [`MOST`](super::MOST).
    #[error("not a number that can be compared")]
    OutOfRange,
    /// Out of order, or a second sample of one instant.
    #[error("not later than the sample before")]
    NotLater,
    /// The slot holds no series, or another one by now. Not counted.
    #[error("no series has this slot")]
    Unknown,
    /// There is no room for another series. Not counted.
    #[error("{max_series} series are followed, and no more may be")]
    Full {
        /// Series at most.
        max_series: usize,
    },
}

/// A change of level that became certain.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LevelChange {
    /// When the new level began, to the second.
    pub onset: Timestamp,
    /// Probability that the level changed since the last change that was told.
    pub confidence: f64,
    /// Deviation from what is usual before, in σ of the baseline, of samples cut at 8.
    pub before: f64,
    /// Deviation from what is usual since the onset, likewise.
    pub after: f64,
}

/// What a sample is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// Deviation from what is usual at this time of day, in σ with the restlessness in it; `None` while nothing is known.
    pub sigma: Option<f64>,
    /// What it was compared with.
    pub baseline: Option<Baseline>,
    /// What this sample is by itself against the baseline.
    pub severity: Option<Severity>,
    /// Deviation from the samples right before, in σ; `None` while they are too few.
    pub rolling: Option<f64>,
    /// Whether it belongs to an event that was raised and did not end yet.
    pub in_event: bool,
    /// An event that this sample made certain; one for each event.
    pub alarm: Option<Alarm>,
    /// A change of level that this sample made certain.
    pub change: Option<LevelChange>,
}
