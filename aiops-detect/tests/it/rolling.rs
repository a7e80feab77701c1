//! The rolling detector behind its seam.

use std::time::Duration;

use aiops_compact::deviation::{DeviationConfig, DeviationOptions, Skipped};
use aiops_core::model::{
    EntityId, MatchOp, MetricKind, MetricSeries, SeriesKey, Severity, Shape, Signal, SignalSet,
    TelemetryWindow, TimeAxis, TimeRange, Unit,
};
use aiops_core::seam::{Detector, Fit};
use aiops_core::{Cancellation, Context, ErrorKind};
use aiops_detect::{FittedRolling, RollingDetector, RollingFit};
use jiff::Timestamp;
use proptest::prelude::*;

const STEP: Duration = Duration::from_secs(15);

fn start() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn series(entity: &str, key: SeriesKey, values: impl IntoIterator<Item = f64>) -> MetricSeries {
    let values: Vec<Option<f64>> = values.into_iter().map(Some).collect();
    let axis = TimeAxis::regular(start(), STEP, values.len()).unwrap();
    MetricSeries::new(key, EntityId::service(entity), axis, values).unwrap()
}

fn window(metrics: Vec<MetricSeries>) -> TelemetryWindow {
    let len = metrics.iter().map(MetricSeries::len).max().unwrap_or(0) as u32;
    let mut window = TelemetryWindow::new(TimeRange::new(start(), start() + STEP * len).unwrap());
    window.metrics = metrics;
    window
}

/// `height` from sample 100 of 120 on, around 20 with a spread of about 1.
fn shifted(height: f64) -> impl Iterator<Item = f64> {
    let mut rng = fastrand::Rng::with_seed(3);
    (0..120).map(move |i| 20.0 + 3.0 * (rng.f64() - 0.5) + if i >= 100 { height } else { 0.0 })
}

fn detector() -> RollingDetector {
    RollingDetector::unfitted(DeviationConfig::default()).unwrap()
}

#[test]
fn an_anomaly_says_who_what_when_and_how_to_look_again() {
    let key = SeriesKey::new("latency").with("route", "/pay");
    let w = window(vec![
        series("orders", key.clone(), shifted(40.0))
            .with_unit(Unit::new("ms"))
            .with_kind(MetricKind::Quantile),
        series("calm", SeriesKey::new("latency"), shifted(0.0)),
    ]);
    let detector = detector();
    let ctx = Context::system();
    let found = futures_lite::future::block_on(detector.detect(&w, &ctx)).unwrap();
    assert_eq!(found.len(), 1);
    let a = &found[0];
    assert_eq!((&a.detector, &a.fitted), (&detector.id(), &detector.fitted()));
    assert_eq!((&a.entity, &a.series, &a.unit), (&EntityId::service("orders"), &key, &Unit::new("ms")));
    assert_eq!((a.shape, a.severity, a.ongoing), (Shape::LevelShiftUp, Severity::Critical, true));
    assert_eq!((a.onset, a.last), (start() + STEP * 100, start() + STEP * 119));
    assert!((a.baseline.center - 20.0).abs() < 1.0 && a.baseline.scale > 0.0 && a.baseline.samples == 90);
    assert_eq!(a.sigma, (a.value - a.baseline.center) / a.baseline.scale);
    // The re-read asks for exactly this series.
    assert_eq!((a.reread.range, a.reread.step), (w.range, STEP));
    assert_eq!(a.reread.signals, SignalSet::from(Signal::Metrics));
    assert!(a.reread.selector.selects("latency", &a.entity, &key.labels));
    assert!(!a.reread.selector.selects("latency", &a.entity, &SeriesKey::new("latency").labels));
    assert!(!a.reread.selector.selects("errors", &a.entity, &key.labels));
    assert_eq!(a.reread.selector.matchers[0].op, MatchOp::Equal);
}

#[test]
fn severity_follows_the_configured_threshold() {
    let w = window(vec![series("a", SeriesKey::new("m"), shifted(15.0))]);
    let severity = |critical_sigma| {
        let options = DeviationOptions { critical_sigma, ..Default::default() };
        let detector = RollingDetector::unfitted(DeviationConfig::try_from(options).unwrap()).unwrap();
        detector.find(&w)[0].severity
    };
    assert_eq!((severity(1000.0), severity(5.0)), (Severity::Warning, Severity::Critical));
}

#[test]
fn findings_come_in_order_whatever_the_order_of_series() {
    let mut metrics: Vec<_> = (0..12)
        .map(|i| series(["b", "a", "c"][i % 3], SeriesKey::new(format!("m{}", 20 - i)), shifted(30.0)))
        .collect();
    let sorted = detector().find(&window(metrics.clone()));
    metrics.reverse();
    assert_eq!(detector().find(&window(metrics)), sorted);
    assert_eq!(sorted.len(), 12);
    assert!(sorted.windows(2).all(|w| (&w[0].entity, &w[0].series) < (&w[1].entity, &w[1].series)));
}

#[test]
fn learning_is_apart_and_its_state_survives_storage() {
    let healthy = window(vec![
        series("a", SeriesKey::new("m"), shifted(0.0)),
        series("a", SeriesKey::new("total"), shifted(0.0)).with_kind(MetricKind::Counter),
    ]);
    let (fitted, skipped) = RollingFit::default().fit_counting(&healthy);
    assert_eq!(skipped.into_iter().collect::<Vec<_>>(), [(Skipped::Counter, 1)]);
    assert_eq!(RollingFit::default().fit(&healthy).unwrap(), fitted);
    let stored = serde_json::to_string(&fitted).unwrap();
    let back: FittedRolling = serde_json::from_str(&stored).unwrap();
    assert_eq!(back, fitted);
    let (learned, restored) = (RollingDetector::new(fitted).unwrap(), RollingDetector::new(back).unwrap());
    assert_eq!(learned.fitted(), restored.fitted());
    assert_ne!(learned.fitted(), detector().fitted());
    // A fault that fills the whole window: only who has learned sees it.
    let faulty = window(vec![series("a", SeriesKey::new("m"), shifted(0.0).map(|v| v + 40.0))]);
    assert_eq!(detector().find(&faulty), []);
    let found = restored.find(&faulty);
    assert_eq!((found.len(), found[0].onset, found[0].fitted.clone()), (1, start(), restored.fitted()));
    // What was learned is not changed by detecting.
    assert_eq!(restored.fitted(), restored.state().hash().unwrap());
}

#[test]
fn a_damaged_or_foreign_state_is_refused() {
    let fitted =
        RollingFit::default().fit(&window(vec![series("a", SeriesKey::new("m"), shifted(0.0))])).unwrap();
    let mut stored = serde_json::to_value(&fitted).unwrap();
    let refused = |value: &serde_json::Value| serde_json::from_value::<FittedRolling>(value.clone()).is_err();
    assert!(!refused(&stored));
    stored["references"][0]["reference"]["scale"] = (-1.0).into();
    assert!(refused(&stored));
    stored["references"][0]["reference"]["scale"] = "NaN".into();
    assert!(refused(&stored));
    stored["references"] = serde_json::json!([]);
    stored["version"] = 2.into();
    assert!(refused(&stored));
    assert_eq!(
        RollingFit::default().fit(&window(vec![])).unwrap_err().kind(),
        ErrorKind::Invalid,
        "nothing to learn from"
    );
}

/// The fixture of format version 1 stays readable.
#[test]
fn version_1_is_read() {
    let fitted: FittedRolling =
        serde_json::from_str(include_str!("../fixtures/fitted-rolling-v1.json")).unwrap();
    assert_eq!(fitted.references().len(), 1);
    let w = window(vec![series("a", SeriesKey::new("m"), shifted(0.0).map(|v| v + 40.0))]);
    assert_eq!(RollingDetector::new(fitted).unwrap().find(&w).len(), 1);
}

#[test]
fn a_cancelled_call_does_not_detect() {
    let cancellation = Cancellation::new();
    cancellation.cancel();
    let ctx = Context::system().with_cancellation(cancellation);
    let error = futures_lite::future::block_on(detector().detect(&window(vec![]), &ctx)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let ctx = Context::system();
    assert_eq!(futures_lite::future::block_on(detector().detect(&window(vec![]), &ctx)).unwrap(), []);
}

proptest! {
    /// Pure: the same window gives the same findings; irregular times and gaps included.
    #[test]
    fn same_window_same_findings(
        seed in 0..500_u64, height in -40.0..40.0_f64, holes in prop::collection::vec(prop::bool::weighted(0.2), 120),
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut now = start();
        let times: Vec<Timestamp> = (0..120).map(|_| { now += Duration::from_millis(5000 + rng.u64(0..15_000)); now }).collect();
        let range = TimeRange::new(start(), now + STEP).unwrap();
        let samples: Vec<Option<f64>> = holes.iter().enumerate()
            .map(|(i, hole)| (!hole).then(|| 50.0 + rng.f64() + if i >= 100 { height } else { 0.0 })).collect();
        let axis = TimeAxis::irregular(times).unwrap();
        let m = MetricSeries::new(SeriesKey::new("m"), EntityId::service("a"), axis, samples).unwrap();
        let mut w = TelemetryWindow::new(range);
        w.metrics.push(m);
        let found = detector().find(&w);
        prop_assert_eq!(&detector().find(&w), &found);
        for a in &found {
            prop_assert!(range.contains(a.onset) && a.onset <= a.last && range.contains(a.last));
            prop_assert!(a.baseline.scale > 0.0 && a.sigma.is_finite());
        }
        if height.abs() > 25.0 {
            prop_assert_eq!(found.len(), 1);
        }
    }
}
