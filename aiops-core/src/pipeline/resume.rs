//! A case that a former run left open.

use super::Pipeline;
use super::act::Attempt;
use super::handle::{Round, escalated};
use crate::action::{ActionOutcome, ActionTrace, Proposal, Purpose, ReceiptRecord, RollbackPlan};
use crate::case::Case;
use crate::context::{Cancellation, Context};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Recovery;

/// Where the journal says a case was left.
pub(super) enum LeftOff {
    /// Nothing was begun for it, or what was begun is over: look again.
    LookAgain,
    /// This action was the last one begun for it.
    At(Box<ActionTrace>),
}

impl Pipeline {
    /// Takes a case that a former run left open to its end, from where the journal says that run was: an action that nobody
    /// verified is verified, on the signals that the case had found; one that did not help is undone; otherwise it looks again. What was done is
    /// not repeated. The case is one that a [listener](super::CaseListener) wrote down as it grew; it need not be complete: what the
    /// journal knows of actions is added.
    ///
    /// Call [`recover`](Self::recover) before: a case with an action in doubt is escalated.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a case that is closed; when the journal cannot be read, or `ctx` ends. Failures after that end in the case.
    pub async fn resume(&self, case: Case, ctx: &Context) -> Result<Case> {
        if case.status().is_some() {
            return Err(
                Error::new(ErrorKind::Invalid, "a closed case is not resumed").with("case", case.id())
            );
        }
        let _slot = ctx.bound(async { Ok(self.slots.acquire().await) }).await?;
        let history = ctx.bound(self.guards.journal().history(ctx)).await?;
        let last = history.for_incident(case.id()).rev().find(|action| action.counts());
        let left = last.map_or(LeftOff::LookAgain, |action| LeftOff::At(Box::new(action.clone())));
        Ok(self.handle_from(case, Some(left), ctx, &Cancellation::new()).await)
    }

    /// What is left of the round in which the case was left.
    pub(super) async fn rest_of_round(
        &self,
        case: &mut Case,
        left: LeftOff,
        ctx: &Context,
        shutdown: &Cancellation,
    ) -> Result<Round> {
        let LeftOff::At(action) = left else { return Ok(Round::Again) };
        let proposal = &action.intent.proposal;
        let receipt = receipt(&action, ctx);
        let known = case.attempts().any(|(known, _)| known.key == receipt.key);
        match (&action.outcome, action.recovery) {
            (None, _) => {
                let reason = format!("nobody knows what became of the action: {}", proposal.action);
                Ok(Round::Closed(escalated(reason)))
            }
            (Some(ActionOutcome::Completed), None) if proposal.purpose == Purpose::Remedy => {
                if !known {
                    self.note_action(case, &receipt, ctx).await?;
                }
                let attempt = self.verify_and_record(case, &receipt, ctx).await?;
                self.after_attempt(case, proposal, attempt, ctx, shutdown)
                    .await
                    .map(|round| round.unwrap_or(Round::Again))
            }
            (Some(ActionOutcome::Failed { reason }), _) => {
                Ok(Round::Closed(escalated(format!("the action failed: {reason}"))))
            }
            // Its run ended between the verification and what follows from it.
            (Some(ActionOutcome::Completed), Some(recovery)) if !self.was_undone(&action, ctx).await? => {
                let attempt = Attempt::Verified(recovery);
                self.after_attempt(case, proposal, attempt, ctx, shutdown)
                    .await
                    .map(|round| round.unwrap_or(Round::Again))
            }
            _ => Ok(Round::Again),
        }
    }

    /// Whether what did not help was taken back, or cannot be.
    async fn was_undone(&self, action: &ActionTrace, ctx: &Context) -> Result<bool> {
        if action.recovery != Some(Recovery::NotRecovered) {
            return Ok(false);
        }
        if !matches!(action.intent.proposal.action.rollback, RollbackPlan::Operation(_)) {
            return Ok(true);
        }
        let history = ctx.bound(self.guards.journal().history(ctx)).await?;
        let undoes = Purpose::Revert { of: action.intent.key.clone() };
        let incident = &action.intent.proposal.incident;
        Ok(history.for_incident(incident).any(|a| a.counts() && a.intent.proposal.purpose == undoes))
    }
}

/// What the journal knows of an action, as its receipt would have told it. When it ended the journal does not say.
fn receipt(action: &ActionTrace, ctx: &Context) -> ReceiptRecord {
    let Proposal { action: done, .. } = &action.intent.proposal;
    ReceiptRecord {
        key: action.intent.key.clone(),
        fence: action.fence,
        action: done.clone(),
        started_at: action.intent.at,
        finished_at: ctx.now(),
        outcome: action.outcome.clone().unwrap_or(ActionOutcome::Completed),
        detail: "as the journal tells after a restart".to_owned(),
    }
}
