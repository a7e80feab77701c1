//! What a pipeline asks of a telemetry source.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::entity::EntityId;
use crate::model::labels::Labels;
use crate::model::time::TimeRange;
use crate::model::window::{SignalSet, TelemetryWindow};

/// How a [`Matcher`] compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchOp {
    /// The label has this value.
    Equal,
    /// The label has another value, or is absent.
    NotEqual,
}

/// A condition on one label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matcher {
    /// Name of the label.
    pub label: String,
    /// Comparison.
    pub op: MatchOp,
    /// Value to compare with. The empty value equals an absent label, as in Prometheus.
    pub value: String,
}

impl Matcher {
    /// Whether `labels` fulfil the condition.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let equal = labels.get(&self.label).unwrap_or_default() == self.value;
        equal == (self.op == MatchOp::Equal)
    }
}

/// Which part of the telemetry is wanted. Empty lists mean "all".
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Selector {
    /// Entities of interest.
    #[serde(default)]
    pub entities: Vec<EntityId>,
    /// Names of metrics of interest.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// Conditions on labels, all of which must hold.
    #[serde(default)]
    pub matchers: Vec<Matcher>,
}

impl Selector {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// One entity more.
    #[must_use]
    pub fn with_entity(mut self, entity: EntityId) -> Self {
        self.entities.push(entity);
        self
    }

    /// One metric more.
    #[must_use]
    pub fn with_metric(mut self, name: impl Into<String>) -> Self {
        self.metrics.push(name.into());
        self
    }

    /// One condition more.
    #[must_use]
    pub fn with_matcher(mut self, label: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Self {
        self.matchers.push(Matcher { label: label.into(), op, value: value.into() });
        self
    }

    /// Whether a series of this name, entity and labels is wanted.
    #[must_use]
    pub fn selects(&self, name: &str, entity: &EntityId, labels: &Labels) -> bool {
        (self.metrics.is_empty() || self.metrics.iter().any(|m| m == name))
            && self.selects_entity(entity)
            && self.matchers.iter().all(|m| m.matches(labels))
    }

    /// Whether something about this entity is wanted.
    #[must_use]
    pub fn selects_entity(&self, entity: &EntityId) -> bool {
        self.entities.is_empty() || self.entities.contains(entity)
    }
}

/// How much a source may return before it must refuse with [`ErrorKind::Limit`](crate::ErrorKind::Limit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct FetchLimits {
    /// Most series; default 10,000.
    pub series: usize,
    /// Most samples over all series; default 10,000,000.
    pub samples: usize,
    /// Most log records or spans; default 1,000,000.
    pub records: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self { series: 10_000, samples: 10_000_000, records: 1_000_000 }
    }
}

impl FetchLimits {
    /// Whether `window` is within these bounds; sources call it on their answer.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] with what was found and what was asked for at most.
    pub fn check(&self, window: &TelemetryWindow) -> Result<()> {
        let TelemetryWindow { metrics, logs, spans, changes, alerts, .. } = window;
        let records = logs.len().max(spans.len()).max(changes.len()).max(alerts.len());
        let bounds = [
            ("series", metrics.len(), self.series),
            ("samples", window.sample_count(), self.samples),
            ("records", records, self.records),
        ];
        match bounds.into_iter().find(|(_, found, most)| found > most) {
            None => Ok(()),
            Some((what, found, most)) => {
                Err(Error::new(ErrorKind::Limit, "the answer is larger than asked for at most")
                    .with(what, found)
                    .with("limit", most))
            }
        }
    }
}

/// A read of telemetry. Serialisable, because whatever detected an incident is read again to verify its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FetchRequest {
    /// From when to when.
    pub range: TimeRange,
    /// Distance of metric samples; default 15 s. Sources align samples to `range.start + i · step`.
    #[serde(with = "crate::model::duration")]
    pub step: Duration,
    /// Which signals; default all.
    pub signals: SignalSet,
    /// Which part.
    #[serde(default)]
    pub selector: Selector,
    /// Bounds of the answer.
    #[serde(default)]
    pub limits: FetchLimits,
}

impl FetchRequest {
    /// All signals of everything in `range`, at steps of 15 s.
    #[must_use]
    pub fn new(range: TimeRange) -> Self {
        Self {
            range,
            step: Duration::from_secs(15),
            signals: SignalSet::all(),
            selector: Selector::all(),
            limits: FetchLimits::default(),
        }
    }

    /// The same at another step.
    #[must_use]
    pub fn with_step(mut self, step: Duration) -> Self {
        self.step = step;
        self
    }

    /// The same for some signals only.
    #[must_use]
    pub fn with_signals(mut self, signals: SignalSet) -> Self {
        self.signals = signals;
        self
    }

    /// The same for a part only.
    #[must_use]
    pub fn with_selector(mut self, selector: Selector) -> Self {
        self.selector = selector;
        self
    }

    /// The same with other bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: FetchLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The same read over another time: how a verifier re-reads what detected an incident.
    #[must_use]
    pub fn over(&self, range: TimeRange) -> Self {
        Self { range, ..self.clone() }
    }
}
