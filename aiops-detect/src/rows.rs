use crate::error::FitError;

/// Observations as rows of equal length: `values[row · columns + column]`.
///
/// ```
/// use aiops_detect::Rows;
/// let rows = Rows::new(&[1.0, 2.0, 3.0, 4.0], 2)?;
/// assert_eq!((rows.len(), rows.iter().last()), (2, Some(&[3.0, 4.0][..])));
/// assert!(Rows::new(&[1.0, 2.0, 3.0], 2).is_err());
/// # Ok::<(), aiops_detect::FitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rows<'a> {
    values: &'a [f64],
    columns: usize,
}

impl<'a> Rows<'a> {
    /// A view of `values` as rows of `columns` columns.
    ///
    /// # Errors
    /// [`FitError::Ragged`] when the last row would not be whole, or `columns` is 0.
    pub fn new(values: &'a [f64], columns: usize) -> Result<Self, FitError> {
        if columns == 0 || !values.len().is_multiple_of(columns) {
            return Err(FitError::Ragged { values: values.len(), columns });
        }
        Ok(Self { values, columns })
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Number of columns, at least 1.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Row `i`; `None` beyond the end.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&'a [f64]> {
        let start = i.checked_mul(self.columns)?;
        self.values.get(start..start.checked_add(self.columns)?)
    }

    /// Rows in order.
    pub fn iter(&self) -> std::slice::ChunksExact<'a, f64> {
        self.values.chunks_exact(self.columns)
    }

    /// The values of up to `rows` rows at a time.
    pub(crate) fn blocks(&self, rows: usize) -> std::slice::Chunks<'a, f64> {
        self.values.chunks(self.columns * rows.max(1))
    }

    pub(crate) fn expect_columns(&self, expected: usize) -> Result<(), FitError> {
        if self.columns == expected {
            Ok(())
        } else {
            Err(FitError::Columns { actual: self.columns, expected })
        }
    }
}
