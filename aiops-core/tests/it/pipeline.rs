//! The closed loop on in-memory parts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiops_core::action::{
    Action, ActionOutcome, BlastRadius, IncidentId, Mode, Operation, Principal, Proposal, ProposalId,
    RollbackPlan, Share, Verdict,
};
use aiops_core::fake::{
    FixedGuard, InMemoryJournal, InMemoryMitigator, InMemorySource, Mishap, RecordingAudit,
    RecordingNotifier, ScriptedApprover, ScriptedDetector, ScriptedLocalizer, ScriptedPlanner, ScriptedRca,
    ScriptedVerifier, SimulatedWorkload,
};
use aiops_core::guard::{ChainConfig, GuardChain, KillSwitch};
use aiops_core::model::{
    Anomaly, Baseline, Confidence, DetectorId, Diagnosis, EntityId, FaultType, FetchRequest, FittedHash,
    Hypothesis, Ranking, Recovery, RecoveryReport, SeriesKey, Shape, SignalCheck, Suspect, TelemetryWindow,
    TimeRange,
};
use aiops_core::pipeline::{CaseListener, Look, Pipeline, PipelineConfig, Trigger};
use aiops_core::seam::{Journal, Notification, NotificationKind};
use aiops_core::{Cancellation, Case, CaseEntry, CasePart, CaseStatus, Context, ManualClock};
use futures_lite::future::block_on;

pub(crate) fn start() -> jiff::Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn context() -> Context {
    Context::new(Arc::new(ManualClock::leaping(start())))
}

pub(crate) fn orders() -> EntityId {
    EntityId::service("orders")
}

pub(crate) fn slow_orders() -> Anomaly {
    let reread = FetchRequest::new(TimeRange::ending_at(start(), Duration::from_secs(600)));
    Anomaly::new(
        DetectorId("test".into()),
        FittedHash::of(b"test"),
        orders(),
        SeriesKey::new("http.server.request.duration"),
        Shape::LevelShiftUp,
        start(),
        0.9,
        Baseline { center: 0.05, scale: 0.01, samples: 40 },
        reread,
    )
}

pub(crate) fn restart(id: &str) -> Proposal {
    let radius = BlastRadius { replicas: 2, share_of_fleet: Share::new(0.25).unwrap() };
    let action =
        Action::new(Operation::RollingRestart { max_unavailable: 1, max_surge: 0 }, orders(), radius)
            .with_rollback(RollbackPlan::NotNeeded { reason: "starts the same revision".into() });
    proposal(id, action)
}

pub(crate) fn proposal(id: &str, action: Action) -> Proposal {
    let confidence = Confidence::calibrated(0.9, "test").unwrap();
    let planner = Principal::new("planner");
    Proposal::new(ProposalId::new(id), IncidentId::new("inc"), action, planner, confidence, "it leaks")
}

pub(crate) fn report(recovery: Recovery) -> RecoveryReport {
    let check = SignalCheck { entity: orders(), what: "latency".into(), recovery, detail: String::new() };
    RecoveryReport::from_checks(start(), vec![check])
}

/// Everything a test may vary.
pub(crate) struct Parts {
    pub(crate) detected: Vec<Vec<Anomaly>>,
    pub(crate) planned: Vec<Vec<Proposal>>,
    pub(crate) verified: Vec<Recovery>,
    pub(crate) verdict: Verdict,
    pub(crate) mode: Mode,
    pub(crate) confirmations: u32,
    pub(crate) look_again: Duration,
    pub(crate) keep_partial: bool,
    pub(crate) trigger: Option<Trigger>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            detected: vec![vec![slow_orders()]],
            planned: vec![vec![restart("p1")]],
            verified: vec![Recovery::Recovered],
            verdict: Verdict::allow("fine"),
            mode: Mode::Auto,
            confirmations: 1,
            look_again: Duration::ZERO,
            keep_partial: false,
            trigger: None,
        }
    }
}

/// A pipeline and handles on what it uses.
pub(crate) struct Rig {
    pub(crate) pipeline: Pipeline,
    pub(crate) source: InMemorySource,
    pub(crate) mitigator: InMemoryMitigator,
    pub(crate) journal: InMemoryJournal,
    pub(crate) notifier: RecordingNotifier,
    pub(crate) audit: RecordingAudit,
    pub(crate) approver: ScriptedApprover,
    pub(crate) kill_switch: KillSwitch,
}

pub(crate) fn rig(parts: Parts) -> Rig {
    rig_on(
        parts,
        InMemoryJournal::new(),
        InMemoryMitigator::new().with(orders(), SimulatedWorkload::new(2, "r1")),
    )
}

pub(crate) fn rig_on(parts: Parts, journal: InMemoryJournal, mitigator: InMemoryMitigator) -> Rig {
    let source =
        InMemorySource::holding(TelemetryWindow::new(TimeRange::ending_at(start(), Duration::from_secs(60))));
    let cause = Hypothesis::new(
        orders(),
        FaultType::ResourceExhaustion,
        "orders leaks memory",
        Confidence::calibrated(0.9, "test").unwrap(),
        Vec::new(),
    );
    let kill_switch = KillSwitch::new();
    let approver = ScriptedApprover::of(Principal::new("ada"), [true]);
    let chain = GuardChain::builder(journal.clone())
        .guard(FixedGuard::new("fixed", parts.verdict))
        .approver(approver.clone())
        .kill_switch(kill_switch.clone())
        .config(ChainConfig::in_mode(parts.mode))
        .build()
        .unwrap();
    let (notifier, audit) = (RecordingNotifier::default(), RecordingAudit::default());
    let mut config = PipelineConfig::default();
    config.confirmations = parts.confirmations;
    if let Some(trigger) = parts.trigger {
        config.trigger = trigger;
    }
    (config.look_again, config.keep_partial) = (parts.look_again, parts.keep_partial);
    let pipeline = Pipeline::builder()
        .source(source.clone())
        .detector(ScriptedDetector::of(parts.detected))
        .localizer(ScriptedLocalizer::of([Ranking::new(vec![Suspect::new(orders(), 1.0)])]))
        .rca(ScriptedRca::of([Diagnosis::new(vec![cause])]))
        .planner(ScriptedPlanner::of(parts.planned))
        .guards(chain)
        .mitigator(mitigator.clone())
        .verifier(ScriptedVerifier::of(parts.verified.into_iter().map(report)))
        .notifier(notifier.clone())
        .audit(audit.clone())
        .config(config)
        .build()
        .unwrap();
    Rig { pipeline, source, mitigator, journal, notifier, audit, approver, kill_switch }
}

pub(crate) fn incident(look: Look) -> Case {
    match look {
        Look::Incident(case) => case,
        other => panic!("expected an incident, saw {other:?}"),
    }
}

pub(crate) fn escalation(case: &Case) -> &str {
    match case.status() {
        Some(CaseStatus::Escalated { reason }) => reason,
        other => panic!("expected an escalation, saw {other:?}"),
    }
}

#[test]
fn an_incident_is_healed_recorded_and_replayable() {
    let rig = rig(Parts::default());
    let case = incident(block_on(rig.pipeline.step(&context())).unwrap());

    assert_eq!(case.status(), Some(&CaseStatus::Recovered));
    assert_eq!(rig.mitigator.workload(&orders()).unwrap().restarts, 1);
    let history = block_on(rig.journal.history(&context())).unwrap();
    let action = history.actions().next().unwrap();
    assert_eq!(action.outcome, Some(ActionOutcome::Completed));
    assert_eq!(action.recovery, Some(Recovery::Recovered));
    assert_eq!(history.head().0, 3, "intent, outcome, verification");
    let whats: Vec<_> = rig.audit.events().into_iter().map(|e| e.what).collect();
    assert_eq!(whats, ["decided", "acted", "verified"]);
    assert_eq!(rig.notifier.sent().last().unwrap().kind, NotificationKind::Closed);
    assert_eq!(case.cited(&case.anomalies()[0].id).unwrap().entity, Some(orders()));

    let again = Case::from_json(&case.to_json().unwrap()).unwrap();
    assert_eq!(again, case);
}

#[test]
fn one_look_is_not_enough_when_two_must_confirm() {
    let rig = rig(Parts { confirmations: 2, ..Parts::default() });
    let ctx = context();
    assert!(matches!(block_on(rig.pipeline.step(&ctx)).unwrap(), Look::Unconfirmed { looks: 1 }));
    incident(block_on(rig.pipeline.step(&ctx)).unwrap());
}

#[test]
fn a_symptom_that_goes_away_starts_counting_anew() {
    let detected = vec![vec![slow_orders()], vec![], vec![slow_orders()], vec![slow_orders()]];
    let rig = rig(Parts { detected, confirmations: 2, ..Parts::default() });
    let ctx = context();
    assert!(matches!(block_on(rig.pipeline.step(&ctx)).unwrap(), Look::Unconfirmed { .. }));
    assert!(matches!(block_on(rig.pipeline.step(&ctx)).unwrap(), Look::Quiet));
    assert!(matches!(block_on(rig.pipeline.step(&ctx)).unwrap(), Look::Unconfirmed { looks: 1 }));
}

#[test]
fn what_did_not_help_is_undone_and_diagnosed_again() {
    let radius = BlastRadius { replicas: 2, share_of_fleet: Share::new(0.25).unwrap() };
    let back = RollbackPlan::Operation(Box::new(Operation::Scale { replicas: 2 }));
    let scale = Action::new(Operation::Scale { replicas: 4 }, orders(), radius).with_rollback(back);
    let rig = rig(Parts {
        planned: vec![vec![proposal("p1", scale)], vec![restart("p2")]],
        verified: vec![Recovery::NotRecovered, Recovery::Recovered],
        ..Parts::default()
    });
    let case = incident(block_on(rig.pipeline.step(&context())).unwrap());

    assert_eq!(case.status(), Some(&CaseStatus::Recovered));
    let done: Vec<_> = rig.mitigator.executed().into_iter().map(|(_, a)| a.operation.to_string()).collect();
    assert_eq!(done, ["scale to 4", "scale to 2", "rolling restart"]);
    let diagnoses = case.entries().iter().filter(|e| matches!(e.part, CasePart::Diagnosed(_))).count();
    assert_eq!(diagnoses, 2);
    let attempts: Vec<_> = case.attempts().map(|(_, r)| r).collect();
    assert_eq!(attempts, [Some(Recovery::NotRecovered), None, Some(Recovery::Recovered)]);
}

#[test]
fn undoing_is_authorised_with_the_action_even_when_every_action_is_a_suggestion() {
    let radius = BlastRadius { replicas: 2, share_of_fleet: Share::new(0.25).unwrap() };
    let back = RollbackPlan::Operation(Box::new(Operation::Scale { replicas: 2 }));
    let scale = Action::new(Operation::Scale { replicas: 4 }, orders(), radius).with_rollback(back);
    let rig = rig(Parts {
        planned: vec![vec![proposal("p1", scale)], vec![]],
        verified: vec![Recovery::NotRecovered],
        mode: Mode::Suggest,
        ..Parts::default()
    });
    incident(block_on(rig.pipeline.step(&context())).unwrap());
    assert_eq!(rig.mitigator.executed().len(), 2);
    assert_eq!(rig.approver.asked().len(), 1, "asked for the action, not for its undoing");
}

#[test]
fn a_false_claim_to_undo_is_asked_like_any_other_action() {
    let forged = restart("p1").reverting(restart("other").idempotency_key().unwrap());
    let rig = rig(Parts { planned: vec![vec![forged], vec![]], mode: Mode::Suggest, ..Parts::default() });
    incident(block_on(rig.pipeline.step(&context())).unwrap());
    assert_eq!(rig.approver.asked().len(), 1);
}

#[test]
fn missing_telemetry_after_an_action_escalates() {
    let rig = rig(Parts { verified: vec![Recovery::Inconclusive], ..Parts::default() });
    let case = incident(block_on(rig.pipeline.step(&context())).unwrap());
    assert!(escalation(&case).contains("cannot be seen"));
}

#[test]
fn a_failed_action_stops_and_escalates() {
    let rig = rig(Parts { planned: vec![vec![restart("p1"), restart("p2")]], ..Parts::default() });
    rig.mitigator.set_mishap(Some(Mishap::Failure));
    let case = incident(block_on(rig.pipeline.step(&context())).unwrap());
    assert!(escalation(&case).contains("the action failed"));
    assert_eq!(rig.mitigator.executed().len(), 1, "no improvising");
}

#[test]
fn a_lost_reply_is_cleared_up_by_status_and_not_repeated() {
    let rig = rig(Parts::default());
    rig.mitigator.set_mishap(Some(Mishap::LostReply));
    let case = incident(block_on(rig.pipeline.step(&context())).unwrap());
    assert_eq!(case.status(), Some(&CaseStatus::Recovered));
    assert_eq!(rig.mitigator.executed().len(), 1);
}

#[test]
fn a_crash_leaves_the_target_held_until_somebody_looks() {
    let rig = rig(Parts::default());
    rig.mitigator.set_mishap(Some(Mishap::Crash));
    let ctx = context();
    let case = incident(block_on(rig.pipeline.step(&ctx)).unwrap());
    assert!(escalation(&case).contains("nobody knows"));
    assert!(case.entries().iter().any(|e| matches!(e.part, CasePart::InDoubt { .. })));

    // Another pipeline on the same journal finds the target held.
    let other = rig_on(Parts::default(), rig.journal.clone(), rig.mitigator.clone());
    let second = incident(block_on(other.pipeline.step(&ctx)).unwrap());
    assert!(matches!(second.status(), Some(CaseStatus::Yielded { .. })), "{:?}", second.status());
    assert!(rig.mitigator.executed().is_empty());

    // So young an action may be under way in another replica; later it is in doubt.
    let young = context();
    assert!(block_on(rig.pipeline.recover(&young)).unwrap().is_empty());
    block_on(ctx.clock().sleep(PipelineConfig::default().action_timeout));
    assert_eq!(block_on(rig.pipeline.recover(&ctx)).unwrap().len(), 1);
}

#[test]
fn what_was_cut_off_is_settled_before_the_next_look() {
    let rig = rig(Parts { detected: vec![vec![slow_orders()], vec![]], ..Parts::default() });
    let ctx = context();
    // The process died between writing the intent down and acting on it.
    let chain = rig.pipeline.guards();
    let authorized = block_on(chain.authorize(restart("p0"), &rig.mitigator, &ctx)).unwrap();
    drop(block_on(authorized.record(&ctx)).unwrap());
    block_on(ctx.clock().sleep(PipelineConfig::default().action_timeout));
    let shutdown = Cancellation::new();
    let settled = async {
        while block_on(rig.journal.history(&ctx)).unwrap().in_doubt().next().is_some() {
            futures_lite::future::yield_now().await;
        }
        shutdown.cancel();
    };
    let (cases, ()) = block_on(futures_lite::future::zip(rig.pipeline.run(&ctx, &shutdown), settled));
    cases.unwrap();
    let history = block_on(rig.journal.history(&ctx)).unwrap();
    assert!(matches!(history.actions().next().unwrap().outcome, Some(ActionOutcome::NotStarted { .. })));
}

/// Yielding to what a crash left behind would leave the incident to nobody.
#[test]
fn an_old_action_that_nobody_follows_up_is_an_escalation() {
    let rig = rig(Parts::default());
    rig.mitigator.set_mishap(Some(Mishap::Crash));
    let ctx = context();
    incident(block_on(rig.pipeline.step(&ctx)).unwrap());
    block_on(ctx.sleep(Duration::from_secs(3600))).unwrap();
    let other = rig_on(Parts::default(), rig.journal.clone(), rig.mitigator.clone());
    let second = incident(block_on(other.pipeline.step(&ctx)).unwrap());
    assert!(escalation(&second).contains("nobody follows it up"), "{}", escalation(&second));
    assert!(rig.mitigator.executed().is_empty());
    let audited: Vec<String> = rig.audit.events().into_iter().map(|e| e.what).collect();
    assert!(audited.contains(&"in_doubt".to_owned()), "{audited:?}");
}

#[test]
fn what_helped_is_not_undone_without_a_person() {
    let back = Operation::Scale { replicas: 2 };
    let radius = BlastRadius { replicas: 2, share_of_fleet: Share::new(0.25).unwrap() };
    let remedy = Action::new(Operation::Scale { replicas: 4 }, orders(), radius)
        .with_rollback(RollbackPlan::Operation(Box::new(back.clone())));
    let remedy = proposal("p1", remedy);
    let undo =
        proposal("p2", Action::new(back, orders(), radius)).reverting(remedy.idempotency_key().unwrap());
    for (verified, authorised) in [(Recovery::Recovered, false), (Recovery::NotRecovered, true)] {
        // In this mode the remedy has a person's consent.
        let rig = rig(Parts {
            planned: vec![vec![remedy.clone()], vec![]],
            verified: vec![verified],
            mode: Mode::Suggest,
            ..Parts::default()
        });
        let ctx = context();
        let proposed = undo.clone();
        let reverted = {
            incident(block_on(rig.pipeline.step(&ctx)).unwrap());
            let history = block_on(rig.journal.history(&ctx)).unwrap();
            // The pipeline undid what did not help; judged as of before that.
            let first_undone = history.actions().nth(1).map(|a| a.fence);
            history.undone_by(&proposed, ctx.now(), Duration::from_secs(1800), first_undone).is_some()
        };
        assert_eq!(reverted, authorised, "{verified:?}");
    }
}

fn nobody() -> ScriptedApprover {
    ScriptedApprover::of(Principal::new("nobody"), [])
}

/// It never answers.
#[derive(Debug)]
struct Silent;

#[async_trait::async_trait]
impl aiops_core::seam::Notifier for Silent {
    async fn notify(&self, _: &aiops_core::seam::Notification, _: &Context) -> aiops_core::Result<()> {
        std::future::pending().await
    }
}

/// The same parts with another mitigator, approver and notifier.
fn pipeline_of(
    mitigator: impl aiops_core::seam::Mitigator,
    verdict: Verdict,
    approver: impl aiops_core::seam::Approver,
) -> Pipeline {
    kept_by(Kept::default(), mitigator, verdict, approver)
}

/// Keeps every case that was closed.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<Case>>>);

impl CaseListener for Kept {
    fn appended(&self, case: &Case, entry: &CaseEntry) {
        if matches!(entry.part, CasePart::Closed(_)) {
            self.0.lock().unwrap().push(case.clone());
        }
    }
}

fn kept_by(
    kept: Kept,
    mitigator: impl aiops_core::seam::Mitigator,
    verdict: Verdict,
    approver: impl aiops_core::seam::Approver,
) -> Pipeline {
    let source =
        InMemorySource::holding(TelemetryWindow::new(TimeRange::ending_at(start(), Duration::from_secs(60))));
    let chain = GuardChain::builder(InMemoryJournal::new())
        .guard(FixedGuard::new("fixed", verdict))
        .approver(approver)
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()
        .unwrap();
    let mut config = PipelineConfig::default();
    config.confirmations = 1;
    Pipeline::builder()
        .source(source)
        .detector(ScriptedDetector::of([vec![slow_orders()]]))
        .localizer(ScriptedLocalizer::of([Ranking::new(vec![Suspect::new(orders(), 1.0)])]))
        .rca(ScriptedRca::of([Diagnosis::new(Vec::new())]))
        .planner(ScriptedPlanner::of([vec![restart("p1")]]))
        .guards(chain)
        .mitigator(mitigator)
        .verifier(ScriptedVerifier::of([report(Recovery::Recovered)]))
        .notifier(Silent)
        .listener(kept)
        .config(config)
        .build()
        .unwrap()
}

#[test]
fn people_who_cannot_be_told_do_not_hold_up_the_action() {
    let mitigator = InMemoryMitigator::new().with(orders(), SimulatedWorkload::new(2, "r1"));
    let notice = Verdict::Allow { reason: "told".into(), notify: true };
    let pipeline = pipeline_of(mitigator.clone(), notice, nobody());
    let case = incident(block_on(pipeline.step(&context())).unwrap());
    assert_eq!(case.status(), Some(&CaseStatus::Recovered));
    assert_eq!(mitigator.executed().len(), 1);
}

/// Says yes while the system is being shut down.
#[derive(Debug)]
struct TooLate(Cancellation);

#[async_trait::async_trait]
impl aiops_core::seam::Approver for TooLate {
    async fn decide(
        &self,
        _: &aiops_core::action::ApprovalRequest,
        ctx: &Context,
    ) -> aiops_core::Result<aiops_core::action::ApprovalDecision> {
        self.0.cancel();
        let approver = Principal::new("ada");
        Ok(aiops_core::action::ApprovalDecision {
            approver,
            granted: true,
            reason: "fine".into(),
            at: ctx.now(),
        })
    }
}

#[test]
fn nothing_is_begun_after_a_shutdown_even_with_consent() {
    let mitigator = InMemoryMitigator::new().with(orders(), SimulatedWorkload::new(2, "r1"));
    let shutdown = Cancellation::new();
    let ask = Verdict::needs_approval("a person must see this");
    let kept = Kept::default();
    let pipeline = kept_by(kept.clone(), mitigator.clone(), ask, TooLate(shutdown.clone()));
    let ctx = context();
    assert_eq!(block_on(pipeline.run(&ctx, &shutdown)).unwrap(), 1);
    assert!(escalation(&kept.0.lock().unwrap()[0]).contains("shut down before acting"));
    assert!(mitigator.executed().is_empty());
    let history = block_on(pipeline.guards().journal().history(&ctx)).unwrap();
    assert_eq!(history.actions().count(), 0);
}

/// Hands out, for every action, the receipt of the one before.
#[derive(Debug)]
struct Swapping(InMemoryMitigator, Mutex<Option<aiops_core::guard::Receipt>>);

#[async_trait::async_trait]
impl aiops_core::seam::Mitigator for Swapping {
    fn capability(&self) -> aiops_core::seam::MitigatorCapability {
        self.0.capability()
    }
    async fn preview(
        &self,
        action: &Action,
        ctx: &Context,
    ) -> aiops_core::Result<aiops_core::action::Preview> {
        self.0.preview(action, ctx).await
    }
    async fn execute(
        &self,
        intended: aiops_core::guard::Intended<Action>,
        ctx: &Context,
    ) -> aiops_core::Result<aiops_core::guard::Receipt> {
        let own = self.0.execute(intended, ctx).await?;
        Ok(self.1.lock().unwrap().replace(own).unwrap())
    }
    async fn status(
        &self,
        _: &aiops_core::action::IdempotencyKey,
        _: &Context,
    ) -> aiops_core::Result<aiops_core::action::ActionStatus> {
        Ok(aiops_core::action::ActionStatus::Unknown)
    }
}

#[test]
fn the_receipt_of_another_action_proves_nothing() {
    let mitigator = InMemoryMitigator::new().with(orders(), SimulatedWorkload::new(2, "r1"));
    let ctx = context();
    let elsewhere = GuardChain::builder(InMemoryJournal::new())
        .guard(FixedGuard::new("fixed", Verdict::allow("fine")))
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()
        .unwrap();
    let stale = block_on(async {
        let right = elsewhere.authorize(restart("other"), &mitigator, &ctx).await.unwrap();
        use aiops_core::seam::Mitigator as _;
        mitigator.execute(right.record(&ctx).await.unwrap(), &ctx).await.unwrap()
    });
    let mitigator = InMemoryMitigator::new().with(orders(), SimulatedWorkload::new(2, "r1"));
    let pipeline =
        pipeline_of(Swapping(mitigator, Mutex::new(Some(stale))), Verdict::allow("fine"), nobody());
    let case = incident(block_on(pipeline.step(&ctx)).unwrap());
    assert!(escalation(&case).contains("receipt of another action"), "{}", escalation(&case));
    let history = block_on(pipeline.guards().journal().history(&ctx)).unwrap();
    assert_eq!(history.in_doubt().count(), 1);
}

#[test]
fn nothing_is_done_while_observing_or_after_the_kill_switch() {
    let watching = rig(Parts { mode: Mode::Observe, ..Parts::default() });
    let case = incident(block_on(watching.pipeline.step(&context())).unwrap());
    assert!(escalation(&case).contains("no proposal was allowed"));
    assert!(watching.mitigator.executed().is_empty());

    let killed = rig(Parts::default());
    killed.kill_switch.engage(&Principal::new("ada"), "enough");
    let case = incident(block_on(killed.pipeline.step(&context())).unwrap());
    assert!(escalation(&case).contains("enough"));
    assert!(killed.mitigator.executed().is_empty());
}

#[test]
fn a_denied_proposal_leaves_the_next_its_chance_and_none_is_an_escalation() {
    let denied = rig(Parts { verdict: Verdict::deny("frozen"), ..Parts::default() });
    let case = incident(block_on(denied.pipeline.step(&context())).unwrap());
    assert_eq!(escalation(&case), "no proposal was allowed");

    let nothing = rig(Parts { planned: vec![vec![]], ..Parts::default() });
    let case = incident(block_on(nothing.pipeline.step(&context())).unwrap());
    assert_eq!(escalation(&case), "no safe action is known");
}

/// Minutes after it was opened at which the case was diagnosed.
fn diagnosed_at(case: &Case) -> Vec<i64> {
    let diagnoses = case.entries().iter().filter(|e| matches!(e.part, CasePart::Diagnosed(_)));
    diagnoses.map(|e| e.at.duration_since(case.opened_at()).as_secs() / 60).collect()
}

const FIVE_MINUTES: Duration = Duration::from_secs(300);

#[test]
fn what_is_unclear_is_looked_at_again_before_a_person_takes_over() {
    let planned = vec![vec![], vec![], vec![restart("p1")]];
    let found = rig(Parts { planned, look_again: FIVE_MINUTES, ..Parts::default() });
    let case = incident(block_on(found.pipeline.step(&context())).unwrap());
    assert_eq!(case.status(), Some(&CaseStatus::Recovered));
    assert_eq!(diagnosed_at(&case), [0, 1, 2]);
    assert_eq!(found.mitigator.executed().len(), 1);

    let never = rig(Parts { planned: vec![vec![]], look_again: FIVE_MINUTES, ..Parts::default() });
    let case = incident(block_on(never.pipeline.step(&context())).unwrap());
    assert_eq!(escalation(&case), "no safe action is known");
    assert_eq!(diagnosed_at(&case), [0, 1, 2, 3, 4, 5], "and no longer than was said");

    let denied = Verdict::deny("too unsure");
    let unsure = rig(Parts { verdict: denied, look_again: FIVE_MINUTES, ..Parts::default() });
    let case = incident(block_on(unsure.pipeline.step(&context())).unwrap());
    assert_eq!(escalation(&case), "no proposal was allowed");
    assert_eq!(diagnosed_at(&case).len(), 6);
    assert!(unsure.mitigator.executed().is_empty());
}

#[test]
fn who_refused_is_not_asked_again() {
    let asked = rig(Parts::default());
    let refusing = ScriptedApprover::of(Principal::new("ada"), [false]);
    let chain = GuardChain::builder(asked.journal.clone())
        .guard(FixedGuard::new("fixed", Verdict::needs_approval("a person decides")))
        .approver(refusing.clone())
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()
        .unwrap();
    let mut config = PipelineConfig::default();
    (config.confirmations, config.look_again) = (1, FIVE_MINUTES);
    let pipeline = Pipeline::builder()
        .source(asked.source.clone())
        .detector(ScriptedDetector::of([vec![slow_orders()]]))
        .localizer(ScriptedLocalizer::of([Ranking::new(vec![Suspect::new(orders(), 1.0)])]))
        .rca(ScriptedRca::of([Diagnosis::new(Vec::new())]))
        .planner(ScriptedPlanner::of([vec![restart("p1")]]))
        .guards(chain)
        .mitigator(asked.mitigator.clone())
        .verifier(ScriptedVerifier::of([report(Recovery::Recovered)]))
        .config(config)
        .build()
        .unwrap();
    let case = incident(block_on(pipeline.step(&context())).unwrap());
    assert_eq!(escalation(&case), "no proposal was allowed");
    assert_eq!((refusing.asked().len(), diagnosed_at(&case).len()), (1, 1));
}

#[test]
fn nothing_is_done_about_what_went_away_meanwhile() {
    let detected = vec![vec![slow_orders()], vec![]];
    let planned = vec![vec![], vec![restart("p1")]];
    let rig = rig(Parts { detected, planned, look_again: FIVE_MINUTES, ..Parts::default() });
    let case = incident(block_on(rig.pipeline.step(&context())).unwrap());
    assert_eq!(escalation(&case), "its symptoms went away while nothing was done");
    assert_eq!(diagnosed_at(&case), [0]);
    assert!(rig.mitigator.executed().is_empty());
}

#[test]
fn what_helped_in_part_stays_where_that_is_wanted() {
    let radius = BlastRadius { replicas: 2, share_of_fleet: Share::new(0.25).unwrap() };
    let back = RollbackPlan::Operation(Box::new(Operation::Scale { replicas: 2 }));
    let scale = Action::new(Operation::Scale { replicas: 4 }, orders(), radius).with_rollback(back);
    let check = |what: &str, recovery| SignalCheck {
        entity: orders(),
        what: what.to_owned(),
        recovery,
        detail: String::new(),
    };
    let mut failing = slow_orders();
    failing.series = SeriesKey::new("errors");
    let done = |keep_partial: bool, first: Recovery, second: Recovery| {
        let rig = rig(Parts {
            detected: vec![vec![slow_orders(), failing.clone()]],
            planned: vec![vec![proposal("p1", scale.clone())], vec![restart("p2")]],
            keep_partial,
            ..Parts::default()
        });
        let part = RecoveryReport::from_checks(
            start(),
            vec![check(&slow_orders().series.to_string(), first), check("errors", second)],
        );
        let verifier = ScriptedVerifier::of([part, report(Recovery::Recovered)]);
        let mut config = PipelineConfig::default();
        (config.confirmations, config.keep_partial) = (1, keep_partial);
        let chain = GuardChain::builder(rig.journal.clone())
            .guard(FixedGuard::new("fixed", Verdict::allow("fine")))
            .config(ChainConfig::in_mode(Mode::Auto))
            .build()
            .unwrap();
        let pipeline = Pipeline::builder()
            .source(rig.source.clone())
            .detector(ScriptedDetector::of([vec![slow_orders(), failing.clone()]]))
            .localizer(ScriptedLocalizer::of([Ranking::new(vec![Suspect::new(orders(), 1.0)])]))
            .rca(ScriptedRca::of([Diagnosis::new(Vec::new())]))
            .planner(ScriptedPlanner::of([vec![proposal("p1", scale.clone())], vec![restart("p2")]]))
            .guards(chain)
            .mitigator(rig.mitigator.clone())
            .verifier(verifier)
            .config(config)
            .build()
            .unwrap();
        let case = incident(block_on(pipeline.step(&context())).unwrap());
        assert_eq!(case.status(), Some(&CaseStatus::Recovered));
        let executed = rig.mitigator.executed();
        executed.into_iter().map(|(_, a)| a.operation.to_string()).collect::<Vec<_>>()
    };
    use Recovery::{NotRecovered, Recovered};
    assert_eq!(done(true, Recovered, NotRecovered), ["scale to 4", "rolling restart"]);
    assert_eq!(done(false, Recovered, NotRecovered), ["scale to 4", "scale to 2", "rolling restart"]);
    assert_eq!(done(true, NotRecovered, NotRecovered), ["scale to 4", "scale to 2", "rolling restart"]);
}

#[test]
fn what_a_person_took_over_opens_no_other_case_until_it_was_gone() {
    // Confirmed by one look in this rig, so one look without it is the end.
    let detected = vec![vec![slow_orders()], vec![slow_orders()], vec![], vec![slow_orders()]];
    let rig = rig(Parts { detected, planned: vec![vec![]], ..Parts::default() });
    let ctx = context();
    incident(block_on(rig.pipeline.step(&ctx)).unwrap());
    assert!(matches!(block_on(rig.pipeline.step(&ctx)).unwrap(), Look::HandedOver));
    assert!(matches!(block_on(rig.pipeline.step(&ctx)).unwrap(), Look::Quiet));
    incident(block_on(rig.pipeline.step(&ctx)).unwrap());
}

#[test]
fn what_joins_a_handed_over_incident_is_told() {
    let mut second = slow_orders();
    second.entity = EntityId::service("payments");
    let detected =
        vec![vec![slow_orders()], vec![slow_orders(), second.clone()], vec![slow_orders(), second]];
    let rig = rig(Parts { detected, planned: vec![vec![]], ..Parts::default() });
    let ctx = context();
    let case = incident(block_on(rig.pipeline.step(&ctx)).unwrap());
    let told = || -> Vec<Notification> {
        rig.notifier.sent().into_iter().filter(|n| n.kind == NotificationKind::Joined).collect()
    };
    assert!(told().is_empty());
    for _ in 0..2 {
        assert!(matches!(block_on(rig.pipeline.step(&ctx)).unwrap(), Look::HandedOver));
        let told = told();
        assert_eq!(told.len(), 1, "once: {told:?}");
        assert!(told[0].body.contains("service/payments"), "{told:?}");
        assert_eq!(&told[0].incident, case.id());
    }
}

#[test]
fn what_was_over_before_anybody_looked_opens_nothing() {
    let mut over = slow_orders();
    over.ongoing = false;
    let rig = rig(Parts { detected: vec![vec![over]], ..Parts::default() });
    assert!(matches!(block_on(rig.pipeline.step(&context())).unwrap(), Look::Quiet));
}

#[test]
fn rounds_are_bounded() {
    let planned = (0..9).map(|n| vec![restart(&format!("p{n}"))]).collect();
    let rig = rig(Parts { planned, verified: vec![Recovery::NotRecovered], ..Parts::default() });
    let case = incident(block_on(rig.pipeline.step(&context())).unwrap());
    assert!(escalation(&case).contains("after 4 rounds"));
    assert_eq!(rig.mitigator.executed().len(), 4);
}

#[test]
fn two_replicas_run_one_action_once() {
    let journal = InMemoryJournal::new();
    let mitigator = InMemoryMitigator::new().with(orders(), SimulatedWorkload::new(2, "r1"));
    let a = rig_on(Parts::default(), journal.clone(), mitigator.clone());
    let b = rig_on(Parts::default(), journal, mitigator.clone());
    let ctx = context();
    let (first, second) = block_on(futures_lite::future::zip(a.pipeline.step(&ctx), b.pipeline.step(&ctx)));
    let statuses =
        [incident(first.unwrap()), incident(second.unwrap())].map(|c| c.status().cloned().unwrap());
    assert_eq!(mitigator.executed().len(), 1, "{statuses:?}");
    assert!(statuses.contains(&CaseStatus::Recovered));
    assert!(statuses.iter().any(|s| matches!(s, CaseStatus::Yielded { .. })));
}

#[test]
fn shutdown_is_graceful() {
    let rig = rig(Parts { detected: vec![vec![]], ..Parts::default() });
    let ctx = context();
    let shutdown = Cancellation::new();
    let stop = async {
        for _ in 0..5 {
            futures_lite::future::yield_now().await;
        }
        shutdown.cancel();
    };
    let (cases, ()) = block_on(futures_lite::future::zip(rig.pipeline.run(&ctx, &shutdown), stop));
    assert_eq!(cases.unwrap(), 0);
}

#[test]
fn not_seeing_is_reported() {
    let rig = rig(Parts::default());
    rig.source.set_outage(Some("no route".into()));
    let ctx = context();
    let shutdown = Cancellation::new();
    let stop = async {
        while rig.notifier.sent().is_empty() {
            futures_lite::future::yield_now().await;
        }
        shutdown.cancel();
    };
    let (cases, ()) = block_on(futures_lite::future::zip(rig.pipeline.run(&ctx, &shutdown), stop));
    assert_eq!(cases.unwrap(), 0);
    assert!(rig.notifier.sent()[0].title.contains("cannot be read"));
}

#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl CaseListener for Heard {
    fn appended(&self, _case: &Case, entry: &CaseEntry) {
        let name = serde_json::to_value(&entry.part).unwrap();
        let name = name.as_object().map(|o| o.keys().next().unwrap().clone());
        self.0.lock().unwrap().push(name.unwrap_or_default());
    }
}

#[test]
fn a_listener_hears_every_part_in_order() {
    let heard = Heard::default();
    let Rig { pipeline, .. } = rig(Parts::default());
    // Composing anew with a listener: the builder of the rig has none.
    drop(pipeline);
    let source = InMemorySource::new();
    let chain = GuardChain::builder(InMemoryJournal::new())
        .guard(FixedGuard::new("fixed", Verdict::allow("fine")))
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()
        .unwrap();
    let mut config = PipelineConfig::default();
    config.confirmations = 1;
    let pipeline = Pipeline::builder()
        .source(source)
        .detector(ScriptedDetector::of([vec![slow_orders()]]))
        .localizer(ScriptedLocalizer::of([Ranking::default()]))
        .rca(ScriptedRca::of([Diagnosis::new(vec![])]))
        .planner(ScriptedPlanner::of([vec![restart("p1")]]))
        .guards(chain)
        .mitigator(InMemoryMitigator::new().with(orders(), SimulatedWorkload::new(2, "r1")))
        .verifier(ScriptedVerifier::of([report(Recovery::Recovered)]))
        .listener(heard.clone())
        .config(config)
        .build()
        .unwrap();
    incident(block_on(pipeline.step(&context())).unwrap());
    let parts = heard.0.lock().unwrap().clone();
    let expected = [
        "observed",
        "detected",
        "localized",
        "diagnosed",
        "planned",
        "decided",
        "acted",
        "verified",
        "closed",
    ];
    assert_eq!(parts, expected);
}
