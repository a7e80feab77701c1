//! Past incidents that look alike.

use aiops_core::action::{
    Action, ActionKind, ActionOutcome, BlastRadius, Fence, IdempotencyKey, IncidentId, Mode,
};
use aiops_core::action::{Operation, Share};
use aiops_core::model::{FaultType, MetricKind, Recovery, RecoveryReport, Severity, Shape};
use aiops_core::{Case, CasePart, CaseStatus, ErrorKind};
use aiops_rca::{IncidentMemory, MemoryConfig, MetricRoles};

use crate::world::{END, World, at, rca, service};

fn memory_leak(of: &str) -> World {
    let mut world = World::shop();
    world.both(of, "process_resident_memory_bytes", MetricKind::Gauge, Shape::SteadyIncrease, 20, 2e7, 9e7);
    world.slow(of, 40);
    world
}

fn pool(of: &str) -> World {
    let mut world = World::shop();
    world.both(of, "db_pool_pending_requests", MetricKind::Gauge, Shape::LevelShiftUp, 40, 0.0, 30.0);
    world.slow(of, 41);
    world
}

fn open(id: &str, world: &World) -> Case {
    let mut case = Case::open(IncidentId::new(id), at(END), Mode::Auto);
    let (seen, ranking) = world.ranked();
    case.observe(at(END), seen.window().unwrap().clone());
    case.detect(at(END), seen.anomalies().iter().map(|c| c.anomaly.clone()).collect());
    case.localize(at(END), ranking);
    let diagnosis = rca().analyze(&case).unwrap();
    case.push(at(END), CasePart::Diagnosed(diagnosis));
    case
}

/// Healed by a rolling restart of `of`.
fn healed(id: &str, of: &str, world: &World) -> Case {
    let mut case = open(id, world);
    let radius = BlastRadius { replicas: 2, share_of_fleet: Share::new(0.2).unwrap() };
    let operation = Operation::RollingRestart { max_unavailable: 1, max_surge: 0 };
    let receipt = serde_json::json!({
        "key": IdempotencyKey::new("k1"), "fence": Fence(1), "action": Action::new(operation, service(of), radius),
        "started_at": at(61), "finished_at": at(62), "outcome": ActionOutcome::Completed,
    });
    case.act(serde_json::from_value(receipt).unwrap());
    let mut report = RecoveryReport::from_checks(at(90), Vec::new());
    report.recovery = Recovery::Recovered;
    case.push(at(90), CasePart::Verified(report));
    case.push(at(91), CasePart::Closed(CaseStatus::Recovered));
    case
}

fn memory() -> IncidentMemory {
    IncidentMemory::new(MetricRoles::default(), MemoryConfig::default()).unwrap()
}

#[test]
fn the_same_trouble_is_known_with_what_helped() {
    let mut memory = memory();
    assert!(memory.remember(&healed("leak", "orders", &memory_leak("orders"))));
    assert!(memory.remember(&healed("pool", "inventory", &pool("inventory"))));
    let triage = memory.triage(&open("now", &memory_leak("orders")), 5);
    assert!(triage.known, "{triage:#?}");
    assert_eq!(triage.remedy, Some((ActionKind::RollingRestart, service("orders"))));
    assert_eq!(
        (triage.fault, triage.severity),
        (Some(FaultType::ResourceExhaustion), Some(Severity::Warning))
    );
    assert_eq!(triage.similar[0].incident.id, IncidentId::new("leak"));
    assert!((triage.similar[0].similarity - 1.0).abs() < 1e-12);
    assert!(triage.similar[1].similarity < 0.6, "{:?}", triage.similar[1].similarity);
}

#[test]
fn the_same_trouble_elsewhere_is_alike_and_less_so() {
    let mut memory = memory();
    memory.remember(&healed("here", "orders", &memory_leak("orders")));
    let elsewhere = memory.similar(&open("now", &memory_leak("inventory")), 1)[0].similarity;
    let other = memory.similar(&open("now", &pool("orders")), 1)[0].similarity;
    assert!(other < elsewhere && elsewhere < 1.0, "{other} {elsewhere}");
}

#[test]
fn what_was_never_seen_or_never_healed_is_novel() {
    let mut memory = memory();
    assert!(!memory.triage(&open("now", &pool("orders")), 5).known);
    let mut unhealed = open("before", &pool("orders"));
    assert!(!memory.remember(&unhealed), "an open case is not over");
    unhealed.push(at(90), CasePart::Closed(CaseStatus::Escalated { reason: "no remedy".into() }));
    assert!(memory.remember(&unhealed));
    let triage = memory.triage(&open("now", &pool("orders")), 5);
    assert!(!triage.known && triage.remedy.is_none() && triage.similar.len() == 1);
    assert!(!memory.remember(&healed("quiet", "orders", &World::shop())), "nothing was seen");
}

#[test]
fn it_is_bounded_stored_and_checked_when_read() {
    let mut config = MemoryConfig::default();
    config.capacity = 2;
    let mut small = IncidentMemory::new(MetricRoles::default(), config.clone()).unwrap();
    for id in ["a", "b", "c", "c"] {
        small.remember(&healed(id, "orders", &memory_leak("orders")));
    }
    let kept = |m: &IncidentMemory| -> Vec<String> {
        m.similar(&open("now", &memory_leak("orders")), 9).iter().map(|s| s.incident.id.to_string()).collect()
    };
    assert_eq!((small.len(), kept(&small)), (2, vec!["b".to_owned(), "c".to_owned()]));
    let json = small.to_json().unwrap();
    let read = |json: &[u8]| IncidentMemory::from_json(json, MetricRoles::default(), config.clone());
    assert_eq!(kept(&read(&json).unwrap()), kept(&small));
    assert_eq!(read(b"{}").unwrap_err().kind(), ErrorKind::Malformed);
    let other = String::from_utf8(json).unwrap().replacen("\"version\":1", "\"version\":9", 1);
    assert_eq!(read(other.as_bytes()).unwrap_err().kind(), ErrorKind::Unsupported);
    config.capacity = 0;
    assert!(IncidentMemory::new(MetricRoles::default(), config).is_err());
}
