//! An authorisation written as a struct literal, without asking any guard.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::{Action, Proposal};
use aiops_core::guard::{Authorized, GuardChain};
use aiops_core::seam::Mitigator;

async fn attack(chain: &GuardChain, proposal: Proposal, mitigator: &dyn Mitigator, ctx: &Context) -> Result<Authorized<Action>> {
    let authorized: Authorized<Action> = chain.authorize(proposal, mitigator, ctx).await?;
    Ok(authorized)
}

fn main() {}
