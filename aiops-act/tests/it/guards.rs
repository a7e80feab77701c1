//! Guards that judge the proposal and the target.

use std::collections::BTreeMap;

use aiops_act::guards::{
    BandsConfig, BlastRadiusCap, BlastRadiusConfig, ConfidenceBands, HardRules, RiskTiers, RollbackRequired,
    TiersConfig,
};
use aiops_core::action::{Action, ActionKind, Operation, Proposal, Risk, RollbackPlan, Verdict};
use aiops_core::model::{Confidence, EntityId, EntityKind};
use aiops_core::seam::Guardrail;

use crate::support::{
    World, action, allowed, asks, back_to, judge, orders, preview, propose, radius, refused, restart,
    restart_of, rollback_of, secs, sure, undoing,
};

fn with_confidence(probability: f64) -> Proposal {
    let mut proposal = propose("p", "inc", restart_of(orders()));
    proposal.confidence = sure(probability);
    proposal
}

fn notifies(verdict: &Verdict) -> Option<bool> {
    if let Verdict::Allow { notify, .. } = verdict { Some(*notify) } else { None }
}

#[test]
fn the_thresholds_of_confidence_are_in_the_middle_band() {
    let said = |p| judge(&ConfidenceBands::default(), &with_confidence(p), &preview(2, 10));
    for p in [0.0, 0.3, 0.65_f64.next_down()] {
        assert!(refused(&said(p)), "{p}");
    }
    for p in [0.65, 0.65_f64.next_up(), 0.75, 0.85_f64.next_down(), 0.85] {
        assert_eq!(notifies(&said(p)), Some(true), "{p}");
    }
    for p in [0.85_f64.next_up(), 1.0] {
        assert_eq!(notifies(&said(p)), Some(false), "{p}");
    }
    assert!(Confidence::calibrated(f64::NAN, "t").is_err(), "no NaN ever reaches the guard");
}

#[test]
fn bands_may_differ_by_kind_of_action() {
    let strict = BandsConfig { escalate_below: 1.0, silent_above: 1.0 };
    let by_kind: BTreeMap<_, _> = [(ActionKind::RollingRestart, strict)].into();
    let bands = ConfidenceBands::new(BandsConfig::default(), by_kind).unwrap();
    assert!(refused(&judge(&bands, &with_confidence(0.99), &preview(2, 10))));
    assert_eq!(notifies(&judge(&bands, &with_confidence(1.0), &preview(2, 10))), Some(true));
    let mut other = with_confidence(0.9);
    other.action = rollback_of(orders());
    assert_eq!(notifies(&judge(&bands, &other, &preview(2, 10))), Some(false));
}

fn tier(tiers: &RiskTiers, action: Action) -> Verdict {
    judge(tiers, &propose("p", "inc", action), &preview(2, 10))
}

fn wait_of(verdict: &Verdict) -> Option<std::time::Duration> {
    if let Verdict::NeedsApproval { wait, .. } = verdict { Some(*wait) } else { None }
}

#[test]
fn low_runs_alone_and_everything_else_asks_for_five_minutes() {
    let tiers = RiskTiers::default();
    for low in [restart(), Operation::CachePurge, Operation::LogRotation, Operation::Scale { replicas: 1 }] {
        assert!(allowed(&tier(&tiers, action(low, orders()))));
    }
    let asking = [
        (back_to("r1"), "medium risk"),
        (Operation::Concurrency { limit: 5 }, "medium risk"),
        (Operation::Cordon, "high risk"),
        (Operation::Drain, "high risk"),
        (Operation::Stop, "high risk"),
        (Operation::Scale { replicas: 0 }, "high risk"),
    ];
    for (operation, reason) in asking {
        let said = tier(&tiers, action(operation.clone(), orders()));
        assert_eq!((wait_of(&said), said.reason()), (Some(secs(300)), reason), "{operation:?}");
    }
}

#[test]
fn a_class_never_lowers_what_is_high_or_what_an_action_declares() {
    for kind in [ActionKind::Cordon, ActionKind::Drain, ActionKind::Stop, ActionKind::Custom] {
        for class in [Risk::Low, Risk::Medium] {
            let config = TiersConfig { classes: [(kind, class)].into(), ..TiersConfig::default() };
            let error = RiskTiers::new(config).unwrap_err().to_string();
            assert!(error.contains("classes") && error.contains(kind.as_str()), "{error}");
        }
    }
    let classes = [(ActionKind::Rollback, Risk::Low), (ActionKind::Scale, Risk::Low)].into();
    let tiers = RiskTiers::new(TiersConfig { classes, ..TiersConfig::default() }).unwrap();
    assert!(allowed(&tier(&tiers, rollback_of(orders()))), "medium may be lowered");
    assert!(asks(&tier(&tiers, action(Operation::Scale { replicas: 0 }, orders()))), "stopping stays high");
    // Even where the declared risk is just the default of the kind.
    for declared in [Risk::Medium, Risk::High] {
        let mut raised = rollback_of(orders());
        raised.raised_risk = Some(declared);
        assert_eq!(tier(&tiers, raised).reason(), format!("{declared} risk"));
    }
    let mut declared_low = action(Operation::Stop, orders());
    declared_low.raised_risk = Some(Risk::Low);
    assert!(asks(&tier(&RiskTiers::default(), declared_low)));
}

#[test]
fn a_class_can_raise_and_the_wait_is_configured() {
    let classes = [(ActionKind::RollingRestart, Risk::High)].into();
    let tiers = RiskTiers::new(TiersConfig { classes, wait: secs(60) }).unwrap();
    assert_eq!(wait_of(&tier(&tiers, restart_of(orders()))), Some(secs(60)));
}

#[test]
fn databases_networks_and_volumes_are_always_for_a_person() {
    for kind in [EntityKind::Database, EntityKind::Network, EntityKind::Volume] {
        let said = tier(&RiskTiers::default(), restart_of(EntityId::new(kind, "x")));
        assert_eq!(said.reason(), "high risk", "{kind}");
    }
}

#[test]
fn an_action_is_as_risky_as_its_way_back() {
    // Otherwise a harmless restart would carry an unasked stop with it: undoing is not asked about again.
    for (back, reason) in [
        (Operation::Stop, "high risk"),
        (Operation::Scale { replicas: 0 }, "high risk"),
        (back_to("r0"), "medium risk"),
    ] {
        let trojan = action(restart(), orders()).with_rollback(RollbackPlan::Operation(Box::new(back)));
        assert_eq!(tier(&RiskTiers::default(), trojan).reason(), reason);
    }
}

#[test]
fn consent_covers_the_undoing() {
    let world = World::new();
    let done = propose("p", "inc", rollback_of(orders()));
    world.done(&done, None);
    let mut unsure = undoing(&done);
    unsure.confidence = sure(0.1);
    for guard in [&RiskTiers::default() as &dyn Guardrail, &ConfidenceBands::default(), &RollbackRequired] {
        assert!(allowed(&world.judge(guard, &unsure)), "{guard:?}");
    }
    let mut forged = unsure;
    forged.action.operation = back_to("r0");
    assert!(asks(&world.judge(&RiskTiers::default(), &forged)));
    assert!(refused(&world.judge(&ConfidenceBands::default(), &forged)));
    assert!(asks(&world.judge(&RollbackRequired, &forged)));
}

fn rollback_says(action: Action) -> Verdict {
    judge(&RollbackRequired, &propose("p", "inc", action), &preview(2, 10))
}

#[test]
fn what_cannot_be_undone_is_for_a_person() {
    assert!(allowed(&rollback_says(rollback_of(orders()))));
    assert!(allowed(&rollback_says(restart_of(orders()))));
    assert!(asks(&rollback_says(action(restart(), orders()))), "a new action cannot be undone");
    let claims = |operation, reason: &str| {
        let plan = RollbackPlan::NotNeeded { reason: reason.to_owned() };
        rollback_says(action(operation, orders()).with_rollback(plan))
    };
    assert!(asks(&claims(restart(), "")), "no reason");
    assert!(asks(&claims(restart(), " \n")), "a blank reason");
    assert!(asks(&claims(back_to("r1"), "trust me")), "not of low risk");
    assert!(asks(&claims(Operation::Stop, "trust me")), "not of low risk");
    let itself =
        action(back_to("r1"), orders()).with_rollback(RollbackPlan::Operation(Box::new(back_to("r1"))));
    assert!(asks(&rollback_says(itself)), "doing it again is no way back");
}

fn cap() -> BlastRadiusCap {
    BlastRadiusCap::new(BlastRadiusConfig { replicas: 10, share_of_fleet: 0.34 }).unwrap()
}

fn blast(operation: Operation, declared: (u32, f64), real: (u32, u32)) -> Verdict {
    let action = Action::new(operation, orders(), radius(declared.0, declared.1));
    judge(&cap(), &propose("p", "inc", action), &preview(real.0, real.1))
}

#[test]
fn the_larger_of_declared_and_real_is_capped() {
    assert!(allowed(&blast(restart(), (1, 0.0), (10, 100))), "exactly at the cap");
    assert!(refused(&blast(restart(), (1, 0.0), (11, 100))), "really more than declared");
    assert!(refused(&blast(restart(), (11, 0.0), (1, 100))), "declared more than real");
    assert!(allowed(&blast(restart(), (1, 0.34), (1, 100))), "exactly at the share");
    assert!(refused(&blast(restart(), (1, 0.35), (1, 100))));
    assert!(refused(&blast(restart(), (1, 0.0), (2, 5))), "40 % of the fleet");
    assert!(refused(&blast(restart(), (1, 0.0), (1, 0))), "more copies than the fleet is said to have");
}

#[test]
fn scaling_touches_the_difference() {
    let scale = |replicas| Operation::Scale { replicas };
    assert!(allowed(&blast(scale(31), (1, 0.0), (30, 100))));
    assert!(allowed(&blast(scale(20), (1, 0.0), (30, 100))));
    assert!(refused(&blast(scale(19), (1, 0.0), (30, 100))));
    assert!(refused(&blast(scale(u32::MAX), (1, 0.0), (1, 100))));
    assert!(refused(&blast(scale(0), (1, 0.0), (30, 100))));
    assert!(refused(&blast(scale(5), (11, 0.0), (4, 100))), "the declared radius counts as well");
}

#[test]
fn what_cannot_be_told_asks_and_what_is_known_to_be_too_much_is_denied() {
    let said = |declared: (u32, f64), replicas, fleet| {
        let action = Action::new(restart(), orders(), radius(declared.0, declared.1));
        let mut preview = preview(1, 100);
        (preview.target.replicas, preview.target.fleet) = (replicas, fleet);
        judge(&cap(), &propose("p", "inc", action), &preview)
    };
    assert!(asks(&said((1, 0.1), None, None)));
    assert!(asks(&said((1, 0.1), Some(1), None)));
    assert!(asks(&said((1, 0.1), None, Some(100))));
    assert!(refused(&said((11, 0.1), None, None)), "by what it declares itself");
    assert!(refused(&said((1, 0.9), None, Some(100))));
    assert!(refused(&said((1, 0.1), Some(11), None)));
    assert!(refused(&said((4, 0.1), None, Some(10))));
}

#[test]
fn undoing_is_capped_as_well() {
    let world = World::new();
    let done = propose("p", "inc", rollback_of(orders()));
    world.done(&done, None);
    let tight = BlastRadiusCap::new(BlastRadiusConfig { replicas: 3, share_of_fleet: 1.0 }).unwrap();
    assert!(refused(&world.judge(&tight, &undoing(&done))), "4 copies are touched");
}

#[test]
fn no_database_goes_down_before_its_replication_was_checked() {
    let says = |operation, kind, healthy| {
        let mut preview = preview(1, 10);
        preview.target.replication_healthy = healthy;
        judge(&HardRules, &propose("p", "inc", action(operation, EntityId::new(kind, "x"))), &preview)
    };
    let down =
        [restart(), back_to("r1"), Operation::Drain, Operation::Stop, Operation::Scale { replicas: 0 }];
    for operation in down {
        assert!(allowed(&says(operation.clone(), EntityKind::Database, Some(true))));
        assert!(refused(&says(operation.clone(), EntityKind::Database, Some(false))));
        assert!(refused(&says(operation.clone(), EntityKind::Database, None)), "not checked is not healthy");
        assert!(allowed(&says(operation, EntityKind::Service, None)));
    }
    assert!(allowed(&says(Operation::LogRotation, EntityKind::Database, None)));
    assert!(allowed(&says(Operation::Scale { replicas: 3 }, EntityKind::Database, None)));
}
