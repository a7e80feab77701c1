//! Post-change regressions and canaries.

use aiops_core::Context;
use aiops_core::model::{
    Change, ChangeKind, EdgeKind, EntityId, MetricKind, SeriesKey, Severity, Shape, TelemetryWindow,
};
use aiops_detect::regression::{
    CanaryDetector, CanaryOptions, CompareOptions, HarmRule, RegressionDetector, RegressionOptions, Verdict,
    compare_paired, compare_samples,
};
use aiops_detect::{Checked, Options};
use aiops_testkit::conformance::{DetectorFixture, detector as conformance};
use aiops_testkit::generate;
use futures_lite::future::block_on;
use proptest::prelude::*;

use crate::worlds::{at, autoregressive, disordered, empty, normal, rng, series, series_of, spoiled};

const ROWS: usize = 240;
const CHANGED: usize = 120;

fn orders() -> EntityId {
    EntityId::service("orders")
}

fn store() -> EntityId {
    EntityId::service("store")
}

fn deployment(id: &str, row: usize, entity: EntityId) -> Change {
    Change::new(id, at(row), ChangeKind::Deployment, entity, "a new version")
}

/// Two services, `orders` calls `store`; a deployment of the store, after which its latency and error rate are higher by
/// so many σ, and those of its caller by half of that.
fn world(seed: u64, worse: f64) -> TelemetryWindow {
    let mut window = empty(ROWS);
    for (entity, share) in [(orders(), 0.5), (store(), 1.0)] {
        for (name, level, scale) in
            [("http_latency", 40.0, 2.0), ("error_ratio", 0.05, 0.01), ("cpu", 0.5, 0.05)]
        {
            let mut noise = rng(seed + name.len() as u64);
            let up = if name == "cpu" { 0.0 } else { worse * share };
            window.metrics.push(series(&entity, name, ROWS, |row| {
                let raised = if row >= CHANGED { up } else { 0.0 };
                level + scale * (normal(&mut noise) + raised)
            }));
        }
    }
    window.topology.connect(orders(), store(), EdgeKind::Calls);
    window.changes.push(deployment("d1", CHANGED, store()));
    window.sort();
    window
}

fn detector() -> RegressionDetector {
    RegressionDetector::new(Checked::default()).unwrap()
}

#[test]
fn contract() {
    let mut fixture = DetectorFixture::new(Context::system(), world(1, 5.0));
    fixture.normal = Some(world(2, 0.0));
    fixture.thin = Some({
        let mut thin = world(3, 5.0);
        thin.metrics.iter_mut().for_each(|s| *s = series(s.entity(), &s.key().name.clone(), 1, |_| 1.0));
        thin
    });
    block_on(conformance(&detector(), &fixture)).assert_counts(11, 0);
}

#[test]
fn what_got_worse_is_told_with_the_change_and_the_evidence() {
    let assessed = detector().assess(&world(1, 5.0));
    let [change] = assessed.as_slice() else { panic!("{assessed:?}") };
    assert_eq!(
        (change.change.0.as_str(), &change.entity, change.verdict),
        ("d1", &store(), Verdict::Regressed)
    );
    assert_eq!(change.series.len(), 6);
    let of = |entity: &EntityId, name: &str| {
        change.series.iter().find(|s| s.entity == *entity && s.series.name == name).unwrap()
    };
    for (entity, distance) in [(store(), 0), (orders(), 1)] {
        let latency = of(&entity, "http_latency");
        assert_eq!((latency.distance, latency.comparison.verdict), (distance, Verdict::Regressed));
        assert!(
            latency.comparison.adjusted <= 0.01 && latency.comparison.adjusted >= latency.comparison.p_value
        );
        assert_eq!(of(&entity, "cpu").comparison.verdict, Verdict::Unchanged);
    }
    let latency = &of(&store(), "http_latency").comparison;
    assert!((latency.shift - 10.0).abs() < 1.0 && latency.effect > 0.95, "{latency:?}");
    assert_eq!((latency.before.samples, latency.after.samples), (120, 116));

    let found = detector().find(&world(1, 5.0));
    assert!(found.iter().all(|a| a.onset == at(CHANGED) && a.shape == Shape::LevelShiftUp && a.ongoing));
    let named: Vec<_> = found.iter().map(|a| (a.entity.name(), a.series.name.as_str(), a.severity)).collect();
    assert_eq!(
        named,
        [
            ("orders", "error_ratio", Severity::Warning),
            ("orders", "http_latency", Severity::Warning),
            ("store", "error_ratio", Severity::Critical),
            ("store", "http_latency", Severity::Critical),
        ]
    );
}

#[test]
fn what_got_better_is_no_finding() {
    let window = world(4, -3.0);
    assert_eq!(detector().find(&window), []);
    assert_eq!(detector().assess(&window)[0].verdict, Verdict::Improved);
}

/// What was there before the change is not its doing; neither is what comes back.
#[test]
fn only_what_the_change_brought_counts() {
    let mut window = world(1, 5.0);
    window.changes[0].time = at(CHANGED + 60);
    assert_eq!(detector().find(&window), [], "half of the time before was as bad");
    let brief =
        RegressionOptions { before: at(40).duration_since(at(0)).unsigned_abs(), ..Default::default() };
    let brief = RegressionDetector::new(Checked::new(brief).unwrap()).unwrap();
    assert_eq!(brief.find(&window), []);

    // Rolled back after 80 rows: worse with the one, better with the other, and over.
    let mut noise = rng(9);
    window = world(1, 0.0);
    window.metrics = vec![series(&store(), "http_latency", ROWS, |row| {
        40.0 + normal(&mut noise) + if (CHANGED..CHANGED + 80).contains(&row) { 10.0 } else { 0.0 }
    })];
    window.changes.push(deployment("back", CHANGED + 80, store()));
    let verdicts: Vec<Verdict> = detector().assess(&window).iter().map(|a| a.verdict).collect();
    assert_eq!(verdicts, [Verdict::Regressed, Verdict::Improved]);
    let found = detector().find(&window);
    assert!(found.len() == 1 && !found[0].ongoing && found[0].onset == at(CHANGED), "{found:?}");
}

/// Series that wander, rise or follow the day do not regress at every deployment.
#[test]
fn series_that_wander_do_not_regress_at_every_change() {
    let mut wrong = [0; 3];
    let rounds = 150;
    for seed in 0..rounds {
        let mut noise = rng(seed);
        let mut walk = 0.0;
        let wandering = autoregressive(&mut noise, 0.95, ROWS);
        let shapes: [Vec<f64>; 3] = [
            wandering,
            (0..ROWS)
                .map(|_| {
                    walk += normal(&mut noise);
                    walk
                })
                .collect(),
            (0..ROWS).map(|i| (i as f64 / 200.0).sin() * 3.0 + normal(&mut noise) * 0.3).collect(),
        ];
        for (shape, wrong) in shapes.into_iter().zip(&mut wrong) {
            let mut window = empty(ROWS);
            window.metrics.push(series(&store(), "queue_latency", ROWS, |i| 50.0 + shape[i]));
            window.changes.push(deployment("d", CHANGED, store()));
            *wrong += usize::from(!detector().find(&window).is_empty());
        }
    }
    let share = wrong.map(|n| n as f64 / rounds as f64);
    assert!(share[0] <= 0.03 && share[1] <= 0.06 && share[2] <= 0.03, "{share:?}");
}

#[test]
fn many_series_make_no_false_findings() {
    let mut found = 0;
    for seed in 0..25 {
        let mut window = empty(ROWS);
        for metric in 0..40 {
            let mut noise = rng(seed * 100 + metric);
            window
                .metrics
                .push(series(&store(), &format!("error_{metric}"), ROWS, |_| 5.0 + normal(&mut noise)));
        }
        window.changes.push(deployment("d", CHANGED, store()));
        found += usize::from(!detector().find(&window).is_empty());
    }
    assert_eq!(found, 0, "of 25 changes with 40 series each");
}

/// A difference belongs to one change or to none: with another deployment in between, it belongs to the second.
#[test]
fn near_changes_share_no_samples() {
    let mut window = world(1, 5.0);
    window.changes.insert(0, deployment("d0", CHANGED - 40, store()));
    let assessed = detector().assess(&window);
    assert_eq!(
        assessed.iter().map(|a| a.verdict).collect::<Vec<_>>(),
        [Verdict::Unchanged, Verdict::Regressed]
    );
    // Too near to tell: nothing is claimed of the first.
    window.changes[0].time = at(CHANGED - 8);
    assert_eq!(detector().assess(&window)[0].verdict, Verdict::Inconclusive);
    // A change of something unrelated does not matter.
    window.changes[0].entity = EntityId::service("elsewhere");
    let assessed = detector().assess(&window);
    assert_eq!((assessed[0].series.len(), assessed[1].verdict), (0, Verdict::Regressed));
}

#[test]
fn bad_input_is_survived() {
    let window = world(1, 5.0);
    for (what, spoiled) in spoiled(&window) {
        assert_eq!(detector().find(&spoiled), [], "{what}");
    }
    let sorted = {
        let mut w = window.clone();
        w.metrics.reverse();
        w.changes.reverse();
        w
    };
    assert_eq!(detector().find(&sorted), detector().find(&window));
    let found = detector().find(&disordered(&window));
    assert!(found.iter().all(|a| a.onset <= a.last), "{found:?}");
    let mut outside = window.clone();
    outside.changes[0].time = at(ROWS + 10);
    assert_eq!(detector().find(&outside), []);
    let mut counters = window.clone();
    counters.metrics = window.metrics.iter().cloned().map(|s| s.with_kind(MetricKind::Counter)).collect();
    assert_eq!(detector().find(&counters), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_window_is_judged(window in generate::window()) {
        let found = detector().find(&window);
        prop_assert!(found.iter().all(|a| a.onset <= a.last && a.baseline.scale > 0.0));
        let _ = CanaryDetector::new(Checked::default()).unwrap().find(&window);
    }
}

/// Eight copies of a service under one load that doubles in the middle; two of them canaries.
fn canaries(seed: u64, worse: f64, topology: bool) -> TelemetryWindow {
    let mut window = empty(ROWS);
    for copy in 0..8 {
        let track = if copy < 2 { "canary" } else { "baseline" };
        let mut noise = rng(seed * 10 + copy);
        let entity = EntityId::instance(format!("orders-{copy}"));
        let key =
            SeriesKey::new("http_latency").with("deployment.track", track).with("pod", format!("p{copy}"));
        let key = if topology { key } else { key.with("service.name", "orders") };
        let up = if copy < 2 { worse } else { 0.0 };
        let values = (0..ROWS).map(|row| {
            let load = if row >= ROWS / 2 { 40.0 } else { 20.0 };
            Some(load + up + normal(&mut noise))
        });
        window.metrics.push(series_of(entity.clone(), key, values.collect()));
        if topology {
            window.topology.connect(entity, orders(), EdgeKind::PartOf);
        }
    }
    let mut errors = canary_errors(worse);
    window.metrics.append(&mut errors);
    window.sort();
    window
}

fn canary_errors(worse: f64) -> Vec<aiops_core::model::MetricSeries> {
    ["canary", "baseline"]
        .into_iter()
        .map(|track| {
            let mut noise = rng(track.len() as u64);
            let up = if track == "canary" { worse / 100.0 } else { 0.0 };
            let key = SeriesKey::new("error_ratio").with("deployment.track", track);
            let values = (0..ROWS).map(|_| Some(0.02 + up + 0.002 * normal(&mut noise))).collect();
            series_of(orders(), key, values)
        })
        .collect()
}

fn canary() -> CanaryDetector {
    CanaryDetector::new(Checked::default()).unwrap()
}

#[test]
fn canary_contract() {
    let mut fixture = DetectorFixture::new(Context::system(), canaries(1, 12.0, true));
    fixture.normal = Some(canaries(2, 0.0, true));
    let mut thin = canaries(3, 12.0, true);
    for s in &mut thin.metrics {
        *s = series_of(s.entity().clone(), s.key().clone(), vec![Some(1.0)]);
    }
    fixture.thin = Some(thin);
    block_on(conformance(&canary(), &fixture)).assert_counts(11, 0);
}

/// The load that doubles for all is no difference, and a small one shows although it is far below what the load does.
#[test]
fn a_canary_is_compared_at_the_same_instants() {
    for topology in [true, false] {
        let (verdict, assessed) = canary().assess(&canaries(1, 0.0, topology));
        assert_eq!(verdict, Verdict::Unchanged, "{assessed:?}");
        let (verdict, assessed) = canary().assess(&canaries(1, 12.0, topology));
        assert_eq!(verdict, Verdict::Regressed);
        let latency = assessed.iter().find(|a| a.series.name == "http_latency").unwrap();
        assert_eq!((&latency.entity, latency.copies), (&orders(), (2, 6)));
        assert!((latency.comparison.shift - 12.0).abs() < 0.5, "{latency:?}");
        assert_eq!(latency.series.labels.len(), usize::from(!topology));
    }
}

#[test]
fn canaries_survive_bad_input() {
    let window = canaries(1, 12.0, true);
    for (what, spoiled) in spoiled(&window) {
        assert_eq!(canary().find(&spoiled), [], "{what}");
    }
    let mut reversed = window.clone();
    reversed.metrics.reverse();
    assert_eq!(canary().find(&reversed), canary().find(&window));
    let _ = canary().find(&disordered(&window));
    let mut alone = window;
    alone.metrics.retain(|s| s.key().labels.get("deployment.track") == Some("canary"));
    assert_eq!(canary().assess(&alone), (Verdict::Inconclusive, vec![]));
}

#[test]
fn too_few_samples_prove_nothing() {
    let options = CompareOptions::default();
    let (low, high) = (vec![1.0; 11], vec![9.0; 11]);
    assert_eq!(compare_samples(&low, &high, None, &options).verdict, Verdict::Inconclusive);
    assert_eq!(compare_samples(&[], &[], None, &options).verdict, Verdict::Inconclusive);
    let (low, high) = (vec![1.0; 30], vec![9.0; 30]);
    assert_eq!(compare_samples(&low, &high, None, &options).verdict, Verdict::Changed);
    assert_eq!(compare_samples(&low, &low, None, &options).verdict, Verdict::Unchanged);
    let pairs: Vec<(f64, f64)> = low.iter().copied().zip(high).collect();
    assert_eq!(compare_paired(&pairs, None, &options).verdict, Verdict::Changed);
    let hostile = [f64::NAN, f64::INFINITY, f64::MAX, f64::MIN].repeat(10);
    assert_ne!(compare_samples(&hostile, &hostile, None, &options).verdict, Verdict::Changed);
}

#[test]
fn fields_are_checked() {
    let bad = |change: fn(&mut RegressionOptions)| {
        let mut options = RegressionOptions::default();
        change(&mut options);
        Checked::new(options).unwrap_err().field()
    };
    assert_eq!(bad(|o| o.compare.alpha = 0.0), "alpha");
    assert_eq!(bad(|o| o.compare.min_samples = 3), "min_samples");
    assert_eq!(bad(|o| o.compare.critical_sigma = 0.5), "critical_sigma");
    assert_eq!(
        bad(|o| o
            .compare
            .harm
            .push(HarmRule { contains: String::new(), worse: aiops_core::model::Direction::Up })),
        "harm"
    );
    assert_eq!(bad(|o| o.before = std::time::Duration::ZERO), "before");
    assert_eq!(bad(|o| o.callers = 9), "callers");
    assert_eq!(bad(|o| o.max_series = 0), "max_series");
    let same = CanaryOptions { baseline: CanaryOptions::default().canary, ..Default::default() };
    assert_eq!(same.validate().unwrap_err().field(), "baseline");
    assert_eq!(
        CompareOptions::default().worse("Cache_Hit_Ratio_errors"),
        Some(aiops_core::model::Direction::Down)
    );
    assert!(serde_json::from_str::<Checked<RegressionOptions>>("{\"befor\":\"1h\"}").is_err());
    let back: Checked<RegressionOptions> =
        serde_json::from_str(&serde_json::to_string(&Checked::<RegressionOptions>::default()).unwrap())
            .unwrap();
    assert_eq!(back, Checked::default());
}
