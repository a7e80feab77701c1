use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::model::Direction;
use serde::{Deserialize, Serialize};

use crate::checked::Options;
use crate::error::{check, check_count};
use crate::stats::Correction;

/// Which way a metric gets worse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HarmRule {
    /// Part of the metric's name, in lower case.
    pub contains: String,
    /// Which way is worse.
    pub worse: Direction,
}

/// When two samples differ enough to say so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompareOptions {
    /// Level of significance after correction, more than 0 to 0.5. Default 0.01.
    pub alpha: f64,
    /// How p-values of the series of one change are corrected. Default Holm: the probability of any false verdict about a
    /// change stays below `alpha`.
    pub correction: Correction,
    /// Smallest effect, Cliff's delta or its like for pairs, 0 to 1. Default 0.43: "large" of Vargha and Delaney, 0.71 as
    /// the probability of superiority.
    pub min_effect: f64,
    /// Smallest shift in σ of the samples before, ≥ 0. Default 1.
    pub min_sigma: f64,
    /// Smallest shift as a share of the level before, ≥ 0. Default 0.05.
    pub min_relative: f64,
    /// Fewest samples on either side, 8 to 10⁶. Default 12: three minutes of a scrape every 15 s.
    pub min_samples: usize,
    /// Shift in σ from which a regression is critical, ≥ `min_sigma`. Default 4.
    pub critical_sigma: f64,
    /// Which way metrics get worse; the first rule that fits decides, and of metrics that none fits it is not known.
    /// Default: hits, successes and availability get worse by falling; errors, times, queues and the like by rising.
    pub harm: Vec<HarmRule>,
    /// Whether a metric of which no rule says what is worse is a finding when it changed. Default no.
    pub report_changed: bool,
}

impl Default for CompareOptions {
    fn default() -> Self {
        let rule = |worse| move |word: &str| HarmRule { contains: word.to_owned(), worse };
        let falling = ["success", "availab", "hit_ratio", "cache_hit", "goodput", "apdex"];
        let rising = [
            "error",
            "fail",
            "latency",
            "duration",
            "wait",
            "timeout",
            "retr",
            "restart",
            "throttl",
            "drop",
            "lag",
            "queue",
            "5xx",
            "reject",
            "deadlock",
            "saturation",
            "pressure",
            "evict",
            "miss",
        ];
        Self {
            alpha: 0.01,
            correction: Correction::Holm,
            min_effect: 0.43,
            min_sigma: 1.0,
            min_relative: 0.05,
            min_samples: 12,
            critical_sigma: 4.0,
            harm: falling
                .into_iter()
                .map(rule(Direction::Down))
                .chain(rising.into_iter().map(rule(Direction::Up)))
                .collect(),
            report_changed: false,
        }
    }
}

impl CompareOptions {
    /// Which way the metric `name` gets worse, where a rule says so.
    #[must_use]
    pub fn worse(&self, name: &str) -> Option<Direction> {
        let name = name.to_ascii_lowercase();
        self.harm.iter().find(|rule| name.contains(&rule.contains)).map(|rule| rule.worse)
    }
}

impl Options for CompareOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check("alpha", self.alpha, f64::MIN_POSITIVE..=0.5, "more than 0, at most 0.5")?;
        check("min_effect", self.min_effect, 0.0..=1.0, "0 to 1")?;
        check("min_sigma", self.min_sigma, 0.0.., "a finite number ≥ 0")?;
        check("min_relative", self.min_relative, 0.0.., "a finite number ≥ 0")?;
        check_count("min_samples", self.min_samples, 8..=1_000_000, "8 to 1000000 samples")?;
        check("critical_sigma", self.critical_sigma, self.min_sigma.., "at least `min_sigma`")?;
        match self
            .harm
            .iter()
            .find(|rule| rule.contains.is_empty() || rule.contains != rule.contains.to_lowercase())
        {
            Some(rule) => Err(ConfigError::new("harm", &rule.contains, "words in lower case, not empty")),
            None => Ok(()),
        }
    }
}

/// How the time before a change is compared with that after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegressionOptions {
    /// When two samples differ.
    pub compare: CompareOptions,
    /// How far back the comparison looks, more than 0 to 7 days. Default 1 h.
    #[serde(with = "aiops_core::model::duration")]
    pub before: Duration,
    /// How far ahead, more than 0 to 7 days. Default 30 min.
    #[serde(with = "aiops_core::model::duration")]
    pub after: Duration,
    /// Time after the change that is left out, up to 1 day. Default 60 s.
    #[serde(with = "aiops_core::model::duration")]
    pub settle: Duration,
    /// How many calls away from what was changed callers are looked at, 0 to 8. Default 1.
    pub callers: usize,
    /// Series of one change at most, 1 to 10⁵; with more, those nearest to the change are looked at. Default 1000.
    pub max_series: usize,
}

impl Default for RegressionOptions {
    fn default() -> Self {
        Self {
            compare: CompareOptions::default(),
            before: Duration::from_secs(3600),
            after: Duration::from_secs(1800),
            settle: Duration::from_secs(60),
            callers: 1,
            max_series: 1000,
        }
    }
}

/// Checks a length of time.
pub(crate) fn check_duration(
    field: &'static str,
    value: Duration,
    range: impl std::ops::RangeBounds<Duration>,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    if range.contains(&value) { Ok(()) } else { Err(ConfigError::new(field, format!("{value:?}"), allowed)) }
}

impl Options for RegressionOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        const WEEK: Duration = Duration::from_secs(7 * 86_400);
        self.compare.validate()?;
        check_duration("before", self.before, Duration::from_nanos(1)..=WEEK, "more than 0, at most 7 days")?;
        check_duration("after", self.after, Duration::from_nanos(1)..=WEEK, "more than 0, at most 7 days")?;
        check_duration("settle", self.settle, ..=Duration::from_secs(86_400), "at most 1 day")?;
        check_count("callers", self.callers, 0..=8, "0 to 8 calls")?;
        check_count("max_series", self.max_series, 1..=100_000, "1 to 100000 series")
    }
}
