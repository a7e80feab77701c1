//! Gzipped CSV tables with a header.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use aiops_core::jiff::{SignedDuration, Timestamp};
use csv::StringRecord;
use flate2::read::MultiGzDecoder;

use crate::EvalError;

pub(super) struct Table {
    path: PathBuf,
    header: Vec<String>,
    reader: csv::Reader<Box<dyn Read>>,
}

/// One row, with what is needed to say where something is wrong.
pub(super) struct Row<'t> {
    table: &'t Path,
    header: &'t [String],
    record: &'t StringRecord,
}

fn bad(path: &Path, line: Option<u64>, what: impl Into<String>) -> EvalError {
    EvalError::Table { path: path.to_owned(), line: line.unwrap_or(0), what: what.into() }
}

impl Table {
    /// Opens `path`; compressed where its name ends with `gz`.
    pub(super) fn open(path: &Path) -> Result<Self, EvalError> {
        let file = File::open(path).map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
        let file = BufReader::new(file);
        let zipped = path.extension().is_some_and(|end| end == "gz");
        let bytes: Box<dyn Read> = if zipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
        let header = reader.headers().map_err(|e| bad(path, Some(1), e.to_string()))?;
        let header = header.iter().map(ToOwned::to_owned).collect();
        Ok(Self { path: path.to_owned(), header, reader })
    }

    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    /// Hands every row to `see`.
    pub(super) fn rows(
        &mut self,
        mut see: impl FnMut(&Row<'_>) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let mut record = StringRecord::new();
        loop {
            let more = self
                .reader
                .read_record(&mut record)
                .map_err(|e| bad(&self.path, e.position().map(csv::Position::line), e.to_string()))?;
            if !more {
                return Ok(());
            }
            see(&Row { table: &self.path, header: &self.header, record: &record })?;
        }
    }
}

impl<'t> Row<'t> {
    pub(super) fn cells(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        self.record.iter()
    }

    pub(super) fn bad(&self, what: impl Into<String>) -> EvalError {
        bad(self.table, self.record.position().map(csv::Position::line), what)
    }

    /// The cell of `column`, empty where the table has no such column.
    pub(super) fn optional(&self, column: &str) -> &'t str {
        let at = self.header.iter().position(|name| name == column);
        at.and_then(|at| self.record.get(at)).unwrap_or_default()
    }

    /// The cell of `column`, which must not be empty.
    pub(super) fn text(&self, column: &str) -> Result<&'t str, EvalError> {
        match self.optional(column) {
            "" => Err(self.bad(format!("no {column}"))),
            text => Ok(text),
        }
    }

    pub(super) fn integer(&self, column: &str) -> Result<i64, EvalError> {
        let text = self.text(column)?;
        text.parse().map_err(|_| self.bad(format!("{column} is no integer: {text:?}")))
    }

    /// Unix seconds of the first column.
    pub(super) fn seconds(&self, text: &str) -> Result<Timestamp, EvalError> {
        let seconds = text.parse().map_err(|_| self.bad(format!("not a time in seconds: {text:?}")))?;
        Timestamp::from_second(seconds).map_err(|e| self.bad(e.to_string()))
    }

    /// Unix microseconds of `column`.
    pub(super) fn micros(&self, column: &str) -> Result<Timestamp, EvalError> {
        Timestamp::from_microsecond(self.integer(column)?).map_err(|e| self.bad(e.to_string()))
    }

    /// A duration in microseconds, not negative.
    pub(super) fn duration(&self, column: &str) -> Result<std::time::Duration, EvalError> {
        let micros = SignedDuration::from_micros(self.integer(column)?);
        micros.try_into().map_err(|_| self.bad(format!("{column} is negative")))
    }
}

/// `text` unless it is empty.
pub(super) fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
