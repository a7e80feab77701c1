//! What it says, and why.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aiops_act::guards::{BudgetBoard, BudgetSource};
use aiops_act::policy::Effect;
use aiops_cedar::{CedarConfig, CedarGuard};
use aiops_core::action::{
    Action, ActionOutcome, History, JournalEntry, Mode, Operation, Principal, Proposal, ProposalId,
    RollbackPlan, Verdict,
};
use aiops_core::fake::{FixedGuard, InMemoryJournal, InMemoryMitigator, SimulatedWorkload};
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::model::{Confidence, Entity, EntityId};
use aiops_core::seam::Journal;
use aiops_core::{Case, CasePart, Context, Error, ErrorKind, Result};
use aiops_testkit::conformance::{self, GuardrailFixture};
use aiops_testkit::sample;
use async_trait::async_trait;
use futures_lite::future::block_on;

use crate::support::{
    allowed, config, context, groups, guard, hear, instant, judge, noon, preview, propose, radius, refused,
    restart_of, said,
};

const ANY: &str = r#"@id("any") permit (principal, action, resource);"#;

#[test]
fn the_strictest_policy_decides_and_is_named() {
    let guard = guard(
        r#"
        @id("calm") permit (principal, action == Action::"rolling_restart", resource);
        @id("loud") @notify permit (principal, action == Action::"rolling_restart", resource == Service::"orders");
        @id("asked") @ask("10m") permit (principal, action == Action::"rollback", resource);
        @id("asked-soon") @ask("1m") permit (principal, action == Action::"rollback", resource is Service)
        when { context.replicas < 50 };
        @id("never") forbid (principal, action == Action::"rollback", resource == Service::"store");
        @id("not-there-either") @note("nobody knows why") forbid (principal, action == Action::"rollback", resource)
        when { resource.name like "sto*" };
        "#,
    );
    let back = |name: &str| propose(Operation::Rollback { to: "r1".into() }, EntityId::service(name));
    let is = |verdict: Verdict, reason: &str, notify: bool| {
        assert_eq!(verdict, Verdict::Allow { reason: reason.to_owned(), notify });
    };
    is(said(&guard, &restart_of("gateway")), "policy calm", false);
    is(said(&guard, &restart_of("orders")), "policy calm, loud", true);
    let wait = Duration::from_secs(60);
    let reason = "policy asked, asked-soon".to_owned();
    assert_eq!(said(&guard, &back("orders")), Verdict::NeedsApproval { reason, wait });
    assert_eq!(said(&guard, &back("store")), Verdict::deny("policy never, not-there-either"));
    let stop = propose(Operation::Stop, EntityId::service("orders"));
    assert_eq!(said(&guard, &stop), Verdict::deny("no policy permits stop on service/orders now"));
    let wait = Duration::from_secs(300);
    let patient = self::guard(r#"@id("a") @ask permit (principal, action, resource);"#);
    assert_eq!(said(&patient, &stop), Verdict::NeedsApproval { reason: "policy a".into(), wait });
    assert_eq!(patient.judge(&stop, noon()).rules, ["a"]);
}

/// Cedar leaves out what cannot be evaluated; here it is a no, or a `forbid` or a wish to ask would be lost.
#[test]
fn a_policy_that_cannot_be_evaluated_is_a_no() {
    let many = "context.replicas * 9223372036854775807 > 0";
    for other in [
        format!(
            r#"@id("broken") forbid (principal, action, resource) when {{ {many} && context.replicas > 9 }};"#
        ),
        format!(r#"@id("broken") @ask permit (principal, action, resource) when {{ {many} }};"#),
    ] {
        let guard = guard(&format!("{ANY} {other}"));
        let reason = judge(&guard, &restart_of("orders"), &preview(2, 100));
        assert!(refused(&reason) && reason.reason().contains("broken"), "{reason:?}");
        let mut two = restart_of("orders");
        two.action.blast_radius = radius(2, 0.1);
        let judged = guard.judge(&two, noon());
        assert_eq!((judged.effect, judged.rules), (Effect::Deny, vec!["broken".to_owned()]));
        // One copy overflows nothing.
        assert!(!refused(&judge(&guard, &restart_of("orders"), &preview(1, 100))), "{other}");
    }
}

#[test]
fn environment_class_owner_and_labels_come_from_the_inventory() {
    let policies = r#"
        @id("staging") permit (principal, action, resource)
        when { resource has environment && resource.environment == "staging" };
        @id("shop") permit (principal, action, resource)
        when { resource.hasTag("team") && resource.getTag("team") == "shop" };
        @id("critical") forbid (principal, action, resource)
        when { resource has server_class && resource.server_class == "critical" };
        @id("exposed") forbid (principal, action, resource)
        when { resource has internet_facing && resource.internet_facing };
    "#;
    let asset = |name: &str, change: &dyn Fn(&mut Entity)| {
        let mut entity = Entity::new(EntityId::service(name));
        change(&mut entity);
        (entity.id.clone(), Arc::new(entity))
    };
    let staging = |e: &mut Entity| e.environment = Some("staging".into());
    let known = BTreeMap::from([
        asset("test", &staging),
        asset("live", &|e| e.environment = Some("production".into())),
        asset("cart", &|e| e.attributes = [("team", "shop")].into_iter().collect()),
        asset("pay", &|e| {
            staging(e);
            e.asset_class = Some("critical".into());
        }),
        asset("door", &|e| {
            staging(e);
            e.internet_facing = true;
        }),
    ]);
    let without = guard(policies);
    let with = without.clone().with_inventory(known);
    for (name, reason) in [
        ("test", "policy staging"),
        ("cart", "policy shop"),
        ("pay", "policy critical"),
        ("door", "policy exposed"),
        ("live", "no policy permits rolling_restart on service/live now"),
        ("nobody-knows", "no policy permits rolling_restart on service/nobody-knows now"),
    ] {
        assert_eq!(said(&with, &restart_of(name)).reason(), reason);
        assert!(refused(&said(&without, &restart_of(name))), "{name}");
    }
    // A pod of the same name is another thing.
    let pod = propose(crate::support::restart(), EntityId::new(aiops_core::model::EntityKind::Pod, "test"));
    assert!(refused(&said(&with, &pod)));
}

#[derive(Debug)]
struct Down;

#[async_trait]
impl BudgetSource for Down {
    async fn remaining(&self, _: &EntityId, _: &Context) -> Result<Option<f64>> {
        Err(Error::new(ErrorKind::Unavailable, "down"))
    }
}

#[test]
fn error_budgets_are_asked_for() {
    let policies = r#"
        @id("enough") permit (principal, action, resource)
        when { context has error_budget && context.error_budget.greaterThanOrEqual(decimal("0.25")) };
        @id("little") @ask permit (principal, action, resource)
        when { context has error_budget && context.error_budget.lessThan(decimal("0.25")) };
    "#;
    let board = BudgetBoard::new();
    let with = guard(policies).with_budgets(board.clone());
    let of = |left: f64| {
        board.set(EntityId::service("orders"), left, noon());
        said(&with, &restart_of("orders")).reason().to_owned()
    };
    assert_eq!(of(0.25), "policy enough");
    // Rounded down.
    assert_eq!(of(0.249_999), "policy little");
    assert_eq!(of(-3.0), "policy little");
    assert_eq!(of(f64::NEG_INFINITY), "policy little");
    for unknown in
        [&with as &dyn aiops_core::seam::Guardrail, &guard(policies), &guard(policies).with_budgets(Down)]
    {
        assert!(refused(&said(unknown, &restart_of("gateway"))), "nobody knows its budget");
    }
    board.set(EntityId::service("orders"), f64::NAN, noon());
    assert!(refused(&said(&with, &restart_of("orders"))), "no number, so nobody knows");
}

#[test]
fn bounds_are_met_exactly_and_rounding_lets_nothing_pass() {
    let sure = guard(
        r#"@id("sure") permit (principal, action, resource) when { context.confidence.greaterThanOrEqual(decimal("0.85")) && context.calibrated };"#,
    );
    let mut proposal = restart_of("orders");
    for (confidence, fine) in
        [(0.85, true), (0.849_999_999, false), (0.8501, true), (1.0, true), (0.0, false)]
    {
        proposal.confidence = Confidence::calibrated(confidence, "test").unwrap();
        assert_eq!(allowed(&said(&sure, &proposal)), fine, "{confidence}");
    }
    proposal.confidence = Confidence::uncalibrated(0.99).unwrap();
    assert!(refused(&said(&sure, &proposal)));
    let few = guard(
        r#"@id("few") permit (principal, action, resource) when { context.replicas <= 4 && context.share_of_fleet.lessThanOrEqual(decimal("0.1")) && context.extent_known };"#,
    );
    let mut modest = restart_of("orders");
    modest.action.blast_radius = radius(1, 0.0);
    // What a proposal declares is not what its target is.
    for (replicas, fleet, fine) in
        [(4, 100, true), (5, 100, false), (4, 40, true), (4, 39, false), (1, 10, true)]
    {
        assert_eq!(allowed(&judge(&few, &modest, &preview(replicas, fleet))), fine, "{replicas} of {fleet}");
    }
    modest.action.blast_radius = radius(1, 0.100_000_1);
    assert!(refused(&judge(&few, &modest, &preview(1, 100))));
    let mut unknown = preview(1, 100);
    unknown.target.fleet = None;
    modest.action.blast_radius = radius(1, 0.0);
    assert!(refused(&judge(&few, &modest, &unknown)), "nobody knows the fleet");
    // Nor is it the proposer's word whether it can be told.
    assert_eq!(few.judge(&modest, noon()).effect, Effect::Deny);
}

#[test]
fn risk_way_back_mode_and_state_of_the_target_are_seen() {
    let guard = guard(
        r#"
        @id("low") permit (principal, action, resource) when { context.risk == Risk::"low" && context.way_back != WayBack::"impossible" };
        @id("ready") permit (principal, action, resource)
        when { context.risk == Risk::"high" && context has replication_healthy && context.replication_healthy && context has ready_replicas && context.ready_replicas > 1 };
        @id("watching") forbid (principal, action, resource) when { context.mode == Mode::"observe" };
        "#,
    );
    let by = |proposal: &Proposal, preview: &_| judge(&guard, proposal, preview).reason().to_owned();
    assert_eq!(by(&restart_of("orders"), &preview(2, 100)), "policy low");
    let mut no_way_back = restart_of("orders");
    no_way_back.action.rollback = RollbackPlan::Impossible;
    assert!(by(&no_way_back, &preview(2, 100)).starts_with("no policy"));
    let database =
        propose(crate::support::restart(), EntityId::new(aiops_core::model::EntityKind::Database, "db"));
    let mut healthy = preview(2, 100);
    assert!(by(&database, &healthy).starts_with("no policy"));
    healthy.target.replication_healthy = Some(true);
    assert_eq!(by(&database, &healthy), "policy ready");
    healthy.target.ready = Some(1);
    assert!(by(&database, &healthy).starts_with("no policy"));
    let (proposal, preview, history) = (restart_of("orders"), preview(2, 100), History::new());
    let revert_window = Duration::ZERO;
    let review = aiops_core::seam::Review {
        proposal: &proposal,
        preview: &preview,
        history: &history,
        mode: Mode::Observe,
        now: noon(),
        revert_window,
    };
    let watched = block_on(aiops_core::seam::Guardrail::check(&guard, &review, &context(noon()))).unwrap();
    assert_eq!(watched, Verdict::deny("policy watching"));
}

/// On the day the clocks go forward, and across midnight.
#[test]
fn times_follow_the_wall_clock_of_the_zone() {
    let night = CedarGuard::new(&CedarConfig {
        zone: Some("Europe/Berlin".to_owned()),
        ..config(
            r#"@id("day") permit (principal, action, resource) when { context.second_of_day >= 6 * 3600 };
               @id("sunday") forbid (principal, action, resource) when { context.weekday == Weekday::"sunday" };"#,
        )
    })
    .unwrap();
    for (time, effect) in [
        ("2026-03-30T03:59:59Z", Effect::Deny),
        ("2026-03-30T04:00:00Z", Effect::Allow),
        ("2026-03-27T04:59:59Z", Effect::Deny),
        ("2026-03-27T05:00:00Z", Effect::Allow),
        ("2026-01-17T22:59:59Z", Effect::Allow),
        ("2026-01-17T23:00:00Z", Effect::Deny),
        ("2026-01-18T12:00:00Z", Effect::Deny),
        ("-009999-01-03T00:00:00Z", Effect::Deny),
    ] {
        assert_eq!(night.judge(&restart_of("x"), instant(time)).effect, effect, "{time}");
    }
}

#[test]
fn groups_are_by_kind_and_name() {
    let guard = CedarGuard::new(&CedarConfig {
        groups: groups(
            r#"{ "shop": { "service": ["shop-*", "billing"], "cache": ["all"] }, "none": { "pod": ["x"] } }"#,
        ),
        ..config(r#"@id("shop") permit (principal, action, resource in Group::"shop");"#)
    })
    .unwrap();
    for (target, fine) in [
        ("service/shop-orders", true),
        ("service/billing", true),
        ("service/billing-2", false),
        ("service/Shop-orders", false),
        ("cache/all", true),
        ("cache/shop-orders", false),
        ("pod/x", false),
    ] {
        let proposal = propose(crate::support::restart(), target.parse().unwrap());
        assert_eq!(allowed(&said(&guard, &proposal)), fine, "{target}");
    }
}

/// Undoing what was consented to needs no second consent; what is forbidden stays forbidden, and a claim is no proof.
#[test]
fn an_undoing_of_our_own_is_proved() {
    let guard = guard(
        r#"@id("asked") @ask permit (principal, action, resource);
           @id("never") forbid (principal, action, resource == Service::"store");
           @id("only-back") forbid (principal, action, resource == Service::"gateway") unless { context.reverts_own_action };"#,
    );
    let ctx = context(noon());
    let journal = InMemoryJournal::new();
    let names = ["orders", "store", "gateway"];
    let mitigator = names.into_iter().fold(InMemoryMitigator::new(), |all, name| {
        all.with(EntityId::service(name), SimulatedWorkload::new(1, "r2"))
    });
    let chain = GuardChain::builder(journal.clone())
        .guard(FixedGuard::new("seed", Verdict::allow("to fill the journal")))
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()
        .unwrap();
    let back_to = |to: &str| Operation::Rollback { to: to.to_owned() };
    let undo = |name: &str| {
        let target = EntityId::service(name);
        let mut done = propose(back_to("r1"), target.clone());
        done.id = ProposalId::new(name);
        done.action.rollback = RollbackPlan::Operation(Box::new(back_to("r2")));
        let right = block_on(chain.authorize(done.clone(), &mitigator, &ctx)).unwrap();
        let key = right.key().clone();
        drop(block_on(right.record(&ctx)).unwrap());
        let outcome =
            JournalEntry::Outcome { key: key.clone(), outcome: ActionOutcome::Completed, at: ctx.now() };
        block_on(journal.append(&outcome, None, &ctx)).unwrap();
        let mut undoing = done;
        undoing.action = Action::new(back_to("r2"), target, radius(1, 0.1));
        undoing.reverting(key)
    };
    let [orders, store, gateway] = names.map(undo);
    let history = block_on(journal.history(&ctx)).unwrap();
    let hear = |proposal: &Proposal| hear(&guard, proposal, &preview(1, 100), &history, noon());
    assert_eq!(hear(&orders), Verdict::allow("undoes our own action"));
    assert_eq!(hear(&store), Verdict::deny("policy never"));
    assert_eq!(hear(&gateway), Verdict::allow("undoes our own action"));
    let mut forged = gateway.clone();
    forged.action = Action::new(back_to("r3"), forged.action.target, radius(1, 0.1));
    assert_eq!(hear(&forged), Verdict::deny("policy only-back"));
    let mut claimed = orders;
    claimed.incident = aiops_core::action::IncidentId::new("another");
    assert!(matches!(hear(&claimed), Verdict::NeedsApproval { .. }));
}

#[test]
fn keeps_the_contract_of_a_guard() {
    let fixture = GuardrailFixture::new(context(noon()), restart_of("orders"), preview(4, 16));
    let asks = r#"@id("asks") @ask permit (principal, action, resource);"#;
    let breaks = r#"@id("a") permit (principal, action, resource) when { context.replicas * 9223372036854775807 > 0 };"#;
    for text in ["", ANY, asks, breaks] {
        block_on(conformance::guardrail(&guard(text), &fixture)).assert_counts(4, 0);
    }
}

#[test]
fn a_dry_run_tells_what_would_have_been_otherwise() {
    let mut case: Case = sample::diagnosed_case().unwrap();
    let decided = |id: &str, outcome: serde_json::Value, approval: serde_json::Value| {
        let record = serde_json::json!({
            "proposal": id, "mode": "auto", "verdicts": [], "at": "2026-01-19T12:00:00Z",
            "outcome": outcome, "approval": approval,
        });
        CasePart::Decided(serde_json::from_value(record).unwrap())
    };
    let named = |id: &str, name: &str| {
        let mut proposal = restart_of(name);
        proposal.id = ProposalId::new(id);
        proposal.proposed_by = Principal::new("planner");
        proposal
    };
    let authorized = serde_json::json!({ "authorized": { "expires_at": "2026-01-19T12:00:30Z" } });
    let consent = serde_json::json!({ "approver": "ada", "granted": true, "reason": "yes", "at": "2026-01-19T12:00:00Z" });
    let at = sample::now();
    case.push(at, CasePart::Planned(vec![named("a", "alone"), named("b", "asked"), named("c", "denied")]));
    case.push(at, decided("a", authorized.clone(), serde_json::Value::Null));
    case.push(at, decided("b", authorized, consent));
    case.push(at, decided("c", serde_json::json!({ "denied": { "reason": "no" } }), serde_json::Value::Null));
    let otherwise = |text: &str| -> Vec<(String, Effect, Effect, Vec<String>)> {
        let differences = guard(text).replay([&case]);
        differences
            .into_iter()
            .map(|d| (d.proposal.action.target.name().to_owned(), d.then, d.now.effect, d.now.rules))
            .collect()
    };
    let any = || vec!["any".to_owned()];
    assert_eq!(
        otherwise(ANY),
        [
            ("asked".into(), Effect::Ask, Effect::Allow, any()),
            ("denied".into(), Effect::Deny, Effect::Allow, any())
        ]
    );
    assert_eq!(otherwise("").len(), 2, "nothing is permitted by nothing");
    let same = r#"@id("a") permit (principal, action, resource == Service::"alone");
                  @id("b") @ask permit (principal, action, resource == Service::"asked");"#;
    assert_eq!(otherwise(same), []);
}
