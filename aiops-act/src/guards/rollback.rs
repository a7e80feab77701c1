use aiops_core::action::{GuardId, Risk, RollbackPlan, Verdict};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;

use super::{guard_id, is_own_revert};

/// What cannot be undone is for a person. // ACT-05
///
/// Only an action of low risk may declare, with a reason, that nothing is left to undo.
#[derive(Debug, Clone, Copy, Default)]
pub struct RollbackRequired;

#[async_trait]
impl Guardrail for RollbackRequired {
    fn id(&self) -> GuardId {
        guard_id("rollback-required")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        let action = &review.proposal.action;
        Ok(match &action.rollback {
            _ if is_own_revert(review) => Verdict::allow("is itself the way back"),
            RollbackPlan::Operation(back) if **back == action.operation => {
                Verdict::needs_approval("doing it again does not undo it")
            }
            RollbackPlan::Operation(back) => Verdict::allow(format!("way back: {back}")),
            RollbackPlan::NotNeeded { reason } if reason.trim().is_empty() || action.risk() > Risk::Low => {
                Verdict::needs_approval("only a low risk with a reason needs no way back")
            }
            RollbackPlan::NotNeeded { reason } => Verdict::allow(format!("nothing to undo: {reason}")),
            RollbackPlan::Impossible => Verdict::needs_approval("it cannot be undone"),
        })
    }
}
