//! Limits of the sampling of traces.

use serde::{Deserialize, Serialize};

use super::config::within;
use super::sample::StratumKind;
use crate::error::{ConfigError, check};

/// Limits of a [`TailSampler`](super::TailSampler); [`SamplerConfig`] holds a checked set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplerOptions {
    /// Decides which traces are kept; samplers to be merged need the same one. Default 0. One that senders of
    /// traces do not know keeps them from choosing ids that are always, or never, kept.
    pub seed: u64,
    /// Traces kept for each path on which a span failed by itself; 1 to 10⁷. Default 10,000.
    pub errors_per_path: usize,
    /// Traces kept for each path with a slow span; 1 to 10⁷. Default 100.
    pub slow_per_path: usize,
    /// Traces kept for each path whatever they are; 1 to 10⁷. Default 10. A path seen no more often is kept whole.
    pub any_per_path: usize,
    /// Quantile of the durations of its call type in the baseline beyond which a span is slow; 0.5 to 0.9999.
    /// Default 0.99.
    pub slow_quantile: f64,
    /// How far beyond it, µs; 0 to 10⁹. Default 500.
    pub min_excess_us: u64,
    /// Fewest calls of a call type in the baseline for anything to be slow; 2 to 10⁶. Default 10.
    pub min_baseline: u64,
    /// Traces kept in all; `max_strata` + 3 to 10⁸. Where more would be, each path keeps half as many of any kind, and
    /// so on down to one; then of slow ones, and errors last. Default 50,000.
    pub max_traces: usize,
    /// Strata: paths, counted again for their errors and for slow ones; 1 to 10⁷. Paths beyond share one stratum for each
    /// kind. Default 20,000.
    pub max_strata: usize,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            errors_per_path: 10_000,
            slow_per_path: 100,
            any_per_path: 10,
            slow_quantile: 0.99,
            min_excess_us: 500,
            min_baseline: 10,
            max_traces: 50_000,
            max_strata: 20_000,
        }
    }
}

/// Checked [`SamplerOptions`].
///
/// ```
/// use aiops_compact::traces::{SamplerConfig, SamplerOptions};
/// let error = SamplerConfig::try_from(SamplerOptions { any_per_path: 0, ..Default::default() }).unwrap_err();
/// assert_eq!(error.field(), "any_per_path");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SamplerOptions", into = "SamplerOptions")]
pub struct SamplerConfig(SamplerOptions);

/// Halvings that take `capacity` to 1.
fn halvings(capacity: usize) -> u32 {
    capacity.max(1).ilog2()
}

impl SamplerConfig {
    /// The limits.
    #[must_use]
    pub fn options(&self) -> &SamplerOptions {
        &self.0
    }

    /// Traces that a stratum keeps after `level` halvings: those of any kind are halved first, errors last.
    pub(super) fn capacity(&self, kind: StratumKind, level: u32) -> usize {
        let (any, slow) = (halvings(self.0.any_per_path), halvings(self.0.slow_per_path));
        let (capacity, before) = match kind {
            StratumKind::Any => (self.0.any_per_path, 0),
            StratumKind::Slow => (self.0.slow_per_path, any),
            StratumKind::Error => (self.0.errors_per_path, any + slow),
        };
        capacity.checked_shr(level.saturating_sub(before)).unwrap_or(0).max(1)
    }

    /// The level at which every stratum keeps one trace.
    pub(super) fn last_level(&self) -> u32 {
        halvings(self.0.any_per_path) + halvings(self.0.slow_per_path) + halvings(self.0.errors_per_path)
    }
}

impl From<SamplerConfig> for SamplerOptions {
    fn from(config: SamplerConfig) -> Self {
        config.0
    }
}

impl TryFrom<SamplerOptions> for SamplerConfig {
    type Error = ConfigError;

    fn try_from(options: SamplerOptions) -> Result<Self, ConfigError> {
        let o = &options;
        within("errors_per_path", o.errors_per_path, 1..=10_000_000, "1 to 10000000 traces")?;
        within("slow_per_path", o.slow_per_path, 1..=10_000_000, "1 to 10000000 traces")?;
        within("any_per_path", o.any_per_path, 1..=10_000_000, "1 to 10000000 traces")?;
        check("slow_quantile", o.slow_quantile, 0.5..=0.9999, "0.5 to 0.9999")?;
        within("min_excess_us", o.min_excess_us, 0..=1_000_000_000, "0 to 1000000000 µs")?;
        within("min_baseline", o.min_baseline, 2..=1_000_000, "2 to 1000000 calls")?;
        within("max_strata", o.max_strata, 1..=10_000_000, "1 to 10000000 strata")?;
        let fewest = o.max_strata + 3;
        within("max_traces", o.max_traces, fewest..=100_000_000, "`max_strata` + 3 to 100000000 traces")?;
        Ok(Self(options))
    }
}
