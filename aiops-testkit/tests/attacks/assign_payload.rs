//! The payload of an intent overwritten.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::action::Action;
use aiops_core::guard::Intended;

fn attack(intended: &mut Intended<Action>, mut wish: Action, other: Action) {
    intended.payload = other; //~ E0616
}

fn main() {}
