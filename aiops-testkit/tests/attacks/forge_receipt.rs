//! A receipt written as a struct literal.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::action::{ActionOutcome, ReceiptRecord};
use aiops_core::guard::{Receipt, Spent};

fn attack(spent: Spent, record: ReceiptRecord) -> Receipt {
    let outcome = ActionOutcome::Completed;
    let receipt = Receipt { record }; //~ E0451
    receipt
}

fn main() {}
