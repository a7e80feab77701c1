//! An intent taken apart by a pattern.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::{Context, Result};
use aiops_core::action::Action;
use aiops_core::guard::Intended;

fn attack(intended: Intended<Action>, ctx: &Context) -> Result<Action> {
    let Intended { payload, .. } = intended; //~ E0451
    Ok(payload)
}

fn main() {}
