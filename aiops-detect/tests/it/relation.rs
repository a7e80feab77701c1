//! Broken relations, and the metrics they name.

use aiops_core::Context;
use aiops_core::model::{EntityId, TelemetryWindow};
use aiops_core::seam::{Detector, Fit};
use aiops_detect::group::RowModel;
use aiops_detect::relation::{
    CorrelationBreakDetector, CorrelationBreakFit, FittedRelations, RelationConfig, RelationModel,
    RelationOptions,
};
use aiops_detect::{Checked, RollingDetector, Rows};
use aiops_testkit::conformance::{DetectorFixture, detector as conformance};
use futures_lite::future::block_on;

use crate::worlds::{at, autoregressive, disordered, empty, normal, rng, series, spoiled};

const METRICS: [&str; 6] = ["connections", "cpu", "disk", "errors", "latency", "requests"];

/// What happens from row `from` on.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Latency no longer follows the load: it stays at its middle level.
    Decoupled,
    /// Latency is what would be normal at another load.
    Parted,
    /// All metrics of the load rise together, far.
    Surge,
}

/// Two services: connections, cpu, latency and requests follow one load; disk and errors go their own way.
fn window(rows: usize, seed: u64, from: usize, fault: Fault) -> TelemetryWindow {
    let mut window = empty(rows);
    for (i, name) in ["orders", "store"].into_iter().enumerate() {
        let entity = EntityId::service(name);
        let mut noise = rng(seed * 7 + i as u64);
        let load = autoregressive(&mut noise, 0.9, rows);
        for metric in METRICS {
            let mut noise = rng(seed * 101 + metric.len() as u64 * 13 + i as u64);
            window.metrics.push(series(&entity, metric, rows, |row| {
                let follows = !matches!(metric, "disk" | "errors");
                let faulty = row >= from;
                let load = match fault {
                    Fault::Decoupled if faulty && metric == "latency" => 0.0,
                    Fault::Parted if faulty && metric == "latency" => load[row] - 2.0 * load[row].signum(),
                    Fault::Surge if faulty => load[row] + 8.0,
                    _ => load[row],
                };
                100.0 + 10.0 * (if follows { load } else { 0.0 }) + 2.0 * normal(&mut noise)
            }));
        }
    }
    window.sort();
    window
}

fn healthy() -> TelemetryWindow {
    window(1500, 1, 0, Fault::None)
}

fn detector() -> CorrelationBreakDetector {
    CorrelationBreakDetector::new(CorrelationBreakFit::default().fit(&healthy()).unwrap()).unwrap()
}

#[test]
fn contract() {
    let mut fixture = DetectorFixture::new(Context::system(), window(160, 7, 100, Fault::Parted));
    fixture.normal = Some(window(160, 8, 0, Fault::None));
    fixture.thin = Some(window(1, 9, 0, Fault::Parted));
    block_on(conformance(&detector(), &fixture)).assert_counts(11, 0);
}

#[test]
fn the_metric_that_parted_is_named_with_those_it_parted_from() {
    let faulty = window(160, 7, 100, Fault::Parted);
    let breaks = detector().breaks(&faulty);
    assert_eq!(breaks.iter().map(|b| b.entity.name()).collect::<Vec<_>>(), ["orders", "store"]);
    for found in &breaks {
        assert_eq!(found.metric.name, "latency");
        let mut from: Vec<&str> = found.from.iter().map(|k| k.name.as_str()).collect();
        from.sort_unstable();
        assert_eq!(from, ["connections", "cpu", "requests"]);
        assert!(found.correlation > 0.8 && found.height > 1.0, "{found:?}");
        assert!(found.within_bounds, "{found:?}");
        assert!((found.value - found.expected).abs() > 10.0, "{found:?}");
        assert!((at(98)..=at(112)).contains(&found.onset));
    }
    // No single threshold sees it.
    assert_eq!(RollingDetector::unfitted(Default::default()).unwrap().find(&faulty), []);
    let named = detector().find(&faulty);
    assert!(named.iter().any(|a| a.series.name == "latency"));
    assert!(named.iter().all(|a| a.series.name != "disk" && a.series.name != "errors"), "{named:?}");
}

#[test]
fn a_metric_that_stops_following_breaks_its_relation_too() {
    let breaks = detector().breaks(&window(400, 11, 150, Fault::Decoupled));
    assert!(breaks.iter().any(|b| b.entity.name() == "orders" && b.metric.name == "latency"));
    assert!(breaks.iter().all(|b| b.onset >= at(140) && b.metric.name == "latency"), "{breaks:?}");
}

/// The near miss: everything moves, together.
#[test]
fn a_shared_surge_breaks_nothing() {
    let surge = window(300, 12, 150, Fault::Surge);
    let related: Vec<_> = detector().breaks(&surge);
    assert!(related.is_empty(), "{related:?}");
    assert!(!RollingDetector::unfitted(Default::default()).unwrap().find(&surge).is_empty());
}

#[test]
fn healthy_days_are_quiet() {
    let found: usize = (20..40).map(|seed| detector().breaks(&window(400, seed, 0, Fault::None)).len()).sum();
    assert!(found <= 1, "{found} in 33 hours of two services");
}

/// What was not seen is no broken relation, and what is seen is still judged.
#[test]
fn gaps_break_nothing() {
    for metric in METRICS {
        let mut calm = window(160, 8, 0, Fault::None);
        calm.metrics.retain(|s| s.key().name != metric);
        assert_eq!(detector().find(&calm), [], "{metric} vanished");
    }
    let mut faulty = window(160, 7, 100, Fault::Parted);
    faulty.metrics.retain(|s| s.key().name != "cpu");
    assert!(detector().breaks(&faulty).iter().all(|b| b.metric.name == "latency" && !b.from.is_empty()));
    assert_eq!(detector().breaks(&faulty).len(), 2);
}

#[test]
fn bad_input_is_survived() {
    let faulty = window(160, 7, 100, Fault::Parted);
    for (what, spoiled) in spoiled(&faulty) {
        let found = detector().find(&spoiled);
        assert!(found.iter().all(|a| a.value.is_finite()), "{what}");
        if what != "constant" {
            assert_eq!(found, [], "{what}");
        }
    }
    let _ = detector().find(&disordered(&faulty));
    for (what, spoiled) in spoiled(&healthy()) {
        // Learning from what never varies is allowed; the same again is normal.
        match CorrelationBreakFit::default().fit(&spoiled) {
            Ok(fitted) => {
                assert_eq!(what, "constant");
                assert_eq!(CorrelationBreakDetector::new(fitted).unwrap().find(&spoiled), []);
            }
            Err(error) => assert_eq!(error.kind(), aiops_core::ErrorKind::Invalid, "{what}"),
        }
    }
}

#[test]
fn states_are_stored_and_checked() {
    let fitted = CorrelationBreakFit::default().fit(&healthy()).unwrap();
    let stored = serde_json::to_string(&fitted).unwrap();
    let back: FittedRelations = serde_json::from_str(&stored).unwrap();
    assert_eq!((&back, back.hash().unwrap()), (&fitted, detector().fitted()));
    for damage in
        [("\"version\":1", "\"version\":9"), ("\"smooth\":8", "\"smooth\":0"), ("\"limit\":", "\"limit\":-")]
    {
        assert!(stored.contains(damage.0));
        assert!(
            serde_json::from_str::<FittedRelations>(&stored.replacen(damage.0, damage.1, 1)).is_err(),
            "{damage:?}"
        );
    }
    for (field, options) in [
        ("smooth", RelationOptions { smooth: 0, ..Default::default() }),
        ("explained", RelationOptions { explained: 0.0, ..Default::default() }),
        ("margin", RelationOptions { margin: f64::NAN, ..Default::default() }),
        ("bounds", RelationOptions { bounds: 0.0, ..Default::default() }),
    ] {
        assert_eq!(Checked::new(options).unwrap_err().field(), field);
    }
}

/// The conditional mean by its definition, and that of an unseen cell.
#[test]
fn expectations_are_those_of_regression() {
    let mut noise = rng(3);
    let mut values = Vec::new();
    for _ in 0..4000 {
        let load = normal(&mut noise);
        values.extend([
            load + 0.3 * normal(&mut noise),
            2.0 * load + 0.3 * normal(&mut noise),
            normal(&mut noise),
        ]);
    }
    let rows = Rows::new(&values, 3).unwrap();
    let model = RelationModel::learn(rows, &RelationConfig::default()).unwrap();
    assert!((model.correlation(0, 1) - 0.95).abs() < 0.02 && model.correlation(0, 2).abs() < 0.05);
    assert_eq!((model.together_with(0), model.together_with(2)), (vec![1], vec![]));
    let judge = |row: [f64; 3]| model.judge(Rows::new(&row.repeat(8), 3).unwrap()).unwrap()[7];
    assert!(judge([1.5, 3.0, 0.0]) < 0.5 && judge([1.5, -3.0, 0.0]) > 1.0);
    // The third moves by itself: it may do what it likes.
    assert!(judge([0.0, 0.0, 9.0]) < 0.5);
    assert!(judge([f64::NAN, 3.0, 0.0]) < 0.1 && judge([f64::NAN; 3]).is_nan());
    assert!(model.judge(Rows::new(&[1.0], 1).unwrap()).is_err());
    assert!(RelationModel::learn(Rows::new(&values[..60], 3).unwrap(), &RelationConfig::default()).is_err());
}
