//! The durable journal of actions.

use std::path::Path;
use std::sync::Arc;

use aiops_core::action::{History, JournalEntry, Sequence};
use aiops_core::seam::Journal;
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;

use crate::ledger::{Appender, Disk, Fold, Keeper, Link, MachineDisk, payload};

/// A [`Journal`] in one file, for all processes of one machine (ACT-10).
///
/// The file is a [ledger](crate::ledger) of kind `journal`; a payload is a [`JournalEntry`] as JSON. An append returns once the
/// entry is on disk (`fdatasync`). Entries that wait at the same time are written and synced together. Replicas on one machine open
/// the same file, and the compare-and-append holds across them; on a network file system only where its locks work.
///
/// The file is read once at opening, in time and memory in proportion to it, and grows by about two kilobytes an action.
///
/// # Errors
/// As the [`Journal`] seam, and [`ErrorKind::Malformed`] with [`Damage`](crate::ledger::Damage) as its source when the file is not as it
/// was written. A call that has begun to wait for the disk is not interrupted by its context, or its entry would be in doubt. Who drops the call
/// itself leaves that doubt: an entry that waits for its turn is given up, one on its way to the disk is written. An intent written so
/// never runs, since the right to run it was part of the call; it holds its target until it is settled as never begun.
/// After a failed sync nobody knows what is on disk: the journal answers nothing any more ([`ErrorKind::Unavailable`]), and the disk
/// should be looked at before it is opened anew. So it is when another file stands in its place.
#[derive(Debug, Clone)]
pub struct FileJournal(Keeper<Actions>);

impl FileJournal {
    /// Opens the journal at `path`, or creates it, and checks all of it.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for a damaged file, naming the place; [`ErrorKind::Unavailable`] for one that cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_on(path, Arc::new(MachineDisk))
    }

    /// The same on another [`Disk`], for tests of what a failing one does.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(path: impl AsRef<Path>, disk: Arc<dyn Disk>) -> Result<Self> {
        Keeper::open(path.as_ref(), Actions::default(), disk).map(Self)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

#[async_trait]
impl Journal for FileJournal {
    async fn append(
        &self,
        entry: &JournalEntry,
        expected: Option<Sequence>,
        ctx: &Context,
    ) -> Result<Sequence> {
        ctx.check()?;
        let append = Append { payload: payload(entry)?, entry: entry.clone(), expected };
        self.0.write(append).await
    }

    async fn history(&self, ctx: &Context) -> Result<Arc<History>> {
        ctx.check()?;
        self.0.view().await
    }
}

/// An entry to be appended.
struct Append {
    entry: JournalEntry,
    payload: Vec<u8>,
    expected: Option<Sequence>,
}

#[derive(Debug, Clone, Default)]
struct Actions(Arc<History>);

impl Fold for Actions {
    const KIND: &'static str = "journal";
    type Request = Append;
    type Answer = Sequence;
    type View = Arc<History>;

    fn replay(&mut self, payload: &[u8], _: &Link) -> Result<()> {
        let entry = serde_json::from_slice(payload)
            .map_err(|e| Error::new(ErrorKind::Malformed, "not an entry of a journal").caused_by(e))?;
        Arc::make_mut(&mut self.0).apply(&entry).map(drop)
    }

    fn admit(&mut self, append: &Append, appender: &mut Appender) -> Result<Sequence> {
        let head = self.0.head();
        if append.expected.is_some_and(|expected| expected != head) {
            return Err(Error::new(ErrorKind::Conflict, "the journal moved on").with("head", head.0));
        }
        // Copies only while somebody still holds the former history.
        let at = Arc::make_mut(&mut self.0).apply(&append.entry)?;
        appender.push(&append.payload)?;
        Ok(at)
    }

    fn view(&self) -> Arc<History> {
        Arc::clone(&self.0)
    }
}
