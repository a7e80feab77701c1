use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiops_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::LONGEST_LINE;
use super::disk::{Disk, MachineDisk, write_all};
use super::line::{Damage, Flaw, Link};

/// How long a writer waits for the lock; what is held longer is held by somebody who does not write a line.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it tries.
const RETRY: Duration = Duration::from_millis(1);

/// Line 0.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    ledger: String,
    version: u32,
}

/// A ledger on disk, read up to some line.
#[derive(Debug)]
pub(crate) struct LedgerFile {
    path: PathBuf,
    kind: &'static str,
    disk: Arc<dyn Disk>,
    file: File,
    link: Link,
    /// Offset behind the last line that was read.
    end: u64,
}

impl LedgerFile {
    /// Opens the ledger of `kind` at `path` on `disk`, or creates it. Nothing is read yet.
    pub(crate) fn open(path: &Path, kind: &'static str, disk: Arc<dyn Disk>) -> Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = file.map_err(|e| io_error(path, "cannot be opened", e))?;
        Ok(Self { path: path.to_owned(), kind, disk, file, link: Link::START, end: 0 })
    }

    /// Opens the ledger of `kind` at `path` for nothing but reading.
    pub(crate) fn open_to_read(path: &Path, kind: &'static str) -> Result<Self> {
        let file = File::open(path).map_err(|e| io_error(path, "cannot be opened", e))?;
        let disk = Arc::new(MachineDisk);
        Ok(Self { path: path.to_owned(), kind, disk, file, link: Link::START, end: 0 })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk)
    }

    /// Gives every payload that was appended since the last call to `each`, in order, with the chain up to it.
    /// Returns how many bytes stand behind the last whole line.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] with the [`Damage`] as source, `each`'s, [`ErrorKind::Unavailable`] when the file cannot be
    /// read. What was given to `each` without an error stays read.
    pub(crate) fn read(&mut self, each: impl FnMut(&[u8], &Link) -> Result<()>) -> Result<usize> {
        if self.length()? == self.end {
            return Ok(0);
        }
        self.file.lock_shared().map_err(|e| io_error(&self.path, "cannot be locked", e))?;
        let read = self.check_place().and_then(|()| self.catch_up(each));
        self.unlock()?;
        let tail = read?;
        self.check_end(&tail)?;
        Ok(tail.len())
    }

    /// Takes the ledger for itself, reads what is new as [`read`](Self::read) does, mends what a crash left of a line, and
    /// appends what `write` gives. All of it is on disk when this returns the value of `write`.
    ///
    /// # Errors
    /// As [`read`](Self::read), and nothing was written; [`ErrorKind::Unavailable`] when it could not be written and was
    /// taken back; [`ErrorKind::InDoubt`] when nobody knows what is on disk.
    pub(crate) fn append<R>(
        &mut self,
        each: impl FnMut(&[u8], &Link) -> Result<()>,
        write: impl FnOnce(&mut Appender) -> R,
    ) -> Result<R> {
        self.lock()?;
        let done = self.check_place().and_then(|()| self.append_locked(each, write));
        self.unlock()?;
        done
    }

    fn lock(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => std::thread::sleep(RETRY),
                Err(e) => return Err(io_error(&self.path, "cannot be locked", e.into())),
            }
        }
    }

    /// Whether the path still leads to the file that is open. Another file in its place, after a rename or a restored copy, would
    /// split the history in two.
    fn check_place(&self) -> Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let place = std::fs::metadata(&self.path).ok().map(|m| (m.dev(), m.ino()));
            let open = self.file.metadata().ok().map(|m| (m.dev(), m.ino()));
            if place.is_none() || place != open {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "another file, or none, stands in the ledger's place",
                )
                .with("file", self.path.display())
                .permanent());
            }
        }
        Ok(())
    }

    fn append_locked<R>(
        &mut self,
        mut each: impl FnMut(&[u8], &Link) -> Result<()>,
        write: impl FnOnce(&mut Appender) -> R,
    ) -> Result<R> {
        let tail = self.catch_up(&mut each)?;
        self.mend(&tail, each)?;
        let mut appender = Appender { link: self.link, bytes: Vec::new() };
        if appender.link == Link::START {
            self.sync_folder()?;
            let header = Header { ledger: self.kind.to_owned(), version: 1 };
            let header = serde_json::to_vec(&header).unwrap_or_default();
            appender.push(&header)?;
        }
        let answer = write(&mut appender);
        self.commit(&appender)?;
        Ok(answer)
    }

    /// Reads to the end of the file and returns what stands behind the last line break.
    fn catch_up(&mut self, mut each: impl FnMut(&[u8], &Link) -> Result<()>) -> Result<Vec<u8>> {
        if self.length()? < self.end {
            return Err(self.damaged(Flaw::End));
        }
        let unreadable = |path: &Path, e| io_error(path, "cannot be read", e);
        let mut file = self.file.try_clone().map_err(|e| unreadable(&self.path, e))?;
        file.seek(SeekFrom::Start(self.end)).map_err(|e| unreadable(&self.path, e))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut bounded = (&mut reader).take(LONGEST_LINE as u64);
            bounded.read_until(b'\n', &mut line).map_err(|e| unreadable(&self.path, e))?;
            let Some((b'\n', text)) = line.split_last() else {
                if line.len() == LONGEST_LINE {
                    return Err(self.damaged(Flaw::Shape));
                }
                return Ok(line);
            };
            self.take(text, line.len(), &mut each)?;
        }
    }

    /// Takes one line in: `text` without its line break, `length` bytes of the file.
    fn take(
        &mut self,
        text: &[u8],
        length: usize,
        each: &mut impl FnMut(&[u8], &Link) -> Result<()>,
    ) -> Result<()> {
        let mut link = self.link;
        let payload = link.read(text).map_err(|flaw| self.damaged(flaw))?;
        if self.link == Link::START {
            let header = serde_json::from_slice::<Header>(payload).ok();
            if header.is_none_or(|h| h.ledger != self.kind || h.version != 1) {
                return Err(self.damaged(Flaw::Header { expected: self.kind }));
            }
        } else {
            each(payload, &link).map_err(|e| self.damaged(Flaw::Content(e.to_string())))?;
        }
        self.link = link;
        self.end += length as u64;
        Ok(())
    }

    /// Removes the beginning of a line, completes a line that lacks its line break, and refuses anything else.
    fn mend(&mut self, tail: &[u8], mut each: impl FnMut(&[u8], &Link) -> Result<()>) -> Result<()> {
        if tail.is_empty() {
            return Ok(());
        }
        if self.is_intact(tail) {
            self.write(b"\n")?;
            return self.take(tail, tail.len() + 1, &mut each);
        }
        self.check_end(tail)?;
        self.cut()
    }

    fn is_intact(&self, line: &[u8]) -> bool {
        let mut link = self.link;
        link.read(line).is_ok()
    }

    /// A whole line and one byte more: the byte was the line break, of a line that may have been acknowledged.
    fn check_end(&self, tail: &[u8]) -> Result<()> {
        match tail.split_last() {
            Some((_, shorter)) if self.is_intact(shorter) => Err(self.damaged(Flaw::End)),
            _ => Ok(()),
        }
    }

    fn commit(&mut self, appender: &Appender) -> Result<()> {
        if appender.bytes.is_empty() {
            return Ok(());
        }
        self.write(&appender.bytes)?;
        self.end += appender.bytes.len() as u64;
        self.link = appender.link;
        Ok(())
    }

    /// Writes at the end of the file, durably.
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Err(e) = write_all(&*self.disk, &self.file, bytes) {
            self.cut()?;
            return Err(io_error(&self.path, "cannot be written", e));
        }
        self.disk.sync(&self.file).map_err(|e| {
            // Nobody builds on what may not be on disk: a later sync would not write it either.
            let _ = self.disk.cut(&self.file, self.end);
            in_doubt(&self.path, e)
        })
    }

    /// Makes the file's name durable. Where a header stands, this was done.
    fn sync_folder(&self) -> Result<()> {
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.disk
            .sync_folder(folder)
            .map_err(|e| io_error(&self.path, "has a folder that cannot be synced", e))
    }

    /// Takes back what stands behind the last line that was read.
    fn cut(&mut self) -> Result<()> {
        let cut = self.disk.cut(&self.file, self.end).and_then(|()| self.disk.sync(&self.file));
        cut.map_err(|e| in_doubt(&self.path, e))
    }

    fn length(&self) -> Result<u64> {
        let metadata = self.file.metadata().map_err(|e| io_error(&self.path, "cannot be read", e))?;
        Ok(metadata.len())
    }

    fn unlock(&self) -> Result<()> {
        self.file.unlock().map_err(|e| in_doubt(&self.path, e))
    }

    /// The error for the line after the last one that was read.
    pub(crate) fn damaged(&self, flaw: Flaw) -> Error {
        let damage = Damage { line: self.link.lines(), byte: self.end, flaw };
        Error::new(ErrorKind::Malformed, "the ledger is damaged")
            .with("file", self.path.display())
            .with("damage", &damage)
            .caused_by(damage)
    }
}

/// Lines that will be written at once.
#[derive(Debug)]
pub(crate) struct Appender {
    link: Link,
    bytes: Vec<u8>,
}

impl Appender {
    /// Adds the line of `payload`.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] for a payload no line can hold; nothing is added then.
    pub(crate) fn push(&mut self, payload: &[u8]) -> Result<()> {
        self.link
            .write(payload, &mut self.bytes)
            .map_err(|flaw| Error::new(ErrorKind::Limit, "no line can hold this").caused_by(flaw))
    }

    /// The chain with what was added.
    pub(crate) fn link(&self) -> Link {
        self.link
    }
}

fn io_error(path: &Path, what: &str, e: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the ledger {what}")).with("file", path.display()).caused_by(e)
}

fn in_doubt(path: &Path, e: io::Error) -> Error {
    Error::new(ErrorKind::InDoubt, "nobody knows whether the ledger's last lines are on disk")
        .with("file", path.display())
        .caused_by(e)
}
