//! Reading tables and writing scores.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::EvalError;

/// Files of `folder` with this ending, by name without it; sorted.
pub(super) fn names(folder: &Path, ending: &str) -> Result<Vec<String>, EvalError> {
    let read = |source| EvalError::Read { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let name = entry.map_err(read)?.file_name();
        names.extend(name.to_str().and_then(|n| n.strip_suffix(ending)).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// A file as text.
pub(super) fn text(path: &Path) -> Result<String, EvalError> {
    std::fs::read_to_string(path).map_err(|source| EvalError::Read { path: path.to_owned(), source })
}

/// A table with a header whose last column is the label, 0 or 1.
#[derive(Debug)]
pub(super) struct Labelled {
    /// Row by row, without the label.
    pub(super) values: Vec<f64>,
    pub(super) columns: usize,
    pub(super) labels: Vec<bool>,
}

impl Labelled {
    pub(super) fn read(path: &Path) -> Result<Self, EvalError> {
        let malformed = |line: usize| EvalError::Table {
            path: path.to_owned(),
            line: line as u64 + 1,
            what: "not a row of numbers like its header".to_owned(),
        };
        let text = text(path)?;
        let mut lines = text.lines().enumerate();
        let (_, header) = lines.next().ok_or_else(|| malformed(0))?;
        let width = header.split(',').count();
        let mut table = Self { values: Vec::new(), columns: width - 1, labels: Vec::new() };
        for (at, line) in lines {
            let (values, label) = match line.rsplit_once(',') {
                Some((values, label)) => (values.split(',').collect::<Vec<_>>(), label),
                None => (Vec::new(), line),
            };
            if values.len() != table.columns {
                return Err(malformed(at));
            }
            for value in values {
                table.values.push(value.trim().parse().map_err(|_| malformed(at))?);
            }
            let label: f64 = label.trim().parse().map_err(|_| malformed(at))?;
            table.labels.push(label != 0.0);
        }
        Ok(table)
    }
}

/// Writes one score a line under the header `score`, below `out` where it is given.
pub(super) fn write_scores(out: Option<&Path>, file: &str, scores: &[f64]) -> Result<(), EvalError> {
    let Some(out) = out else { return Ok(()) };
    let path: PathBuf = out.join(file);
    let failed = |source| EvalError::Write { path: path.clone(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut text = String::from("score\n");
    for score in scores {
        // Shortest form that reads back as the same number; `NaN` is understood by the scorers.
        let _ = writeln!(text, "{score}");
    }
    std::fs::write(&path, text).map_err(failed)
}

/// Writes a document below `out` where it is given.
pub(super) fn write_json(out: Option<&Path>, file: &str, document: &impl Serialize) -> Result<(), EvalError> {
    let Some(out) = out else { return Ok(()) };
    let path = out.join(file);
    let failed = |source| EvalError::Write { path: path.clone(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let text = serde_json::to_string_pretty(document).map_err(|e| failed(e.into()))?;
    std::fs::write(&path, text + "\n").map_err(failed)
}
