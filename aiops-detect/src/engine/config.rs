use std::time::Duration;

use aiops_compact::ConfigError;
use serde::{Deserialize, Serialize};

use super::{RUNS, WINDOW};
use crate::baseline::{BaselineConfig, BaselineOptions};
use crate::changepoint::{OnlineConfig, OnlineOptions};
use crate::error::{check, check_count};

/// What the engine follows, and its bounds.
///
/// Plain fields with documented defaults; [`EngineConfig`] holds a checked set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineOptions {
    /// What is usual, and events. Cells of 15 minutes or more, without weekdays and holidays; the rest as in
    /// [`BaselineOptions`].
    pub baseline: BaselineConfig,
    /// Changes of level; at most eight run lengths. Default: changes of 1.5 σ and more that are expected every 1000 samples,
    /// lasted 12 and are told at 0.99; eight run lengths of at least a thousandth of the posterior each, else as in
    /// [`OnlineOptions`].
    pub changes: OnlineConfig,
    /// Samples in the rolling window before a deviation from it is told, 2 to [`WINDOW`]. Default 16.
    pub rolling_warm_up: usize,
    /// Smallest scale of the rolling window, as a share of its mean, 0 to 1. Default 0.001.
    pub rolling_floor: f64,
    /// Deviation from the rolling window at which a sample is cut before it enters, in σ, 1 to 100. Default 4.
    pub rolling_clip: f64,
    /// Gap after which the window and the run lengths begin anew, 1 minute to 31 days. Default 1 h.
    #[serde(with = "aiops_core::model::duration")]
    pub forget_after: Duration,
    /// Time without a sample after which a series may be dropped, 1 minute to 366 days. Default 7 days.
    #[serde(with = "aiops_core::model::duration")]
    pub expire_after: Duration,
    /// Series at most, 1 to 10⁷. Default 500 000: 1 GB.
    pub max_series: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            baseline: BaselineConfig::default(),
            changes: OnlineConfig::unchecked(OnlineOptions {
                expected_run: 1000.0,
                run_lengths: RUNS,
                prune: 1e-3,
                confidence: 0.99,
                // Longer than the edge of a working day, which cells of a quarter of an hour do not see sharply.
                persist: 12,
                least_sigma: 1.5,
                ..OnlineOptions::default()
            }),
            rolling_warm_up: WINDOW / 2,
            rolling_floor: 1e-3,
            rolling_clip: 4.0,
            forget_after: Duration::from_secs(3600),
            expire_after: Duration::from_secs(7 * 86_400),
            max_series: 500_000,
        }
    }
}

/// Checked [`EngineOptions`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EngineOptions", into = "EngineOptions")]
pub struct EngineConfig(EngineOptions);

impl EngineConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.0
    }
}

impl From<EngineConfig> for EngineOptions {
    fn from(config: EngineConfig) -> Self {
        config.0
    }
}

impl TryFrom<EngineOptions> for EngineConfig {
    type Error = ConfigError;

    fn try_from(o: EngineOptions) -> Result<Self, ConfigError> {
        let BaselineOptions { cell_minutes, weekday_gain, holidays, .. } = o.baseline.options();
        if *cell_minutes < 15 {
            let allowed = "15, 20, 30 or 60: the state of a series is bounded";
            return Err(ConfigError::new("baseline.cell_minutes", cell_minutes, allowed));
        }
        if *weekday_gain < 1.0 || !holidays.is_empty() {
            return Err(ConfigError::new("baseline.weekday_gain", weekday_gain, "1, and no holidays"));
        }
        let runs = o.changes.options().run_lengths;
        check_count("changes.run_lengths", runs, 4..=RUNS, "4 to 8")?;
        check_count("rolling_warm_up", o.rolling_warm_up, 2..=WINDOW, "2 to 32")?;
        check("rolling_floor", o.rolling_floor, 0.0..=1.0, "0 to 1")?;
        check("rolling_clip", o.rolling_clip, 1.0..=100.0, "1 to 100")?;
        let time = |field, value: Duration, days: u64, allowed| {
            let range = Duration::from_secs(60)..=Duration::from_secs(days * 86_400);
            if range.contains(&value) {
                Ok(())
            } else {
                Err(ConfigError::new(field, format!("{value:?}"), allowed))
            }
        };
        time("forget_after", o.forget_after, 31, "1 minute to 31 days")?;
        time("expire_after", o.expire_after, 366, "1 minute to 366 days")?;
        check_count("max_series", o.max_series, 1..=10_000_000, "1 to 10000000 series")?;
        Ok(Self(o))
    }
}
