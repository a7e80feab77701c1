//! `Authorized` written to a file.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::action::Action;
use aiops_core::guard::Authorized;

fn attack(token: &Authorized<Action>) -> serde_json::Result<String> {
    let text = serde_json::to_string(token)?; //~ E0277
    Ok(text)
}

fn main() {}
