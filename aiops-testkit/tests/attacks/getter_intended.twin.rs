//! A getter of the payload.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::action::Action;
use aiops_core::guard::Intended;

fn attack(intended: &Intended<Action>) {
    let seen = intended.key();
}

fn main() {}
