//! One authorisation recorded twice.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::Action;
use aiops_core::guard::Authorized;

async fn attack(first: Authorized<Action>, second: Authorized<Action>, ctx: &Context) -> Result<()> {
    let _one = first.record(ctx).await?;
    let _two = second.record(ctx).await?;
    Ok(())
}

fn main() {}
