//! The payload of an authorisation exchanged after the guards saw it.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::action::Action;
use aiops_core::guard::Authorized;

fn attack(mut authorized: Authorized<Action>, mut other: Action) -> (Authorized<Action>, Action) {
    let (right, wish) = (&mut authorized, &mut other);
    let former = std::mem::replace(wish, wish.clone());
    (authorized, former)
}

fn main() {}
