use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{CENTURY, ConfigError, duration_in_range, in_range};

/// Bounds and rules of a [`Store`](super::Store).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Most series kept; a new one then replaces the least recently written. Default 20,000; 1 to 10,000,000.
    pub max_series: usize,
    /// Most points kept per series, oldest dropped first. Default 1,024; 2 to 1,000,000.
    pub max_samples_per_series: usize,
    /// Points older than this, seen from the newest scrape, are dropped. Default 6 h; 1 s to 100 years.
    #[serde(with = "aiops_core::model::duration")]
    pub retention: Duration,
    /// For how many steps of a request a sample stands for the present: the look-back delta. Default 5; 1 to 1,000.
    pub lookback_steps: u32,
    /// A scrape more than this before a series' newest point means the clock was set back: the points after it are
    /// dropped, and the series goes on. A smaller step back is out-of-order and dropped. Default 60 s; at most 100 years.
    #[serde(with = "aiops_core::model::duration")]
    pub clock_step_tolerance: Duration,
    /// Whether timestamps in the page are kept. Such samples go stale by look-back only. Default true.
    pub honor_timestamps: bool,
    /// Whether labels of the page win over labels of the target. Otherwise a label in conflict is renamed to
    /// `exported_…`. Default false.
    pub honor_labels: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            max_series: 20_000,
            max_samples_per_series: 1_024,
            retention: Duration::from_secs(6 * 3_600),
            lookback_steps: 5,
            clock_step_tolerance: Duration::from_secs(60),
            honor_timestamps: true,
            honor_labels: false,
        }
    }
}

impl StoreConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// Names the field, its value and the allowed range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        in_range("max_series", self.max_series, 1, 10_000_000)?;
        in_range("max_samples_per_series", self.max_samples_per_series, 2, 1_000_000)?;
        in_range("lookback_steps", self.lookback_steps, 1, 1_000)?;
        duration_in_range("retention", self.retention, Duration::from_secs(1), CENTURY)?;
        duration_in_range("clock_step_tolerance", self.clock_step_tolerance, Duration::ZERO, CENTURY)
    }
}
