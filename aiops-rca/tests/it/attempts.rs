use aiops_core::action::{
    Action, ActionOutcome, BlastRadius, Fence, IdempotencyKey, Operation, ReceiptRecord, RollbackPlan, Share,
};
use aiops_core::model::{
    CausalGround, CausalStanding, Change, ChangeKind, EntityId, EvidenceKind, FaultType, MetricKind,
    Observation, Ranking, Recovery, RecoveryReport, SeriesKey, Shape, Signal, SignalCheck, Suspect,
};
use aiops_core::{Case, CasePart};

use crate::world::{World, at, rca, service};

/// Receipts have no public constructor: they are read as a case file holds them.
fn receipt(operation: Operation, target: EntityId) -> ReceiptRecord {
    let radius = BlastRadius { replicas: 2, share_of_fleet: Share::new(0.2).unwrap() };
    let json = serde_json::json!({
        "key": IdempotencyKey::new("k1"),
        "fence": Fence(1),
        "action": Action::new(operation, target, radius),
        "started_at": at(61),
        "finished_at": at(62),
        "outcome": ActionOutcome::Completed,
    });
    serde_json::from_value(json).unwrap()
}

pub(crate) fn tried(case: &mut Case, operation: Operation, target: EntityId, recovery: Recovery) {
    case.act(receipt(operation, target));
    let mut report = RecoveryReport::from_checks(at(90), Vec::new());
    report.recovery = recovery;
    case.push(at(90), CasePart::Verified(report));
}

fn crashing() -> World {
    let mut world = World::shop();
    for copy in ["orders-1", "orders-2"] {
        let id = EntityId::instance(copy);
        world.deviates(
            &id,
            SeriesKey::new("rate(container_restarts_total)"),
            MetricKind::Rate,
            Shape::LevelShiftUp,
            40,
            0.0,
            0.2,
        );
        world.deviates(
            &id,
            SeriesKey::new("process_resident_memory_bytes"),
            MetricKind::Gauge,
            Shape::SteadyIncrease,
            38,
            2e7,
            9e7,
        );
    }
    world
}

pub(crate) fn restart() -> Operation {
    Operation::RollingRestart { max_unavailable: 1, max_surge: 0 }
}

#[test]
fn a_restart_that_did_not_help_speaks_against_transient_causes() {
    let (mut case, _) = crashing().ranked();
    let before = rca().analyze(&case).unwrap();
    assert_eq!(before.cause().unwrap().mechanism.as_deref(), Some("memory"), "{before:#?}");
    tried(&mut case, restart(), service("orders"), Recovery::NotRecovered);
    let after = rca().analyze(&case).unwrap();
    let cause = after.cause().unwrap();
    assert_eq!(
        (cause.fault, cause.mechanism.as_deref()),
        (FaultType::Code, Some("crash loop")),
        "{after:#?}"
    );
    let cited = |id: &aiops_core::model::EvidenceId| case.cited(id).unwrap().kind == EvidenceKind::Attempt;
    assert!(cause.citations.iter().any(cited));
    assert!(
        after
            .null_findings
            .iter()
            .any(|n| n.statement.contains("attempt-1") && n.statement.contains("did not help"))
    );
}

#[test]
fn what_was_tried_is_a_test_of_the_cause() {
    for (recovery, passed) in [(Recovery::NotRecovered, false), (Recovery::Recovered, true)] {
        let (mut case, _) = crashing().ranked();
        tried(&mut case, restart(), service("orders"), recovery);
        let after = rca().analyze(&case).unwrap();
        let leak = after.hypotheses.iter().find(|h| h.mechanism.as_deref() == Some("memory")).unwrap();
        let test = leak.causal_tests.iter().find(|t| t.ground == CausalGround::Intervention).unwrap();
        assert_eq!(test.passed, passed, "{leak:#?}");
        let standing = if passed { CausalStanding::Demonstrated } else { CausalStanding::Correlation };
        assert_eq!(leak.causal_standing(), standing);
    }
}

#[test]
fn a_relapse_counts_like_no_help() {
    let (mut case, _) = crashing().ranked();
    tried(&mut case, restart(), service("orders"), Recovery::Recovered);
    let after = rca().analyze(&case).unwrap();
    assert_eq!(after.cause().unwrap().mechanism.as_deref(), Some("crash loop"));
    assert!(after.null_findings.iter().any(|n| n.statement.contains("only for a while")));
}

#[test]
fn what_was_tried_elsewhere_or_could_not_be_judged_changes_nothing() {
    for (target, recovery) in [("gateway", Recovery::NotRecovered), ("orders", Recovery::Inconclusive)] {
        let (mut case, _) = crashing().ranked();
        let before = rca().analyze(&case).unwrap();
        tried(&mut case, restart(), service(target), recovery);
        assert_eq!(rca().analyze(&case).unwrap().hypotheses, before.hypotheses);
    }
}

#[test]
fn a_case_opened_too_early_still_finds_the_roll_out() {
    let rollout = || {
        Change::new(
            "deploy-1",
            at(55),
            ChangeKind::ConfigRollout,
            service("inventory"),
            "pool_size from 16 to 1",
        )
    };
    let loud = "rate(http_server_requests_total)";
    // A flushed cache sends more to inventory, and somebody at the gateway feels it.
    let mut early = World::shop();
    early.both("inventory", loud, MetricKind::Rate, Shape::LevelShiftUp, 50, 1.0, 12.0);
    early.slow("gateway", 51);
    early.changed(rollout());
    let mut case = early.ranked().0;
    tried(&mut case, restart(), service("gateway"), Recovery::NotRecovered);

    let mut later = early.clone();
    let pool = "db_pool_pending_requests";
    later.both("inventory", pool, MetricKind::Gauge, Shape::LevelShiftUp, 57, 0.0, 30.0);
    later.slow("inventory", 58);
    let second = later.ranked().0;
    case.observe(at(91), later.window.clone());
    case.detect(at(91), second.anomalies().iter().map(|c| c.anomaly.clone()).collect());
    let ranking = second.ranking().unwrap().clone();
    case.push(at(91), CasePart::Localized(ranking));
    let diagnosis = rca().analyze(&case).unwrap();
    let change = diagnosis.hypotheses.first().and_then(|h| h.change.as_ref()).map(|c| c.0.as_str());
    assert_eq!(change, Some("deploy-1"), "{diagnosis:#?}");
}

/// What is said of inventory after orders, the more suspected of the two, was treated.
fn after_treating_orders(treatment: &[(Action, &[Recovery])]) -> f64 {
    let mut case = World::shop().detected();
    let suspect = |name: &str, aspect: &str, strength: f64| {
        let mut suspect = Suspect::new(service(name), strength);
        let seen = Observation::new(Signal::Logs, aspect, strength, "out of order").since(at(40));
        suspect.observations = vec![seen];
        suspect
    };
    for (action, checks) in treatment {
        let mut receipt = receipt(restart(), service("orders"));
        receipt.action = action.clone();
        case.act(receipt);
        let check = |(i, recovery): (usize, &Recovery)| SignalCheck {
            entity: service("gateway"),
            what: i.to_string(),
            recovery: *recovery,
            detail: String::new(),
        };
        let checks = checks.iter().enumerate().map(check).collect();
        case.push(at(90), CasePart::Verified(RecoveryReport::from_checks(at(90), checks)));
    }
    let suspects = vec![suspect("orders", "log_errors", 5.0), suspect("inventory", "log_errors", 4.5)];
    case.localize(at(90), Ranking::new(suspects));
    let diagnosis = rca().analyze(&case).unwrap();
    let said = diagnosis.hypotheses.iter().filter(|h| h.system == service("inventory"));
    said.map(|h| h.confidence.probability()).fold(0.0, f64::max)
}

#[test]
fn of_whom_a_treatment_helped_in_part_less_is_left() {
    use Recovery::{NotRecovered, Recovered};
    let restarted = receipt(restart(), service("orders")).action;
    let untreated = after_treating_orders(&[]);
    let share = |treatment: &[(Action, &[Recovery])]| after_treating_orders(treatment) / untreated;
    assert!(share(&[(restarted.clone(), &[Recovered, NotRecovered])]) > 1.4, "some is back");
    for checks in [&[NotRecovered, NotRecovered][..], &[Recovered, Recovered][..], &[][..]] {
        let share = share(&[(restarted.clone(), checks)]);
        assert!((share - 1.0).abs() < 1e-9, "{checks:?}: {share}");
    }
    // What was undone treats nobody.
    let to = |to: &str| Operation::Rollback { to: to.to_owned() };
    let back = RollbackPlan::Operation(Box::new(to("r2")));
    let mut rolled_back = restarted.clone();
    (rolled_back.operation, rolled_back.rollback) = (to("r1"), back);
    let mut forward = restarted;
    forward.operation = to("r2");
    let part: &[Recovery] = &[Recovered, NotRecovered];
    assert!(share(&[(rolled_back.clone(), part)]) > 1.4);
    let undone = share(&[(rolled_back, part), (forward, &[])]);
    assert!((undone - 1.0).abs() < 1e-9, "{undone}");
}
