//! What was observed in a range of time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::alert::Alert;
use crate::model::change::Change;
use crate::model::entity::EntityId;
use crate::model::log::LogRecord;
use crate::model::metric::MetricSeries;
use crate::model::span::Span;
use crate::model::time::TimeRange;
use crate::model::topology::Topology;

/// A kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Signal {
    /// Numeric series.
    Metrics,
    /// Log lines.
    Logs,
    /// Spans.
    Traces,
    /// Deployments, configuration and the like.
    Changes,
    /// Alerts of other systems.
    Alerts,
    /// Entities and edges.
    Topology,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 6] =
        [Self::Metrics, Self::Logs, Self::Traces, Self::Changes, Self::Alerts, Self::Topology];
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
            Self::Changes => "changes",
            Self::Alerts => "alerts",
            Self::Topology => "topology",
        })
    }
}

/// A set of signals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignalSet(std::collections::BTreeSet<Signal>);

impl SignalSet {
    /// No signal.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every signal.
    #[must_use]
    pub fn all() -> Self {
        Signal::ALL.into_iter().collect()
    }

    /// Whether `signal` is in the set.
    #[must_use]
    pub fn contains(&self, signal: Signal) -> bool {
        self.0.contains(&signal)
    }

    /// Signals in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }

    /// Signals in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).copied().collect())
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Signals in order.
    pub fn iter(&self) -> impl Iterator<Item = Signal> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Signal> for SignalSet {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> Self {
        Self(signals.into_iter().collect())
    }
}

impl From<Signal> for SignalSet {
    fn from(signal: Signal) -> Self {
        Self([signal].into_iter().collect())
    }
}

/// How well a source could see one entity (ING-07): an ingestion gap is a finding, not an absence of anomalies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CollectorHealth {
    /// Who was to be observed; `None` for the source as a whole.
    #[serde(default)]
    pub entity: Option<EntityId>,
    /// Which signal.
    pub signal: Signal,
    /// Last time anything arrived, if ever.
    #[serde(default)]
    pub last_seen: Option<Timestamp>,
    /// Items dropped or unreadable, counted.
    #[serde(default)]
    pub dropped: u64,
    /// What went wrong, in words.
    #[serde(default)]
    pub note: Option<String>,
}

impl CollectorHealth {
    /// Health of one signal of the whole source.
    #[must_use]
    pub fn new(signal: Signal) -> Self {
        Self { entity: None, signal, last_seen: None, dropped: 0, note: None }
    }
}

/// Everything a source saw in a range of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TelemetryWindow {
    /// The range asked for.
    pub range: TimeRange,
    /// Series, in the order of entity and key.
    #[serde(default)]
    pub metrics: Vec<MetricSeries>,
    /// Lines, in order of time.
    #[serde(default)]
    pub logs: Vec<LogRecord>,
    /// Spans, in order of start.
    #[serde(default)]
    pub spans: Vec<Span>,
    /// Changes, in order of time. May reach back further than `range` (ING-04).
    #[serde(default)]
    pub changes: Vec<Change>,
    /// Alerts, in order of start.
    #[serde(default)]
    pub alerts: Vec<Alert>,
    /// Who depends on whom, as far as the source knows.
    #[serde(default)]
    pub topology: Topology,
    /// What the source could not see.
    #[serde(default)]
    pub health: Vec<CollectorHealth>,
    /// Signals that were read; one that is missing here was not looked at, which differs from "nothing there".
    #[serde(default)]
    pub observed: SignalSet,
}

impl TelemetryWindow {
    /// A window in which nothing was looked at.
    #[must_use]
    pub fn new(range: TimeRange) -> Self {
        Self {
            range,
            metrics: Vec::new(),
            logs: Vec::new(),
            spans: Vec::new(),
            changes: Vec::new(),
            alerts: Vec::new(),
            topology: Topology::new(),
            health: Vec::new(),
            observed: SignalSet::none(),
        }
    }

    /// Adds what another source saw, and restores the order.
    pub fn merge(&mut self, other: Self) {
        self.range = self.range.hull(&other.range);
        self.metrics.extend(other.metrics);
        self.logs.extend(other.logs);
        self.spans.extend(other.spans);
        self.changes.extend(other.changes);
        self.alerts.extend(other.alerts);
        self.topology.merge(other.topology);
        self.health.extend(other.health);
        self.observed = self.observed.union(&other.observed);
        self.sort();
    }

    /// Restores the documented order of every part (stable, so equal keys keep their order).
    pub fn sort(&mut self) {
        self.metrics.sort_by(|a, b| (a.entity(), a.key()).cmp(&(b.entity(), b.key())));
        self.logs.sort_by_key(|l| l.time);
        self.spans.sort_by_key(|s| s.start);
        self.changes.sort_by_key(|c| c.time);
        self.alerts.sort_by_key(|a| a.started_at);
    }

    /// Number of existing metric samples.
    #[must_use]
    pub fn sample_count(&self) -> usize {
        self.metrics.iter().map(|m| m.len() - m.validity().gaps()).sum()
    }
}
