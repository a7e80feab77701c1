//! A token converted into its payload.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::Action;
use aiops_core::guard::Intended;

fn attack(intended: Intended<Action>, ctx: &Context) -> Result<Action> {
    let (action, _spent) = intended.spend(ctx)?;
    Ok(action)
}

fn main() {}
