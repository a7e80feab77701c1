use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use aiops_core::model::Anomaly;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::book::{Admission, BookError, BookEvent, BookOptions, HeldId, Judgement, Pattern, ValidationBook};
use crate::checked::Checked;

/// Version of the file's lines.
pub const BOOK_VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    validation_book: u32,
}

/// A [`ValidationBook`] whose events are on disk before they count.
///
/// One JSON document a line, the first one the version; appended, and synchronised before the method returns. A last line that was cut
/// off (a crash while it was written) never counted: it is removed, and said. Anything else that makes no sense is an error. One
/// process at a time.
#[derive(Debug)]
pub struct BookFile {
    book: ValidationBook,
    path: PathBuf,
    file: File,
    /// Length of what is whole.
    length: u64,
    cut: Option<String>,
}

impl BookFile {
    /// Opens or begins the book at `path`. O(events).
    ///
    /// # Errors
    /// [`BookError::File`], [`BookError::Malformed`].
    pub fn open(path: impl AsRef<Path>, options: Checked<BookOptions>) -> Result<Self, BookError> {
        let path = path.as_ref().to_owned();
        let failed = |source| BookError::File { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let (lines, rest) = bytes.split_at(whole);
        let cut = (!rest.is_empty()).then(|| String::from_utf8_lossy(rest).into_owned());
        let mut book = ValidationBook::new(options);
        for (at, line) in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()).enumerate() {
            let malformed = |what: String| BookError::Malformed { path: path.clone(), line: at + 1, what };
            if at == 0 {
                let header: Header = serde_json::from_slice(line).map_err(|e| malformed(e.to_string()))?;
                if header.validation_book != BOOK_VERSION {
                    return Err(malformed(format!("version {}", header.validation_book)));
                }
                continue;
            }
            let event: BookEvent = serde_json::from_slice(line).map_err(|e| malformed(e.to_string()))?;
            book.apply(&event).map_err(|e| malformed(e.to_string()))?;
        }
        let length = whole as u64;
        file.set_len(length).map_err(failed)?;
        let mut opened = Self { book, path, file, length, cut };
        if length == 0 {
            opened.append(&Header { validation_book: BOOK_VERSION })?;
        }
        Ok(opened)
    }

    /// The book.
    #[must_use]
    pub fn book(&self) -> &ValidationBook {
        &self.book
    }

    /// The last line as it was when the book was opened, if it was cut off.
    #[must_use]
    pub fn cut_off(&self) -> Option<&str> {
        self.cut.as_deref()
    }

    fn append(&mut self, line: &impl Serialize) -> Result<(), BookError> {
        let failed = |source| BookError::File { path: self.path.clone(), source };
        let mut bytes = serde_json::to_vec(line).map_err(|e| failed(e.into()))?;
        bytes.push(b'\n');
        // What a failed write left behind is overwritten.
        self.file.seek(SeekFrom::Start(self.length)).map_err(failed)?;
        self.file.write_all(&bytes).map_err(failed)?;
        self.file.set_len(self.length + bytes.len() as u64).map_err(failed)?;
        self.file.sync_data().map_err(failed)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn record(&mut self, event: &BookEvent) -> Result<Option<Anomaly>, BookError> {
        self.append(event)?;
        self.book.apply(event)
    }

    /// As [`ValidationBook::admit`].
    ///
    /// # Errors
    /// [`BookError::File`]; nothing is held then.
    pub fn admit(
        &mut self,
        anomaly: &Anomaly,
        confidence: f64,
        at: Timestamp,
    ) -> Result<Admission, BookError> {
        let (admission, event) = self.book.consider(anomaly, confidence, at);
        if let Some(event) = event {
            self.record(&event)?;
        }
        Ok(admission)
    }

    /// As [`ValidationBook::judge`].
    ///
    /// # Errors
    /// As that, and [`BookError::File`].
    pub fn judge(
        &mut self,
        id: HeldId,
        judgement: Judgement,
        by: &str,
        at: Timestamp,
    ) -> Result<Option<Anomaly>, BookError> {
        let event = self.book.judgement(id, judgement, by, at)?;
        self.record(&event)
    }

    /// Notes what a person said of a finding that had been told.
    ///
    /// # Errors
    /// [`BookError::Nameless`], [`BookError::File`].
    pub fn review(
        &mut self,
        told: &Anomaly,
        judgement: Judgement,
        by: &str,
        at: Timestamp,
    ) -> Result<(), BookError> {
        if by.trim().is_empty() {
            return Err(BookError::Nameless);
        }
        let pattern = Box::new(Pattern::of(told));
        self.record(&BookEvent::Reviewed { pattern, judgement, by: by.to_owned(), at })?;
        Ok(())
    }
}
