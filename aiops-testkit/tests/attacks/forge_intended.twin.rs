//! An intent written as a struct literal: execution without a journal record.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::Action;
use aiops_core::guard::{Authorized, Intended};

async fn attack(authorized: Authorized<Action>, action: Action, ctx: &Context) -> Result<Intended<Action>> {
    let intended: Intended<Action> = authorized.record(ctx).await?;
    Ok(intended)
}

fn main() {}
