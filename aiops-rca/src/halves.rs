//! One window cut into what is normal and what is not.

use std::time::Duration;

use aiops_core::model::{MetricSeries, TelemetryWindow, TimeAxis, TimeRange, time};
use jiff::Timestamp;

/// What precedes `onset` by more than `guard`, and what begins at `onset` or later. Both keep the topology. O(size of the
/// window).
pub(crate) fn cut(
    window: &TelemetryWindow,
    onset: Timestamp,
    guard: Duration,
) -> (TelemetryWindow, TelemetryWindow) {
    let before = time::before(onset, guard);
    let part = |keep: &dyn Fn(Timestamp) -> bool, start: Timestamp, end: Timestamp| {
        let range = TimeRange::new(start, end.max(start)).unwrap_or(window.range);
        let mut part = TelemetryWindow::new(range);
        part.metrics = window.metrics.iter().filter_map(|s| series(s, keep)).collect();
        part.spans = window.spans.iter().filter(|s| keep(s.start)).cloned().collect();
        part.logs = window.logs.iter().filter(|l| keep(l.time)).cloned().collect();
        part.topology = window.topology.clone();
        part.observed = window.observed.clone();
        part
    };
    let (start, end) = (window.range.start(), window.range.end());
    let mut parts = (part(&|t| t < before, start, before), part(&|t| t >= onset, onset, end));
    // A change is no sample that may already show the fault: none is left out.
    let (old, new) = window.changes.iter().cloned().partition(|c| c.time < onset);
    (parts.0.changes, parts.1.changes) = (old, new);
    parts
}

fn series(series: &MetricSeries, keep: &dyn Fn(Timestamp) -> bool) -> Option<MetricSeries> {
    let mut times = Vec::new();
    let mut values = Vec::new();
    for (at, value) in series.times().iter().zip(series.samples()).filter(|(at, _)| keep(*at)) {
        times.push(at);
        values.push(value);
    }
    if times.is_empty() {
        return None;
    }
    let times = TimeAxis::irregular(times).ok()?;
    let part = MetricSeries::new(series.key().clone(), series.entity().clone(), times, values).ok()?;
    Some(part.with_kind(series.kind()).with_unit(series.unit().clone()))
}
