use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::action::{History, JournalEntry, Sequence};
use crate::context::Context;
use crate::error::Result;
use crate::seam::forward::forward_seam;

/// The durable record of actions, shared by all replicas that may act on the same targets.
///
/// # Contract
/// - An entry is durable when `append` returns; an entry whose `append` failed is not in the history, unless the error is
///   [`InDoubt`](crate::ErrorKind::InDoubt).
/// - `append` is a compare-and-append: with `expected`, it accepts only when `expected` is still the head. Of any number of
///   concurrent appends with the same expectation one succeeds.
/// - Every entry is accepted only if [`History::apply`] accepts it. So a key is intended once, and a target whose
///   action has not ended is held: two replicas run one action once.
///
/// # Errors
/// [`Conflict`](crate::ErrorKind::Conflict) for a stale head or what [`History::apply`] refuses;
/// [`NotFound`](crate::ErrorKind::NotFound) for the outcome of an unknown key; the store's own errors.
#[async_trait]
pub trait Journal: Debug + Send + Sync + 'static {
    /// Makes `entry` durable and returns its position.
    async fn append(
        &self,
        entry: &JournalEntry,
        expected: Option<Sequence>,
        ctx: &Context,
    ) -> Result<Sequence>;

    /// Everything so far.
    async fn history(&self, ctx: &Context) -> Result<Arc<History>>;
}

forward_seam!(once Journal {
    acts append(entry: &JournalEntry, expected: Option<Sequence>) -> Sequence;
    reads history() -> Arc<History>;
});
