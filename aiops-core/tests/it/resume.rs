//! A case that a run left open when it died, taken up by the next.

use aiops_core::action::{
    ActionOutcome, IncidentId, JournalEntry, Mode, Operation, Purpose, RollbackPlan, Verdict,
};
use aiops_core::model::{Recovery, TelemetryWindow, TimeRange};
use aiops_core::seam::{Journal, Mitigator};
use aiops_core::{Case, CasePart, CaseStatus, Context, ErrorKind};
use futures_lite::future::block_on;

use crate::pipeline::{Parts, Rig, context, escalation, orders, restart, rig_on, slow_orders, start};

/// As a listener wrote it down before the run died.
fn left_open() -> Case {
    let mut case = Case::open(IncidentId::new("inc"), start(), Mode::Auto);
    let range = TimeRange::ending_at(start(), std::time::Duration::from_secs(60));
    case.observe(start(), TelemetryWindow::new(range));
    case.detect(start(), vec![slow_orders()]);
    case.push(start(), CasePart::Planned(vec![restart("p1")]));
    case
}

/// How far the first run came with its action.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    Intent,
    Outcome,
    Verified(Recovery),
}

/// The first run goes so far; then the next is composed on what it left.
fn died(until: Until, back: Option<Operation>, next: Parts) -> Rig {
    let first = crate::pipeline::rig(Parts::default());
    let ctx = context();
    let mut proposal = restart("p1");
    if let Some(back) = back {
        proposal.action.rollback = RollbackPlan::Operation(Box::new(back));
    }
    block_on(async {
        let authorized = first.pipeline.guards().authorize(proposal, &first.mitigator, &ctx).await.unwrap();
        let intended = authorized.record(&ctx).await.unwrap();
        let key = intended.key().clone();
        let receipt = first.mitigator.execute(intended, &ctx).await.unwrap();
        let at = ctx.now();
        if until != Until::Intent {
            let outcome = receipt.record().outcome.clone();
            let entry = JournalEntry::Outcome { key: key.clone(), outcome, at };
            first.journal.append(&entry, None, &ctx).await.unwrap();
        }
        if let Until::Verified(recovery) = until {
            let entry = JournalEntry::Verified { key, recovery, at };
            first.journal.append(&entry, None, &ctx).await.unwrap();
        }
    });
    rig_on(next, first.journal.clone(), first.mitigator.clone())
}

fn resumed(rig: &Rig, case: Case) -> Case {
    block_on(rig.pipeline.resume(case, &context())).unwrap()
}

fn restarts(rig: &Rig) -> u32 {
    rig.mitigator.workload(&orders()).unwrap().restarts
}

#[test]
fn what_was_done_is_verified_and_not_repeated() {
    let rig = died(Until::Outcome, None, Parts::default());
    let case = resumed(&rig, left_open());
    assert_eq!(case.status(), Some(&CaseStatus::Recovered));
    assert_eq!(restarts(&rig), 1);
    let history = block_on(rig.journal.history(&context())).unwrap();
    assert_eq!(history.actions().count(), 1);
    assert_eq!(history.actions().next().unwrap().recovery, Some(Recovery::Recovered));
    let told: Vec<_> = rig.audit.events().into_iter().map(|e| e.what).collect();
    assert_eq!(told, ["acted", "verified"]);
    let (receipt, recovery) = case.attempts().next().unwrap();
    assert_eq!((&receipt.outcome, recovery), (&ActionOutcome::Completed, Some(Recovery::Recovered)));
}

#[test]
fn what_is_in_doubt_is_for_a_person_until_it_is_settled() {
    let rig = died(Until::Intent, None, Parts::default());
    let case = resumed(&rig, left_open());
    assert!(escalation(&case).contains("nobody knows"), "{}", escalation(&case));
    assert_eq!(restarts(&rig), 1);
}

#[test]
fn what_did_not_help_is_undone_once_and_diagnosed_again() {
    let back = Operation::Scale { replicas: 2 };
    for until in [Until::Outcome, Until::Verified(Recovery::NotRecovered)] {
        let verified = match until {
            Until::Outcome => vec![Recovery::NotRecovered, Recovery::Recovered],
            _ => vec![Recovery::Recovered],
        };
        let parts = Parts { verified, planned: vec![vec![restart("p2")]], ..Parts::default() };
        let rig = died(until, Some(back.clone()), parts);
        let case = resumed(&rig, left_open());
        assert_eq!(case.status(), Some(&CaseStatus::Recovered), "{:?}", case.status());
        let history = block_on(rig.journal.history(&context())).unwrap();
        let undoings = history.actions().filter(|a| a.intent.proposal.purpose != Purpose::Remedy).count();
        assert_eq!((history.actions().count(), undoings), (3, 1));
    }
}

#[test]
fn what_was_verified_already_is_closed_by_that() {
    let rig = died(Until::Verified(Recovery::Recovered), None, Parts::default());
    assert_eq!(resumed(&rig, left_open()).status(), Some(&CaseStatus::Recovered));
    let rig = died(Until::Verified(Recovery::Inconclusive), None, Parts::default());
    assert!(escalation(&resumed(&rig, left_open())).contains("cannot be seen"));
    assert_eq!(restarts(&rig), 1);
}

#[test]
fn a_case_for_which_nothing_was_begun_is_looked_at_anew() {
    let rig = crate::pipeline::rig(Parts::default());
    assert_eq!(resumed(&rig, left_open()).status(), Some(&CaseStatus::Recovered));
    assert_eq!(restarts(&rig), 1);

    let gone = crate::pipeline::rig(Parts { detected: vec![vec![]], ..Parts::default() });
    assert!(escalation(&resumed(&gone, left_open())).contains("gone when it was taken up"));
    assert_eq!(restarts(&gone), 0);
}

#[test]
fn guards_and_the_kill_switch_hold_for_what_is_resumed() {
    let denied = Parts { verdict: Verdict::deny("no"), ..Parts::default() };
    let rig = crate::pipeline::rig(denied);
    assert!(escalation(&resumed(&rig, left_open())).contains("no proposal was allowed"));
    let rig = crate::pipeline::rig(Parts::default());
    rig.kill_switch.engage(&aiops_core::action::Principal::new("ada"), "stop");
    resumed(&rig, left_open());
    assert_eq!(restarts(&rig), 0);
}

#[test]
fn a_closed_case_is_refused() {
    let mut case = left_open();
    case.push(start(), CasePart::Closed(CaseStatus::Recovered));
    let rig = crate::pipeline::rig(Parts::default());
    let refused = block_on(rig.pipeline.resume(case, &Context::system())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}
