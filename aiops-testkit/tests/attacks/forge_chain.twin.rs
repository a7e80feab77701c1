//! A chain written as a struct literal, without a guard.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::Result;
use aiops_core::guard::{GuardChain, GuardChainBuilder, Guarded};

fn attack(builder: GuardChainBuilder<Guarded>) -> Result<GuardChain> {
    let chain = builder.build();
    chain
}

fn main() {}
