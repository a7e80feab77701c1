//! Proof of spending written as a struct literal.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::Action;
use aiops_core::guard::{Intended, Spent};

fn attack(intended: Intended<Action>, ctx: &Context) -> Result<Spent> {
    let spent = Spent { action: todo!(), key: intended.key().clone(), fence: todo!(), at: todo!(), clock: ctx.clock().clone() }; //~ E0451
    Ok(spent)
}

fn main() {}
