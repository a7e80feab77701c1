use std::time::Duration;

use aiops_compact::ConfigError;
use serde::{Deserialize, Serialize};

use crate::checked::Options;
use crate::error::{check, check_count};
use crate::regression::check_duration;

/// How precursors are learned and matched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrecursorOptions {
    /// Length of a frame, 1 min to 1 day. Default 30 min.
    #[serde(with = "aiops_core::model::duration")]
    pub frame: Duration,
    /// Distance of frames, 10 s to `frame`. Default 5 min.
    #[serde(with = "aiops_core::model::duration")]
    pub stride: Duration,
    /// Least time before an incident that is of use. Default 15 min.
    #[serde(with = "aiops_core::model::duration")]
    pub lead_min: Duration,
    /// Most time before an incident in which signs are looked for, more than `lead_min`. Default 90 min.
    #[serde(with = "aiops_core::model::duration")]
    pub lead_max: Duration,
    /// Time after an incident that is not healthy, up to 7 days. Default 2 h.
    #[serde(with = "aiops_core::model::duration")]
    pub recovery: Duration,
    /// Fewest incidents of a class, 3 to 1000. Default 5.
    pub min_incidents: usize,
    /// Fewest healthy frames of all entities together, 20 to 10⁷. Default 200.
    pub min_healthy: usize,
    /// Fewest samples of a series in a frame, 3 to 10⁵. Default 6.
    pub min_samples: usize,
    /// Deviation of a frame's level, or its rise, that is an aspect, in σ of healthy samples; more than 0. Default 2.
    pub sigma: f64,
    /// Ratio of a frame's spread to the healthy one that is an aspect, more than 1. Default 2.5.
    pub spread: f64,
    /// Share of the incidents before which an aspect must have been seen, more than 0 to 1. Default 0.5.
    pub support: f64,
    /// How many times as common as in health it must be, more than 1. Default 3.
    pub lift: f64,
    /// False alarms a day that are wanted at most, 0 to 1000. Default 0.5.
    pub false_alarms_per_day: f64,
    /// Frames in a row that must match, 1 to 100. Default 2.
    pub hits: usize,
    /// Precision of leaving one incident out from which a match is a warning, 0 to 1. Default 0.5.
    pub min_precision: f64,
}

impl Default for PrecursorOptions {
    fn default() -> Self {
        Self {
            frame: Duration::from_secs(30 * 60),
            stride: Duration::from_secs(5 * 60),
            lead_min: Duration::from_secs(15 * 60),
            lead_max: Duration::from_secs(90 * 60),
            recovery: Duration::from_secs(2 * 3600),
            min_incidents: 5,
            min_healthy: 200,
            min_samples: 6,
            sigma: 2.0,
            spread: 2.5,
            support: 0.5,
            lift: 3.0,
            false_alarms_per_day: 0.5,
            hits: 2,
            min_precision: 0.5,
        }
    }
}

impl Options for PrecursorOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        const DAY: Duration = Duration::from_secs(86_400);
        const ABOVE: f64 = 1.0 + f64::EPSILON;
        check_duration("frame", self.frame, Duration::from_secs(60)..=DAY, "1 min to 1 day")?;
        check_duration("stride", self.stride, Duration::from_secs(10)..=self.frame, "10 s to `frame`")?;
        let later = self.lead_min + Duration::from_nanos(1);
        check_duration("lead_max", self.lead_max, later..=DAY, "more than `lead_min`, at most 1 day")?;
        check_duration("recovery", self.recovery, ..=DAY * 7, "at most 7 days")?;
        check_count("min_incidents", self.min_incidents, 3..=1000, "3 to 1000 incidents")?;
        check_count("min_healthy", self.min_healthy, 20..=10_000_000, "20 to 10⁷ frames")?;
        check_count("min_samples", self.min_samples, 3..=100_000, "3 to 100000 samples")?;
        check("sigma", self.sigma, f64::MIN_POSITIVE.., "a finite number above 0")?;
        check("spread", self.spread, ABOVE.., "a finite number above 1")?;
        check("support", self.support, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check("lift", self.lift, ABOVE.., "a finite number above 1")?;
        check("false_alarms_per_day", self.false_alarms_per_day, 0.0..=1000.0, "0 to 1000")?;
        check_count("hits", self.hits, 1..=100, "1 to 100 frames")?;
        check("min_precision", self.min_precision, 0.0..=1.0, "0 to 1")
    }
}
