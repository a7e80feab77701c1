//! Two rights from one.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::action::Action;
use aiops_core::guard::Authorized;

fn attack(authorized: Authorized<Action>) {
    let copy = authorized.clone(); //~ E0599
}

fn main() {}
