//! Tables that were looked through once, so that a question reads the rows of its time and not whole days over again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use aiops_core::jiff::Timestamp;
use aiops_core::model::TimeRange;
use csv::{ByteRecord, Position};

use super::schema::{Schema, recognise};
use crate::EvalError;

/// Rows are known by so many: few enough that one series' rows of an hour are told from those of a day, and so many that what is
/// remembered of a table is a thousandth of it.
const CHUNK: usize = 256;

/// The tables of a system, each looked through when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct Tables(BTreeMap<PathBuf, Table>);

impl Tables {
    /// The table at `path`.
    ///
    /// # Errors
    /// Those of [`Table::open`].
    pub(super) fn at(&mut self, path: &Path) -> Result<&Table, EvalError> {
        match self.0.entry(path.to_owned()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(Table::open(path)?)),
        }
    }
}

/// One table: its kind, and which of its rows are of which time.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    header: Vec<String>,
    pub(super) schema: &'static Schema,
    chunks: Vec<Chunk>,
}

/// Rows that follow one another.
#[derive(Debug)]
struct Chunk {
    at: Position,
    rows: usize,
    first: Timestamp,
    last: Timestamp,
}

/// A row with what is needed to say where something is wrong.
pub(super) struct Row<'a> {
    path: &'a Path,
    header: &'a [String],
    record: &'a ByteRecord,
}

impl Table {
    /// Looks through the table at `path`. O(its length); remembers a few numbers every 256 rows.
    ///
    /// # Errors
    /// [`EvalError::Read`]; [`EvalError::Table`] for no known kind of table, no CSV, and a time that is none.
    fn open(path: &Path) -> Result<Self, EvalError> {
        let mut reader = reader(path)?;
        let header = reader.byte_headers().map_err(|e| no_csv(path, 1, e))?;
        let header: Vec<String> = header
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim_start_matches('\u{feff}').trim().to_owned())
            .collect();
        let schema = recognise(path, &header)?;
        let mut table = Self { path: path.to_owned(), header, schema, chunks: Vec::new() };
        let mut record = ByteRecord::new();
        while next(path, &mut reader, |r| r.read_byte_record(&mut record))? {
            let time = table.row(&record).time(schema)?;
            match table.chunks.last_mut().filter(|chunk| chunk.rows < CHUNK) {
                Some(chunk) => {
                    chunk.rows += 1;
                    chunk.first = chunk.first.min(time);
                    chunk.last = chunk.last.max(time);
                }
                None => {
                    let at = record.position().map_or_else(Position::new, Clone::clone);
                    table.chunks.push(Chunk { at, rows: 1, first: time, last: time });
                }
            }
        }
        Ok(table)
    }

    fn row<'a>(&'a self, record: &'a ByteRecord) -> Row<'a> {
        Row { path: &self.path, header: &self.header, record }
    }

    /// File name without its ending.
    pub(super) fn stem(&self) -> &str {
        self.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    /// Hands the rows of `range` to `see`, in the order in which they stand. O(rows of the stretches of 256 that touch it).
    ///
    /// # Errors
    /// [`EvalError::Read`], [`EvalError::Table`], and those of `see`.
    pub(super) fn rows(
        &self,
        range: TimeRange,
        mut see: impl FnMut(&Row<'_>, Timestamp) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let mut within =
            self.chunks.iter().filter(|c| c.first < range.end() && c.last >= range.start()).peekable();
        if within.peek().is_none() {
            return Ok(());
        }
        let mut reader = reader(&self.path)?;
        let mut record = ByteRecord::new();
        for chunk in within {
            reader.seek(chunk.at.clone()).map_err(|e| no_csv(&self.path, chunk.at.line(), e))?;
            for _ in 0..chunk.rows {
                if !next(&self.path, &mut reader, |r| r.read_byte_record(&mut record))? {
                    break;
                }
                let row = self.row(&record);
                let at = row.time(self.schema)?;
                if range.contains(at) {
                    see(&row, at)?;
                }
            }
        }
        Ok(())
    }
}

/// Longest record, bytes. A quote that is never closed makes one record of all that follows.
const LONGEST: u64 = 1 << 20;
/// Bytes that are read at once, so that a record is known to be too long when it is by less than these.
const BUFFER: usize = 1 << 16;

/// A file of which no more than a record's bytes are read before the next one is asked for.
pub(super) struct Bounded {
    file: File,
    left: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            let why = format!("a record of more than {LONGEST} bytes; a quote may be open");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left -= read as u64;
        Ok(read)
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

/// Reads `path` as CSV whose first row names its columns.
pub(super) fn reader(path: &Path) -> Result<csv::Reader<Bounded>, EvalError> {
    let file = File::open(path).map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
    Ok(csv::ReaderBuilder::new().buffer_capacity(BUFFER).from_reader(Bounded { file, left: LONGEST }))
}

/// Whether `read` found another record of `path`, of at most [`LONGEST`] bytes. O(its length), and no more memory.
///
/// # Errors
/// [`EvalError::Read`]; [`EvalError::Table`] with the line on which a record begins that is too long or none.
pub(super) fn next(
    path: &Path,
    reader: &mut csv::Reader<Bounded>,
    read: impl FnOnce(&mut csv::Reader<Bounded>) -> csv::Result<bool>,
) -> Result<bool, EvalError> {
    reader.get_mut().left = LONGEST;
    let line = reader.position().line();
    read(reader).map_err(|e| no_csv(path, line, e))
}

/// What is wrong with `path`, at `line` where it does not know better.
pub(super) fn no_csv(path: &Path, line: u64, e: csv::Error) -> EvalError {
    let line = e.position().map_or(line, Position::line);
    let (path, what) = (path.to_owned(), e.to_string());
    match e.into_kind() {
        csv::ErrorKind::Io(source) if source.kind() != std::io::ErrorKind::InvalidData => {
            EvalError::Read { path, source }
        }
        csv::ErrorKind::Io(too_long) => EvalError::Table { path, line, what: too_long.to_string() },
        _ => EvalError::Table { path, line, what },
    }
}

impl<'a> Row<'a> {
    pub(super) fn bad(&self, what: impl Into<String>) -> EvalError {
        let line = self.record.position().map_or(0, Position::line);
        EvalError::Table { path: self.path.to_owned(), line, what: what.into() }
    }

    pub(super) fn bytes(&self, column: &str) -> &'a [u8] {
        let at = self.header.iter().position(|h| h == column);
        at.and_then(|at| self.record.get(at)).unwrap_or_default()
    }

    pub(super) fn text(&self, column: &str) -> Result<&'a str, EvalError> {
        let text = std::str::from_utf8(self.bytes(column));
        text.map(str::trim).map_err(|_| self.bad(format!("{column} is no UTF-8")))
    }

    /// A cell that is not empty.
    pub(super) fn given(&self, column: &str) -> Result<&'a str, EvalError> {
        match self.text(column)? {
            "" => Err(self.bad(format!("no {column}"))),
            text => Ok(text),
        }
    }

    /// A number; an empty cell is none.
    pub(super) fn number(&self, column: &str) -> Result<Option<f64>, EvalError> {
        match self.text(column)? {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| self.bad(format!("{column} is no number: {text:?}"))),
        }
    }

    fn time(&self, schema: &Schema) -> Result<Timestamp, EvalError> {
        let (column, tick) = schema.time;
        let text = self.given(column)?;
        // Some tables write whole numbers with a fraction of 0.
        let whole = text.split_once('.').filter(|(_, f)| f.bytes().all(|b| b == b'0')).map_or(text, |w| w.0);
        let instant = whole.parse().ok().and_then(|n| tick.instant(n));
        instant.ok_or_else(|| self.bad(format!("{column} is no time: {text:?}")))
    }
}
