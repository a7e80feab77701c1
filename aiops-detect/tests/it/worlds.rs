//! Generated telemetry that several tests share.

use std::time::Duration;

use aiops_core::model::{EntityId, MetricSeries, SeriesKey, TelemetryWindow, TimeAxis, TimeRange};
use jiff::Timestamp;

pub(crate) const STEP: Duration = Duration::from_secs(15);

pub(crate) fn start() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

/// The instant of row `i`.
pub(crate) fn at(row: usize) -> Timestamp {
    start() + STEP * u32::try_from(row).unwrap()
}

/// A window of so many rows with nothing in it.
pub(crate) fn empty(rows: usize) -> TelemetryWindow {
    TelemetryWindow::new(TimeRange::new(start(), at(rows)).unwrap())
}

pub(crate) fn series_of(entity: EntityId, key: SeriesKey, values: Vec<Option<f64>>) -> MetricSeries {
    let axis = TimeAxis::regular(start(), STEP, values.len()).unwrap();
    MetricSeries::new(key, entity, axis, values).unwrap()
}

pub(crate) fn series(
    entity: &EntityId,
    name: &str,
    rows: usize,
    mut value: impl FnMut(usize) -> f64,
) -> MetricSeries {
    series_of(entity.clone(), SeriesKey::new(name), (0..rows).map(|i| Some(value(i))).collect())
}

pub(crate) fn rng(seed: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed)
}

/// A standard normal number (Box and Muller).
pub(crate) fn normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// A stationary first-order autoregression of variance 1.
pub(crate) fn autoregressive(rng: &mut fastrand::Rng, memory: f64, rows: usize) -> Vec<f64> {
    let mut value = normal(rng);
    let innovation = (1.0 - memory * memory).sqrt();
    (0..rows)
        .map(|_| {
            value = memory * value + innovation * normal(rng);
            value
        })
        .collect()
}

/// What may come instead of numbers.
pub(crate) fn spoiled(window: &TelemetryWindow) -> Vec<(&'static str, TelemetryWindow)> {
    let with = |change: fn(usize, Option<f64>) -> Option<f64>| {
        let mut spoiled = window.clone();
        for s in &mut spoiled.metrics {
            let samples: Vec<Option<f64>> = s.samples().enumerate().map(|(i, v)| change(i, v)).collect();
            *s = MetricSeries::new(s.key().clone(), s.entity().clone(), s.times().clone(), samples)
                .unwrap()
                .with_kind(s.kind())
                .with_unit(s.unit().clone());
        }
        spoiled
    };
    let mut single = window.clone();
    for s in &mut single.metrics {
        let first: Vec<Timestamp> = s.times().iter().take(1).collect();
        let value: Vec<Option<f64>> = s.samples().take(1).collect();
        let axis = TimeAxis::irregular(first).unwrap();
        *s = MetricSeries::new(s.key().clone(), s.entity().clone(), axis, value).unwrap().with_kind(s.kind());
    }
    let mut nothing = window.clone();
    nothing.metrics.clear();
    nothing.logs.clear();
    nothing.spans.clear();
    nothing.changes.clear();
    let mut twice = nothing.clone();
    twice.metrics = single.metrics.iter().chain(&single.metrics).cloned().collect();
    vec![
        ("constant", with(|_, v| v.map(|_| 3.0))),
        ("all NaN", with(|_, _| Some(f64::NAN))),
        ("all infinite", with(|i, _| Some(if i % 2 == 0 { f64::INFINITY } else { f64::NEG_INFINITY }))),
        ("all gaps", with(|_, _| None)),
        ("single sample", single),
        ("nothing", nothing),
        ("duplicates", twice),
    ]
}

/// The window as a source would give it whose clock jumped back by an hour in the middle and whose parts came in any
/// order: series reach outside the range, and neither series, lines nor changes are sorted.
pub(crate) fn disordered(window: &TelemetryWindow) -> TelemetryWindow {
    let mut jumped = window.clone();
    let hour = Duration::from_secs(3600);
    for s in &mut jumped.metrics {
        let half = s.len() / 2;
        let mut points: Vec<(Timestamp, f64)> = s
            .points()
            .enumerate()
            .map(|(i, (t, v))| if i < half { (t, v) } else { (aiops_core::model::time::before(t, hour), v) })
            .collect();
        points.sort_by_key(|p| p.0);
        points.dedup_by_key(|p| p.0);
        let (times, values): (Vec<Timestamp>, Vec<f64>) = points.into_iter().unzip();
        let axis = TimeAxis::irregular(times).unwrap();
        let key = s.key().clone();
        *s = MetricSeries::new(key, s.entity().clone(), axis, values.into_iter().map(Some))
            .unwrap()
            .with_kind(s.kind())
            .with_unit(s.unit().clone());
    }
    jumped.metrics.reverse();
    jumped.logs.reverse();
    jumped.spans.reverse();
    jumped.changes.reverse();
    jumped
}
