//! The proof written to a file, not its record.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::guard::Receipt;

fn attack(receipt: &Receipt) -> serde_json::Result<String> {
    let text = serde_json::to_string(receipt)?; //~ E0277
    Ok(text)
}

fn main() {}
