//! Two proofs of spending from one.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::guard::Spent;

fn attack(spent: Spent) {
    let copy = spent.clone(); //~ E0599
}

fn main() {}
