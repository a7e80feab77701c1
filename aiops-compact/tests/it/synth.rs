//! Synthetic series. Everything comes from a seed.

use std::time::Duration;

use aiops_core::model::{
    EntityId, MetricKind, MetricSeries, SeriesKey, TelemetryWindow, TimeAxis, TimeRange,
};
use jiff::Timestamp;

/// One draw of the standard normal distribution (Box and Muller).
pub(crate) fn normal(rng: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

/// One draw of a Poisson distribution (Knuth), for small means.
pub(crate) fn poisson(rng: &mut fastrand::Rng, mean: f64) -> f64 {
    let limit = (-mean).exp();
    let (mut count, mut product) = (0.0, rng.f64());
    while product > limit {
        count += 1.0;
        product *= rng.f64();
    }
    count
}

pub(crate) fn start() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

/// A series of one sample a second; `None` is a gap.
pub(crate) fn series(
    name: &str,
    kind: MetricKind,
    samples: impl IntoIterator<Item = Option<f64>>,
) -> MetricSeries {
    let samples: Vec<Option<f64>> = samples.into_iter().collect();
    let axis = TimeAxis::regular(start(), Duration::from_secs(1), samples.len()).unwrap();
    MetricSeries::new(SeriesKey::new(name), EntityId::service("shop"), axis, samples).unwrap().with_kind(kind)
}

/// The window that all of `metrics` (of one length) fill.
pub(crate) fn window(metrics: Vec<MetricSeries>) -> TelemetryWindow {
    let seconds = metrics.iter().map(MetricSeries::len).max().unwrap_or(0) as u64;
    let mut window = TelemetryWindow::new(TimeRange::ending_at(
        start() + Duration::from_secs(seconds),
        Duration::from_secs(seconds),
    ));
    window.metrics = metrics;
    window
}

/// Healthy signals as services show them, each with its own way to look suspicious to a naive detector.
pub(crate) const HEALTHY: [&str; 14] = [
    "gaussian",
    "lognormal",
    "autocorrelated",
    "random-walk",
    "counts-rare",
    "counts-busy",
    "sawtooth",
    "periodic-job",
    "on-off",
    "quantised",
    "constant",
    "bursty-errors",
    "slow-wave",
    "heavy-tail",
];

/// Draws the sample at a position.
type Generator = Box<dyn FnMut(usize, &mut fastrand::Rng) -> f64>;

/// `n` samples of a healthy signal.
pub(crate) fn healthy(name: &str, n: usize, rng: &mut fastrand::Rng) -> (MetricKind, Vec<f64>) {
    let mut state = 0.0_f64;
    let phase = rng.usize(0..40);
    let on = rng.bool();
    let mut level = if on { 1.0 } else { 0.0 };
    let gauge = MetricKind::Gauge;
    let mut collect = |kind, mut f: Generator| (kind, (0..n).map(|i| f(i, rng)).collect());
    match name {
        "gaussian" => collect(gauge, Box::new(|_, r| 40.0 + 4.0 * normal(r))),
        "lognormal" => collect(MetricKind::Quantile, Box::new(|_, r| 0.02 * (0.5 * normal(r)).exp())),
        "autocorrelated" => collect(
            gauge,
            Box::new(move |_, r| {
                state = 0.9 * state + normal(r);
                50.0 + 3.0 * state
            }),
        ),
        "random-walk" => collect(
            gauge,
            Box::new(move |_, r| {
                state += normal(r);
                1000.0 + 5.0 * state
            }),
        ),
        "counts-rare" => collect(MetricKind::Rate, Box::new(|_, r| poisson(r, 0.1))),
        "counts-busy" => collect(MetricKind::Rate, Box::new(|_, r| poisson(r, 30.0))),
        "sawtooth" => {
            collect(gauge, Box::new(move |i, r| 100.0 + 5.0 * ((i + phase) % 37) as f64 + normal(r)))
        }
        "periodic-job" => collect(
            gauge,
            Box::new(
                move |i, r| if (i + phase) % 30 < 4 { 80.0 + 5.0 * normal(r) } else { 10.0 + normal(r) },
            ),
        ),
        "on-off" => collect(
            gauge,
            Box::new(move |_, r| {
                if r.f64() < 0.1 {
                    level = 1.0 - level;
                }
                20.0 + 30.0 * level + normal(r)
            }),
        ),
        "quantised" => collect(gauge, Box::new(|_, r| (3.0 + 0.6 * normal(r)).round().max(0.0))),
        "constant" => collect(gauge, Box::new(|_, _| 3.0)),
        "bursty-errors" => collect(
            MetricKind::Rate,
            Box::new(|_, r| if r.f64() < 0.03 { 1.0 + poisson(r, 3.0) } else { 0.0 }),
        ),
        "slow-wave" => collect(
            gauge,
            Box::new(move |i, r| {
                200.0
                    + 40.0 * ((i + 10 * phase) as f64 / 300.0 * std::f64::consts::TAU).sin()
                    + 5.0 * normal(r)
            }),
        ),
        // Student t with 2 degrees of freedom: no finite variance.
        "heavy-tail" => collect(
            gauge,
            Box::new(|_, r| 50.0 + normal(r) / ((-2.0 * (1.0 - r.f64()).ln()) / 2.0).sqrt().max(1e-9)),
        ),
        other => panic!("no healthy signal {other}"),
    }
}
