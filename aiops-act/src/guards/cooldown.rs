use aiops_core::action::{ActionTrace, GuardId, Verdict};
use aiops_core::model::time::{before, elapsed};
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
        // The longer of the two counts, and every earlier action is asked: a later proposal, or the undoing of one, cannot
        // shorten what an earlier one asked for, and a clock jump cannot hide it.
        let cooling = |earlier: &ActionTrace| {
            let cooldown = action.cooldown.max(earlier.intent.proposal.action.cooldown);
            let since = elapsed(earlier.intent.at, review.now);
            (since < cooldown).then_some((since, cooldown))
        };
        let longest = action.cooldown.max(review.history.longest_cooldown(&action.target));
        let mut same = review
            .history
            .on_target_since(&action.target, before(review.now, longest))
            .rev()
            .filter(|a| a.counts() && a.intent.proposal.action.kind() == action.kind());
        Ok(match same.find_map(cooling) {
            Some((since, cooldown)) => Verdict::deny(format!("done {since:?} ago, cooldown is {cooldown:?}")),
            None => Verdict::allow("not done on this target within the cooldown"),
        })
    }
}
