use std::time::Duration;

use aiops_compact::ConfigError;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::error::check;

/// How usual is told from unusual.
///
/// Plain fields with documented defaults; [`BaselineConfig`] holds a checked set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BaselineOptions {
    /// Zone whose clock the load follows: an IANA name (`Europe/Berlin`) or a POSIX string (`CET-1CEST,M3.5.0,M10.5.0/3`).
    /// Default `UTC`.
    pub time_zone: String,
    /// Local dates that are like a Sunday, whatever their weekday. They are not learned as the weekday they are. Default: none.
    pub holidays: Vec<Date>,
    /// Minutes of a cell of the day; 5, 6, 10, 12, 15, 20, 30 or 60. Default 15.
    pub cell_minutes: u32,
    /// Cells on each side whose samples a cell shares, 0 to 4. Default 1.
    pub neighbours: usize,
    /// Smallest scale of a cell, as a share of the median of all cells, 0.001 to 1. Default 0.1.
    pub scale_floor: f64,
    /// Share by which the weekday must lower the mean residual of weeks it was not learned from, to be used; 0 to 1.
    /// Default 1: not used. On key figures whose past it explained by a quarter and more, it was worse on what came after;
    /// a load known to be weekly does well with 0.25.
    pub weekday_gain: f64,
    /// Time over which the spread of deviations is followed, 1 h to 30 days. Default 72 h.
    #[serde(with = "aiops_core::model::duration")]
    pub restlessness: Duration,
    /// Samples whose mean deviation is the score, 1 to 8. Default 3.
    pub smoothing: usize,
    /// Deviation of a warning, in σ; 1 to 100. Default 2.8: one sample in 200 of normal noise is beyond.
    pub warn_sigma: f64,
    /// Deviation of a critical finding, in σ; `warn_sigma` to 1000. Default 4.
    pub critical_sigma: f64,
    /// So many samples must deviate to raise an alarm …; 1 to `of`. Default 3.
    pub hits: u32,
    /// … among so many in a row; 1 to 32. Default 5.
    pub of: u32,
    /// Time without a deviating sample after which the next one is another event, 0 to 7 days. Default 1 h.
    #[serde(with = "aiops_core::model::duration")]
    pub hold_off: Duration,
    /// Local days that must have been seen before time of day is trusted, 1 to 366. Default 14.
    pub trusted_days: u32,
    /// Deviation from all that was seen, in its σ, that raises a warning until then; 1 to 1000. Default 8.
    pub cold_sigma: f64,
    /// Days after which a sample's weight in what is usual has fallen to a third, 7 to 366. Default 28.
    pub memory_days: u32,
    /// An event that lasts longer than this is the new normal, and learned; 1 h to 366 days. Default 3 days.
    #[serde(with = "aiops_core::model::duration")]
    pub adopt_after: Duration,
    /// Occurrences of a calendar's event that must have been seen before its hours are trusted, 1 to 366. Default 3. Until
    /// then what is far from all that was seen of it ([`cold_sigma`](Self::cold_sigma)) is a warning, and in the first nothing is.
    #[serde(skip_serializing_if = "is_default_event_days")]
    pub event_days: u32,
}

const EVENT_DAYS: u32 = 3;

/// States that were stored before there were calendars keep their hash.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_default_event_days(days: &u32) -> bool {
    *days == EVENT_DAYS
}

impl Default for BaselineOptions {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            time_zone: "UTC".to_owned(),
            holidays: Vec::new(),
            cell_minutes: 15,
            neighbours: 1,
            scale_floor: 0.1,
            weekday_gain: 1.0,
            restlessness: HOUR * 72,
            smoothing: 3,
            warn_sigma: 2.8,
            critical_sigma: 4.0,
            hits: 3,
            of: 5,
            hold_off: HOUR,
            trusted_days: 14,
            cold_sigma: 8.0,
            memory_days: 28,
            adopt_after: HOUR * 72,
            event_days: EVENT_DAYS,
        }
    }
}

/// Checked [`BaselineOptions`].
///
/// ```
/// use aiops_detect::baseline::{BaselineConfig, BaselineOptions};
/// let of = |zone: &str| BaselineConfig::try_from(BaselineOptions { time_zone: zone.into(), ..Default::default() });
/// assert!(of("Europe/Berlin").is_ok() && of("CET-1CEST,M3.5.0,M10.5.0/3").is_ok());
/// assert_eq!(of("Mars/Olympus").unwrap_err().field(), "time_zone");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BaselineOptions", into = "BaselineOptions")]
pub struct BaselineConfig(BaselineOptions);

impl BaselineConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &BaselineOptions {
        &self.0
    }

    /// Cells of a day.
    #[must_use]
    pub fn cells(&self) -> usize {
        (24 * 60 / self.0.cell_minutes.max(1)) as usize
    }

    /// The zone; checked when the configuration was made.
    pub(crate) fn zone(&self) -> TimeZone {
        zone(&self.0.time_zone).unwrap_or(TimeZone::UTC)
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).or_else(|_| TimeZone::posix(name)).ok()
}

impl From<BaselineConfig> for BaselineOptions {
    fn from(config: BaselineConfig) -> Self {
        config.0
    }
}

/// Checks one length of time, both ends allowed.
fn check_time(
    field: &'static str,
    value: Duration,
    least: u64,
    most: u64,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    let range = Duration::from_secs(least)..=Duration::from_secs(most);
    if range.contains(&value) { Ok(()) } else { Err(ConfigError::new(field, format!("{value:?}"), allowed)) }
}

impl TryFrom<BaselineOptions> for BaselineConfig {
    type Error = ConfigError;

    fn try_from(mut o: BaselineOptions) -> Result<Self, ConfigError> {
        const DAY: u64 = 86_400;
        if zone(&o.time_zone).is_none() {
            return Err(ConfigError::new(
                "time_zone",
                &o.time_zone,
                "an IANA name or a POSIX time zone string",
            ));
        }
        if !matches!(o.cell_minutes, 5 | 6 | 10 | 12 | 15 | 20 | 30 | 60) {
            return Err(ConfigError::new("cell_minutes", o.cell_minutes, "5, 6, 10, 12, 15, 20, 30 or 60"));
        }
        let count = |field, value: u32, least, most, allowed| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(ConfigError::new(field, value, allowed))
            }
        };
        crate::error::check_count("neighbours", o.neighbours, 0..=4, "0 to 4")?;
        check("scale_floor", o.scale_floor, 0.001..=1.0, "0.001 to 1")?;
        check("weekday_gain", o.weekday_gain, 0.0..=1.0, "0 to 1")?;
        check_time("restlessness", o.restlessness, 3600, 30 * DAY, "1 h to 30 days")?;
        crate::error::check_count("smoothing", o.smoothing, 1..=8, "1 to 8")?;
        check("warn_sigma", o.warn_sigma, 1.0..=100.0, "1 to 100")?;
        check("critical_sigma", o.critical_sigma, o.warn_sigma..=1000.0, "warn_sigma to 1000")?;
        count("of", o.of, 1, 32, "1 to 32")?;
        count("hits", o.hits, 1, o.of, "1 to of")?;
        check_time("hold_off", o.hold_off, 0, 7 * DAY, "0 to 7 days")?;
        count("trusted_days", o.trusted_days, 1, 366, "1 to 366")?;
        check("cold_sigma", o.cold_sigma, 1.0..=1000.0, "1 to 1000")?;
        count("memory_days", o.memory_days, 7, 366, "7 to 366")?;
        check_time("adopt_after", o.adopt_after, 3600, 366 * DAY, "1 h to 366 days")?;
        count("event_days", o.event_days, 1, 366, "1 to 366")?;
        o.holidays.sort_unstable();
        o.holidays.dedup();
        Ok(Self(o))
    }
}
