//! Small tables of which some columns are meant, as text.

use std::path::Path;

use csv::StringRecord;

use super::index::{next, no_csv, reader};
use crate::EvalError;

/// Whether `path` has a column of this name.
///
/// # Errors
/// [`EvalError::Read`], [`EvalError::Table`].
pub(super) fn has_column(path: &Path, column: &str) -> Result<bool, EvalError> {
    let mut reader = reader(path)?;
    let header = reader.headers().map_err(|e| no_csv(path, 1, e))?;
    Ok(header.iter().any(|name| is_named(name, column)))
}

/// Hands line and cells of `columns` of every row of `path` to `see`. Other columns are not looked at.
///
/// # Errors
/// [`EvalError::Read`], [`EvalError::NoColumn`], [`EvalError::Table`] where it is no CSV or no UTF-8, and those of `see`.
pub(super) fn rows(
    path: &Path,
    columns: &[&'static str],
    mut see: impl FnMut(u64, &[String]) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    let mut reader = reader(path)?;
    let header = reader.headers().map_err(|e| no_csv(path, 1, e))?.clone();
    let place = |column: &&'static str| {
        let at = header.iter().position(|name| is_named(name, column));
        at.ok_or(EvalError::NoColumn { path: path.to_owned(), column })
    };
    let places = columns.iter().map(place).collect::<Result<Vec<usize>, EvalError>>()?;
    let mut record = StringRecord::new();
    while next(path, &mut reader, |r| r.read_record(&mut record))? {
        let line = record.position().map_or(0, csv::Position::line);
        let cells: Vec<String> =
            places.iter().map(|at| record.get(*at).unwrap_or_default().to_owned()).collect();
        see(line, &cells)?;
    }
    Ok(())
}

/// Whether a column is called so; the first one may have a byte-order mark before it.
fn is_named(header: &str, column: &str) -> bool {
    header.trim_start_matches('\u{feff}').trim() == column
}
