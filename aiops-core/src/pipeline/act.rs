//! One proposal on its way through guards, journal, mitigator and verifier.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tracing::Instrument as _;

use super::Pipeline;
use crate::action::{
    Action, ActionOutcome, ActionStatus, ActionTrace, DecisionRecord, IdempotencyKey, JournalEntry, Proposal,
    ProposalId, Purpose, ReceiptRecord, RollbackPlan, Verdict,
};
use crate::case::{Case, CasePart};
use crate::context::{Cancellation, Context};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::{Authorized, Denied, Intended};
use crate::model::time::elapsed;
use crate::model::{Anomaly, Recovery, RecoveryReport};
use crate::seam::{AuditEvent, Notification, NotificationKind};

/// How often the guards are heard when the journal moved on in between.
const HEARINGS_AFTER_CONFLICT: u32 = 3;

/// How an attempt at one proposal ended.
#[derive(Debug)]
pub(super) enum Attempt {
    /// It was not allowed; the next proposal may be.
    Denied {
        /// A guard said no, or the target changed after somebody consented; otherwise nobody consented, or the mode forbids it.
        by_guards: bool,
    },
    /// Another replica was first.
    Yielded(String),
    /// A step failed or its outcome is unknown: a person takes over.
    Stopped(String),
    /// A remedy ran, and this is what telemetry says.
    Verified(Recovery),
    /// An earlier action was undone.
    Reverted,
}

/// What became of an execution.
enum Executed {
    Ran(Box<ReceiptRecord>),
    InDoubt { key: IdempotencyKey, reason: String },
    NotStarted(String),
}

/// The undoing of `proposal`, where there is one.
pub(super) fn revert_of(proposal: &Proposal) -> Result<Option<Proposal>> {
    let RollbackPlan::Operation(back) = &proposal.action.rollback else { return Ok(None) };
    let action = Action::new((**back).clone(), proposal.action.target.clone(), proposal.action.blast_radius);
    let revert = Proposal {
        id: ProposalId::new(format!("{}-revert", proposal.id)),
        action,
        reason: format!("{} did not help", proposal.action),
        ..proposal.clone()
    };
    Ok(Some(revert.reverting(proposal.idempotency_key()?)))
}

impl Pipeline {
    /// Guards, records, executes and verifies one proposal; begins nothing after `shutdown`.
    pub(super) async fn attempt(
        &self,
        case: &mut Case,
        proposal: &Proposal,
        ctx: &Context,
        shutdown: &Cancellation,
    ) -> Result<Attempt> {
        let (intended, notice_wanted) = match self.authorize_and_record(case, proposal, ctx, shutdown).await?
        {
            Ok(recorded) => recorded,
            Err(ended) => return Ok(ended),
        };
        // Telling people must not use up the life of the right.
        let told = async {
            if notice_wanted {
                self.tell_of_action(case, proposal, ctx).await;
            }
        };
        let ((), executed) = futures_lite::future::zip(told, self.execute(intended, proposal, ctx)).await;
        match executed {
            Executed::NotStarted(reason) => {
                self.audit(case, "not_started", &json!({ "proposal": proposal, "reason": reason }), ctx)
                    .await?;
                Ok(Attempt::Stopped(format!("the action was not begun: {reason}")))
            }
            Executed::InDoubt { key, reason } => {
                let part = CasePart::InDoubt { key: key.clone(), reason: reason.clone() };
                self.append(case, |case| case.push(ctx.now(), part));
                let detail = json!({ "key": key, "proposal": proposal, "reason": reason });
                let unheard = self.audit(case, "in_doubt", &detail, ctx).await.err();
                let unheard = unheard.map_or_else(String::new, |e| format!("; {e}"));
                Ok(Attempt::Stopped(format!("nobody knows what became of the action: {reason}{unheard}")))
            }
            Executed::Ran(receipt) => self.follow_up(case, proposal, *receipt, ctx).await,
        }
    }

    /// Takes a proposal through the guards into the journal.
    ///
    /// Another entry that slips in between makes the journal refuse; the guards are then heard again on what is now
    /// known, a few times. A target that another replica holds ends the attempt. Whether people want to be told comes along.
    async fn authorize_and_record(
        &self,
        case: &mut Case,
        proposal: &Proposal,
        ctx: &Context,
        shutdown: &Cancellation,
    ) -> Result<Result<(Intended<Action>, bool), Attempt>> {
        let shut_down = || Ok(Err(Attempt::Stopped("shut down before acting".to_owned())));
        let mut conflict = None;
        for _ in 0..HEARINGS_AFTER_CONFLICT {
            let span = tracing::info_span!("stage", name = "guard", action = %proposal.action);
            let decided = async {
                let decision = self.guards.authorize(proposal.clone(), &*self.mitigator, ctx);
                Some(decision.instrument(span).await)
            };
            // Nothing is written yet, so a wait for a person can be given up.
            let stopped = async {
                shutdown.cancelled().await;
                None
            };
            let authorized = match futures_lite::future::or(stopped, decided).await {
                None => return shut_down(),
                Some(Ok(authorized)) => authorized,
                Some(Err(denied)) => {
                    self.note_decision(case, denied.record(), ctx).await?;
                    return Ok(Err(after_denial(&denied, self.guards.kill_switch().is_engaged())));
                }
            };
            // Audit first: when it cannot be written the right is dropped and nothing happens.
            self.note_decision(case, authorized.decision(), ctx).await?;
            let notice_wanted = authorized.decision().wants_notice();
            if shutdown.is_cancelled() {
                return shut_down();
            }
            match record(authorized, self.config.stage_timeout, ctx).await {
                Ok(intended) => return Ok(Ok((intended, notice_wanted))),
                Err(e) if e.kind() == ErrorKind::Conflict => conflict = Some(e),
                Err(e) => return Ok(Err(Attempt::Stopped(format!("the intent was not recorded: {e}")))),
            }
        }
        let conflict = conflict.map_or_else(String::new, |e| e.to_string());
        if self.somebody_is_at_it(proposal, ctx).await? {
            return Ok(Err(Attempt::Yielded(conflict)));
        }
        Ok(Err(Attempt::Stopped(format!(
            "a former action is in the way and nobody follows it up: {conflict}"
        ))))
    }

    /// Whether the action that is in the way of `proposal` is young enough for another replica to be acting or verifying. What
    /// a crash left behind is not: yielding to it would leave the incident to nobody.
    async fn somebody_is_at_it(&self, proposal: &Proposal, ctx: &Context) -> Result<bool> {
        let history = ctx.bound(self.guards.journal().history(ctx)).await?;
        let same_key = history.get(&proposal.idempotency_key()?);
        let holder = history.for_target(&proposal.action.target).find(|a| a.in_doubt());
        let longest = self.config.action_timeout.saturating_add(self.config.verify_timeout);
        let is_young = |a: &ActionTrace| elapsed(a.intent.at, ctx.now()) <= longest;
        let mut in_the_way = same_key.into_iter().chain(holder).peekable();
        // Without either the journal merely moves fast: others are busy.
        Ok(in_the_way.peek().is_none() || in_the_way.any(is_young))
    }

    /// What follows an action that ran: a failure stops, a revert goes on, a remedy is verified.
    async fn follow_up(
        &self,
        case: &mut Case,
        proposal: &Proposal,
        receipt: ReceiptRecord,
        ctx: &Context,
    ) -> Result<Attempt> {
        self.note_action(case, &receipt, ctx).await?;
        match &receipt.outcome {
            ActionOutcome::Failed { reason } => {
                return Ok(Attempt::Stopped(format!("the action failed: {reason}")));
            }
            ActionOutcome::NotStarted { reason } => {
                return Ok(Attempt::Stopped(format!("the action was not begun: {reason}")));
            }
            ActionOutcome::Completed if proposal.purpose != Purpose::Remedy => return Ok(Attempt::Reverted),
            ActionOutcome::Completed => {}
        }
        self.verify_and_record(case, &receipt, ctx).await
    }

    pub(super) async fn note_action(
        &self,
        case: &mut Case,
        receipt: &ReceiptRecord,
        ctx: &Context,
    ) -> Result<()> {
        self.append(case, |case| case.act(receipt.clone()));
        self.audit(case, "acted", receipt, ctx).await
    }

    /// What telemetry says of a remedy that ran, written down.
    pub(super) async fn verify_and_record(
        &self,
        case: &mut Case,
        receipt: &ReceiptRecord,
        ctx: &Context,
    ) -> Result<Attempt> {
        let report = self.verify(case, receipt, ctx).await;
        let recovery = report.recovery;
        self.audit(case, "verified", &report, ctx).await?;
        let verified = JournalEntry::Verified { key: receipt.key.clone(), recovery, at: ctx.now() };
        let late = self.after_the_fact(ctx);
        late.bound(self.guards.journal().append(&verified, None, &late)).await?;
        self.append(case, |case| case.push(report.at, CasePart::Verified(report)));
        Ok(Attempt::Verified(recovery))
    }

    /// Only the symptoms that opened the case must be back, on every signal that ever showed one.
    async fn verify(&self, case: &Case, receipt: &ReceiptRecord, ctx: &Context) -> RecoveryReport {
        let mut symptoms = case.detected();
        symptoms.retain(|a: &Anomaly| self.config.trigger.matches(a));
        let limited = ctx.with_timeout(self.config.verify_timeout);
        let work = limited.bound(self.verifier.verify(receipt, &symptoms, &limited));
        match work.instrument(tracing::info_span!("stage", name = "verify")).await {
            Ok(report) => report,
            Err(e) => {
                tracing::warn!(error = %e, "verification failed");
                RecoveryReport::from_checks(ctx.now(), Vec::new())
            }
        }
    }

    /// Runs the action and writes down what became of it, even when the case is cancelled or runs out of time meanwhile.
    /// When the future itself is dropped the intent stays in doubt and its target held, until [`recover`](Self::recover).
    async fn execute(&self, intended: Intended<Action>, proposal: &Proposal, ctx: &Context) -> Executed {
        let key = intended.key().clone();
        let started = ctx.now();
        let span = tracing::info_span!("stage", name = "act", action = %proposal.action, key = %key);
        let late = async {
            ctx.clock().sleep(self.config.action_timeout).await;
            Err(Error::new(ErrorKind::InDoubt, "the action did not end in time"))
        };
        let work = futures_lite::future::or(self.mitigator.execute(intended, ctx), late);
        let outcome = match work.instrument(span).await {
            // A receipt proves the action it was paid for, and no other.
            Ok(receipt) if receipt.record().key == key => Ok(receipt.into_record()),
            other => {
                let e = other.err().unwrap_or_else(|| {
                    Error::new(ErrorKind::InDoubt, "the mitigator returned the receipt of another action")
                });
                tracing::warn!(error = %e, "the mitigator returned no receipt");
                self.ask_status(&key, &e, ctx).await.map(|(fence, outcome)| ReceiptRecord {
                    key: key.clone(),
                    fence,
                    action: proposal.action.clone(),
                    started_at: started,
                    finished_at: ctx.now(),
                    outcome,
                    detail: format!("told by status after: {e}"),
                })
            }
        };
        let record = match outcome {
            Ok(record) => record,
            Err(reason) => return Executed::InDoubt { key, reason },
        };
        let entry =
            JournalEntry::Outcome { key: key.clone(), outcome: record.outcome.clone(), at: ctx.now() };
        let late = self.after_the_fact(ctx);
        if let Err(e) = late.bound(self.guards.journal().append(&entry, None, &late)).await {
            // The target stays held in the journal, so nobody acts on it until a person looks.
            return Executed::InDoubt { key, reason: format!("the outcome was not recorded: {e}") };
        }
        match record.outcome {
            ActionOutcome::NotStarted { reason } => Executed::NotStarted(reason),
            ActionOutcome::Completed | ActionOutcome::Failed { .. } => Executed::Ran(Box::new(record)),
        }
    }

    /// Asks the mitigator what became of `key`; an error text when it cannot tell.
    async fn ask_status(
        &self,
        key: &IdempotencyKey,
        error: &Error,
        ctx: &Context,
    ) -> Result<(crate::action::Fence, ActionOutcome), String> {
        let ctx = self.after_the_fact(ctx);
        let history = ctx.bound(self.guards.journal().history(&ctx)).await;
        let history = history.map_err(|e| format!("{error}; {e}"))?;
        let fence =
            history.get(key).map(|a| a.fence).ok_or_else(|| format!("{error}; no intent is recorded"))?;
        let status = ctx.bound(self.mitigator.status(key, &ctx)).await;
        let outcome = match status {
            Ok(ActionStatus::NotStarted) => ActionOutcome::NotStarted { reason: error.to_string() },
            Ok(ActionStatus::Completed) => ActionOutcome::Completed,
            Ok(ActionStatus::Failed { reason }) => ActionOutcome::Failed { reason },
            Ok(ActionStatus::Running) => return Err(format!("{error}; it is still running")),
            Ok(ActionStatus::Unknown) => return Err(format!("{error}; the mitigator cannot tell")),
            Err(e) => return Err(format!("{error}; its status cannot be read: {e}")),
        };
        Ok((fence, outcome))
    }

    /// Settles what was left in doubt: asks the mitigator and writes down the outcome. Nothing is repeated. Returns what
    /// stays in doubt; their targets stay held, and people are told.
    ///
    /// Only actions older than [`action_timeout`](super::PipelineConfig::action_timeout) are in doubt: a younger one may be
    /// under way in another replica.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub async fn recover(&self, ctx: &Context) -> Result<Vec<ActionTrace>> {
        self.settle(&mut BTreeSet::new(), ctx).await
    }

    /// The same; people are told only of doubts that are not in `told` yet.
    pub(super) async fn settle(
        &self,
        told: &mut BTreeSet<IdempotencyKey>,
        ctx: &Context,
    ) -> Result<Vec<ActionTrace>> {
        let history = ctx.bound(self.guards.journal().history(ctx)).await?;
        let mut unsettled = Vec::new();
        let old = |a: &&ActionTrace| elapsed(a.intent.at, ctx.now()) >= self.config.action_timeout;
        for action in history.in_doubt().filter(old) {
            let key = &action.intent.key;
            let interrupted = Error::new(ErrorKind::InDoubt, "the action was interrupted");
            match self.ask_status(key, &interrupted, ctx).await {
                Ok((_, outcome)) => {
                    let entry = JournalEntry::Outcome { key: key.clone(), outcome, at: ctx.now() };
                    match self.guards.journal().append(&entry, None, ctx).await {
                        // Another replica settled it first.
                        Err(e) if e.kind() == ErrorKind::Conflict => {}
                        other => drop(other?),
                    }
                }
                Err(reason) => {
                    if told.insert(key.clone()) {
                        self.tell_of_doubt(action, &reason, ctx).await;
                    }
                    unsettled.push(action.clone());
                }
            }
        }
        Ok(unsettled)
    }

    /// What was done must be written down even when the case was cancelled or ran out of time.
    fn after_the_fact(&self, ctx: &Context) -> Context {
        ctx.detached(self.config.stage_timeout)
    }

    async fn note_decision(&self, case: &mut Case, decision: &DecisionRecord, ctx: &Context) -> Result<()> {
        self.append(case, |case| case.push(ctx.now(), CasePart::Decided(decision.clone())));
        self.audit(case, "decided", decision, ctx).await
    }

    async fn audit(
        &self,
        case: &Case,
        what: &str,
        detail: &impl serde::Serialize,
        ctx: &Context,
    ) -> Result<()> {
        let Some(audit) = &self.audit else { return Ok(()) };
        let event = AuditEvent::new(ctx.now(), Some(case.id().clone()), what, json!(detail));
        let late = self.after_the_fact(ctx);
        late.bound(audit.append(&event, &late)).await.map_err(|e| e.at("AuditSink::append"))
    }

    async fn tell_of_action(&self, case: &Case, proposal: &Proposal, ctx: &Context) {
        let notice = Notification::new(
            case.id().clone(),
            NotificationKind::Acted,
            format!("acting: {}", proposal.action),
            proposal.reason.clone(),
        );
        self.tell(&notice, ctx).await;
    }

    async fn tell_of_doubt(&self, action: &ActionTrace, reason: &str, ctx: &Context) {
        let proposal = &action.intent.proposal;
        let notice = Notification::new(
            proposal.incident.clone(),
            NotificationKind::Escalation,
            format!("nobody knows what became of: {}", proposal.action),
            reason,
        );
        self.tell(&notice, ctx).await;
    }

    /// A notification that fails or takes longer than a stage may is logged; it never decides what is done.
    pub(super) async fn tell(&self, notice: &Notification, ctx: &Context) {
        let Some(notifier) = &self.notifier else { return };
        let limited = ctx.with_timeout(self.config.stage_timeout);
        if let Err(e) = limited.bound(notifier.notify(notice, &limited)).await {
            tracing::error!(incident = %notice.incident, error = %e, "people could not be told");
        }
    }
}

/// Writes the intent down, within the time of a stage. A journal that is late may still have it: then the target stays held
/// until [`Pipeline::settle`] finds that the action was never begun.
async fn record(authorized: Authorized<Action>, limit: Duration, ctx: &Context) -> Result<Intended<Action>> {
    let limited = ctx.with_timeout(limit);
    let written = limited.bound(authorized.record(&limited));
    written.instrument(tracing::info_span!("stage", name = "record")).await
}

/// After the kill switch nothing else is tried; any other denial leaves the next proposal its chance.
fn after_denial(denied: &Denied, killed: bool) -> Attempt {
    if killed {
        return Attempt::Stopped(denied.reason().to_owned());
    }
    let record = denied.record();
    let consented = record.approval.as_ref().is_some_and(|a| a.granted);
    let by_guards = consented || record.verdicts.iter().any(|v| matches!(v.verdict, Verdict::Deny { .. }));
    Attempt::Denied { by_guards }
}
