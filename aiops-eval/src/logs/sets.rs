//! Labelled log sets in the layout of loghub.

use std::path::{Path, PathBuf};

use crate::EvalError;

/// Which labels to score against.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Labels {
    /// `…_structured_corrected.csv` (Khan et al., ICSE 2022) where it exists, else the original ones.
    #[default]
    Corrected,
    /// `…_structured.csv`.
    Original,
}

/// The files of one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSet {
    /// Name of its folder.
    pub name: String,
    /// `*.log`: one raw line per labelled line.
    pub raw: Option<PathBuf>,
    /// CSV with `LineId`, `Content` and, to be scored, `EventTemplate`.
    pub structured: PathBuf,
}

impl LogSet {
    /// The sets of `folder`, by name: its sub-folders that hold a `*.log_structured*.csv`, or itself.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn find(folder: &Path, labels: Labels) -> Result<Vec<Self>, EvalError> {
        let mut sets = Vec::new();
        sets.extend(Self::of(folder, labels)?);
        for path in entries(folder)? {
            if path.is_dir() {
                sets.extend(Self::of(&path, labels)?);
            }
        }
        sets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(sets)
    }

    fn of(folder: &Path, labels: Labels) -> Result<Option<Self>, EvalError> {
        let files = entries(folder)?;
        let ending = |end: &str| files.iter().find(|path| path.to_string_lossy().ends_with(end)).cloned();
        let original = ending(".log_structured.csv");
        let corrected = ending(".log_structured_corrected.csv");
        let structured = match labels {
            Labels::Corrected => corrected.or(original),
            Labels::Original => original.or(corrected),
        };
        let Some(structured) = structured else { return Ok(None) };
        let name = folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Ok(Some(Self { name, raw: ending(".log"), structured }))
    }

    /// A column of the structured file, by line; `None` when it has no such column.
    ///
    /// # Errors
    /// When the file cannot be read or is no CSV.
    pub fn column(&self, name: &str) -> Result<Option<Vec<Vec<u8>>>, EvalError> {
        let path = &self.structured;
        let csv_error = |source| EvalError::Csv { path: path.clone(), source };
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(csv_error)?;
        let headers = reader.byte_headers().map_err(csv_error)?.clone();
        let Some(column) = headers.iter().position(|h| h == name.as_bytes()) else { return Ok(None) };
        let mut values = Vec::new();
        for record in reader.byte_records() {
            values.push(record.map_err(csv_error)?.get(column).unwrap_or_default().to_vec());
        }
        Ok(Some(values))
    }

    /// Line numbers as labelled, else counted from 1.
    ///
    /// # Errors
    /// As [`column`](Self::column).
    pub fn line_ids(&self, lines: usize) -> Result<Vec<Vec<u8>>, EvalError> {
        let counted = || (1..=lines).map(|n| n.to_string().into_bytes()).collect();
        Ok(self.column("LineId")?.unwrap_or_else(counted))
    }

    /// The messages, without headers.
    ///
    /// # Errors
    /// When there is no such column or the file cannot be read.
    pub fn contents(&self) -> Result<Vec<Vec<u8>>, EvalError> {
        let column = self.column("Content")?;
        column.ok_or_else(|| EvalError::NoColumn { path: self.structured.clone(), column: "Content" })
    }

    /// The raw lines, headers included.
    ///
    /// # Errors
    /// When there is no `*.log` file or it cannot be read.
    pub fn raw_lines(&self) -> Result<Vec<Vec<u8>>, EvalError> {
        let path =
            self.raw.as_ref().ok_or_else(|| EvalError::NoRawLog { folder: self.structured.clone() })?;
        let bytes = std::fs::read(path).map_err(|source| EvalError::Read { path: path.clone(), source })?;
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        Ok(bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect())
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, EvalError> {
    let read_error = |source| EvalError::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read_error)? {
        paths.push(entry.map_err(read_error)?.path());
    }
    paths.sort();
    Ok(paths)
}
