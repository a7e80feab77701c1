use aiops_compact::ConfigError;

/// Why nothing could be learned from data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// The values do not fill rows of that many columns, or there is no column.
    #[error("{values} values do not make whole rows of {columns} columns")]
    Ragged {
        /// Number of values.
        values: usize,
        /// Number of columns asked for.
        columns: usize,
    },
    /// Too few rows without NaN or ±∞.
    #[error("{usable} usable rows where at least {needed} are needed")]
    TooFew {
        /// Rows that could be used.
        usable: usize,
        /// Fewest rows.
        needed: usize,
    },
    /// Rows with another number of columns than what was learned from.
    #[error("rows of {actual} columns where {expected} were expected")]
    Columns {
        /// Columns of the rows.
        actual: usize,
        /// Columns the fitted state knows.
        expected: usize,
    },
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

/// Checks one count.
pub(crate) fn check_count(
    field: &'static str,
    value: usize,
    range: impl std::ops::RangeBounds<usize>,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    if range.contains(&value) { Ok(()) } else { Err(ConfigError::new(field, value, allowed)) }
}
