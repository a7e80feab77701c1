use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

/// How much of a window is held at once, however much of it there is. Plain fields with the defaults that are documented on
/// each; [`IntakeConfig`] holds a checked set. Open traces are bounded by [`TraceOptions`](crate::traces::TraceOptions), what
/// the miner holds by [`MinerOptions`](crate::logs::MinerOptions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntakeOptions {
    /// Entities with spans or lines; 1 to 10⁶. Spans and lines of further ones are counted as lost. Default 10,000.
    pub max_entities: usize,
    /// Pairs of writer and template; 1 to 10⁷. Lines of further ones are counted as lost. Default 100,000.
    pub max_line_kinds: usize,
    /// Series; 1 to 10⁷. Samples of further ones are counted as lost. Default 100,000.
    pub max_series: usize,
    /// Samples held of one series; 16 to 10⁶. One with more is averaged over so many slots of time. Default 512.
    pub max_samples: usize,
    /// Changes, and alerts; 1 to 10⁶ of each. Of further ones the latest are kept, the others counted as lost.
    /// Default 10,000.
    pub max_events: usize,
    /// Pairs of caller and callee told by topologies; 1 to 10⁷. Further ones are counted as lost. Default 100,000.
    pub max_edges: usize,
}

impl Default for IntakeOptions {
    fn default() -> Self {
        Self {
            max_entities: 10_000,
            max_line_kinds: 100_000,
            max_series: 100_000,
            max_samples: 512,
            max_events: 10_000,
            max_edges: 100_000,
        }
    }
}

/// Checked [`IntakeOptions`].
///
/// ```
/// use aiops_compact::briefing::{IntakeConfig, IntakeOptions};
/// let error = IntakeConfig::try_from(IntakeOptions { max_samples: 0, ..Default::default() }).unwrap_err();
/// assert_eq!(error.field(), "max_samples");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "IntakeOptions", into = "IntakeOptions")]
pub struct IntakeConfig(IntakeOptions);

impl IntakeConfig {
    /// The limits.
    #[must_use]
    pub fn options(&self) -> &IntakeOptions {
        &self.0
    }
}

impl From<IntakeConfig> for IntakeOptions {
    fn from(config: IntakeConfig) -> Self {
        config.0
    }
}

impl TryFrom<IntakeOptions> for IntakeConfig {
    type Error = ConfigError;

    fn try_from(options: IntakeOptions) -> Result<Self, ConfigError> {
        for (field, value, range, allowed) in [
            ("max_entities", options.max_entities, 1..=1_000_000, "1 to 1000000 entities"),
            ("max_line_kinds", options.max_line_kinds, 1..=10_000_000, "1 to 10000000 kinds of lines"),
            ("max_series", options.max_series, 1..=10_000_000, "1 to 10000000 series"),
            ("max_samples", options.max_samples, 16..=1_000_000, "16 to 1000000 samples"),
            ("max_events", options.max_events, 1..=1_000_000, "1 to 1000000 changes"),
            ("max_edges", options.max_edges, 1..=10_000_000, "1 to 10000000 calls"),
        ] {
            if !range.contains(&value) {
                return Err(ConfigError::new(field, value, allowed));
            }
        }
        Ok(Self(options))
    }
}
