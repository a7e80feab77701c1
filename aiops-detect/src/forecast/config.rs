use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_compact::shape::Persistence;
use aiops_core::model::Direction;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::error::{check, check_count};

/// A value that a series must not reach: a full disk, a spent quota, zero days to a certificate's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Name of the series.
    pub metric: String,
    /// The value, in the unit of the series.
    pub value: f64,
    /// From which side it is reached.
    pub direction: Direction,
    /// A limit expected to be reached within this time is a warning …
    #[serde(with = "aiops_core::model::duration")]
    pub warn_within: Duration,
    /// … and within this time critical; 0 to `warn_within`.
    #[serde(with = "aiops_core::model::duration")]
    pub critical_within: Duration,
}

/// How series are forecast.
///
/// Plain fields with documented defaults; [`ForecastConfig`] holds a checked set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForecastOptions {
    /// Zone whose clock the season follows: an IANA name or a POSIX string. Default `UTC`.
    pub time_zone: String,
    /// Period of the season, 1 minute to 31 days. Default 1 day. It is used only where it lowers the error.
    #[serde(with = "aiops_core::model::duration")]
    pub season: Duration,
    /// Cells of the season, 4 to 1440; no more than it has samples. Default 96: quarters of an hour of a day.
    pub cells: usize,
    /// How far ahead errors are known, 1 minute to 31 days; at most a quarter of what was learned from. Beyond, intervals widen
    /// in proportion. Default 1 day.
    #[serde(with = "aiops_core::model::duration")]
    pub horizon: Duration,
    /// Share of values that an interval is meant to hold, 0.5 to 0.999. Default 0.95.
    pub coverage: f64,
    /// How fast the intervals follow misses, 0 to 0.1. Default 0.01; 0 leaves them as they were learned.
    pub adapt: f64,
    /// Errors kept for each horizon, 32 to 4096. Default 512.
    pub errors: usize,
    /// Where innovations are cut, in σ of what is usual, 1 to 100. Default 3.
    pub clip: f64,
    /// Fewest samples to learn from, 32 to 10⁶. Default 64.
    pub min_samples: usize,
    /// When samples beyond their interval make a finding; its σ are multiples of the interval's half-width. Default: 3 of 5
    /// beyond 1, over after 3 in a row below 0.8.
    pub persistence: Persistence,
    /// Multiple of the half-width from which a finding is critical, ≥ `persistence.sigma`. Default 2.
    pub critical: f64,
    /// Share of a window's end that is judged by a forecast from what comes before, 0.01 to 0.5. Default 0.25.
    pub recent_share: f64,
    /// Limits that series must not reach. Default: none.
    pub limits: Vec<Limit>,
}

impl Default for ForecastOptions {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            time_zone: "UTC".to_owned(),
            season: DAY,
            cells: 96,
            horizon: DAY,
            coverage: 0.95,
            adapt: 0.01,
            errors: 512,
            clip: 3.0,
            min_samples: 64,
            persistence: Persistence { sigma: 1.0, clear_sigma: 0.8, ..Persistence::default() },
            critical: 2.0,
            recent_share: 0.25,
            limits: Vec::new(),
        }
    }
}

/// Checked [`ForecastOptions`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ForecastOptions", into = "ForecastOptions")]
pub struct ForecastConfig(ForecastOptions);

impl ForecastConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &ForecastOptions {
        &self.0
    }

    pub(super) fn zone(&self) -> TimeZone {
        zone(&self.0.time_zone).unwrap_or(TimeZone::UTC)
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).or_else(|_| TimeZone::posix(name)).ok()
}

impl From<ForecastConfig> for ForecastOptions {
    fn from(config: ForecastConfig) -> Self {
        config.0
    }
}

impl TryFrom<ForecastOptions> for ForecastConfig {
    type Error = ConfigError;

    fn try_from(o: ForecastOptions) -> Result<Self, ConfigError> {
        if zone(&o.time_zone).is_none() {
            let allowed = "an IANA name or a POSIX time zone string";
            return Err(ConfigError::new("time_zone", &o.time_zone, allowed));
        }
        let month = Duration::from_secs(31 * 86_400);
        for (field, value) in [("season", o.season), ("horizon", o.horizon)] {
            if !(Duration::from_secs(60)..=month).contains(&value) {
                return Err(ConfigError::new(field, format!("{value:?}"), "1 minute to 31 days"));
            }
        }
        check_count("cells", o.cells, 4..=1440, "4 to 1440")?;
        check("coverage", o.coverage, 0.5..=0.999, "0.5 to 0.999")?;
        check("adapt", o.adapt, 0.0..=0.1, "0 to 0.1")?;
        check_count("errors", o.errors, 32..=4096, "32 to 4096")?;
        check("clip", o.clip, 1.0..=100.0, "1 to 100")?;
        check_count("min_samples", o.min_samples, 32..=1_000_000, "32 to 1000000 samples")?;
        o.persistence.validate()?;
        check("critical", o.critical, o.persistence.sigma.., "at least `persistence.sigma`")?;
        check("recent_share", o.recent_share, 0.01..=0.5, "0.01 to 0.5")?;
        for limit in &o.limits {
            check("limits.value", limit.value, .., "a finite number")?;
            if limit.critical_within > limit.warn_within {
                let value = format!("{:?}", limit.critical_within);
                return Err(ConfigError::new("limits.critical_within", value, "0 to `warn_within`"));
            }
        }
        Ok(Self(o))
    }
}
