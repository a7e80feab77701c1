//! One window cut into what is normal and what is not.

use std::time::Duration;

use aiops_core::CitedAnomaly;
use aiops_core::model::{MetricSeries, TelemetryWindow, TimeAxis, TimeRange, time};
use jiff::Timestamp;

/// The window cut at the first onset among `anomalies`: what precedes it by more than `guard`, and what follows it. `None` without
/// anomalies.
pub(crate) fn at_onset(
    window: &TelemetryWindow,
    anomalies: &[CitedAnomaly],
    guard: Duration,
) -> Option<(TelemetryWindow, TelemetryWindow)> {
    let onset = anomalies.iter().map(|a| a.anomaly.onset).min()?;
    Some(split(window, time::before(onset, guard), onset))
}

/// What precedes `before`, and what begins at `from` or later. Both keep the topology.
fn split(window: &TelemetryWindow, before: Timestamp, from: Timestamp) -> (TelemetryWindow, TelemetryWindow) {
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
    (part(&|t| t < before, start, before), part(&|t| t >= from, from, end))
}

fn series(series: &MetricSeries, keep: &dyn Fn(Timestamp) -> bool) -> Option<MetricSeries> {
    let points: Vec<(Timestamp, f64)> = series.points().filter(|(t, _)| keep(*t)).collect();
    if points.is_empty() {
        return None;
    }
    let times = TimeAxis::irregular(points.iter().map(|p| p.0).collect()).ok()?;
    let values = points.into_iter().map(|p| Some(p.1));
    let part = MetricSeries::new(series.key().clone(), series.entity().clone(), times, values).ok()?;
    Some(part.with_kind(series.kind()).with_unit(series.unit().clone()))
}
