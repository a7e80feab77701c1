//! A proposal handed to the mitigator.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::{Action, Proposal};
use aiops_core::guard::{Intended, Receipt};
use aiops_core::seam::Mitigator;

async fn attack(proposal: Proposal, intended: Intended<Action>, mitigator: &dyn Mitigator, ctx: &Context) -> Result<Receipt> {
    let receipt = mitigator.execute(proposal.clone(), ctx).await?; //~ E0308
    Ok(receipt)
}

fn main() {}
