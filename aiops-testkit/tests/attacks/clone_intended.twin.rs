//! Two intents from one.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::action::Action;
use aiops_core::guard::Intended;

fn attack(intended: Intended<Action>) {
    let copy = intended.key().clone();
}

fn main() {}
