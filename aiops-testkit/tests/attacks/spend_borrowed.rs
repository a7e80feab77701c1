//! Spending a right that is only borrowed, so that its owner could spend it again.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::Action;
use aiops_core::guard::{Intended, Spent};

fn attack(owned: Intended<Action>, ctx: &Context) -> Result<Spent> {
    let borrowed = &owned;
    let (_, spent) = borrowed.spend(ctx)?; //~ E0507
    Ok(spent)
}

fn main() {}
