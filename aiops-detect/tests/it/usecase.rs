//! Named use cases: each sees its fault, and not what only looks like it.

use std::time::Duration;

use aiops_core::Context;
use aiops_core::model::{
    EdgeKind, EntityId, EntityKind, LogRecord, MetricKind, SeriesKey, Severity, Span, SpanId,
    TelemetryWindow, TraceId,
};
use aiops_detect::usecase::{
    Capacity, CapacityOptions, ColdStart, CostAnomaly, FlakyTest, MemoryLeak, NoisyNeighbour, SchemaDrift,
    SuspiciousAccess, Symptom,
};
use aiops_detect::{Checked, Options, UseCase, UseCaseDetector};
use aiops_testkit::conformance::{DetectorFixture, detector as conformance};
use aiops_testkit::generate;
use futures_lite::future::block_on;
use proptest::prelude::*;

use crate::worlds::{at, disordered, empty, normal, rng, series, series_of, spoiled};

pub(crate) const ROWS: usize = 240;

pub(crate) fn detector<U: UseCase>() -> UseCaseDetector<U> {
    UseCaseDetector::new(Checked::default()).unwrap()
}

/// The contract of the seam, bad input, and the order of what comes unordered.
pub(crate) fn keeps_its_contract<U: UseCase>(fault: &TelemetryWindow, near_miss: &TelemetryWindow) {
    let detector = detector::<U>();
    let mut fixture = DetectorFixture::new(Context::system(), fault.clone());
    fixture.normal = Some(near_miss.clone());
    fixture.thin = Some(empty(ROWS));
    block_on(conformance(&detector, &fixture)).assert_counts(11, 0);

    let found = detector.explain(fault);
    assert!(found.iter().all(|s| !s.evidence.is_empty() && s.value.is_finite()), "{found:?}");
    let mut unordered = fault.clone();
    unordered.metrics.reverse();
    assert_eq!(detector.find(&unordered), detector.find(fault));
    let _ = detector.find(&disordered(fault));
    for (what, spoiled) in spoiled(fault) {
        // What lines and spans say stays; numbers that are none say nothing.
        let mut silent = spoiled.clone();
        silent.logs.clear();
        silent.spans.clear();
        // As much used as there is, constantly: that is full, and no accident of the spoiling.
        if (U::ID, what) != (Capacity::ID, "constant") {
            assert_eq!(detector.find(&silent), [], "{what}");
        }
        let _ = detector.find(&spoiled);
    }
    let stored = serde_json::to_string(detector.config()).unwrap();
    assert_eq!(serde_json::from_str::<Checked<U::Options>>(&stored).unwrap(), *detector.config());
    assert!(serde_json::from_str::<Checked<U::Options>>("{\"no_such_field\":1}").is_err());
    U::Options::default().validate().unwrap();
}

/// What is found in a window about which only this is known.
pub(crate) fn explain<U: UseCase>(window: &TelemetryWindow) -> Vec<Symptom> {
    detector::<U>().explain(window)
}

pub(crate) fn line(row: usize, entity: &EntityId, attributes: &[(&str, &str)]) -> LogRecord {
    let mut line = LogRecord::new(at(row), entity.clone(), "");
    for (name, value) in attributes {
        line.attributes.insert(*name, *value);
    }
    line
}

/// A sawtooth of garbage collection with so much left over at each row.
fn heap(window: &mut TelemetryWindow, name: &str, floor: impl Fn(f64) -> f64, seed: u64) {
    let mut noise = rng(seed);
    let entity = EntityId::instance(name);
    window.metrics.push(series(&entity, "jvm.memory.used", ROWS, |row| {
        let saw = (row % 9) as f64 * 20.0;
        1000.0 + floor(row as f64 / ROWS as f64) + saw + 3.0 * normal(&mut noise)
    }));
    window.metrics.push(series(&entity, "jvm.memory.limit", ROWS, |_| 2000.0));
}

#[test]
fn memory_leak() {
    let (mut leaking, mut fine) = (empty(ROWS), empty(ROWS));
    heap(&mut leaking, "a", |t| 700.0 * t, 1);
    heap(&mut leaking, "b", |t| 200.0 * t, 2);
    // A sawtooth over a level floor, a warm-up that levels off, one step, and a drop.
    heap(&mut fine, "saw", |_| 0.0, 3);
    heap(&mut fine, "warm", |t| 400.0 * (1.0 - (-12.0 * t).exp()), 4);
    heap(&mut fine, "step", |t| if t > 0.3 { 400.0 } else { 0.0 }, 5);
    heap(&mut fine, "falls", |t| -400.0 * t, 6);
    keeps_its_contract::<MemoryLeak>(&leaking, &fine);
    let found = explain::<MemoryLeak>(&leaking);
    let named: Vec<_> = found.iter().map(|s| (s.entity.name(), s.severity)).collect();
    // The first reaches its limit within the hour, the other one does not.
    assert_eq!(named, [("a", Severity::Critical), ("b", Severity::Warning)], "{found:?}");
    assert!(found[0].evidence.contains("at its limit in"), "{}", found[0].evidence);
}

#[test]
fn capacity() {
    let disk = |window: &mut TelemetryWindow, name: &str, share: &dyn Fn(f64) -> f64, seed: u64| {
        let mut noise = rng(seed);
        let entity = EntityId::new(EntityKind::Volume, name);
        for (metric, scale) in
            [("kubelet_volume_stats_used_bytes", 1e12), ("system.filesystem.utilization", 1.0)]
        {
            window.metrics.push(series(&entity, metric, ROWS, |row| {
                scale * (share(row as f64 / ROWS as f64) + 0.002 * normal(&mut noise))
            }));
        }
        window.metrics.push(series(&entity, "kubelet_volume_stats_capacity_bytes", ROWS, |_| 1e12));
    };
    let (mut fault, mut fine) = (empty(ROWS), empty(ROWS));
    disk(&mut fault, "full", &|_| 0.97, 1);
    disk(&mut fault, "soon", &|t| 0.4 + 0.3 * t, 2);
    disk(&mut fine, "level", &|_| 0.85, 3);
    disk(&mut fine, "burst", &|t| if (0.93..0.95).contains(&t) { 0.99 } else { 0.5 }, 4);
    disk(&mut fine, "falls", &|t| 0.9 - 0.3 * t, 5);
    disk(&mut fine, "slowly", &|t| 0.3 + 0.01 * t, 6);
    disk(&mut fine, "jump", &|t| if t > 0.97 { 0.7 } else { 0.4 }, 7);
    disk(&mut fine, "cleaned", &|t| if t < 0.96 { 0.4 + 0.5 * t } else { 0.4 }, 8);
    disk(&mut fine, "saw", &|t| 0.3 + 0.3 * (12.9 * t).fract(), 9);
    keeps_its_contract::<Capacity>(&fault, &fine);
    let found = explain::<Capacity>(&fault);
    assert_eq!(found.len(), 4, "{found:?}");
    let of = |name: &str, metric: &str| {
        found.iter().find(|s| s.entity.name() == name && s.series.name == metric).unwrap()
    };
    let soon = of("soon", "kubelet_volume_stats_used_bytes");
    // Values stay in the unit of the series, so that they can be read again.
    assert!(soon.value > 0.6e12 && (0.3e12..0.5e12).contains(&soon.baseline.center), "{soon:?}");
    assert!(
        soon.evidence.contains("full in 62 min") && soon.severity == Severity::Critical,
        "{}",
        soon.evidence
    );
    assert_eq!(of("full", "system.filesystem.utilization").severity, Severity::Critical);
    let bad = CapacityOptions { critical: Duration::from_secs(1_000_000), ..Default::default() };
    assert_eq!(bad.validate().unwrap_err().field(), "critical");
    let bad = CapacityOptions { slack: 3.0, ..Default::default() };
    assert_eq!(bad.validate().unwrap_err().field(), "cut");
}

#[test]
fn what_began_to_fill_lately_is_told_before_it_is_full() {
    let filling = |rows: usize| {
        let (mut window, mut noise) = (empty(ROWS), rng(1));
        let began = ROWS - rows;
        let share =
            |row: usize| 0.1 + 0.1 * (row as f64 - began as f64).max(0.0) + 0.002 * normal(&mut noise);
        window.metrics.push(series(
            &EntityId::instance("a"),
            "k8s.pod.memory_limit_utilization",
            ROWS,
            share,
        ));
        explain::<Capacity>(&window)
    };
    assert_eq!(filling(4), []);
    let found = filling(6);
    assert_eq!(
        (found.len(), found[0].severity, found[0].onset),
        (1, Severity::Critical, at(ROWS - 6)),
        "{found:?}"
    );
    assert!((0.09..0.11).contains(&found[0].baseline.center), "{found:?}");
}

/// Four pods on one node, two on another; from row 190 on those of `risen` use six times as much and those of `hurt` are
/// slow.
fn node(risen: &[usize], hurt: &[usize], labelled: bool) -> TelemetryWindow {
    let mut window = empty(ROWS);
    for pod in 0..6 {
        let entity = EntityId::new(EntityKind::Pod, format!("pod-{pod}"));
        let place = if pod < 4 { "node-a" } else { "node-b" };
        let mut noise = rng(pod as u64);
        let metrics = [
            ("k8s.pod.cpu.usage", 1.0, risen.contains(&pod)),
            ("http.server.request.duration", 0.05, hurt.contains(&pod)),
        ];
        for (name, level, up) in metrics {
            let key = SeriesKey::new(name);
            let key = if labelled { key.with("k8s.node.name", place) } else { key };
            let values = (0..ROWS).map(|row| {
                let times = if up && row >= 190 { 6.0 } else { 1.0 };
                Some(level * (times + 0.05 * normal(&mut noise)))
            });
            window.metrics.push(series_of(entity.clone(), key, values.collect()));
        }
        if !labelled {
            window.topology.connect(entity, EntityId::new(EntityKind::Node, place), EdgeKind::RunsOn);
        }
    }
    window.sort();
    window
}

#[test]
fn noisy_neighbour() {
    for labelled in [true, false] {
        let mut fault = node(&[1], &[0, 2], labelled);
        // A second offender on the other node, so that the contract has two findings.
        fault.metrics.retain(|s| !matches!(s.entity().name(), "pod-4" | "pod-5"));
        fault.metrics.extend(
            node(&[4], &[5], labelled)
                .metrics
                .into_iter()
                .filter(|s| matches!(s.entity().name(), "pod-4" | "pod-5")),
        );
        fault.sort();
        // All surge; one surges and nobody suffers; others suffer elsewhere.
        for fine in [
            node(&[0, 1, 2, 3], &[0, 1, 2, 3], labelled),
            node(&[1], &[], labelled),
            node(&[1], &[4, 5], labelled),
        ] {
            keeps_its_contract::<NoisyNeighbour>(&fault, &fine);
        }
        let found = explain::<NoisyNeighbour>(&fault);
        assert_eq!(
            found.iter().map(|s| s.entity.name()).collect::<Vec<_>>(),
            ["pod-1", "pod-4"],
            "{found:?}"
        );
        assert!(
            found[0].evidence.contains("node-a") && found[0].evidence.contains("pod-0, pod-2 suffer"),
            "{}",
            found[0].evidence
        );
    }
}

#[test]
fn cold_start() {
    let function = |window: &mut TelemetryWindow, name: &str, calls: f64, cold: &dyn Fn(usize) -> f64| {
        let entity = EntityId::service(name);
        for (metric, of) in [("faas.invocations", None), ("faas.coldstarts", Some(cold))] {
            let mut total = 0.0;
            let counter = series(&entity, metric, ROWS, |row| {
                total += calls * of.map_or(1.0, |share| share(row));
                total
            });
            window.metrics.push(counter.with_kind(MetricKind::Counter));
        }
    };
    let (mut fault, mut fine) = (empty(ROWS), empty(ROWS));
    function(&mut fault, "resize", 10.0, &|_| 0.4);
    function(&mut fault, "thumbs", 10.0, &|row| if row > 60 { 0.2 } else { 0.0 });
    function(&mut fine, "warm", 10.0, &|_| 0.02);
    function(&mut fine, "scales-up", 10.0, &|row| if row < 30 { 0.9 } else { 0.0 });
    function(&mut fine, "rare", 0.1, &|_| 1.0);
    keeps_its_contract::<ColdStart>(&fault, &fine);
    let found = explain::<ColdStart>(&fault);
    let named: Vec<_> = found.iter().map(|s| (s.entity.name(), s.severity)).collect();
    assert_eq!(named, [("resize", Severity::Critical), ("thumbs", Severity::Warning)]);
    assert!((found[0].value - 0.4).abs() < 0.01);

    // The same from spans, which also say whether it matters.
    let spans = |cold_ms: u64| {
        let mut window = empty(ROWS);
        for row in 0..ROWS {
            let cold = row % 4 == 0;
            let time = Duration::from_millis(if cold { cold_ms } else { 20 });
            let id = row as u64 + 1;
            let mut span = Span::new(
                TraceId(u128::from(id)),
                SpanId(id),
                EntityId::service("f"),
                "invoke",
                at(row),
                time,
            );
            span.attributes.insert("faas.coldstart", if cold { "true" } else { "false" });
            window.spans.push(span);
        }
        window
    };
    assert_eq!(explain::<ColdStart>(&spans(900)).len(), 1);
    assert_eq!(explain::<ColdStart>(&spans(22)), []);
}

/// Three resources; their cost and usage an hour, from row 180 on times what is given.
fn bill(times: [(f64, f64); 3]) -> TelemetryWindow {
    let mut window = empty(ROWS);
    for (i, (cost, usage)) in times.into_iter().enumerate() {
        let entity = EntityId::new(EntityKind::Database, format!("db-{i}"));
        let mut noise = rng(i as u64);
        for (name, level, times) in [("billed_cost", 10.0, cost), ("requests_served", 1e6, usage)] {
            window.metrics.push(series(&entity, name, ROWS, |row| {
                level * (if row >= 180 { times } else { 1.0 }) * (1.0 + 0.02 * normal(&mut noise))
            }));
        }
    }
    window
}

#[test]
fn cost_anomaly() {
    let fault = bill([(1.0, 1.0), (4.0, 1.0), (3.0, 1.0)]);
    let same = (1.0, 1.0);
    for fine in [
        bill([same, same, same]),
        // Moved from one to the other; more for more; a little.
        bill([(2.0, 1.0), (0.1, 1.0), same]),
        bill([(3.0, 3.0), same, same]),
        bill([(1.1, 1.0), same, same]),
    ] {
        keeps_its_contract::<CostAnomaly>(&fault, &fine);
    }
    let found = explain::<CostAnomaly>(&fault);
    assert_eq!(found.iter().map(|s| s.entity.name()).collect::<Vec<_>>(), ["db-1", "db-2"]);
    assert!(found.iter().all(|s| s.severity == Severity::Critical && s.onset >= at(175)), "{found:?}");
    // Only as many resources are named as make the rise.
    let found = explain::<CostAnomaly>(&bill([(1.05, 1.0), (6.0, 1.0), (1.2, 1.0)]));
    assert_eq!(found.iter().map(|s| s.entity.name()).collect::<Vec<_>>(), ["db-1"]);
}

fn runs(window: &mut TelemetryWindow, test: &str, outcome: impl Fn(usize, usize) -> bool) {
    let pipeline = EntityId::new(EntityKind::Job, "ci");
    for revision in 0..8 {
        for run in 0..3 {
            let status = if outcome(revision, run) { "pass" } else { "fail" };
            let revision_name = format!("r{revision}");
            window.logs.push(line(
                revision * 20 + run * 2,
                &pipeline,
                &[
                    ("test.case.name", test),
                    ("test.case.result.status", status),
                    ("vcs.ref.head.revision", &revision_name),
                ],
            ));
        }
    }
}

#[test]
fn flaky_test() {
    let (mut fault, mut fine) = (empty(ROWS), empty(ROWS));
    runs(&mut fault, "checkout_waits", |revision, run| !(revision % 2 == 0 && run == 1));
    runs(&mut fault, "upload_races", |revision, run| !(revision > 5 && run == 0));
    runs(&mut fine, "passes", |_, _| true);
    runs(&mut fine, "broken_by_r3", |revision, _| revision < 3);
    runs(&mut fine, "bad_machine_once", |revision, run| !(revision == 4 && run == 2));
    fault.sort();
    fine.sort();
    keeps_its_contract::<FlakyTest>(&fault, &fine);
    let found = explain::<FlakyTest>(&fault);
    let named: Vec<_> =
        found.iter().map(|s| (s.series.labels.get("test.case.name").unwrap(), s.value)).collect();
    assert_eq!(named, [("checkout_waits", 4.0), ("upload_races", 2.0)]);
}

fn schemas(window: &mut TelemetryWindow, dataset: &str, schemas: &[&str]) {
    let lake = EntityId::new(EntityKind::Database, "lake");
    for (i, schema) in schemas.iter().enumerate() {
        window.logs.push(line(20 * i, &lake, &[("dataset.name", dataset), ("dataset.schema", schema)]));
    }
}

#[test]
fn schema_drift() {
    let old = "id:int64, name:string, price:float32";
    let (mut fault, mut fine) = (empty(ROWS), empty(ROWS));
    schemas(&mut fault, "orders", &[old, old, "id:int64, price:float32"]);
    schemas(&mut fault, "users", &[old, "id:string, name:string, price:float32"]);
    schemas(&mut fault, "wants", &[old, "id:int64, name:string, price:float32, tax:float32"]);
    schemas(&mut fine, "same", &[old, old]);
    schemas(&mut fine, "order", &[old, "price:float32, name:string, id:int64"]);
    schemas(&mut fine, "optional", &[old, "id:int64, name:string, price:float32, tax:float32?"]);
    schemas(&mut fine, "wider", &[old, "id:int64, name:string, price:float64"]);
    schemas(&mut fine, "nonsense", &[old, "", "id", ":", "id:,"]);
    fault.sort();
    fine.sort();
    keeps_its_contract::<SchemaDrift>(&fault, &fine);
    let told: Vec<_> = explain::<SchemaDrift>(&fault).into_iter().map(|s| (s.evidence, s.severity)).collect();
    assert_eq!(
        told,
        [
            ("orders: name vanished".to_owned(), Severity::Critical),
            ("users: id is string and was int64".to_owned(), Severity::Critical),
            ("wants: tax must be there now".to_owned(), Severity::Warning),
        ]
    );
}

fn login(window: &mut TelemetryWindow, row: usize, source: &str, user: &str, granted: bool) {
    let outcome = if granted { "success" } else { "failure" };
    let attributes = [("client.address", source), ("user.id", user), ("event.outcome", outcome)];
    window.logs.push(line(row, &EntityId::service("auth"), &attributes));
}

#[test]
fn suspicious_access() {
    let (mut fault, mut typo, mut outage) = (empty(ROWS), empty(ROWS), empty(ROWS));
    for row in 0..14 {
        login(&mut fault, 10 + row, "10.0.0.9", "alice", row == 13);
        login(&mut fault, 60 + row, "10.0.0.7", &format!("user-{row}"), false);
        let path = format!("/admin/{row}");
        fault.logs.push(line(
            120 + row,
            &EntityId::service("api"),
            &[
                ("client.address", "10.0.0.5"),
                ("user.id", "mallory"),
                ("event.outcome", "denied"),
                ("url.path", &path),
            ],
        ));
    }
    for user in 0..12 {
        let (name, source) = (format!("user-{user}"), format!("10.1.0.{user}"));
        login(&mut typo, user * 5, &source, &name, false);
        login(&mut typo, user * 5 + 1, &source, &name, false);
        login(&mut typo, user * 5 + 2, &source, &name, true);
        login(&mut fault, user * 5, &source, &name, true);
        // Who grants is down: everybody tries again and again.
        (0..12).for_each(|again| login(&mut outage, 100 + again, &source, &name, false));
    }
    // Failures far apart are no guessing.
    (0..12).for_each(|again| login(&mut typo, again * 20, "10.9.9.9", "backup-job", false));
    [&mut fault, &mut typo, &mut outage].into_iter().for_each(TelemetryWindow::sort);
    keeps_its_contract::<SuspiciousAccess>(&fault, &typo);
    keeps_its_contract::<SuspiciousAccess>(&fault, &outage);
    let told: Vec<_> = explain::<SuspiciousAccess>(&fault)
        .into_iter()
        .map(|s| (s.entity.name().to_owned(), s.evidence, s.severity))
        .collect();
    let told: Vec<_> = told.iter().map(|(e, t, s)| (e.as_str(), t.as_str(), *s)).collect();
    assert_eq!(
        told,
        [
            ("api", "mallory was refused at 14 different resources", Severity::Warning),
            ("auth", "10.0.0.9 was refused 13 times as alice and then let in", Severity::Critical),
            ("auth", "10.0.0.7 was refused as 14 different principals", Severity::Warning),
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    /// Whatever comes, nothing panics and what is found is well formed.
    #[test]
    fn any_window_is_judged(window in generate::window()) {
        let mut found = detector::<MemoryLeak>().find(&window);
        found.extend(detector::<Capacity>().find(&window));
        found.extend(detector::<NoisyNeighbour>().find(&window));
        found.extend(detector::<ColdStart>().find(&window));
        found.extend(detector::<CostAnomaly>().find(&window));
        found.extend(detector::<FlakyTest>().find(&window));
        found.extend(detector::<SchemaDrift>().find(&window));
        found.extend(detector::<SuspiciousAccess>().find(&window));
        for a in found {
            prop_assert!(window.range.contains(a.onset) && a.onset <= a.last && a.baseline.scale > 0.0);
        }
    }
}
