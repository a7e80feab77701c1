//! Small tables of which some columns are meant, as text.

use std::path::Path;

use csv::StringRecord;

use crate::EvalError;

/// Hands line and cells of `columns` of every row of `path` to `see`. Other columns are not looked at.
///
/// # Errors
/// [`EvalError::Read`], [`EvalError::NoColumn`], [`EvalError::Table`] where it is no CSV or no UTF-8, and those of `see`.
pub(super) fn rows(
    path: &Path,
    columns: &[&'static str],
    mut see: impl FnMut(u64, &[String]) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    let file =
        std::fs::File::open(path).map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
    let mut reader = csv::ReaderBuilder::new().from_reader(std::io::BufReader::new(file));
    let bad = |e: &csv::Error| EvalError::Table {
        path: path.to_owned(),
        line: e.position().map_or(0, csv::Position::line),
        what: e.to_string(),
    };
    let header = reader.headers().map_err(|e| bad(&e))?.clone();
    let place = |column: &&'static str| {
        let at = header.iter().position(|h| h.trim_start_matches('\u{feff}') == *column);
        at.ok_or(EvalError::NoColumn { path: path.to_owned(), column })
    };
    let places = columns.iter().map(place).collect::<Result<Vec<usize>, EvalError>>()?;
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| bad(&e))? {
        let line = record.position().map_or(0, csv::Position::line);
        let cells: Vec<String> =
            places.iter().map(|at| record.get(*at).unwrap_or_default().to_owned()).collect();
        see(line, &cells)?;
    }
    Ok(())
}
