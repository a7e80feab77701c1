use aiops_core::action::{GuardId, RollbackPlan, Verdict};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;

use super::{guard_id, is_own_revert};

/// What cannot be undone is for a person. // ACT-05
#[derive(Debug, Clone, Copy, Default)]
pub struct RollbackRequired;

#[async_trait]
impl Guardrail for RollbackRequired {
    fn id(&self) -> GuardId {
        guard_id("rollback-required")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        Ok(match &review.proposal.action.rollback {
            _ if is_own_revert(review) => Verdict::allow("is itself the way back"),
            RollbackPlan::Operation(back) => Verdict::allow(format!("way back: {back}")),
            RollbackPlan::NotNeeded { reason } => Verdict::allow(format!("nothing to undo: {reason}")),
            RollbackPlan::Impossible => Verdict::needs_approval("it cannot be undone"),
        })
    }
}
