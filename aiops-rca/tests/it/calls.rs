//! What errors about calls, load from outside and the nature of a system say of the kind of fault.

use std::time::Duration;

use aiops_core::Case;
use aiops_core::model::{
    Change, ChangeKind, Diagnosis, DiagnosisStatus, EdgeKind, EntityId, EntityKind, FaultType, Hypothesis,
    MetricKind, Observation, Ranking, Revision, SeriesKey, Shape, Signal, Suspect, mechanism,
};

use crate::world::{World, at, rca, service};

/// What a localiser observed of `entity` since second 40.
fn seen(aspect: &str, strength: f64, statement: &str) -> Observation {
    let signal = match aspect {
        "log_errors" | "log_missing" | "call_errors" => Signal::Logs,
        "self_time" | "copy_time" | "call_time" => Signal::Traces,
        _ => Signal::Metrics,
    };
    Observation::new(signal, aspect, strength, statement).since(at(40))
}

fn diagnosed(world: &World, suspects: Vec<(EntityId, Vec<Observation>)>) -> Diagnosis {
    let mut case: Case = world.detected();
    let suspects = suspects.into_iter().map(|(entity, observations)| {
        let score = observations.iter().map(|o| o.strength).sum();
        let mut suspect = Suspect::new(entity, score);
        suspect.observations = observations;
        suspect
    });
    case.localize(case.opened_at(), Ranking::new(suspects.collect()));
    rca().analyze(&case).unwrap()
}

fn first(diagnosis: &Diagnosis) -> &Hypothesis {
    diagnosis.hypotheses.first().unwrap_or_else(|| panic!("nothing is said: {diagnosis:#?}"))
}

fn of_orders(world: &World, line: &str) -> (EntityId, FaultType, Option<String>) {
    let diagnosis = diagnosed(world, vec![(service("orders"), vec![seen("log_errors", 5.0, line)])]);
    let h = first(&diagnosis);
    (h.system.clone(), h.fault, h.mechanism.clone())
}

#[test]
fn an_error_about_a_call_is_about_the_one_called_or_the_way_there() {
    let world = World::shop();
    for (line, system, fault, mechanism) in [
        ("call to inventory timed out after * ms: 39 lines", "orders", FaultType::Network, "network path"),
        ("connect to inventory: connection refused", "inventory", FaultType::Dependency, "failing responses"),
        ("inventory answered 502 bad gateway", "inventory", FaultType::Dependency, "failing responses"),
        ("lookup of inventory failed: no such host", "inventory", FaultType::Network, "name resolution"),
        ("tls with inventory: certificate has expired", "inventory", FaultType::Config, "certificate"),
        ("inventory: access denied for orders", "orders", FaultType::Config, "credentials"),
        ("inventory answered 429 too many requests", "inventory", FaultType::Load, "overload"),
        // Nobody it calls is named: its own.
        ("cannot place the order", "orders", FaultType::Code, "failing responses"),
        // It does not call that one.
        ("connect to worker: boom", "orders", FaultType::Code, "failing responses"),
    ] {
        let told = of_orders(&world, line);
        assert_eq!(told, (service(system), fault, Some(mechanism.to_owned())), "{line}");
    }
}

#[test]
fn what_is_lost_on_the_way_to_somebody_unwell_is_laid_at_that_ones_door() {
    let mut world = World::shop();
    world.slow("inventory", 41);
    let told = of_orders(&world, "call to inventory timed out after * ms");
    assert_eq!((told.0, told.1), (service("inventory"), FaultType::Dependency));
}

#[test]
fn how_somebody_elses_service_fails_is_theirs_to_know() {
    let mut world = World::shop();
    let bank = EntityId::new(EntityKind::External, "bank");
    world.window.topology.connect(service("orders"), bank.clone(), EdgeKind::Calls);
    for line in [
        "call to bank timed out",
        "bank answered 429 too many requests",
        "connect to bank: connection refused",
    ] {
        let (system, fault, _) = of_orders(&world, line);
        assert_eq!((system, fault), (bank.clone(), FaultType::Dependency), "{line}");
    }
    let accused = seen("call_errors", 5.0, "service/orders says: bank answered 429 too many requests");
    let diagnosis = diagnosed(&world, vec![(bank.clone(), vec![accused])]);
    assert_eq!((&first(&diagnosis).system, first(&diagnosis).fault), (&bank, FaultType::Dependency));
    assert_eq!(diagnosis.status, DiagnosisStatus::Diagnosed, "nothing of it is ours to instrument");
}

#[test]
fn what_callers_say_of_the_suspect_is_read_like_lines_of_theirs() {
    let world = World::shop();
    for (said, fault) in [
        ("service/orders says: lookup of inventory failed: no such host", FaultType::Network),
        ("service/orders says: certificate has expired", FaultType::Config),
        ("service/orders says: call to inventory timed out", FaultType::Network),
        ("service/orders says: connection refused", FaultType::Dependency),
    ] {
        let diagnosis = diagnosed(&world, vec![(service("inventory"), vec![seen("call_errors", 5.0, said)])]);
        let h = first(&diagnosis);
        assert_eq!((&h.system, h.fault), (&service("inventory"), fault), "{said}");
    }
}

#[test]
fn a_processor_that_is_a_little_busier_explains_no_flood_of_errors() {
    let world = World::shop();
    let busy = |strength: f64| {
        let observations =
            vec![seen("cpu", strength, "cpu rose"), seen("log_errors", 6.0, "cannot place the order")];
        first(&diagnosed(&world, vec![(service("orders"), observations)])).fault
    };
    assert_eq!(busy(0.8), FaultType::Code);
    assert_eq!(busy(5.0), FaultType::ResourceExhaustion, "what is busy fails");
}

#[test]
fn a_full_queue_is_load_only_where_more_is_asked_for() {
    let line = "request queue full, rejecting request";
    let told = of_orders(&World::shop(), line);
    assert_eq!((told.1, told.2.as_deref()), (FaultType::ResourceExhaustion, Some("queue")));
    let asked = vec![seen("load", 1.0, "more is asked for"), seen("log_errors", 5.0, line)];
    let diagnosis = diagnosed(&World::shop(), vec![(service("orders"), asked)]);
    assert_eq!(first(&diagnosis).fault, FaultType::Load);
}

#[test]
fn load_of_a_tenant_is_an_attack_where_what_came_is_refused() {
    let world = World::shop();
    let tenant = EntityId::new(EntityKind::Tenant, "acme");
    let told = |others: Vec<(EntityId, Vec<Observation>)>| {
        let mut suspects = vec![(tenant.clone(), vec![seen("load", 3.0, "20 times as many requests")])];
        suspects.extend(others);
        let diagnosis = diagnosed(&world, suspects);
        assert_eq!(diagnosis.status, DiagnosisStatus::Diagnosed, "a tenant has no telemetry to lose");
        let h = first(&diagnosis);
        assert_eq!(h.system, tenant);
        (h.fault, h.mechanism.clone().unwrap_or_default())
    };
    assert_eq!(told(vec![]), (FaultType::Load, mechanism::TENANT_LOAD.to_owned()));
    let refusals = vec![seen("log_errors", 1.0, "authentication failed for subject * from *")];
    assert_eq!(told(vec![(service("gateway"), refusals)]).0, FaultType::Security);
}

#[test]
fn the_same_sign_means_another_thing_on_another_kind_of_system() {
    let world = World::shop();
    let slow = || vec![seen("self_time", 3.0, "query: own time 350 ms more")];
    for (kind, fault) in [
        (EntityKind::Service, FaultType::Network),
        (EntityKind::Database, FaultType::ResourceExhaustion),
        (EntityKind::Cache, FaultType::ResourceExhaustion),
        (EntityKind::External, FaultType::Dependency),
        (EntityKind::Node, FaultType::Hardware),
    ] {
        let diagnosis = diagnosed(&world, vec![(EntityId::new(kind, "it"), slow())]);
        assert_eq!(first(&diagnosis).fault, fault, "{kind}");
    }
    let between = vec![seen("call_time", 3.0, "orders to it: 350 ms more between them")];
    let database = EntityId::new(EntityKind::Database, "it");
    assert_eq!(first(&diagnosed(&world, vec![(database, between)])).fault, FaultType::Network);
}

#[test]
fn a_store_whose_processor_is_used_up_does_not_wait_for_what_nothing_measures() {
    let waits = |cpu: f64| {
        let seen = vec![seen("self_time", 3.0, "query: own time 350 ms more"), seen("cpu", cpu, "cpu rose")];
        let diagnosis = diagnosed(&World::shop(), vec![(EntityId::new(EntityKind::Database, "it"), seen)]);
        diagnosis.hypotheses.iter().any(|h| h.mechanism.as_deref() == Some("waiting"))
    };
    assert!(waits(0.6), "a little busier");
    assert!(!waits(2.5));
}

#[test]
fn one_slow_copy_is_slow_work_of_the_program_whatever_its_callers_say() {
    let seen = vec![
        seen("copy_time", 1.5, "serve: own time of one of 3 copies 600 ms more than 20 ms"),
        seen("call_errors", 5.0, "gateway says: call to orders timed out after * ms: 40 lines"),
    ];
    let mut world = World::shop();
    world.slow("orders", 40);
    let diagnosis = diagnosed(&world, vec![(service("orders"), seen)]);
    let h = first(&diagnosis);
    assert_eq!(
        (h.fault, h.mechanism.as_deref()),
        (FaultType::Code, Some(mechanism::SLOW_WORK)),
        "{diagnosis:#?}"
    );
}

#[test]
fn what_was_rolled_out_moments_before_explains_what_is_used_since() {
    let used = || {
        vec![
            seen("cpu", 2.5, "cpu rose"),
            seen("memory", 2.5, "memory rose"),
            seen("self_time", 1.0, "own time 100 ms more"),
        ]
    };
    let told = |second: i64, kind: ChangeKind, of: &str| {
        let mut world = World::shop();
        let change = Change::new("d1", at(second), kind, service(of), "version 7");
        world.changed(change.with_revision(Revision::new(Some("v6".into()), "v7")));
        let diagnosis = diagnosed(&world, vec![(service("orders"), used())]);
        let h = first(&diagnosis);
        (h.fault, h.change.is_some())
    };
    assert_eq!(told(38, ChangeKind::Deployment, "orders"), (FaultType::Code, true));
    assert_eq!(told(38, ChangeKind::ConfigRollout, "orders"), (FaultType::Config, true));
    assert_eq!(told(38, ChangeKind::Deployment, "worker"), (FaultType::ResourceExhaustion, false));
    assert_eq!(told(45, ChangeKind::Deployment, "orders").0, FaultType::ResourceExhaustion, "it came after");
    assert_eq!(told(-1800, ChangeKind::Deployment, "orders").0, FaultType::ResourceExhaustion, "long ago");
}

#[test]
fn somebody_of_ours_who_tells_nothing_is_dark_whoever_is_suspected() {
    let mut world = World::shop();
    let mute = service("mute");
    world.window.topology.connect(service("orders"), mute.clone(), EdgeKind::Calls);
    let missing = |diagnosis: &Diagnosis| match &diagnosis.status {
        DiagnosisStatus::ObservabilityDark { missing } => missing.join("; "),
        other => panic!("{other:?}: {diagnosis:#?}"),
    };
    let line = || vec![seen("log_errors", 5.0, "connect to mute: connection refused")];
    let by_caller = diagnosed(&world, vec![(service("orders"), line())]);
    assert!(missing(&by_caller).contains("service/mute"));
    let accused = vec![seen("call_errors", 5.0, "service/orders says: connection refused")];
    assert!(missing(&diagnosed(&world, vec![(mute.clone(), accused.clone())])).contains("service/mute"));
    // Copies that an orchestrator counts are no telemetry of its own; its own requests are.
    world.series(&mute, "kube_deployment_status_replicas_ready", aiops_core::model::MetricKind::Gauge, 0..60);
    missing(&diagnosed(&world, vec![(mute.clone(), accused.clone())]));
    world.series(&mute, "rate(http_server_requests_total)", aiops_core::model::MetricKind::Rate, 0..60);
    let diagnosis = diagnosed(&world, vec![(mute, accused)]);
    assert_eq!(diagnosis.status, DiagnosisStatus::Diagnosed);
}

#[test]
fn an_answer_about_somebody_who_tells_nothing_is_dark_whoever_is_suspected_more() {
    let mut world = World::shop();
    let mute = service("mute");
    world.window.topology.connect(service("orders"), mute.clone(), EdgeKind::Calls);
    let little =
        ["cpu rose", "cpu of a copy rose", "cpu of another rose", "cpu rose a little", "cpu is higher"];
    let busy = little.map(|text| seen("cpu", 0.3, text)).to_vec();
    let waits = vec![seen("call_time", 1.4, "service/orders says: calls take 80 ms more")];
    let diagnosis = diagnosed(&world, vec![(service("orders"), busy.clone()), (mute.clone(), waits.clone())]);
    assert_eq!(first(&diagnosis).system, mute, "{diagnosis:#?}");
    let DiagnosisStatus::ObservabilityDark { missing } = &diagnosis.status else { panic!("{diagnosis:#?}") };
    assert!(missing.iter().any(|m| m.contains("service/mute")), "{missing:?}");
    let diagnosis = diagnosed(&world, vec![(service("orders"), busy), (service("inventory"), waits)]);
    assert_eq!(first(&diagnosis).system, service("inventory"));
    assert!(!matches!(diagnosis.status, DiagnosisStatus::ObservabilityDark { .. }), "{diagnosis:#?}");
}

#[test]
fn a_machine_that_is_gone_tells_nothing_because_it_is_gone() {
    let told = |up: f64, what: &str| {
        let mut world = World::shop();
        let node = EntityId::new(EntityKind::Node, "node-a");
        world.node("orders-1", "node-a");
        world.deviates(&node, SeriesKey::new(what), MetricKind::Gauge, Shape::LevelShiftDown, 40, 1.0, up);
        diagnosed(&world, vec![(node, vec![seen("liveness", 3.0, "up fell from 1 to 0")])])
    };
    let gone = told(0.0, "up");
    assert_eq!((gone.status.clone(), first(&gone).fault), (DiagnosisStatus::Diagnosed, FaultType::Hardware));
    for dark in [told(0.5, "up"), told(0.0, "kube_node_spec_pods")] {
        assert!(matches!(dark.status, DiagnosisStatus::ObservabilityDark { .. }), "{dark:#?}");
    }
}

#[test]
fn what_several_on_one_machine_have_no_room_for_is_their_machines_disk() {
    let node = EntityId::new(EntityKind::Node, "node-a");
    let told = |full: bool, together: bool, both: bool| {
        let mut world = World::shop();
        for (copy, on) in
            [("orders-1", "node-a"), ("inventory-1", if together { "node-a" } else { "node-b" })]
        {
            world.node(copy, on);
        }
        let (key, shape) = (SeriesKey::new("node_filesystem_avail_bytes"), Shape::LevelShiftDown);
        world.deviates(&node, key, MetricKind::Gauge, shape, 40, 1.0, if full { 0.0 } else { 1.0 });
        let line = || vec![seen("log_errors", 5.0, "write of * bytes failed: no space left on device")];
        let other = if both { line() } else { vec![seen("log_errors", 5.0, "cannot reserve an item")] };
        let diagnosis = diagnosed(&world, vec![(service("orders"), line()), (service("inventory"), other)]);
        let h = first(&diagnosis);
        (h.system.clone(), h.fault, h.mechanism.clone().unwrap_or_default())
    };
    assert_eq!(told(true, true, true), (node.clone(), FaultType::ResourceExhaustion, "disk".to_owned()));
    for (full, together, both) in [(false, true, true), (true, false, true), (true, true, false)] {
        assert_ne!(told(full, together, both).0, node, "{full} {together} {both}");
    }
}

#[test]
fn a_change_that_is_blamed_can_be_undone_without_seeing_what_it_broke() {
    let mut world = World::shop();
    let mute = service("mute");
    world.window.topology.connect(service("orders"), mute.clone(), EdgeKind::Calls);
    let change = Change::new("d1", at(38), ChangeKind::Deployment, mute.clone(), "version 7");
    world.changed(change.with_revision(Revision::new(Some("v6".into()), "v7")));
    let accused = vec![seen("call_errors", 5.0, "service/orders says: connection refused")];
    let diagnosis = diagnosed(&world, vec![(mute, accused)]);
    assert_eq!(diagnosis.status, DiagnosisStatus::Diagnosed, "{diagnosis:#?}");
    assert!(first(&diagnosis).change.is_some());
}

#[test]
fn a_machine_whose_disk_takes_longer_is_broken_and_one_whose_disk_fills_is_full() {
    let told = |name: &str, rises: bool| {
        let mut world = World::shop();
        let node = EntityId::new(EntityKind::Node, "node-a");
        world.node("orders-1", "node-a");
        let shape = if rises {
            aiops_core::model::Shape::LevelShiftUp
        } else {
            aiops_core::model::Shape::LevelShiftDown
        };
        let key = aiops_core::model::SeriesKey::new(name);
        let (before, now) = if rises { (0.01, 0.9) } else { (0.9, 0.01) };
        world.deviates(&node, key, aiops_core::model::MetricKind::Gauge, shape, 40, before, now);
        let moved = format!("rate({name}) of the disk moved");
        let diagnosis = diagnosed(&world, vec![(node, vec![seen("resource", 3.0, &moved)])]);
        first(&diagnosis).fault
    };
    assert_eq!(told("rate(node_disk_io_time_seconds_total)", true), FaultType::Hardware);
    assert_eq!(told("node_filesystem_avail_bytes", false), FaultType::ResourceExhaustion);
}

#[test]
fn a_moment_is_longer_than_none() {
    let mut config = aiops_rca::RuleRcaConfig::default();
    config.changes.moment = Duration::ZERO;
    assert!(config.validate().is_err());
    let mut config = aiops_rca::RuleRcaConfig::default();
    config.observed.commensurate = 1.5;
    assert!(config.validate().is_err());
}

#[test]
fn mechanisms_of_one_kind_are_no_rivals() {
    let world = World::shop();
    let sure = |observations: Vec<Observation>| {
        let diagnosis = diagnosed(&world, vec![(service("orders"), observations)]);
        let h = first(&diagnosis);
        assert_eq!(h.fault, FaultType::ResourceExhaustion);
        h.confidence.probability()
    };
    let alone = sure(vec![seen("log_errors", 3.0, "java.lang.OutOfMemoryError")]);
    let also = || {
        vec![
            seen("log_errors", 3.0, "java.lang.OutOfMemoryError"),
            seen("log_errors", 2.0, "too many open files"),
        ]
    };
    assert!((sure(also()) - alone).abs() < 1e-12);
    let rival = sure(also().into_iter().chain([seen("log_errors", 2.0, "panicked at")]).collect());
    assert!(rival < alone, "{rival} {alone}");
}

#[test]
fn more_calls_for_each_request_are_other_work_and_the_rest_is_its_effect() {
    let world = World::shop();
    let observations = vec![
        seen("calls_more", 2.0, "12 times as many calls to store for each request"),
        seen("cpu", 2.5, "cpu rose"),
        seen("self_time", 3.0, "own time 100 ms more"),
    ];
    let diagnosis = diagnosed(&world, vec![(service("orders"), observations)]);
    assert_eq!(first(&diagnosis).fault, FaultType::Code);
}

#[test]
fn who_says_how_a_call_failed_tells_what_others_only_count() {
    let world = World::shop();
    let observations = vec![
        seen("call_errors", 5.0, "service/orders says: 12 calls without an answer"),
        seen("call_errors", 4.0, "service/orders says: lookup of inventory: no such host"),
    ];
    let diagnosis = diagnosed(&world, vec![(service("inventory"), observations)]);
    assert_eq!(first(&diagnosis).fault, FaultType::Network);
}

#[test]
fn that_callers_find_it_failing_is_the_effect_of_what_fails_within_it() {
    let accused = |within: Option<Observation>| {
        let said = seen("call_errors", 2.0, "service/orders says: connect to inventory: connection refused");
        let observations = std::iter::once(said).chain(within).collect();
        first(&diagnosed(&World::shop(), vec![(service("inventory"), observations)])).fault
    };
    assert_eq!(accused(None), FaultType::Dependency);
    assert_eq!(accused(Some(seen("memory", 2.0, "memory rose"))), FaultType::ResourceExhaustion);
    // And so for the one who complains.
    let complains = |within: bool| {
        let mut world = World::shop();
        if within {
            let copy = EntityId::instance("inventory-1");
            let key = aiops_core::model::SeriesKey::new("process_resident_memory_bytes");
            let shape = aiops_core::model::Shape::SteadyIncrease;
            world.deviates(&copy, key, aiops_core::model::MetricKind::Gauge, shape, 38, 1e8, 5e8);
        }
        let line = seen("log_errors", 5.0, "connect to inventory: connection refused");
        let diagnosis = diagnosed(&world, vec![(service("orders"), vec![line])]);
        first(&diagnosis).confidence.probability()
    };
    assert!(complains(true) < complains(false));
}

#[test]
fn a_caller_that_was_set_anew_moments_before_is_the_reason_of_its_own_refusals() {
    let line = "inventory answered * to request *";
    let told = |world: &World| {
        let said = format!("service/orders says: {line}");
        let suspects = vec![
            (service("inventory"), vec![seen("call_errors", 5.0, &said)]),
            (service("orders"), vec![seen("log_errors", 1.0, line)]),
        ];
        let diagnosis = diagnosed(world, suspects);
        let h = first(&diagnosis);
        (h.system.clone(), h.fault, h.change.is_some())
    };
    let changed = |second: i64| {
        let mut world = World::shop();
        let change = Change::new("d1", at(second), ChangeKind::ConfigRollout, service("orders"), "version 7");
        world.changed(change.with_revision(Revision::new(Some("v6".into()), "v7")));
        world
    };
    let accused = (service("inventory"), FaultType::Dependency, false);
    assert_eq!(told(&World::shop()), accused, "nothing was changed");
    assert_eq!(told(&changed(38)), (service("orders"), FaultType::Config, true));
    assert_eq!(told(&changed(-1200)).0, accused.0, "long ago");
    let mut unwell = changed(38);
    unwell.slow("inventory", 41);
    assert_eq!(told(&unwell).0, accused.0, "it is unwell by its own account");
    // Somebody else is failed as well, and was not changed.
    let mut others = changed(38);
    others.calls("worker", "inventory");
    let key = SeriesKey::new("rate(http_client_requests_total)").with("peer_service", "inventory");
    let key = key.with("code", "500");
    let copy = EntityId::instance("worker-1");
    others.deviates(&copy, key, MetricKind::Rate, Shape::LevelShiftUp, 41, 0.0, 9.0);
    assert_eq!(told(&others).0, accused.0, "it fails others too");
}
