use std::fmt::Debug;

use async_trait::async_trait;

use crate::action::Proposal;
use crate::case::Case;
use crate::context::Context;
use crate::error::Result;
use crate::seam::forward::forward_seam;

/// Turns a diagnosed case into proposals, best first. No safe action known is an empty answer, never a guess.
///
/// A planner takes earlier attempts into account: what was tried and did not help is not proposed again.
///
/// # Errors
/// Only defects.
#[async_trait]
pub trait Planner: Debug + Send + Sync + 'static {
    /// Proposes remedies for `case`.
    async fn plan(&self, case: &Case, ctx: &Context) -> Result<Vec<Proposal>>;
}

forward_seam!(repeatable Planner {
    reads plan(case: &Case) -> Vec<Proposal>;
});
