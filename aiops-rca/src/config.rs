//! Checks shared by the configurations of this crate.

use std::time::Duration;

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
