//! `Spent` read from a file.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::action::ReceiptRecord;
use aiops_core::guard::Spent;

type Wanted = Spent;

fn attack(text: &str) -> serde_json::Result<()> {
    let stored = serde_json::from_str::<Wanted>(text)?; //~ E0277
    Ok(())
}

fn main() {}
