//! A getter of the payload.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::action::Action;
use aiops_core::guard::Authorized;

fn attack(authorized: &Authorized<Action>) {
    let seen = authorized.payload(); //~ E0599
}

fn main() {}
