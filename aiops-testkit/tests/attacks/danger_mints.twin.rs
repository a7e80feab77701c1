//! The guard that allows everything grants a verdict, no right.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::{Action, Proposal};
use aiops_core::danger::AllowAll;
use aiops_core::guard::{Authorized, GuardChain};
use aiops_core::seam::{Guardrail, Mitigator, Review};

async fn attack(chain: &GuardChain, review: &Review<'_>, proposal: Proposal, mitigator: &dyn Mitigator, ctx: &Context) -> Result<Authorized<Action>> {
    let opinion = AllowAll.check(review, ctx).await?;
    let authorized: Authorized<Action> = chain.authorize(proposal, mitigator, ctx).await?;
    Ok(authorized)
}

fn main() {}
