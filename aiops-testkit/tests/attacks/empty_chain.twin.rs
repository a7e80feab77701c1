//! A chain without a guard.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::Result;
use aiops_core::guard::GuardChain;
use aiops_core::seam::{Guardrail, Journal};

fn attack(journal: impl Journal, guard: impl Guardrail) -> Result<GuardChain> {
    let builder = GuardChain::builder(journal);
    let chain = builder.guard(guard).build();
    chain
}

fn main() {}
