//! One wording for every configuration error: the field, its value, the allowed range; and what several configurations name.

use std::fmt::Display;

use aiops_core::{Error, ErrorKind, Result};
use jiff::tz::TimeZone;

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

/// The time zone of an IANA name; UTC where none is given.
pub(crate) fn zone(name: Option<&str>) -> Result<TimeZone> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    TimeZone::get(name)
        .map_err(|e| Error::new(ErrorKind::Invalid, "an unknown time zone").with("zone", name).caused_by(e))
}
