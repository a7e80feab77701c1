//! Two receipts for one spending.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::action::ActionOutcome;
use aiops_core::guard::{Receipt, Spent};

fn attack(first: Spent, second: Spent) -> [Receipt; 2] {
    let one = Receipt::new(first, ActionOutcome::Completed, "done");
    let two = Receipt::new(second, ActionOutcome::Completed, "done");
    [one, two]
}

fn main() {}
