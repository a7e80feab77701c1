//! One intent spent twice.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::Action;
use aiops_core::guard::Intended;

fn attack(first: Intended<Action>, second: Intended<Action>, ctx: &Context) -> Result<()> {
    let _one = first.spend(ctx)?;
    let _two = first.spend(ctx)?; //~ E0382
    Ok(())
}

fn main() {}
