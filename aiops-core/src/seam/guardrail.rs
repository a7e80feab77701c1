use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::action::{ActionTrace, GuardId, History, Mode, Preview, Proposal, Verdict};
use crate::context::Context;
use crate::error::Result;
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
    /// How long after an action its undoing counts as authorised with it.
    pub revert_window: Duration,
}

impl<'a> Review<'a> {
    /// The action of ours that the proposal undoes, if it truly undoes one; see [`History::undone_by`].
    ///
    /// Such a revert was authorised together with the action. A proposal that merely claims to be one gets `None`.
    #[must_use]
    pub fn reverts_own_action(&self) -> Option<&'a ActionTrace> {
        self.history.undone_by(self.proposal, self.now, self.revert_window, None)
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
