//! One wording for every configuration error: the field, its value, the allowed range.

use std::fmt::Display;

use aiops_core::{Error, ErrorKind, Result};

/// Fails unless `fine`.
pub(crate) fn require(
    fine: bool,
    field: &'static str,
    value: impl Display,
    allowed: &'static str,
) -> Result<()> {
    if fine {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Invalid, format!("{field} is out of range"))
        .with("value", value)
        .with("allowed", allowed))
}
