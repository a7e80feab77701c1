use std::fmt::Debug;

use async_trait::async_trait;

use crate::context::Context;
use crate::error::Result;
use crate::model::{Briefing, TelemetryWindow, TokenBudget};
use crate::seam::forward::forward_seam;

/// Turns a window into something a person or a model can read, within a hard token budget, stating what was cut.
///
/// # Errors
/// [`Limit`](crate::ErrorKind::Limit) when not even the stated loss fits the budget.
#[async_trait]
pub trait Compactor: Debug + Send + Sync + 'static {
    /// Compacts `window`.
    async fn compact(&self, window: &TelemetryWindow, budget: TokenBudget, ctx: &Context)
    -> Result<Briefing>;
}

forward_seam!(repeatable Compactor {
    reads compact(window: &TelemetryWindow, budget: TokenBudget) -> Briefing;
});
