//! What a hypothesis explains, how it was tested, and what would settle it.

use aiops_core::Context;
use aiops_core::fake::InMemorySource;
use aiops_core::model::{
    CausalGround, CausalStanding, Change, ChangeKind, DiagnosisStatus, EdgeKind, EntityId, EvidenceId,
    Hypothesis, MetricKind, Revision, SeriesKey, Shape, Signal,
};
use aiops_core::seam::TelemetrySource;
use futures_lite::future::block_on;
use proptest::prelude::*;

use crate::world::{World, at, rca, service};

fn pool_runs_out() -> World {
    let mut world = World::shop();
    world.both(
        "inventory",
        "db_pool_pending_requests",
        MetricKind::Gauge,
        Shape::LevelShiftUp,
        40,
        0.0,
        30.0,
    );
    for name in ["inventory", "orders", "gateway"] {
        world.slow(name, 41);
    }
    world
}

fn leading(world: &World) -> Hypothesis {
    let diagnosis = world.diagnosis();
    diagnosis.hypotheses.first().unwrap_or_else(|| panic!("{diagnosis:#?}")).clone()
}

fn entities(world: &World, ids: &[EvidenceId]) -> Vec<String> {
    let case = world.detected();
    let mut of: Vec<String> =
        ids.iter().map(|id| case.cited(id).unwrap().entity.as_ref().unwrap().to_string()).collect();
    of.sort();
    of.dedup();
    of
}

#[test]
fn trouble_of_callers_is_explained_and_trouble_elsewhere_is_not() {
    let mut world = pool_runs_out();
    world.slow("worker", 42);
    let h = leading(&world);
    assert_eq!(h.system, service("inventory"));
    let explained = entities(&world, &h.explains);
    assert!(explained.contains(&"instance/gateway-1".to_owned()), "{explained:?}");
    assert_eq!(entities(&world, &h.unexplained), ["instance/worker-1", "instance/worker-2"]);
    assert_eq!(h.path, [service("inventory"), service("orders"), service("gateway")]);
}

#[test]
fn a_cause_that_comes_first_and_reaches_all_is_a_candidate() {
    let h = leading(&pool_runs_out());
    let grounds: Vec<(CausalGround, bool)> = h.causal_tests.iter().map(|t| (t.ground, t.passed)).collect();
    assert_eq!(grounds, [(CausalGround::Order, true), (CausalGround::Topology, true)], "{h:#?}");
    assert_eq!(h.causal_standing(), CausalStanding::Candidate);
}

#[test]
fn what_explains_little_stays_a_correlation() {
    let mut world = World::shop();
    // Louder than anything, and nobody needs it.
    world.both(
        "worker",
        "process_resident_memory_bytes",
        MetricKind::Gauge,
        Shape::SteadyIncrease,
        45,
        1e7,
        9e8,
    );
    for name in ["store", "inventory", "orders", "gateway"] {
        world.slow(name, 30);
    }
    let diagnosis = world.diagnosis();
    let h = diagnosis.hypotheses.iter().find(|h| h.system == service("worker")).unwrap();
    assert_eq!(h.causal_standing(), CausalStanding::Correlation, "{h:#?}");
    assert!(h.unexplained.len() >= 8);
}

#[test]
fn the_next_read_is_one_that_a_source_answers() {
    let mut world = pool_runs_out();
    let revision = Revision::new(Some("r3".into()), "r4");
    let change =
        Change::new("deploy-1", at(38), ChangeKind::ConfigRollout, service("inventory"), "pool_size");
    world.changed(change.with_revision(revision));
    let source = InMemorySource::holding(world.window.clone());
    let ctx = Context::system();
    let mut signals = std::collections::BTreeSet::new();
    for h in world.diagnosis().hypotheses {
        for check in h.next_checks {
            let Some(request) = check.request else { continue };
            let answer = block_on(source.fetch(&request, &ctx)).unwrap();
            assert!(request.range.contains(at(40)) || request.range.end() == at(40), "{request:?}");
            assert!(check.confirms.is_some() && check.refutes.is_some());
            assert!(answer.metrics.iter().all(|m| request.selector.selects_entity(m.entity())));
            signals.extend(request.signals.iter());
        }
    }
    assert!(signals.contains(&Signal::Metrics) && signals.contains(&Signal::Changes), "{signals:?}");
}

#[test]
fn felt_trouble_whose_reason_may_lie_where_nothing_is_seen_is_dark() {
    let mut world = World::new();
    world.copy("orders", "orders-1");
    let database = EntityId::service("db");
    world.window.topology.connect(service("orders"), database, EdgeKind::Calls);
    world.slow("orders", 40);
    world.anomalies.retain(|a| a.entity == EntityId::instance("orders-1"));
    let DiagnosisStatus::ObservabilityDark { missing } = world.diagnosis().status else {
        panic!("{:#?}", world.diagnosis())
    };
    assert!(missing.iter().any(|m| m.contains("service/db")), "{missing:?}");

    // With its resources measured and well, a slow callee is what is left.
    let mut seen = world.clone();
    seen.series(&EntityId::instance("orders-1"), "process_resident_memory_bytes", MetricKind::Gauge, 0..60);
    assert!(!matches!(seen.diagnosis().status, DiagnosisStatus::ObservabilityDark { .. }));
}

#[test]
fn what_is_not_measured_is_unseen() {
    let mut world = World::shop();
    world.slow("store", 40);
    let unseen = world.diagnosis().unseen;
    assert_eq!(unseen, ["no resource, pool, lock or queue of service/store is measured"]);
}

fn worlds() -> impl Strategy<Value = World> {
    let signal = (0..5_usize, 0..5_usize, 5..55_i64, 1.5..40.0_f64);
    (prop::collection::vec(signal, 1..8), prop::option::of((0..5_usize, 5..55_i64))).prop_map(
        |(signals, change)| {
            let names = ["gateway", "orders", "inventory", "store", "worker"];
            let mut world = World::shop();
            let mut there = std::collections::BTreeSet::new();
            for (n, (of, which, onset, times)) in signals.into_iter().enumerate() {
                if !there.insert((of, which)) {
                    continue;
                }
                let (name, kind) = [
                    ("p95(http_server_request_duration_seconds)", MetricKind::Quantile),
                    ("rate(http_server_errors_total)", MetricKind::Rate),
                    ("rate(http_server_requests_total)", MetricKind::Rate),
                    ("process_resident_memory_bytes", MetricKind::Gauge),
                    ("db_pool_pending_requests", MetricKind::Gauge),
                ][which];
                world.both(names[of], name, kind, Shape::LevelShiftUp, onset, 1.0, times + 1e-3 * n as f64);
            }
            if let Some((of, second)) = change {
                let change =
                    Change::new("c", at(second), ChangeKind::ConfigRollout, service(names[of]), "pool size");
                world.changed(change);
            }
            world
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn renaming_permutes_the_hypotheses(world in worlds(), shift in 1..5_usize) {
        let names = ["gateway", "orders", "inventory", "store", "worker"];
        let turn = |id: &EntityId, by: usize| {
            let (name, copy) = id.name().split_once('-').map_or((id.name(), ""), |(n, c)| (n, c));
            let i = names.iter().position(|n| *n == name).unwrap();
            let dash = if copy.is_empty() { "" } else { "-" };
            EntityId::new(id.kind(), format!("{}{dash}{copy}", names[(i + by) % 5]))
        };
        let mut renamed = world.renamed(|id| turn(id, shift));
        for change in &mut renamed.window.changes {
            change.entity = turn(&change.entity, shift);
        }
        // To nine digits: sums may be taken in another order.
        let told = |w: &World, back: usize| {
            let mut told: Vec<_> = w.diagnosis().hypotheses.iter().map(|h| {
                let rounded = (h.confidence.probability() * 1e9).round() as i64;
                let path: Vec<EntityId> = h.path.iter().map(|e| turn(e, back)).collect();
                (rounded, turn(&h.system, back), h.fault, h.mechanism.clone(), h.explains.len(), h.unexplained.len(), path.len())
            }).collect();
            told.sort();
            told
        };
        let (plain, turned) = (told(&world, 5), told(&renamed, 5 - shift));
        // Where equal scores are cut off, which of them stays is a matter of names.
        let cut = plain.len() == 6;
        prop_assert!(cut || plain == turned, "{plain:#?}\n{turned:#?}");
    }

    #[test]
    fn a_finding_told_twice_is_no_surer(world in worlds(), which in 0..8_usize) {
        let mut twice = world.clone();
        let again = twice.anomalies[which % twice.anomalies.len()].clone();
        twice.anomalies.push(again);
        let told = |w: &World| -> Vec<_> {
            let all = w.diagnosis().hypotheses;
            all.into_iter().map(|h| (h.system, h.fault, h.mechanism, (h.confidence.probability() * 1e9).round() as i64)).collect()
        };
        prop_assert_eq!(told(&world), told(&twice));
    }

    #[test]
    fn everything_grave_is_explained_or_not_and_never_both(world in worlds()) {
        let (case, _) = world.ranked();
        for h in rca().analyze(&case).unwrap().hypotheses {
            let both = || h.explains.iter().chain(&h.unexplained);
            prop_assert!(both().all(|id| case.cited(id).is_some()));
            prop_assert!(h.explains.iter().all(|id| !h.unexplained.contains(id)));
            prop_assert_eq!(h.path.first(), Some(&h.system));
            prop_assert!(h.distinctions.iter().all(|d| d.from != h.fault));
        }
    }

    #[test]
    fn an_unrelated_healthy_service_changes_no_hypothesis(world in worlds()) {
        let mut more = world.clone();
        more.copy("zz", "zz-1");
        more.copy("aa", "aa-1");
        more.calls("zz", "aa");
        let key = SeriesKey::new("process_resident_memory_bytes");
        more.labelled(&EntityId::instance("zz-1"), key, MetricKind::Gauge, 0..60);
        prop_assert_eq!(world.diagnosis().hypotheses, more.diagnosis().hypotheses);
    }
}
