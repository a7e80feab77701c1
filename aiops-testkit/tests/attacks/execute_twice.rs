//! One intent handed to the mitigator twice.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::Action;
use aiops_core::guard::Intended;
use aiops_core::seam::Mitigator;

async fn attack(first: Intended<Action>, second: Intended<Action>, mitigator: &dyn Mitigator, ctx: &Context) -> Result<()> {
    let _one = mitigator.execute(first, ctx).await?;
    let _two = mitigator.execute(first, ctx).await?; //~ E0382
    Ok(())
}

fn main() {}
