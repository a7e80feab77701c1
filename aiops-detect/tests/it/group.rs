//! Detectors over all metrics of an entity, behind their seam.

use std::time::Duration;

use aiops_core::model::{EntityId, MetricSeries, SeriesKey, Severity, TelemetryWindow, TimeAxis, TimeRange};
use aiops_core::seam::{Detector, Fit};
use aiops_core::{Context, ErrorKind};
use aiops_detect::forest::ForestModel;
use aiops_detect::group::{FittedGroups, GroupConfig, GroupDetector, GroupFit, GroupOptions, RowModel};
use aiops_detect::multivariate::MultivariateModel;
use aiops_testkit::conformance::{DetectorFixture, detector as conformance};
use futures_lite::future::block_on;
use jiff::Timestamp;

const STEP: Duration = Duration::from_secs(30);
const METRICS: [&str; 4] = ["cpu", "disk", "latency", "requests"];

fn start() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn series(entity: &str, name: &str, values: Vec<Option<f64>>) -> MetricSeries {
    let axis = TimeAxis::regular(start(), STEP, values.len()).unwrap();
    MetricSeries::new(SeriesKey::new(name), EntityId::service(entity), axis, values).unwrap()
}

fn normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// Two services whose metrics follow one load; from row `fault` on, each metric is as much higher as `heights` says.
fn window(rows: usize, seed: u64, fault: usize, heights: [f64; 4]) -> TelemetryWindow {
    let mut window = TelemetryWindow::new(TimeRange::new(start(), start() + STEP * rows as u32).unwrap());
    for (at, entity) in ["orders", "store"].into_iter().enumerate() {
        let mut rng = fastrand::Rng::with_seed(seed * 2 + at as u64);
        let mut columns: [Vec<Option<f64>>; 4] = Default::default();
        let mut load = 0.0;
        for row in 0..rows {
            load = 0.5 * load + normal(&mut rng);
            for (column, height) in columns.iter_mut().zip(heights) {
                let up = if row >= fault { height } else { 0.0 };
                column.push(Some(50.0 + 2.0 * load + normal(&mut rng) + up));
            }
        }
        window.metrics.extend(METRICS.into_iter().zip(columns).map(|(name, v)| series(entity, name, v)));
    }
    window
}

/// A fault the model must see, and the metric it must name.
trait Faulty: RowModel {
    const FAULT: [f64; 4];
    const NAMED: Option<&'static str>;
}

impl Faulty for ForestModel {
    // Several metrics at once, and against each other: a forest does not extrapolate a single one.
    const FAULT: [f64; 4] = [-40.0, 40.0, 40.0, -40.0];
    const NAMED: Option<&'static str> = None;
}

impl Faulty for MultivariateModel {
    const FAULT: [f64; 4] = [0.0, 0.0, 25.0, 0.0];
    const NAMED: Option<&'static str> = Some("latency");
}

fn healthy() -> TelemetryWindow {
    window(1200, 1, usize::MAX, [0.0; 4])
}

fn detector<M: RowModel>() -> GroupDetector<M> {
    GroupDetector::new(GroupFit::<M>::default().fit(&healthy()).unwrap()).unwrap()
}

/// The contract of the seam, and that the right metric is named.
fn keeps_its_contract<M: Faulty>() {
    let detector = detector::<M>();
    let mut fixture = DetectorFixture::new(Context::system(), window(120, 7, 90, M::FAULT));
    fixture.normal = Some(window(120, 8, usize::MAX, [0.0; 4]));
    fixture.thin = Some(window(1, 9, usize::MAX, [0.0; 4]));
    let report = block_on(conformance(&detector, &fixture));
    report.assert_counts(11, 0);

    let found = detector.find(&fixture.anomalous);
    for entity in ["orders", "store"] {
        let of = found.iter().find(|a| a.entity == EntityId::service(entity)).unwrap();
        assert!(of.ongoing && of.sigma.abs() > 5.0, "{of:?}");
        if let Some(name) = M::NAMED {
            assert_eq!(of.series.name, name);
        }
        assert!((88..=94).map(|row| start() + STEP * row).any(|t| t == of.onset), "{}", of.onset);
    }

    let stored = serde_json::to_string(detector.state()).unwrap();
    let back: FittedGroups<M> = serde_json::from_str(&stored).unwrap();
    assert_eq!((&back, back.hash().unwrap()), (detector.state(), detector.fitted()));
    for damage in [("\"version\":1", "\"version\":9"), ("\"carry\":3", "\"carry\":-3"), ("cpu", "zpu")] {
        assert!(stored.contains(damage.0));
        let damaged = stored.replace(damage.0, damage.1);
        assert!(serde_json::from_str::<FittedGroups<M>>(&damaged).is_err(), "{damage:?}");
    }
    assert_eq!(GroupDetector::<M>::unfitted(Default::default()).unwrap().find(&fixture.anomalous), []);
}

#[test]
fn forest() {
    keeps_its_contract::<ForestModel>();
}

/// A vanished metric, gaps, NaN and a window of nothing blind nobody and invent nothing.
fn survives_bad_input<M: Faulty>() {
    let detector = detector::<M>();
    let mut w = window(120, 7, 90, M::FAULT);
    w.metrics.retain(|s| s.key().name != "disk");
    assert!(detector.find(&w).iter().any(|a| a.series.name != "disk"));
    assert!(detector.find(&w).iter().all(|a| a.series.name != "disk"));
    let nothing = TelemetryWindow::new(w.range);
    assert_eq!(detector.find(&nothing), []);
    let mut calm = window(120, 8, usize::MAX, [0.0; 4]);
    for s in &mut calm.metrics {
        let samples: Vec<_> =
            s.samples().enumerate().map(|(i, v)| if i % 7 == 0 { None } else { v }).collect();
        *s = series(s.entity().name(), &s.key().name, samples);
    }
    assert_eq!(detector.find(&calm), []);
    calm.metrics = METRICS.map(|m| series("orders", m, vec![Some(f64::NAN); 120])).to_vec();
    assert_eq!(detector.find(&calm), []);
    let few = GroupFit::<M>::default().fit(&window(20, 1, usize::MAX, [0.0; 4])).unwrap_err();
    assert_eq!(few.kind(), ErrorKind::Invalid);
    let mut constant = healthy();
    for s in &mut constant.metrics {
        *s = series(s.entity().name(), &s.key().name, vec![Some(3.0); 200]);
    }
    // Learning from what never varies is allowed; the same again is normal.
    if let Ok(fitted) = GroupFit::<M>::default().fit(&constant) {
        assert_eq!(GroupDetector::new(fitted).unwrap().find(&constant), []);
    }
}

#[test]
fn multivariate() {
    keeps_its_contract::<MultivariateModel>();
}

#[test]
fn multivariate_survives_bad_input() {
    survives_bad_input::<MultivariateModel>();
}

#[test]
fn forest_survives_bad_input() {
    survives_bad_input::<ForestModel>();
}

#[test]
fn grave_deviations_are_critical() {
    let options = GroupOptions { critical: 1.01, ..Default::default() };
    let config = GroupConfig::try_from(options).unwrap();
    let fitted = GroupFit::<ForestModel>::new(config).fit(&healthy()).unwrap();
    let found = GroupDetector::new(fitted).unwrap().find(&window(120, 7, 90, ForestModel::FAULT));
    assert!(found.iter().all(|a| a.severity == Severity::Critical) && !found.is_empty());
    let bad: GroupOptions<<ForestModel as RowModel>::Config> =
        GroupOptions { critical: 0.5, ..Default::default() };
    assert_eq!(GroupConfig::try_from(bad).unwrap_err().field(), "critical");
}
