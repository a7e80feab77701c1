//! What can be wrong with a configuration or a call of this crate.

/// A configuration field outside its allowed range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field} = {value} is not allowed; expected {allowed}")]
pub struct ConfigError {
    field: &'static str,
    value: String,
    allowed: &'static str,
}

impl ConfigError {
    /// Names `field`, the `value` it had and the `allowed` range.
    #[must_use]
    pub fn new(field: &'static str, value: impl ToString, allowed: &'static str) -> Self {
        Self { field, value: value.to_string(), allowed }
    }

    /// The field's name, as in the serialised configuration.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }
}

/// Checks one numeric field: finite and inside `range`.
pub(crate) fn check(
    field: &'static str,
    value: f64,
    range: impl std::ops::RangeBounds<f64>,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    if value.is_finite() && range.contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::new(field, value, allowed))
    }
}

/// Slices that belong together have different lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} has {actual} elements where {expected} were expected")]
pub struct LengthMismatch {
    /// The slice with the unexpected length.
    pub what: &'static str,
    /// Its length.
    pub actual: usize,
    /// The length of the slice it belongs to.
    pub expected: usize,
}

impl LengthMismatch {
    pub(crate) fn check(what: &'static str, actual: usize, expected: usize) -> Result<(), Self> {
        if actual == expected { Ok(()) } else { Err(Self { what, actual, expected }) }
    }
}
