//! Limits of windows and thresholds of their ranking.

use aiops_core::model::LogSeverity;
use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, check};

/// Thresholds of the ranking. Plain fields with the defaults that are documented on each; [`RankConfig`] holds a checked set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RankOptions {
    /// Words of which one makes a template worth ranking, compared without regard to case. Default: the usual words for
    /// failure.
    pub keywords: Vec<String>,
    /// Severity from which a template is ranked whatever it says. Default: warn.
    pub severity: LogSeverity,
    /// Percentile of the scores from which an entry is kept; 0 to 100. Default 80.
    pub percentile: f64,
    /// Deviation from the expected count, in standard deviations of a Poisson count, that makes a burst; 1 to 1000. Default 6.
    pub burst_sigma: f64,
    /// Lines expected from the baseline from which none at all means that a template has vanished; 1 to 10⁶. Default 8,
    /// which leaves chance a probability of e⁻⁸.
    pub vanished_expected: f64,
}

impl Default for RankOptions {
    fn default() -> Self {
        let keywords = [
            "fatal",
            "error",
            "exception",
            "crash",
            "fail",
            "panic",
            "abort",
            "denied",
            "refused",
            "timeout",
            "timed out",
            "unavailable",
            "unreachable",
            "corrupt",
            "killed",
            "out of memory",
            "lost",
            "reset by peer",
        ];
        Self {
            keywords: keywords.map(str::to_owned).to_vec(),
            severity: LogSeverity::Warn,
            percentile: 80.0,
            burst_sigma: 6.0,
            vanished_expected: 8.0,
        }
    }
}

/// Checked [`RankOptions`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RankOptions", into = "RankOptions")]
pub struct RankConfig(RankOptions);

impl RankConfig {
    /// The thresholds.
    #[must_use]
    pub fn options(&self) -> &RankOptions {
        &self.0
    }
}

impl From<RankConfig> for RankOptions {
    fn from(config: RankConfig) -> Self {
        config.0
    }
}

impl TryFrom<RankOptions> for RankConfig {
    type Error = ConfigError;

    fn try_from(options: RankOptions) -> Result<Self, ConfigError> {
        check("percentile", options.percentile, 0.0..=100.0, "0 to 100")?;
        check("burst_sigma", options.burst_sigma, 1.0..=1000.0, "1 to 1000")?;
        check("vanished_expected", options.vanished_expected, 1.0..=1e6, "1 to 10^6 lines")?;
        Ok(Self(options))
    }
}

/// How much a [`LogWindow`](super::LogWindow) keeps. Plain fields with the defaults that are documented on each;
/// [`LogWindowConfig`] holds a checked set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogWindowOptions {
    /// Most templates kept; 1 to 10⁶. Beyond it an eighth of them, seen longest ago, is forgotten. Default 16384.
    pub max_templates: usize,
    /// Most distinct minutes with lines kept; 1 to 10⁶. Beyond it the oldest are forgotten. Default 1440: a day.
    pub max_minutes: usize,
}

impl Default for LogWindowOptions {
    fn default() -> Self {
        Self { max_templates: 1 << 14, max_minutes: 1440 }
    }
}

/// Checked [`LogWindowOptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "LogWindowOptions", into = "LogWindowOptions")]
pub struct LogWindowConfig(LogWindowOptions);

impl LogWindowConfig {
    /// The limits.
    #[must_use]
    pub fn options(&self) -> &LogWindowOptions {
        &self.0
    }
}

impl From<LogWindowConfig> for LogWindowOptions {
    fn from(config: LogWindowConfig) -> Self {
        config.0
    }
}

impl TryFrom<LogWindowOptions> for LogWindowConfig {
    type Error = ConfigError;

    fn try_from(options: LogWindowOptions) -> Result<Self, ConfigError> {
        for (field, value) in [("max_templates", options.max_templates), ("max_minutes", options.max_minutes)]
        {
            if !(1..=1_000_000).contains(&value) {
                return Err(ConfigError::new(field, value, "1 to 1000000"));
            }
        }
        Ok(Self(options))
    }
}
