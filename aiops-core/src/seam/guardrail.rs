use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::action::{ActionTrace, GuardId, History, Mode, Preview, Proposal, Purpose, RollbackPlan, Verdict};
use crate::context::Context;
use crate::error::Result;
use crate::model::time::elapsed;
use crate::seam::forward::forward_seam;

/// What a guard judges.
#[derive(Debug, Clone, Copy)]
pub struct Review<'a> {
    /// The proposal.
    pub proposal: &'a Proposal,
    /// The target now, and what would happen to it.
    pub preview: &'a Preview,
    /// Everything done before, by all replicas that share the journal.
    pub history: &'a History,
    /// What the system may do by itself.
    pub mode: Mode,
    /// The present instant.
    pub now: Timestamp,
}

impl<'a> Review<'a> {
    /// The action of ours that the proposal undoes, if it truly undoes one: carried out under the same incident on the same
    /// target, by exactly the operation its proposal named as the way back, within `window`, and not undone before.
    ///
    /// Such a revert was authorised together with the action. A proposal that merely claims to be one gets `None`.
    #[must_use]
    pub fn reverts_own_action(&self, window: Duration) -> Option<&'a ActionTrace> {
        let Purpose::Revert { of } = &self.proposal.purpose else { return None };
        let undone = self.history.get(of)?;
        let original = &undone.intent.proposal;
        let way_back = matches!(
            &original.action.rollback,
            RollbackPlan::Operation(back) if **back == self.proposal.action.operation
        );
        let same = original.action.target == self.proposal.action.target
            && original.incident == self.proposal.incident
            && original.purpose == Purpose::Remedy;
        let recent = elapsed(undone.intent.at, self.now) <= window;
        let again = self.history.for_target(&original.action.target).any(|a| {
            a.counts()
                && matches!(&a.intent.proposal.purpose, Purpose::Revert { of: earlier } if earlier == of)
        });
        (way_back && same && recent && undone.counts() && !undone.in_doubt() && !again).then_some(undone)
    }
}

/// Judges a proposal. It says allow, ask or deny with a reason, and never mints anything.
///
/// A guard is heard twice on every proposal, before and after an approval, so it must not count hearings as actions:
/// what was done stands in [`Review::history`].
///
/// # Errors
/// Any error counts as a denial.
#[async_trait]
pub trait Guardrail: Debug + Send + Sync + 'static {
    /// Its name, as it stands in decisions.
    fn id(&self) -> GuardId;

    /// Judges `review`.
    async fn check(&self, review: &Review<'_>, ctx: &Context) -> Result<Verdict>;
}

forward_seam!(repeatable Guardrail {
    @get id -> GuardId;
    reads check(review: &Review<'_>) -> Verdict;
});
