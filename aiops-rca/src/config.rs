//! Checks shared by the configurations of this crate.

use std::time::Duration;

use aiops_core::model::FittedHash;
use aiops_core::{Error, ErrorKind, Result};

/// Names the field, its value and what is allowed.
pub(crate) fn out_of_range(field: &str, value: impl std::fmt::Display, allowed: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{field} is out of range"))
        .with("value", value)
        .with("allowed", allowed)
}

/// A finite number in `low..=high`.
pub(crate) fn within(field: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(out_of_range(field, value, &format!("{low}..={high}")))
    }
}

/// A duration of more than zero.
pub(crate) fn positive(field: &str, value: Duration) -> Result<()> {
    if value.is_zero() { Err(out_of_range(field, format!("{value:?}"), "more than 0 s")) } else { Ok(()) }
}

/// Names what scores come from: the kind of algorithm, the version of its rules, and its settings.
pub(crate) fn hash(kind: &str, version: u32, settings: &impl serde::Serialize) -> FittedHash {
    // Settings are plain data with words for keys: they can be written.
    let settings = serde_json::to_string(settings).unwrap_or_default();
    FittedHash::of(format!("{kind} {version} {settings}").as_bytes())
}
