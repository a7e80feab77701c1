use std::cmp::Reverse;

use aiops_core::action::Proposal;
use aiops_core::seam::Planner;
use aiops_core::{Case, Context, Result};
use async_trait::async_trait;

use super::guard::Learned;
use crate::graduation::ActionClass;

/// A planner whose proposals come in the order of what they are expected to do: the more likely first that the diagnosis is right *and* a
/// remedy of this class helps, `confidence · (1 − harm)`; of equals, the smaller share of a fleet, then the planner's own order.
///
/// Until something was learned of a class among them the planner's order stays. Nothing is added, changed or left out, so guards hear
/// the same proposals.
#[derive(Debug, Clone)]
pub struct ByRecord<P> {
    planner: P,
    learned: Learned,
}

impl<P: Planner> ByRecord<P> {
    /// `planner`, ordered by what `learned` says.
    pub fn new(planner: P, learned: Learned) -> Self {
        Self { planner, learned }
    }
}

/// Finite and not negative, so that its bits are in its own order.
fn bits(share: f64) -> u64 {
    share.max(0.0).to_bits()
}

#[async_trait]
impl<P: Planner> Planner for ByRecord<P> {
    async fn plan(&self, case: &Case, ctx: &Context) -> Result<Vec<Proposal>> {
        let mut proposals = self.planner.plan(case, ctx).await?;
        let book = self.learned.book(ctx).await?;
        if !proposals.iter().any(|p| book.has_lessons(&ActionClass::of(&p.action))) {
            return Ok(proposals);
        }
        proposals.sort_by_cached_key(|proposal| {
            let harm = book.of(&ActionClass::of(&proposal.action)).harm.mean();
            let expected = proposal.confidence.probability() * (1.0 - harm);
            (Reverse(bits(expected)), bits(proposal.action.blast_radius.share_of_fleet.get()))
        });
        Ok(proposals)
    }
}
