use aiops_core::model::{EntityId, EntityKind, MetricKind, SeriesKey, Shape};

use crate::world::{World, localizer, service};

#[test]
fn a_slow_callee_explains_its_callers() {
    let mut world = World::shop();
    for (name, onset) in [("store", 40), ("inventory", 40), ("orders", 41), ("gateway", 41)] {
        world.slow(name, onset);
    }
    let ranking = world.ranking();
    assert_eq!(ranking.first().unwrap().entity, service("store"));
    let path = ["store", "inventory", "orders", "gateway"].map(service);
    assert_eq!(ranking.first().unwrap().path, path);
    let score =
        |name: &str| ranking.suspects.iter().find(|s| s.entity == service(name)).map_or(0.0, |s| s.score);
    for victim in ["inventory", "orders", "gateway"] {
        assert!(score(victim) < 0.3 * score("store"), "{ranking:#?}");
    }
    assert!(!ranking.first().unwrap().evidence.is_empty());
    assert!(ranking.unseen.is_empty(), "{:?}", ranking.unseen);
}

#[test]
fn a_louder_victim_does_not_come_first() {
    let mut world = World::shop();
    world.both(
        "store",
        "p95(http_server_request_duration_seconds)",
        MetricKind::Quantile,
        Shape::LevelShiftUp,
        40,
        0.02,
        0.12,
    );
    world.slow("inventory", 40);
    for name in ["orders", "gateway"] {
        world.both(
            name,
            "p95(http_server_request_duration_seconds)",
            MetricKind::Quantile,
            Shape::LevelShiftUp,
            40,
            0.05,
            5.0,
        );
    }
    assert_eq!(world.first(), service("store"));
}

#[test]
fn a_pool_that_fills_before_a_healthy_callee_is_the_origin() {
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
    // Less reaches the store, which is no trouble of the store's.
    world.both(
        "store",
        "rate(http_server_requests_total)",
        MetricKind::Rate,
        Shape::LevelShiftDown,
        41,
        80.0,
        20.0,
    );
    assert_eq!(world.first(), service("inventory"));
}

#[test]
fn a_pool_that_fills_behind_a_slow_callee_is_a_victim() {
    let mut world = World::shop();
    world.slow("store", 40);
    world.both(
        "inventory",
        "db_pool_pending_requests",
        MetricKind::Gauge,
        Shape::LevelShiftUp,
        41,
        0.0,
        30.0,
    );
    for name in ["inventory", "orders", "gateway"] {
        world.slow(name, 41);
    }
    assert_eq!(world.first(), service("store"));
}

#[test]
fn a_callee_that_fell_ill_later_explains_little() {
    let mut world = World::new();
    for name in ["a", "b"] {
        world.copy(name, &format!("{name}-1"));
        world.copy(name, &format!("{name}-2"));
    }
    world.calls("a", "b");
    world.both("a", "process_resident_memory_bytes", MetricKind::Gauge, Shape::SteadyIncrease, 5, 1e8, 9e8);
    world.slow("a", 5);
    world.slow("b", 55);
    assert_eq!(world.first(), service("a"));
}

#[test]
fn who_sends_far_more_to_a_shared_callee_is_the_origin() {
    let mut world = World::shop();
    world.both("worker", "rate(jobs_total)", MetricKind::Rate, Shape::LevelShiftUp, 39, 10.0, 200.0);
    world.both("store", "queue_depth", MetricKind::Gauge, Shape::LevelShiftUp, 40, 1.0, 300.0);
    for name in ["store", "inventory", "orders", "gateway"] {
        world.slow(name, 40);
    }
    let ranking = world.ranking();
    assert_eq!(ranking.first().unwrap().entity, service("worker"));
    let path = ["worker", "store", "inventory", "orders", "gateway"].map(service);
    assert_eq!(ranking.first().unwrap().path, path);
}

#[test]
fn retries_after_a_callee_fell_ill_are_no_origin() {
    let mut world = World::shop();
    for name in ["store", "inventory", "orders", "gateway"] {
        world.slow(name, 40);
    }
    world.both(
        "inventory",
        "rate(http_client_requests_total)",
        MetricKind::Rate,
        Shape::LevelShiftUp,
        50,
        50.0,
        150.0,
    );
    assert_eq!(world.first(), service("store"));
}

#[test]
fn more_customers_are_seen_at_the_entry() {
    let mut world = World::shop();
    for (name, onset) in [("gateway", 38), ("orders", 38), ("inventory", 39), ("store", 39)] {
        world.both(
            name,
            "rate(http_server_requests_total)",
            MetricKind::Rate,
            Shape::LevelShiftUp,
            onset,
            50.0,
            400.0,
        );
    }
    for name in ["store", "inventory", "orders", "gateway"] {
        world.slow(name, 41);
    }
    assert_eq!(world.first(), service("gateway"));
}

#[test]
fn without_topology_deviation_and_onset_decide_and_it_says_so() {
    let mut world = World::new();
    for (name, onset, value) in [("a", 20, 0.5), ("b", 50, 0.5)] {
        let key = SeriesKey::new("p95(request_duration_seconds)");
        world.deviates(&service(name), key, MetricKind::Quantile, Shape::LevelShiftUp, onset, 0.05, value);
    }
    let ranking = world.ranking();
    assert_eq!(ranking.first().unwrap().entity, service("a"));
    assert!(ranking.unseen.iter().any(|u| u.contains("who calls whom is not known")), "{:?}", ranking.unseen);
}

#[test]
fn a_callee_without_telemetry_is_suspected_through_its_callers() {
    let mut world = World::shop();
    let bank = EntityId::new(EntityKind::External, "bank");
    world.window.topology.connect(service("orders"), bank.clone(), aiops_core::model::EdgeKind::Calls);
    for copy in ["orders-1", "orders-2"] {
        let key = SeriesKey::new("p95(http_client_request_duration_seconds)").with("peer_service", "bank");
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
    world.slow("orders", 40);
    world.slow("gateway", 40);
    let ranking = world.ranking();
    assert_eq!(ranking.first().unwrap().entity, bank, "{ranking:#?}");
    assert!(ranking.unseen.iter().any(|u| u.contains("bank")), "{:?}", ranking.unseen);
}

#[test]
fn a_callee_whose_copies_are_all_new_is_suspected_through_its_callers() {
    let mut world = World::shop();
    world.window.metrics.retain(|m| !m.entity().name().starts_with("orders"));
    let fresh = EntityId::instance("orders-3");
    world.window.topology.connect(fresh.clone(), service("orders"), aiops_core::model::EdgeKind::PartOf);
    world.series(&fresh, "p95(http_server_request_duration_seconds)", MetricKind::Quantile, 40..60);
    for copy in ["gateway-1", "gateway-2"] {
        let key = SeriesKey::new("rate(http_client_requests_total)")
            .with("peer_service", "orders")
            .with("code", "500");
        world.deviates(&EntityId::instance(copy), key, MetricKind::Rate, Shape::LevelShiftUp, 41, 0.0, 30.0);
        let key = SeriesKey::new("rate(http_server_requests_total)").with("code", "502");
        world.deviates(&EntityId::instance(copy), key, MetricKind::Rate, Shape::LevelShiftUp, 41, 0.0, 30.0);
    }
    assert_eq!(world.first(), service("orders"), "{:#?}", world.ranking());
}

#[test]
fn one_copy_of_several_is_ranked_beside_its_service() {
    let mut world = World::shop();
    let sick = EntityId::instance("orders-2");
    let key = SeriesKey::new("process_resident_memory_bytes");
    world.deviates(&sick, key, MetricKind::Gauge, Shape::SteadyIncrease, 30, 1e8, 9e8);
    let ranking = world.ranking();
    assert_eq!(ranking.suspects[0].entity, service("orders"));
    assert_eq!(ranking.suspects[1].entity, sick);
    assert_eq!(ranking.suspects[1].path.first(), Some(&sick));
}

#[test]
fn a_node_whose_residents_all_deviate_is_the_common_cause() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        for copy in 1..=2 {
            world.copy(name, &format!("{name}-{copy}"));
            world.node(&format!("{name}-{copy}"), &format!("node-{copy}"));
        }
    }
    for name in ["a", "b", "c"] {
        let key = SeriesKey::new("p95(http_server_request_duration_seconds)");
        let id = EntityId::instance(format!("{name}-1"));
        world.deviates(&id, key, MetricKind::Quantile, Shape::LevelShiftUp, 40, 0.05, 0.5);
    }
    let node = EntityId::new(EntityKind::Node, "node-1");
    assert_eq!(world.first(), node, "{:#?}", world.ranking());
}

#[test]
fn one_node_for_all_tells_nothing() {
    let mut world = World::shop();
    for name in ["gateway", "orders", "inventory", "store", "worker"] {
        for copy in 1..=2 {
            world.node(&format!("{name}-{copy}"), "only");
        }
    }
    for name in ["store", "inventory", "orders", "gateway"] {
        world.slow(name, 40);
    }
    assert_eq!(world.first(), service("store"));
}

#[test]
fn a_copy_that_went_away_is_no_trouble_while_others_stay() {
    let mut world = World::shop();
    let gone = EntityId::instance("orders-1");
    let key = SeriesKey::new("rate(http_server_requests_total)");
    world.deviates(&gone, key, MetricKind::Rate, Shape::Vanished, 40, 50.0, 0.0);
    world.slow("store", 40);
    assert_eq!(world.first(), service("store"));
}

#[test]
fn many_sigmas_on_what_hardly_moved_are_no_trouble() {
    let mut world = World::shop();
    // 0.02 % of change, 4 σ · 1000 by a tiny scale.
    for copy in 1..=2 {
        let id = EntityId::instance(format!("gateway-{copy}"));
        let key = SeriesKey::new("process_resident_memory_bytes");
        world.deviates(&id, key, MetricKind::Gauge, Shape::LevelShiftUp, 40, 1e8, 1.0002e8);
        let a = world.anomalies.last_mut().unwrap();
        a.baseline.scale = 1.0;
        a.sigma = 20_000.0;
    }
    world.slow("store", 42);
    assert_eq!(world.first(), service("store"));
}

#[test]
fn without_anomalies_nobody_is_suspected() {
    let world = World::shop();
    let ranking = world.ranking();
    assert!(ranking.suspects.is_empty() && ranking.unseen.is_empty());
    let nothing = localizer().rank(&World::new().window, &[]);
    assert!(nothing.suspects.is_empty());
}

#[test]
fn bad_numbers_are_symptoms_of_defined_strength() {
    let mut world = World::shop();
    for (value, sigma) in [(f64::NAN, f64::NAN), (f64::INFINITY, f64::INFINITY), (0.0, f64::NEG_INFINITY)] {
        let id = EntityId::instance("store-1");
        let key = SeriesKey::new("p95(http_server_request_duration_seconds)");
        world.deviates(&id, key, MetricKind::Quantile, Shape::LevelShiftUp, 40, 0.0, value);
        let a = world.anomalies.last_mut().unwrap();
        (a.sigma, a.baseline.scale) = (sigma, 0.0);
    }
    for suspect in world.ranking().suspects {
        assert!(suspect.score.is_finite());
    }
}

#[test]
fn callers_in_a_circle_end() {
    let mut world = World::shop();
    world.calls("store", "gateway");
    for name in ["store", "inventory", "orders", "gateway"] {
        world.slow(name, 40);
        world.both(
            name,
            "rate(http_client_requests_total)",
            MetricKind::Rate,
            Shape::LevelShiftUp,
            39,
            10.0,
            90.0,
        );
    }
    assert!(!world.ranking().suspects.is_empty());
}
