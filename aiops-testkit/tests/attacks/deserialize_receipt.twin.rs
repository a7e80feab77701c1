//! `Receipt` read from a file.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::action::ReceiptRecord;
use aiops_core::guard::Receipt;

type Wanted = Receipt;

fn attack(text: &str) -> serde_json::Result<()> {
    let stored = serde_json::from_str::<ReceiptRecord>(text)?;
    Ok(())
}

fn main() {}
