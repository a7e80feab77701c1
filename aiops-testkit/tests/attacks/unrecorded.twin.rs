//! Execution without a journal record.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::Action;
use aiops_core::guard::{Authorized, Receipt};
use aiops_core::seam::Mitigator;

async fn attack(authorized: Authorized<Action>, mitigator: &dyn Mitigator, ctx: &Context) -> Result<Receipt> {
    let receipt = mitigator.execute(authorized.record(ctx).await?, ctx).await?;
    Ok(receipt)
}

fn main() {}
