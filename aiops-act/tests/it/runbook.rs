//! Runbooks: one step at a time, by what the case says of the last.

use std::sync::Arc;

use aiops_act::runbook::{Runbook, RunbookConfig, RunbookPlanner};
use aiops_act::{PlannerConfig, RemedyPlanner};
use aiops_core::action::{IncidentId, Mode, Operation, Precondition, Proposal, ReceiptRecord, Risk};
use aiops_core::model::{
    Diagnosis, DiagnosisStatus, EntityId, EvidenceId, FaultType, Hypothesis, Recovery, RecoveryReport,
    TelemetryWindow, TimeRange, mechanism,
};
use aiops_core::seam::Planner;
use aiops_core::{Case, CasePart, Context, ErrorKind, ManualClock, Result};
use aiops_testkit::conformance::{self, PlannerFixture};
use aiops_testkit::sample;
use futures_lite::future::block_on;
use serde_json::json;

use crate::support::{orders, secs, start, sure};

const BOOK: &str = r#"
id = "queue-stuck"
mechanisms = ["lock"]
targets = { service = ["ord*"] }

[[steps]]
id = "rotate"
operation = "log_rotation"
rollback = { not_needed = { reason = "rotated logs are kept" } }

[[steps]]
id = "restart"
operation = { rolling_restart = { max_unavailable = 1, max_surge = 0 } }
replicas = 2
share_of_fleet = 0.25
rollback = { not_needed = { reason = "the same revision starts anew" } }
preconditions = [{ ready_replicas = 2 }]

[[steps]]
id = "throttle-the-worker"
operation = { throttle = { to = 0.5 } }
target = "service/worker"
raised_risk = "high"
"#;

fn book() -> Runbook {
    toml::from_str(BOOK).unwrap()
}

fn planner(books: Vec<Runbook>) -> Result<RunbookPlanner<RemedyPlanner>> {
    RunbookPlanner::new(
        books,
        RemedyPlanner::new(PlannerConfig::default()).unwrap(),
        RunbookConfig::default(),
    )
}

fn context() -> Context {
    Context::new(Arc::new(ManualClock::at(start())))
}

fn plan(case: &Case) -> Vec<Proposal> {
    block_on(planner(vec![book()]).unwrap().plan(case, &context())).unwrap()
}

fn cause(system: EntityId, mechanism: &str) -> Hypothesis {
    let evidence: EvidenceId = serde_json::from_value(json!("anomaly-1")).unwrap();
    let mut cause = Hypothesis::new(system, FaultType::Unknown, "because", sure(0.9), vec![evidence]);
    cause.mechanism = Some(mechanism.to_owned());
    cause
}

fn case(causes: Vec<Hypothesis>) -> Case {
    let mut case = Case::open(IncidentId::new("inc"), start(), Mode::Auto);
    case.observe(start(), TelemetryWindow::new(TimeRange::ending_at(start(), secs(600))));
    case.push(start(), CasePart::Diagnosed(Diagnosis::new(causes)));
    case
}

fn stuck() -> Case {
    case(vec![cause(orders(), mechanism::LOCK)])
}

/// What the pipeline adds for a step that ended with `outcome`, and then diagnosed the same again.
fn tried(case: &mut Case, proposal: &Proposal, outcome: serde_json::Value) {
    case.push(start(), CasePart::Planned(vec![proposal.clone()]));
    let receipt: ReceiptRecord = serde_json::from_value(json!({
        "key": proposal.idempotency_key().unwrap(), "fence": 1, "action": proposal.action,
        "started_at": start(), "finished_at": start(), "outcome": outcome,
    }))
    .unwrap();
    case.act(receipt);
    let mut report = RecoveryReport::from_checks(start(), vec![]);
    report.recovery = Recovery::NotRecovered;
    case.push(start(), CasePart::Verified(report));
    case.push(start(), CasePart::Diagnosed(Diagnosis::new(vec![cause(orders(), mechanism::LOCK)])));
}

#[test]
fn each_step_follows_the_verification_of_the_one_before() {
    let mut case = stuck();
    let mut seen = Vec::new();
    loop {
        let mut proposals = plan(&case);
        assert!(proposals.len() <= 1, "one step at a time");
        let Some(step) = proposals.pop() else { break };
        tried(&mut case, &step, json!("completed"));
        seen.push(step);
    }
    let operations: Vec<String> = seen.iter().map(|p| p.action.to_string()).collect();
    assert_eq!(
        operations,
        ["log rotation service/orders", "rolling restart service/orders", "throttle to 50 % service/worker"]
    );
    assert_eq!(seen[0].id.as_str(), "inc-runbook-queue-stuck-rotate");
    assert!(seen[1].reason.contains("step restart of runbook queue-stuck"));
    assert_eq!(seen[1].action.preconditions, [Precondition::Exists, Precondition::ReadyReplicas(2)]);
    assert_eq!(
        (seen[1].action.blast_radius.replicas, seen[1].action.blast_radius.share_of_fleet.get()),
        (2, 0.25)
    );
    assert_eq!(seen[2].action.risk(), Risk::High);
    // And then no safe action is known: the case goes to a person.
    assert!(plan(&case).is_empty());
}

#[test]
fn a_new_diagnosis_leaves_the_runbook() {
    let mut case = stuck();
    let first = plan(&case).remove(0);
    tried(&mut case, &first, json!("completed"));
    case.push(start(), CasePart::Diagnosed(Diagnosis::new(vec![cause(orders(), mechanism::MEMORY)])));
    let proposals = plan(&case);
    assert_eq!(proposals.len(), 1);
    assert!(matches!(proposals[0].action.operation, Operation::RollingRestart { .. }));
    assert!(!proposals[0].id.as_str().contains("runbook"), "the other planner's");
}

#[test]
fn a_step_that_failed_ends_it() {
    let mut case = stuck();
    let first = plan(&case).remove(0);
    tried(&mut case, &first, json!({"failed": {"reason": "disk full"}}));
    assert!(plan(&case).is_empty());
}

#[test]
fn a_step_that_was_never_begun_is_the_next_one() {
    let mut case = stuck();
    let first = plan(&case).remove(0);
    tried(&mut case, &first, json!({"not_started": {"reason": "killed"}}));
    assert_eq!(plan(&case), [first]);
}

#[test]
fn what_it_is_not_for_is_left_to_the_other_planner() {
    for other in [cause(EntityId::service("gateway"), mechanism::LOCK), cause(orders(), mechanism::MEMORY)] {
        let proposals = plan(&case(vec![other]));
        assert!(!proposals.is_empty() && proposals.iter().all(|p| !p.id.as_str().contains("runbook")));
    }
    assert!(plan(&Case::open(IncidentId::new("inc"), start(), Mode::Auto)).is_empty());
    let mut unknown = stuck();
    let mut dark = Diagnosis::new(vec![cause(orders(), mechanism::LOCK)]);
    dark.status = DiagnosisStatus::ObservabilityDark { missing: vec!["metrics".to_owned()] };
    unknown.push(start(), CasePart::Diagnosed(dark));
    assert!(plan(&unknown).is_empty());
}

#[test]
fn it_keeps_the_contract_of_a_planner() {
    let case = sample::diagnosed_case().unwrap();
    let blamed = case.diagnosis().unwrap().cause().unwrap().clone();
    let mut book = book();
    book.steps.truncate(1);
    book.targets.clear();
    book.faults = vec![blamed.fault];
    let planner = planner(vec![book]).unwrap();
    let ctx = sample::context();
    let step = block_on(planner.plan(&case, &ctx)).unwrap().remove(0);
    assert_eq!(step.action.operation, Operation::LogRotation);
    let mut tried = case.clone();
    tried.push(sample::now(), CasePart::Planned(vec![step.clone()]));
    let mut receipt = sample::receipt().unwrap();
    receipt.action = step.action;
    tried.act(receipt);
    let mut fixture = PlannerFixture::new(ctx, case);
    fixture.tried = Some(tried);
    fixture.undiagnosed = Some(sample::case());
    block_on(conformance::planner(&planner, &fixture)).assert_counts(9, 0);
}

type Change<'a> = &'a dyn Fn(&mut Runbook);

#[test]
fn what_cannot_be_meant_is_refused() {
    let refused = |change: &dyn Fn(&mut Runbook)| {
        let mut changed = book();
        change(&mut changed);
        planner(vec![changed]).unwrap_err()
    };
    let bad: [(&str, Change<'_>); 5] = [
        ("mechanisms, faults", &|b| b.mechanisms.clear()),
        ("steps", &|b| b.steps.clear()),
        ("steps", &|b| b.steps = vec![b.steps[0].clone(); 2]),
        ("steps", &|b| {
            b.steps = (0..21)
                .map(|n| {
                    let mut s = b.steps[0].clone();
                    s.id = n.to_string();
                    s
                })
                .collect();
        }),
        ("replicas", &|b| b.steps[0].replicas = 0),
    ];
    for (field, change) in bad {
        let error = refused(change);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(field) && error.to_string().contains("queue-stuck"), "{error}");
    }
    assert_eq!(planner(vec![book(), book()]).unwrap_err().kind(), ErrorKind::Invalid);
    for wrong in ["extra = 1", "[[steps]]\nid = 'x'", "[[steps]]\nid = 'x'\noperation = 'self_destruct'"] {
        assert!(toml::from_str::<Runbook>(&format!("{wrong}\n{BOOK}")).is_err(), "{wrong}");
    }
    let written = toml::to_string(&book()).unwrap();
    assert_eq!(toml::from_str::<Runbook>(&written).unwrap(), book());
}
