use std::fmt::Display;
use std::time::Duration;

/// A configuration value outside its range: names the field, the value and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value}: {allowed}")]
pub struct ConfigError {
    field: &'static str,
    value: String,
    allowed: String,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, value: impl Display, allowed: impl Display) -> Self {
        Self { field, value: value.to_string(), allowed: allowed.to_string() }
    }

    /// The field that is wrong.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }
}

pub(crate) fn in_range<T: PartialOrd + Display>(
    field: &'static str,
    value: T,
    min: T,
    max: T,
) -> Result<(), ConfigError> {
    if value >= min && value <= max {
        Ok(())
    } else {
        Err(ConfigError::new(field, value, format_args!("allowed {min} to {max}")))
    }
}

/// Upper bound of durations, far inside what every time type can add.
pub(crate) const CENTURY: Duration = Duration::from_secs(36_525 * 86_400);

pub(crate) fn duration_in_range(
    field: &'static str,
    value: Duration,
    min: Duration,
    max: Duration,
) -> Result<(), ConfigError> {
    if value >= min && value <= max {
        Ok(())
    } else {
        Err(ConfigError::new(field, format_args!("{value:?}"), format_args!("allowed {min:?} to {max:?}")))
    }
}
