//! An action handed to the mitigator without any right.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::Action;
use aiops_core::guard::{Intended, Receipt};
use aiops_core::seam::Mitigator;

async fn attack(action: Action, intended: Intended<Action>, mitigator: &dyn Mitigator, ctx: &Context) -> Result<Receipt> {
    let receipt = mitigator.execute(action.clone(), ctx).await?; //~ E0308
    Ok(receipt)
}

fn main() {}
