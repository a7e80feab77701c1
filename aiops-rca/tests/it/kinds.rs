//! Every kind of fault where it is right, and its near neighbour where it must not be said.

use aiops_core::model::{
    Change, ChangeKind, Diagnosis, EntityId, FaultType, Hypothesis, MetricKind, Revision, SeriesKey, Shape,
    mechanism,
};

use crate::world::{World, at, service};

fn cause(diagnosis: &Diagnosis) -> &Hypothesis {
    diagnosis.cause().unwrap_or_else(|| panic!("no cause: {diagnosis:#?}"))
}

/// The cause is of this kind, on this system, and is set apart from `neighbour`.
fn assert_kind(world: &World, system: &str, fault: FaultType, neighbour: FaultType) -> Hypothesis {
    let diagnosis = world.diagnosis();
    let h = cause(&diagnosis);
    assert_eq!((&h.system, h.fault), (&service(system), fault), "{diagnosis:#?}");
    assert!(h.distinctions.iter().any(|d| d.from == neighbour), "not set apart from {neighbour}: {h:#?}");
    h.clone()
}

fn rises(world: &mut World, of: &str, name: &str, kind: MetricKind, onset: i64, center: f64, value: f64) {
    world.both(of, name, kind, Shape::LevelShiftUp, onset, center, value);
}

fn more_requests(world: &mut World, of: &str, onset: i64) {
    rises(world, of, "rate(http_server_requests_total)", MetricKind::Rate, onset, 10.0, 200.0);
}

fn pool_fills(world: &mut World) {
    rises(world, "inventory", "db_pool_pending_requests", MetricKind::Gauge, 40, 0.0, 30.0);
    for name in ["inventory", "orders", "gateway"] {
        world.slow(name, 41);
    }
}

fn rolled_out(world: &mut World, kind: ChangeKind, of: &str, second: i64, summary: &str) {
    let change = Change::new("deploy-1", at(second), kind, service(of), summary);
    world.changed(change.with_revision(Revision::new(Some("r3".into()), "r4").with_commit("c0ffee")));
}

fn gives_up(world: &mut World) {
    for copy in ["orders-1", "orders-2"] {
        let key = SeriesKey::new("rate(http_client_requests_total)")
            .with("peer_service", "inventory")
            .with("code", "timeout");
        world.deviates(&EntityId::instance(copy), key, MetricKind::Rate, Shape::LevelShiftUp, 40, 0.0, 30.0);
    }
}

fn refused(world: &mut World, of: &str) {
    for copy in 1..=2 {
        let key = SeriesKey::new("rate(http_server_requests_total)").with("code", "401");
        let id = EntityId::instance(format!("{of}-{copy}"));
        world.deviates(&id, key, MetricKind::Rate, Shape::LevelShiftUp, 40, 0.0, 60.0);
    }
}

#[test]
fn a_caller_that_gives_up_on_a_callee_that_is_well_is_set_wrongly() {
    let mut world = World::shop();
    gives_up(&mut world);
    assert_kind(&world, "orders", FaultType::Config, FaultType::Dependency);
}

#[test]
fn a_caller_that_gives_up_on_a_callee_that_is_slow_is_not_set_wrongly() {
    let mut world = World::shop();
    gives_up(&mut world);
    world.slow("inventory", 38);
    let diagnosis = world.diagnosis();
    assert_ne!(cause(&diagnosis).fault, FaultType::Config, "{diagnosis:#?}");
    assert_eq!(cause(&diagnosis).system, service("inventory"));
}

#[test]
fn a_pool_that_fills_under_the_usual_work_is_exhaustion() {
    let mut world = World::shop();
    pool_fills(&mut world);
    let h = assert_kind(&world, "inventory", FaultType::ResourceExhaustion, FaultType::Load);
    assert!(h.distinctions.iter().any(|d| d.from == FaultType::Config), "{h:#?}");
}

#[test]
fn a_pool_that_fills_under_more_work_is_load() {
    let mut world = World::shop();
    pool_fills(&mut world);
    for name in ["gateway", "orders", "inventory"] {
        more_requests(&mut world, name, 38);
    }
    let diagnosis = world.diagnosis();
    let all: Vec<_> = diagnosis.hypotheses.iter().map(|h| (h.fault, h.confidence.probability())).collect();
    let most = |fault| all.iter().filter(|a| a.0 == fault).map(|a| a.1).fold(0.0, f64::max);
    assert!(most(FaultType::Load) > most(FaultType::ResourceExhaustion), "{diagnosis:#?}");
}

#[test]
fn a_pool_that_was_made_smaller_is_configuration() {
    let mut world = World::shop();
    pool_fills(&mut world);
    rolled_out(&mut world, ChangeKind::ConfigRollout, "inventory", 38, "pool_size from 16 to 1");
    assert_kind(&world, "inventory", FaultType::Config, FaultType::Code);
}

#[test]
fn the_same_after_a_deployment_is_code() {
    let mut world = World::shop();
    pool_fills(&mut world);
    rolled_out(&mut world, ChangeKind::Deployment, "inventory", 38, "connection handling rewritten");
    let h = assert_kind(&world, "inventory", FaultType::Code, FaultType::Config);
    assert_eq!(h.change.as_ref().map(|c| c.0.as_str()), Some("deploy-1"));
    assert!(h.statement.contains("commit c0ffee"), "{}", h.statement);
}

fn restarts(world: &mut World, times: f64) {
    for copy in ["orders-1", "orders-2"] {
        let id = EntityId::instance(copy);
        let key = SeriesKey::new("rate(container_restarts_total)");
        world.deviates(&id, key, MetricKind::Rate, Shape::Spike, 40, 0.0, times);
    }
}

#[test]
fn starts_over_and_over_are_code_and_one_start_of_a_roll_out_is_not() {
    let mut world = World::shop();
    restarts(&mut world, 0.5);
    world.slow("gateway", 41);
    let h = assert_kind(&world, "orders", FaultType::Code, FaultType::Config);
    assert_eq!(h.mechanism.as_deref(), Some(mechanism::CRASH_LOOP));

    // One start each, right when a roll-out made it: nothing loops.
    let mut once = World::shop();
    for copy in ["orders-1", "orders-2"] {
        let id = EntityId::instance(copy);
        let key = SeriesKey::new("process_start_time_seconds");
        once.deviates(&id, key, MetricKind::Gauge, Shape::LevelShiftUp, 40, 100.0, 1_000.0);
        once.anomalies.last_mut().unwrap().ongoing = false;
    }
    rolled_out(&mut once, ChangeKind::ConfigRollout, "orders", 39, "log level");
    once.slow("gateway", 41);
    let diagnosis = once.diagnosis();
    let looping = |h: &&Hypothesis| h.mechanism.as_deref() == Some(mechanism::CRASH_LOOP);
    assert!(!diagnosis.hypotheses.iter().any(|h| looping(&h)), "{diagnosis:#?}");
}

#[test]
fn retransmissions_are_the_network_and_a_slow_callee_is_not() {
    let mut world = World::shop();
    world.slow("store", 41);
    world.slow("inventory", 42);
    rises(&mut world, "store", "rate(node_netstat_Tcp_RetransSegs)", MetricKind::Rate, 40, 1.0, 300.0);
    assert_kind(&world, "store", FaultType::Network, FaultType::Config);

    let mut slow = World::shop();
    for name in ["store", "inventory"] {
        slow.slow(name, 40);
    }
    let h = assert_kind(&slow, "store", FaultType::Dependency, FaultType::Load);
    assert_eq!(h.mechanism.as_deref(), Some(mechanism::SLOW_WORK));
    assert!(slow.diagnosis().hypotheses.iter().all(|h| h.fault != FaultType::Network));
}

#[test]
fn time_on_the_way_to_a_callee_that_is_well_is_the_network() {
    let mut world = World::shop();
    gives_up(&mut world);
    for copy in ["orders-1", "orders-2"] {
        let key =
            SeriesKey::new("p95(http_client_request_duration_seconds)").with("peer_service", "inventory");
        world.deviates(
            &EntityId::instance(copy),
            key,
            MetricKind::Quantile,
            Shape::LevelShiftUp,
            40,
            0.05,
            2.0,
        );
    }
    assert_kind(&world, "orders", FaultType::Network, FaultType::Dependency);
}

#[test]
fn uncorrected_errors_of_memory_are_hardware_and_memory_that_fills_is_not() {
    let mut world = World::shop();
    world.slow("store", 41);
    rises(&mut world, "store", "edac_uncorrectable_errors", MetricKind::Gauge, 40, 0.0, 40.0);
    assert_kind(&world, "store", FaultType::Hardware, FaultType::Config);

    let mut fills = World::shop();
    fills.slow("store", 41);
    let name = "process_resident_memory_bytes";
    fills.both("store", name, MetricKind::Gauge, Shape::SteadyIncrease, 20, 2e7, 9e7);
    assert_kind(&fills, "store", FaultType::ResourceExhaustion, FaultType::Load);
    assert!(fills.diagnosis().hypotheses.iter().all(|h| h.fault != FaultType::Hardware));
}

#[test]
fn one_who_sends_far_more_is_load_and_a_swing_without_harm_is_no_cause() {
    let mut world = World::shop();
    rises(&mut world, "worker", "rate(jobs_total)", MetricKind::Rate, 39, 10.0, 200.0);
    rises(&mut world, "store", "queue_depth", MetricKind::Gauge, 40, 1.0, 300.0);
    for name in ["store", "inventory", "orders", "gateway"] {
        world.slow(name, 40);
    }
    let h = assert_kind(&world, "worker", FaultType::Load, FaultType::Config);
    assert_eq!(h.mechanism.as_deref(), Some(mechanism::TENANT_LOAD));
    // What it does to the store, and through it to others, is explained.
    assert!(h.unexplained.is_empty() && h.explains.len() >= 10, "{h:#?}");

    let mut swing = World::shop();
    rises(&mut swing, "gateway", "rate(http_server_requests_total)", MetricKind::Rate, 38, 50.0, 62.0);
    assert!(swing.diagnosis().hypotheses.iter().all(|h| h.confidence.probability() < 0.3));
}

#[test]
fn refusals_on_top_of_the_usual_requests_are_an_attack() {
    let mut world = World::shop();
    refused(&mut world, "gateway");
    more_requests(&mut world, "gateway", 40);
    let h = assert_kind(&world, "gateway", FaultType::Security, FaultType::Load);
    assert!(h.distinctions.iter().any(|d| d.from == FaultType::Config), "{h:#?}");
}

#[test]
fn refusals_in_place_of_the_usual_answers_are_a_credential() {
    let mut world = World::shop();
    refused(&mut world, "gateway");
    let h = assert_kind(&world, "gateway", FaultType::Config, FaultType::Security);
    assert_eq!(h.mechanism.as_deref(), Some("credentials"));
    assert!(world.diagnosis().hypotheses.iter().all(|h| h.fault != FaultType::Security));
}

#[test]
fn refusals_after_a_rotation_are_the_rotation_even_under_more_requests() {
    let mut world = World::shop();
    refused(&mut world, "gateway");
    // Callers try again and again.
    more_requests(&mut world, "gateway", 40);
    rolled_out(&mut world, ChangeKind::ConfigRollout, "gateway", 38, "rotate signing key");
    let diagnosis = world.diagnosis();
    assert_eq!(cause(&diagnosis).fault, FaultType::Config, "{diagnosis:#?}");
    assert!(diagnosis.hypotheses.iter().all(|h| h.fault != FaultType::Security));
}

#[test]
fn more_requests_without_refusals_are_no_attack() {
    let mut world = World::shop();
    more_requests(&mut world, "gateway", 39);
    world.slow("gateway", 40);
    let diagnosis = world.diagnosis();
    assert_eq!(cause(&diagnosis).fault, FaultType::Load, "{diagnosis:#?}");
    assert!(diagnosis.hypotheses.iter().all(|h| h.fault != FaultType::Security));
}
