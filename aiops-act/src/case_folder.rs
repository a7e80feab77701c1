//! Case files on disk while a case grows, so that whoever comes after a run that died can [resume](aiops_core::pipeline::Pipeline::resume) it.

use std::path::{Path, PathBuf};

use aiops_core::pipeline::CaseListener;
use aiops_core::{Case, CaseEntry, CasePart, Error, ErrorKind, Result};

/// Folder of open cases, and of the newest closed ones. Clones share the folder.
///
/// As a [`CaseListener`] it writes a case anew whenever something was planned, decided, done, verified or closed; before that a new look tells
/// as much. A file is written aside, synced and renamed, so it is whole or not there. A listener cannot fail: what cannot be written is logged as an error,
/// and after a restart that case is looked at as if it were new; the journal still knows what was done.
///
/// One pipeline writes to a folder at a time; a [lease](crate::lease) sees to that.
#[derive(Debug, Clone)]
pub struct CaseFolder {
    open: PathBuf,
    closed: PathBuf,
    keep: usize,
}

impl CaseFolder {
    /// The folder at `path`, made where there is none, that keeps the `keep` newest closed cases; 0 keeps none.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when it cannot be made.
    pub fn open(path: impl AsRef<Path>, keep: usize) -> Result<Self> {
        let path = path.as_ref();
        let folder = Self { open: path.join("open"), closed: path.join("closed"), keep };
        for part in [&folder.open, &folder.closed] {
            std::fs::create_dir_all(part)
                .map_err(|e| unavailable("a folder of cases cannot be made", part, e))?;
        }
        Ok(folder)
    }

    /// Cases that are open, in the order in which they were opened: those that a run left when it died, before a pipeline listens here again.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the folder cannot be read; [`ErrorKind::Malformed`] for a file that is no case.
    pub fn left_open(&self) -> Result<Vec<Case>> {
        read(&self.open)
    }

    /// Closed cases that are kept, in the order in which they were opened.
    ///
    /// # Errors
    /// As [`left_open`](Self::left_open).
    pub fn closed(&self) -> Result<Vec<Case>> {
        read(&self.closed)
    }

    /// Writes `case` as it stands.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when it cannot be written; [`ErrorKind::Internal`] when it cannot be serialised.
    pub fn write(&self, case: &Case) -> Result<()> {
        let name = file_name(case);
        let open = self.open.join(&name);
        if case.status().is_none() {
            return replace(&open, &to_bytes(case)?);
        }
        // Closed first, then no longer open: whoever dies between the two leaves it in both, and a closed case is not resumed.
        if self.keep > 0 {
            replace(&self.closed.join(&name), &to_bytes(case)?)?;
            self.forget_the_oldest()?;
        }
        match std::fs::remove_file(&open) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(unavailable("a closed case cannot be taken away", &open, e))
            }
            _ => Ok(()),
        }
    }

    /// File names begin with the instant of opening, so their order is that of time.
    fn forget_the_oldest(&self) -> Result<()> {
        let files = files(&self.closed)?;
        for old in files.iter().take(files.len().saturating_sub(self.keep)) {
            std::fs::remove_file(old).map_err(|e| unavailable("an old case cannot be taken away", old, e))?;
        }
        Ok(())
    }
}

impl CaseListener for CaseFolder {
    fn appended(&self, case: &Case, entry: &CaseEntry) {
        let matters = matches!(
            entry.part,
            CasePart::Planned(_)
                | CasePart::Decided(_)
                | CasePart::Acted(_)
                | CasePart::InDoubt { .. }
                | CasePart::Verified(_)
                | CasePart::Closed(_)
        );
        if matters && let Err(e) = self.write(case) {
            tracing::error!(case = %case.id(), error = %e, "a case was not written down");
        }
    }
}

/// An id is any text, so the file bears its hash.
fn file_name(case: &Case) -> String {
    let hash = blake3::hash(case.id().as_str().as_bytes()).to_hex();
    let opened = case.opened_at().as_millisecond();
    format!("{opened:020}-{}.json", hash.get(..16).unwrap_or_default())
}

fn to_bytes(case: &Case) -> Result<Vec<u8>> {
    serde_json::to_vec(case)
        .map_err(|e| Error::new(ErrorKind::Internal, "a case cannot be serialised").caused_by(e))
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let aside = path.with_extension("part");
    let write = || {
        let mut file = std::fs::File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    };
    write().map_err(|e| unavailable("a case cannot be written", path, e))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let list =
        || std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut files = list().map_err(|e| unavailable("a folder of cases cannot be read", folder, e))?;
    // What a run that died left half written is none.
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

fn read(folder: &Path) -> Result<Vec<Case>> {
    let case = |path: &PathBuf| {
        let bytes = std::fs::read(path).map_err(|e| unavailable("a case cannot be read", path, e))?;
        Case::from_json(&bytes).map_err(|e| e.with("file", path.display()))
    };
    files(folder)?.iter().map(case).collect()
}

fn unavailable(what: &'static str, path: &Path, e: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, what).with("path", path.display()).caused_by(e)
}
