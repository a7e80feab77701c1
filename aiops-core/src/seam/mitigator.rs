use std::collections::BTreeSet;
use std::fmt::Debug;

use async_trait::async_trait;

use crate::action::{Action, ActionKind, ActionStatus, IdempotencyKey, Preview};
use crate::context::Context;
use crate::error::Result;
use crate::guard::{Intended, Receipt};
use crate::seam::forward::forward_seam;

/// What a [`Mitigator`] can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MitigatorCapability {
    /// Kinds of action it can run; others are refused before they are authorised.
    pub actions: BTreeSet<ActionKind>,
}

impl MitigatorCapability {
    /// A mitigator of these kinds of action.
    pub fn of(actions: impl IntoIterator<Item = ActionKind>) -> Self {
        Self { actions: actions.into_iter().collect() }
    }
}

/// Runs actions. It can be handed nothing but an [`Intended`] one: allowed by guards, and written down.
///
/// # Contract
/// - `preview` only reads.
/// - `execute` validates what it can, then [spends](Intended::spend) the right immediately before the first effect, and
///   runs at most once under the key and fence of the spent right.
/// - After an error, or when its future was dropped, `status` tells what became of the key. Once it answered
///   [`NotStarted`](ActionStatus::NotStarted) that key never runs.
///
/// # Errors
/// `execute`: [`InDoubt`](crate::ErrorKind::InDoubt) when an effect may have taken place but the answer was lost (timeouts and
/// cancellation included); [`Unsupported`](crate::ErrorKind::Unsupported), [`Invalid`](crate::ErrorKind::Invalid),
/// [`NotFound`](crate::ErrorKind::NotFound), [`Conflict`](crate::ErrorKind::Conflict) before any effect, and whatever
/// `spend` returned. An action that was tried and failed is not an error: the receipt says so.
#[async_trait]
pub trait Mitigator: Debug + Send + Sync + 'static {
    /// What it can do.
    fn capability(&self) -> MitigatorCapability;

    /// Dry run: the target as it is, and what `action` would do to it.
    async fn preview(&self, action: &Action, ctx: &Context) -> Result<Preview>;

    /// Runs an action by right.
    async fn execute(&self, action: Intended<Action>, ctx: &Context) -> Result<Receipt>;

    /// What became of `key`.
    async fn status(&self, key: &IdempotencyKey, ctx: &Context) -> Result<ActionStatus>;
}

forward_seam!(once Mitigator {
    @get capability -> MitigatorCapability;
    reads preview(action: &Action) -> Preview;
    acts execute(action: Intended<Action>) -> Receipt;
    reads status(key: &IdempotencyKey) -> ActionStatus;
});
