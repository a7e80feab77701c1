//! `Intended` read from a file.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::action::{Action, ReceiptRecord};
use aiops_core::guard::Intended;

type Wanted = Intended<Action>;

fn attack(text: &str) -> serde_json::Result<()> {
    let stored = serde_json::from_str::<ReceiptRecord>(text)?;
    Ok(())
}

fn main() {}
