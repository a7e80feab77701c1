use aiops_core::model::{
    Diagnosis, DiagnosisStatus, EntityId, FaultType, Hypothesis, MetricKind, SeriesKey, Shape, Standing,
    mechanism,
};

use crate::world::{World, service};

fn cause(diagnosis: &Diagnosis) -> &Hypothesis {
    diagnosis.cause().unwrap_or_else(|| panic!("no cause: {diagnosis:#?}"))
}

fn assert_cause(world: &World, system: &str, fault: FaultType, expected: &str) -> Diagnosis {
    let diagnosis = world.diagnosis();
    let h = cause(&diagnosis);
    let told = (h.system.clone(), h.fault, h.mechanism.as_deref());
    assert_eq!(told, (service(system), fault, Some(expected)), "{diagnosis:#?}");
    assert_eq!(h.standing(), Standing::Finding);
    assert!(!h.next_checks.is_empty());
    assert!(!h.confidence.is_calibrated());
    let case = world.detected();
    for h in &diagnosis.hypotheses {
        for id in &h.citations {
            assert!(case.cited(id).is_some(), "{id} is cited and not there");
        }
    }
    diagnosis
}

#[test]
fn memory_that_grows_is_exhaustion() {
    let mut world = World::shop();
    world.both(
        "orders",
        "process_resident_memory_bytes",
        MetricKind::Gauge,
        Shape::SteadyIncrease,
        20,
        2e7,
        9e7,
    );
    for copy in ["orders-1", "orders-2"] {
        let key = SeriesKey::new("rate(http_server_requests_total)").with("code", "503");
        world.deviates(&EntityId::instance(copy), key, MetricKind::Rate, Shape::LevelShiftUp, 40, 0.0, 20.0);
    }
    let diagnosis = assert_cause(&world, "orders", FaultType::ResourceExhaustion, mechanism::MEMORY);
    let said = |text: &str| diagnosis.null_findings.iter().any(|n| n.statement.contains(text));
    assert!(
        said("no deployment or configuration roll-out of service/orders"),
        "{:?}",
        diagnosis.null_findings
    );
    assert!(said("everything service/orders needs serves as before"));
}

#[test]
fn retransmissions_of_one_service_are_its_network() {
    let mut world = World::shop();
    world.slow("store", 41);
    world.slow("inventory", 42);
    let name = "rate(node_netstat_Tcp_RetransSegs)";
    world.both("store", name, MetricKind::Rate, Shape::LevelShiftUp, 40, 1.0, 300.0);
    assert_cause(&world, "store", FaultType::Network, "network");
}

#[test]
fn memory_errors_of_a_device_are_hardware() {
    let mut world = World::shop();
    world.slow("store", 41);
    let name = "edac_uncorrectable_errors";
    world.both("store", name, MetricKind::Gauge, Shape::LevelShiftUp, 40, 0.0, 40.0);
    assert_cause(&world, "store", FaultType::Hardware, "hardware");
}

#[test]
fn a_pool_that_runs_out_is_exhaustion() {
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
    assert_cause(&world, "inventory", FaultType::ResourceExhaustion, mechanism::CONNECTION_POOL);
}

#[test]
fn a_lock_that_is_waited_for_is_exhaustion() {
    let mut world = World::shop();
    world.both("orders", "p95(lock_wait_seconds)", MetricKind::Quantile, Shape::LevelShiftUp, 40, 0.001, 0.4);
    world.slow("orders", 40);
    world.slow("gateway", 40);
    assert_cause(&world, "orders", FaultType::ResourceExhaustion, mechanism::LOCK);
}

#[test]
fn restarts_over_and_over_are_a_crash_loop() {
    let mut world = World::shop();
    for copy in ["orders-1", "orders-2"] {
        let id = EntityId::instance(copy);
        let key = SeriesKey::new("rate(container_restarts_total)");
        world.deviates(&id, key, MetricKind::Rate, Shape::LevelShiftUp, 40, 0.0, 0.5);
        world.deviates(&id, SeriesKey::new("up"), MetricKind::Gauge, Shape::LevelShiftDown, 40, 1.0, 0.0);
    }
    world.slow("gateway", 41);
    assert_cause(&world, "orders", FaultType::Code, mechanism::CRASH_LOOP);
}

#[test]
fn an_exporter_speaks_about_others() {
    let mut world = World::shop();
    let exporter = EntityId::instance("supervisor");
    for name in ["replicas_ready", "orders_unrelated"] {
        let key = SeriesKey::new(name).with("service", "orders");
        world.deviates(&exporter, key, MetricKind::Gauge, Shape::LevelShiftDown, 40, 2.0, 0.0);
    }
    world.slow("gateway", 41);
    assert_cause(&world, "orders", FaultType::Code, "unavailable");
}

#[test]
fn a_slow_callee_with_nothing_of_its_own_is_a_dependency() {
    let mut world = World::shop();
    for name in ["store", "inventory", "orders", "gateway"] {
        world.slow(name, 40);
    }
    let diagnosis = assert_cause(&world, "store", FaultType::Dependency, mechanism::SLOW_WORK);
    assert!(diagnosis.null_findings.iter().any(|n| n.statement.contains("no resource, pool, lock or queue")));
}

#[test]
fn the_neighbour_that_sends_more_is_the_system() {
    let mut world = World::shop();
    world.both("worker", "rate(jobs_total)", MetricKind::Rate, Shape::LevelShiftUp, 39, 10.0, 200.0);
    world.both("store", "queue_depth", MetricKind::Gauge, Shape::LevelShiftUp, 40, 1.0, 300.0);
    for name in ["store", "inventory", "orders", "gateway"] {
        world.slow(name, 40);
    }
    assert_cause(&world, "worker", FaultType::Load, mechanism::TENANT_LOAD);
}

#[test]
fn a_tenant_told_by_a_label_is_named() {
    let mut world = World::shop();
    for copy in ["store-1", "store-2"] {
        let key = SeriesKey::new("rate(operations_total)").with("tenant", "batch");
        world.deviates(&EntityId::instance(copy), key, MetricKind::Rate, Shape::LevelShiftUp, 39, 5.0, 200.0);
    }
    for name in ["store", "inventory", "orders", "gateway"] {
        world.slow(name, 40);
    }
    let diagnosis = assert_cause(&world, "store", FaultType::Load, mechanism::TENANT_LOAD);
    assert!(cause(&diagnosis).statement.starts_with("batch sends far more"));
}

#[test]
fn tenants_who_all_ask_for_as_many_times_more_are_a_crowd_and_no_neighbour() {
    let crowd = |others: f64| {
        let mut world = World::shop();
        for (tenant, is) in [("batch", 200.0), ("shop", 5.0 * others)] {
            let key = SeriesKey::new("rate(operations_total)").with("tenant", tenant);
            let store = EntityId::instance("store-1");
            world.deviates(&store, key, MetricKind::Rate, Shape::LevelShiftUp, 39, 5.0, is);
        }
        for name in ["store", "inventory", "orders", "gateway"] {
            world.slow(name, 40);
        }
        world.diagnosis().hypotheses.iter().any(|h| h.statement.starts_with("batch sends far more"))
    };
    assert!(!crowd(30.0));
    assert!(crowd(4.0), "a tenth of its rise is none beside it");
}

#[test]
fn a_collector_that_works_as_much_more_as_the_processor_is_no_cause_of_its_own() {
    let claimed = |collects: f64| {
        let mut world = World::shop();
        let series =
            [("rate(process_cpu_seconds_total)", 0.9), ("rate(process_runtime_gc_seconds_total)", collects)];
        for (name, is) in series {
            world.both("orders", name, MetricKind::Rate, Shape::LevelShiftUp, 40, 0.03, is);
        }
        for name in ["orders", "gateway"] {
            world.slow(name, 40);
        }
        let diagnosis = world.diagnosis();
        diagnosis.hypotheses.iter().any(|h| h.mechanism.as_deref() == Some("garbage collection"))
    };
    assert!(!claimed(0.9));
    assert!(claimed(9.0), "ten times as much as the processor accounts for");
}

#[test]
fn a_caller_that_gives_up_on_a_healthy_callee_has_a_timeout() {
    let mut world = World::shop();
    for copy in ["orders-1", "orders-2"] {
        let id = EntityId::instance(copy);
        let key = SeriesKey::new("rate(http_client_requests_total)")
            .with("peer_service", "inventory")
            .with("code", "timeout");
        world.deviates(&id, key, MetricKind::Rate, Shape::LevelShiftUp, 40, 0.0, 30.0);
    }
    assert_cause(&world, "orders", FaultType::Config, "timeout");
}

#[test]
fn two_equal_suspects_leave_it_undecided() {
    let mut world = World::new();
    for name in ["a", "b"] {
        world.copy(name, &format!("{name}-1"));
        world.copy(name, &format!("{name}-2"));
        world.both(
            name,
            "process_resident_memory_bytes",
            MetricKind::Gauge,
            Shape::SteadyIncrease,
            20,
            2e7,
            9e7,
        );
    }
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.status, DiagnosisStatus::Inconclusive);
    assert!(diagnosis.cause().is_none() && diagnosis.hypotheses.len() == 2);
}

#[test]
fn nothing_found_is_said() {
    let diagnosis = World::shop().diagnosis();
    assert_eq!(diagnosis.status, DiagnosisStatus::Inconclusive);
    assert!(diagnosis.hypotheses.is_empty());
    assert_eq!(diagnosis.null_findings.len(), 1);
}

#[test]
fn a_swing_of_load_without_harm_is_hardly_a_cause() {
    let mut world = World::shop();
    world.both(
        "gateway",
        "rate(http_server_requests_total)",
        MetricKind::Rate,
        Shape::LevelShiftUp,
        38,
        50.0,
        62.0,
    );
    let diagnosis = world.diagnosis();
    assert!(diagnosis.hypotheses.iter().all(|h| h.confidence.probability() < 0.3), "{diagnosis:#?}");
}

#[test]
fn restarts_count_though_no_detector_called_them_strange() {
    let mut world = World::shop();
    for copy in ["orders-1", "orders-2"] {
        let id = EntityId::instance(copy);
        world.deviates(&id, SeriesKey::new("up"), MetricKind::Gauge, Shape::LevelShiftDown, 40, 1.0, 0.0);
        // One start a second: samples are 1 unless told otherwise.
        world.series(&id, "rate(container_restarts_total)", MetricKind::Rate, 0..60);
    }
    world.slow("gateway", 41);
    assert_cause(&world, "orders", FaultType::Code, mechanism::CRASH_LOOP);
}

#[test]
fn shares_of_failures_are_errors_of_the_side_they_are_taken_on() {
    let mut world = World::shop();
    let key = SeriesKey::new("error_ratio(http_client_requests_total)").with("peer_service", "inventory");
    world.deviates(&service("orders"), key, MetricKind::Ratio, Shape::LevelShiftUp, 40, 0.0, 0.9);
    for name in ["orders", "gateway"] {
        let key = SeriesKey::new("error_ratio(http_server_requests_total)");
        world.deviates(&service(name), key, MetricKind::Ratio, Shape::LevelShiftUp, 40, 0.0, 0.8);
    }
    assert_cause(&world, "orders", FaultType::Config, "timeout");
}
