//! A chain written as a struct literal, without a guard.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::Result;
use aiops_core::guard::{GuardChain, GuardChainBuilder, Guarded};

fn attack(builder: GuardChainBuilder<Guarded>) -> Result<GuardChain> {
    let chain = Ok(GuardChain { journal: todo!(), guards: Vec::new(), approver: None, kill_switch: Default::default(), revocations: Default::default(), config: Default::default() }); //~ E0451
    chain
}

fn main() {}
