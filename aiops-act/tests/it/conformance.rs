//! The contracts of the seams, as the testkit states them.

use std::path::Path;
use std::sync::Arc;

use aiops_act::guards::{
    ActionCap, AllowList, AllowRule, BlastRadiusCap, BudgetBoard, CalendarConfig, ChangeCalendar,
    CircuitBreaker, ConfidenceBands, Cooldown, ErrorBudgetConfig, ErrorBudgetGuard, ErrorRateBreaker,
    ErrorRateConfig, HardRules, NodeCap, OneAtATime, Pattern, RateSpike, RiskTiers, RollbackRequired,
    StanceConfig, StanceGuard,
};
use aiops_act::{
    Foretold, ForetoldConfig, Graduation, GraduationConfig, PlannerConfig, RemedyPlanner, TelemetryVerifier,
    VerifierConfig,
};
use aiops_core::action::ActionKind;
use aiops_core::fake::InMemorySource;
use aiops_core::model::{EntityKind, Recovery};
use aiops_core::seam::Guardrail;
use aiops_core::{Case, CasePart};
use aiops_testkit::conformance::{self, GuardrailFixture, PlannerFixture, VerifierFixture};
use aiops_testkit::sample;
use futures_lite::future::block_on;

use crate::feed::{BAD, Feed, GOOD, context, receipt, slow};
use crate::support::{World, orders, preview, propose, rollback_of, undoing};

fn guards(folder: &Path) -> [Arc<dyn Guardrail>; 18] {
    let rule = AllowRule {
        id: "shop".to_owned(),
        actions: [ActionKind::Rollback].into(),
        target_kind: EntityKind::Service,
        targets: vec![Pattern::new("orders").unwrap()],
    };
    [
        Arc::new(AllowList::new(vec![rule]).unwrap()),
        Arc::new(HardRules),
        Arc::new(RiskTiers::default()),
        Arc::new(ConfidenceBands::default()),
        Arc::new(ActionCap::default()),
        Arc::new(Cooldown),
        Arc::new(RateSpike::default()),
        Arc::new(CircuitBreaker::default()),
        Arc::new(BlastRadiusCap::default()),
        Arc::new(RollbackRequired),
        Arc::new(OneAtATime),
        Arc::new(NodeCap::default()),
        Arc::new(ChangeCalendar::new(&CalendarConfig::default()).unwrap()),
        Arc::new(ErrorBudgetGuard::new(BudgetBoard::new(), ErrorBudgetConfig::default()).unwrap()),
        Arc::new(ErrorRateBreaker::new(InMemorySource::new(), ErrorRateConfig::of("errors")).unwrap()),
        Arc::new(Graduation::open(folder.join("graduation"), GraduationConfig::default()).unwrap()),
        Arc::new(StanceGuard::new(BudgetBoard::new(), StanceConfig::default()).unwrap()),
        Arc::new(Foretold::open(folder.join("foretold"), ForetoldConfig::default()).unwrap()),
    ]
}

#[test]
fn every_guard_keeps_the_contract() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let done = propose("p", "inc", rollback_of(orders()));
    world.done(&done, Some(Recovery::NotRecovered));
    for proposal in [done.clone(), undoing(&done)] {
        let mut fixture = GuardrailFixture::new(world.ctx.clone(), proposal, preview(4, 16));
        fixture.history = world.history();
        for guard in guards(folder.path()) {
            block_on(conformance::guardrail(&*guard, &fixture)).assert_counts(4, 0);
        }
    }
}

#[test]
fn guards_have_names_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let names: std::collections::BTreeSet<_> = guards(folder.path()).iter().map(|g| g.id().0).collect();
    assert_eq!(names.len(), 18);
}

#[test]
fn the_planner_keeps_the_contract() {
    let planner = RemedyPlanner::new(PlannerConfig::default()).unwrap();
    let case = sample::diagnosed_case().unwrap();
    let ctx = sample::context();
    let best = block_on(aiops_core::seam::Planner::plan(&planner, &case, &ctx)).unwrap().remove(0);
    let mut tried: Case = case.clone();
    tried.push(sample::now(), CasePart::Planned(vec![best.clone()]));
    let mut receipt = sample::receipt().unwrap();
    receipt.action = best.action;
    tried.act(receipt);
    let mut fixture = PlannerFixture::new(ctx, case);
    fixture.tried = Some(tried);
    fixture.undiagnosed = Some(sample::case());
    block_on(conformance::planner(&planner, &fixture)).assert_counts(9, 0);
}

#[test]
fn the_verifier_keeps_the_contract() {
    for (feed, expected) in [
        (Feed::latency(|_, _| GOOD), Recovery::Recovered),
        (Feed::latency(|_, _| BAD), Recovery::NotRecovered),
        (Feed::new(), Recovery::Inconclusive),
    ] {
        let verifier = TelemetryVerifier::new(feed, VerifierConfig::default()).unwrap();
        let fixture = VerifierFixture::new(context(), receipt(), vec![slow()], expected);
        block_on(conformance::verifier(&verifier, &fixture)).assert_counts(7, 0);
    }
}
