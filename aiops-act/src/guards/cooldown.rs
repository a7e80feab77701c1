use aiops_core::action::{GuardId, Verdict};
use aiops_core::model::time::elapsed;
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;

use super::{guard_id, is_own_revert};

/// The same kind of action on the same target only after the action's own cooldown. // ACT-04
#[derive(Debug, Clone, Copy, Default)]
pub struct Cooldown;

#[async_trait]
impl Guardrail for Cooldown {
    fn id(&self) -> GuardId {
        guard_id("cooldown")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        let action = &review.proposal.action;
        let same = review
            .history
            .for_target(&action.target)
            .rev()
            .find(|a| a.counts() && a.intent.proposal.action.kind() == action.kind());
        let Some(last) = same else { return Ok(Verdict::allow("not done on this target before")) };
        // The longer of the two counts: a later proposal cannot shorten what the earlier one asked for.
        let cooldown = action.cooldown.max(last.intent.proposal.action.cooldown);
        let since = elapsed(last.intent.at, review.now);
        Ok(if since >= cooldown {
            Verdict::allow(format!("last done {since:?} ago"))
        } else {
            Verdict::deny(format!("last done {since:?} ago, cooldown is {cooldown:?}"))
        })
    }
}
