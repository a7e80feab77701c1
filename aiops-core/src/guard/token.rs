//! The tokens. Every field is private to this module tree, and no token is `Clone`, `Default`, `Serialize` or
//! `Deserialize`, dereferences to its payload or hands it out: a right to act can only be passed on and used up.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::action::{
    Action, ActionOutcome, DecisionRecord, Fence, IdempotencyKey, IntentRecord, JournalEntry, Proposal,
    ReceiptRecord, Sequence,
};
use crate::clock::Clock;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::control::{KillSwitch, Revocations};
use crate::seam::Journal;

/// What the chain that minted a right keeps hold of until it is spent.
#[derive(Debug, Clone)]
pub(super) struct Control {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) kill_switch: KillSwitch,
    pub(super) revocations: Revocations,
    /// The clock the expiry was set by; a caller's context may carry another one.
    pub(super) clock: Arc<dyn Clock>,
    /// A clock that stands before this instant jumped back by more than the life of the right.
    pub(super) earliest: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl Control {
    fn check(&self, key: &IdempotencyKey) -> Result<()> {
        self.kill_switch.check()?;
        self.revocations.check(key)?;
        let now = self.clock.now();
        if now < self.earliest || now >= self.expires_at {
            return Err(Error::new(ErrorKind::Expired, "the right to act has expired")
                .with("key", key)
                .with("expired_at", self.expires_at));
        }
        Ok(())
    }
}

/// The right to intend `A`, minted only by [`GuardChain::authorize`](super::GuardChain::authorize).
#[must_use = "an authorisation that is not recorded and executed does nothing"]
pub struct Authorized<A> {
    payload: A,
    proposal: Proposal,
    decision: DecisionRecord,
    key: IdempotencyKey,
    /// Head of the journal the guards decided on.
    seen: Sequence,
    control: Control,
}

impl Authorized<Action> {
    pub(super) fn mint(
        proposal: Proposal,
        decision: DecisionRecord,
        key: IdempotencyKey,
        seen: Sequence,
        control: Control,
    ) -> Self {
        Self { payload: proposal.action.clone(), proposal, decision, key, seen, control }
    }

    /// Writes the intent to the journal of the chain that minted this right, and returns once it is durable.
    ///
    /// The journal accepts it only if nothing was written since the guards decided, so a cap or cooldown holds
    /// even when two replicas decide at the same time.
    ///
    /// # Errors
    /// Kill switch, revocation, expiry; [`ErrorKind::Conflict`] when the journal moved on, the action was intended
    /// before or its target is held; the journal's own errors. The right is used up in every case, also when the future is dropped:
    /// then the intent may have been written, and is in doubt until it is settled as never begun.
    pub async fn record(self, ctx: &Context) -> Result<Intended<Action>> {
        ctx.check()?;
        self.control.check(&self.key)?;
        let intent =
            IntentRecord::new(self.key.clone(), self.proposal, self.decision, self.control.clock.now());
        let entry = JournalEntry::Intent(Box::new(intent));
        let written = self.control.journal.append(&entry, Some(self.seen), ctx).await?;
        Ok(Intended { payload: self.payload, key: self.key, fence: Fence(written.0), control: self.control })
    }
}

impl<A> Authorized<A> {
    /// What the decision rests on.
    pub fn decision(&self) -> &DecisionRecord {
        &self.decision
    }

    /// Key it will run under; revoking it takes the right back.
    pub fn key(&self) -> &IdempotencyKey {
        &self.key
    }
}

impl<A> fmt::Debug for Authorized<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The right to execute `A` once: allowed, and written down.
#[must_use = "an intent that is not executed must be settled in the journal"]
pub struct Intended<A> {
    payload: A,
    key: IdempotencyKey,
    fence: Fence,
    control: Control,
}

impl<A> Intended<A> {
    /// Key it runs under.
    pub fn key(&self) -> &IdempotencyKey {
        &self.key
    }

    /// Uses the right up: the action to carry out now, and the proof that it was paid for.
    ///
    /// Mitigators call this immediately before the first side effect.
    ///
    /// # Errors
    /// [`ErrorKind::Killed`], [`ErrorKind::Denied`] when revoked, [`ErrorKind::Expired`], or the context's end. The
    /// right is gone then, and nothing was done.
    pub fn spend(self, ctx: &Context) -> Result<(A, Spent)>
    where
        A: Clone + Into<Action>,
    {
        ctx.check()?;
        self.control.check(&self.key)?;
        let spent = Spent {
            action: self.payload.clone().into(),
            key: self.key,
            fence: self.fence,
            at: self.control.clock.now(),
            clock: self.control.clock,
        };
        Ok((self.payload, spent))
    }
}

impl<A> fmt::Debug for Intended<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intended").field("key", &self.key).field("fence", &self.fence).finish_non_exhaustive()
    }
}

/// Proof that a right was used up. A [`Receipt`] needs one.
#[must_use = "turn it into a receipt"]
pub struct Spent {
    action: Action,
    key: IdempotencyKey,
    fence: Fence,
    at: Timestamp,
    clock: Arc<dyn Clock>,
}

impl Spent {
    /// Key to run under; pass it to the other side where it knows idempotency keys.
    pub fn key(&self) -> &IdempotencyKey {
        &self.key
    }

    /// Fence to run under; refuse it when a newer one was seen for the target.
    pub fn fence(&self) -> Fence {
        self.fence
    }
}

impl fmt::Debug for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spent").field("key", &self.key).field("fence", &self.fence).finish_non_exhaustive()
    }
}

/// Proof that an action was run by right, with its outcome. It cannot be stored; its [`record`](Self::record) can.
#[derive(Debug)]
#[must_use = "the outcome belongs in the journal"]
pub struct Receipt {
    record: ReceiptRecord,
}

impl Receipt {
    /// The receipt for what was paid with `spent`.
    pub fn new(spent: Spent, outcome: ActionOutcome, detail: impl Into<String>) -> Self {
        let record = ReceiptRecord {
            key: spent.key,
            fence: spent.fence,
            action: spent.action,
            started_at: spent.at,
            finished_at: spent.clock.now(),
            outcome,
            detail: detail.into(),
        };
        Self { record }
    }

    /// The part that can be stored.
    #[must_use]
    pub fn record(&self) -> &ReceiptRecord {
        &self.record
    }

    /// Gives the proof up for the part that can be stored.
    #[must_use]
    pub fn into_record(self) -> ReceiptRecord {
        self.record
    }
}
