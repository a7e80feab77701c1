//! A receipt for a right that was never spent.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::{Action, ActionOutcome};
use aiops_core::guard::{Intended, Receipt};

fn attack(intended: Intended<Action>, ctx: &Context) -> Result<Receipt> {
    let receipt = Receipt::new(intended.spend(ctx)?.1, ActionOutcome::Completed, "done");
    Ok(receipt)
}

fn main() {}
