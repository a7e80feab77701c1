//! What the use cases share: series by name, where things run, what deviates, findings from logs.

use std::collections::{BTreeMap, BTreeSet};

use aiops_compact::ConfigError;
use aiops_compact::deviation::{DeviationConfig, DeviationOptions};
use aiops_core::model::{
    Anomaly, Baseline, EdgeKind, EntityId, EntityKind, FetchRequest, LogRecord, MetricKind, MetricSeries,
    Selector, SeriesKey, Severity, Shape, Signal, TelemetryWindow, Unit,
};
use jiff::Timestamp;

use super::Symptom;
use crate::rolling::RollingDetector;

/// Owned names.
pub(crate) fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// Checks that a list of names has one, and none that is empty.
pub(crate) fn check_names(field: &'static str, list: &[String]) -> Result<(), ConfigError> {
    if list.is_empty() || list.iter().any(String::is_empty) {
        return Err(ConfigError::new(
            field,
            format!("{list:?}"),
            "at least one name, and none that is empty",
        ));
    }
    Ok(())
}

/// Whether the metric `name`, or the rate of it, is in `list`.
pub(crate) fn is_named(name: &str, list: &[String]) -> bool {
    let inner = name.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(name);
    list.iter().any(|wanted| wanted == name || wanted == inner)
}

/// The series whose name is in `list`, each key once, in the order of entity and key.
pub(crate) fn named<'w>(window: &'w TelemetryWindow, list: &[String]) -> Vec<&'w MetricSeries> {
    let mut found: Vec<&MetricSeries> =
        window.metrics.iter().filter(|s| is_named(&s.key().name, list)).collect();
    found.sort_by(|a, b| (a.entity(), a.key()).cmp(&(b.entity(), b.key())));
    found.dedup_by(|a, b| a.entity() == b.entity() && a.key() == b.key());
    found
}

/// Finite samples of `series` inside the window's range, in order of time.
pub(crate) fn inside(series: &MetricSeries, window: &TelemetryWindow) -> Vec<(Timestamp, f64)> {
    series.points().filter(|(t, v)| window.range.contains(*t) && v.is_finite()).collect()
}

/// Seconds from the beginning of the window, for lines through points.
pub(crate) fn since_start(t: Timestamp, window: &TelemetryWindow) -> f64 {
    t.duration_since(window.range.start()).as_secs_f64()
}

/// What deviates among the series whose name is in `list`, against the earlier part of the window: the rolling detector's
/// findings, other names left out. Running totals deviate in nothing.
pub(crate) fn deviating(
    window: &TelemetryWindow,
    list: &[String],
    options: DeviationOptions,
) -> Vec<Anomaly> {
    let mut part = TelemetryWindow::new(window.range);
    part.metrics = named(window, list).into_iter().cloned().collect();
    let config = DeviationConfig::try_from(options).unwrap_or_default();
    RollingDetector::unfitted(config).map(|detector| detector.find(&part)).unwrap_or_default()
}

/// Where each entity runs: the node of the topology, or the value of the first of `labels` one of its series has.
pub(crate) fn places(window: &TelemetryWindow, labels: &[String]) -> BTreeMap<EntityId, EntityId> {
    let mut places: BTreeMap<EntityId, EntityId> = BTreeMap::new();
    for series in &window.metrics {
        let label = labels.iter().find_map(|label| series.key().labels.get(label));
        if let Some(place) = label.filter(|place| !place.is_empty()) {
            let place = EntityId::new(EntityKind::Node, place);
            // The smallest name where series disagree, whatever their order.
            let known = places.entry(series.entity().clone()).or_insert_with(|| place.clone());
            if place < *known {
                *known = place;
            }
        }
    }
    for edge in window.topology.edges().filter(|e| e.kind == EdgeKind::RunsOn) {
        places.insert(edge.from.clone(), edge.to.clone());
    }
    places
}

/// Whether two stretches of time overlap.
pub(crate) fn overlap(a: &Anomaly, b: &Anomaly) -> bool {
    a.onset <= b.last && b.onset <= a.last
}

/// The distinct names of entities, for a sentence: the first few, and how many more.
pub(crate) fn listed<'a>(entities: impl IntoIterator<Item = &'a EntityId>) -> String {
    let all: BTreeSet<&EntityId> = entities.into_iter().collect();
    let first: Vec<&str> = all.iter().take(3).map(|e| e.name()).collect();
    let more = all.len().saturating_sub(first.len());
    if more > 0 { format!("{} and {more} more", first.join(", ")) } else { first.join(", ") }
}

/// The read that shows lines (or spans) of `entity` again.
pub(crate) fn reread_records(window: &TelemetryWindow, entity: &EntityId, signal: Signal) -> FetchRequest {
    FetchRequest::new(window.range)
        .with_signals(signal.into())
        .with_selector(Selector::all().with_entity(entity.clone()))
}

/// A finding from lines: `count` where `usual` is normal at most.
pub(crate) struct Counted<'a> {
    pub(crate) entity: &'a EntityId,
    pub(crate) series: SeriesKey,
    pub(crate) times: (Timestamp, Timestamp),
    pub(crate) count: f64,
    /// What nobody would mind.
    pub(crate) usual: f64,
    pub(crate) samples: usize,
    pub(crate) severity: Severity,
    pub(crate) signal: Signal,
    pub(crate) evidence: String,
}

impl Counted<'_> {
    /// One σ is that of a count of the usual size, and no less than one.
    pub(crate) fn symptom(self, window: &TelemetryWindow) -> Symptom {
        let baseline =
            Baseline { center: self.usual, scale: self.usual.max(1.0).sqrt(), samples: self.samples };
        Symptom {
            reread: reread_records(window, self.entity, self.signal),
            entity: self.entity.clone(),
            series: self.series,
            unit: Unit::new("1"),
            shape: Shape::LevelShiftUp,
            onset: self.times.0,
            last: self.times.1,
            ongoing: true,
            value: self.count,
            baseline,
            severity: self.severity,
            evidence: self.evidence,
        }
    }
}

/// The lines inside the window's range, in order of time; equal instants keep their order.
pub(crate) fn lines(window: &TelemetryWindow) -> Vec<&LogRecord> {
    let mut lines: Vec<&LogRecord> = window.logs.iter().filter(|l| window.range.contains(l.time)).collect();
    lines.sort_by_key(|line| line.time);
    lines
}

/// The value of the first of `labels` that `line` has.
pub(crate) fn attribute<'l>(line: &'l LogRecord, labels: &[String]) -> Option<&'l str> {
    labels.iter().find_map(|label| line.attributes.get(label)).filter(|value| !value.is_empty())
}

/// The change of a running total from one sample to the next, resets taken as new beginnings; of other series the
/// samples themselves.
pub(crate) fn increments(series: &MetricSeries, window: &TelemetryWindow) -> Vec<(Timestamp, f64)> {
    let points = inside(series, window);
    if series.kind() != MetricKind::Counter {
        return points;
    }
    let later = points.iter().skip(1);
    let change = |((_, before), (t, now)): (&(Timestamp, f64), &(Timestamp, f64))| {
        (*t, if now >= before { now - before } else { *now })
    };
    points.iter().zip(later).map(change).collect()
}
