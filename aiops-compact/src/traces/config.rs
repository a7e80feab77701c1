//! Limits of the compaction of traces.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

/// Limits of a [`TraceCompactor`](super::TraceCompactor); [`TraceConfig`] holds a checked set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceOptions {
    /// Traces held while their spans arrive; 1 to 10⁷. Beyond, the one opened first is closed. Default 100,000.
    pub max_open_traces: usize,
    /// Spans held for open traces, 48 bytes each; 1 to 10⁹. Beyond, the trace opened first is closed.
    /// Default 2,000,000.
    pub max_open_spans: usize,
    /// Spans of one trace; 2 to 10⁷. A longer one is closed in parts. Default 100,000.
    pub max_spans_per_trace: usize,
    /// How long no span may arrive for a trace before it is closed, by the clock given to
    /// [`close_idle`](super::TraceCompactor::close_idle), ms; 1 to 86,400,000. Default 30,000.
    pub idle_ms: u64,
    /// How much earlier than its parent a child may begin, or later end, before it is reported, µs; up to 3.6·10⁹.
    /// The default 1,000 forgives clocks that are read in milliseconds.
    pub clock_tolerance_us: u64,
    /// Longest duration that is believed, ms; 1 to 10¹⁰. Longer spans count as this long. Default 86,400,000, a day.
    pub max_duration_ms: u64,
    /// Distinct names of services and operations; 1 to 10⁸. Further ones count as `<other>`. Default 100,000.
    pub max_names: usize,
    /// Distinct call types; 1 to 10⁷. Further ones count under the operation `<other>` up to twice as many, then
    /// under the service `<other>`. Default 10,000.
    pub max_call_types: usize,
    /// Distinct call paths, cut like call types; 1 to 10⁷. Default 50,000.
    pub max_paths: usize,
    /// Minutes whose rate of traces is kept, the latest ones; 1 to 10⁶. Default 1,440.
    pub max_minutes: usize,
}

impl Default for TraceOptions {
    fn default() -> Self {
        Self {
            max_open_traces: 100_000,
            max_open_spans: 2_000_000,
            max_spans_per_trace: 100_000,
            idle_ms: 30_000,
            clock_tolerance_us: 1_000,
            max_duration_ms: 86_400_000,
            max_names: 100_000,
            max_call_types: 10_000,
            max_paths: 50_000,
            max_minutes: 1_440,
        }
    }
}

/// Checked [`TraceOptions`].
///
/// ```
/// use aiops_compact::traces::{TraceConfig, TraceOptions};
/// let error = TraceConfig::try_from(TraceOptions { max_paths: 0, ..Default::default() }).unwrap_err();
/// assert_eq!(error.field(), "max_paths");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TraceOptions", into = "TraceOptions")]
pub struct TraceConfig(TraceOptions);

impl TraceConfig {
    /// The limits.
    #[must_use]
    pub fn options(&self) -> &TraceOptions {
        &self.0
    }

    pub(super) fn limits(&self) -> super::row::Limits {
        super::row::Limits {
            tolerance: nanos(Duration::from_micros(self.0.clock_tolerance_us)),
            max_duration: nanos(Duration::from_millis(self.0.max_duration_ms)),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl From<TraceConfig> for TraceOptions {
    fn from(config: TraceConfig) -> Self {
        config.0
    }
}

/// Checks one whole-numbered field.
pub(super) fn within<T: PartialOrd + ToString>(
    field: &'static str,
    value: T,
    range: std::ops::RangeInclusive<T>,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    if range.contains(&value) { Ok(()) } else { Err(ConfigError::new(field, value, allowed)) }
}

impl TryFrom<TraceOptions> for TraceConfig {
    type Error = ConfigError;

    fn try_from(options: TraceOptions) -> Result<Self, ConfigError> {
        let o = &options;
        within("max_open_traces", o.max_open_traces, 1..=10_000_000, "1 to 10000000 traces")?;
        within("max_open_spans", o.max_open_spans, 1..=1_000_000_000, "1 to 1000000000 spans")?;
        within("max_spans_per_trace", o.max_spans_per_trace, 2..=10_000_000, "2 to 10000000 spans")?;
        within("idle_ms", o.idle_ms, 1..=86_400_000, "1 to 86400000 ms")?;
        within("clock_tolerance_us", o.clock_tolerance_us, 0..=3_600_000_000, "0 to 3600000000 µs")?;
        within("max_duration_ms", o.max_duration_ms, 1..=10_000_000_000, "1 to 10000000000 ms")?;
        within("max_names", o.max_names, 1..=100_000_000, "1 to 100000000 names")?;
        within("max_call_types", o.max_call_types, 1..=10_000_000, "1 to 10000000 call types")?;
        within("max_paths", o.max_paths, 1..=10_000_000, "1 to 10000000 paths")?;
        within("max_minutes", o.max_minutes, 1..=1_000_000, "1 to 1000000 minutes")?;
        Ok(Self(options))
    }
}
