//! The durable journal of actions.

use std::path::Path;
use std::sync::Arc;

use aiops_core::action::{History, JournalEntry, Principal, Sequence};
use aiops_core::seam::Journal;
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::lease::{Instance, LeaseToken, Term};
use crate::ledger::{Appender, Disk, Fold, Keeper, Link, MachineDisk, payload};

/// A [`Journal`] in one file, for all processes of one machine (ACT-10).
///
/// The file is a [ledger](crate::ledger) of kind `journal`; a payload is a [`JournalEntry`] as JSON, or `{"term":…}` where a holder of a
/// [lease](crate::lease) began its term. An append returns once the entry is on disk (`fdatasync`). Entries that wait at the same time are
/// written and synced together. Replicas on one machine open the same file, and the compare-and-append holds across them; on a network file
/// system only where its locks work.
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
pub struct FileJournal {
    keeper: Keeper<Actions>,
    /// The term this handle acts in.
    term: Option<Begun>,
}

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
        Ok(Self { keeper: Keeper::open_on(path.as_ref(), Actions::default(), disk)?, term: None })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.keeper.path()
    }

    /// Writes down that `term` began: intents of every earlier term, and of handles without one, are refused from now on. Returns
    /// the handle of this term. Beginning it once more changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when a later term began already, or one of this token that is somebody else's, as when replicas of one journal were
    /// given separate leases; the file's own.
    pub async fn begin_term(&self, term: &Term, ctx: &Context) -> Result<Self> {
        ctx.check()?;
        self.keeper.write(Append::Term(Begun::of(term))).await?;
        Ok(self.fenced(term))
    }

    /// The handle of `term`; its intents are refused unless it is the newest one that began.
    #[must_use]
    pub fn fenced(&self, term: &Term) -> Self {
        Self { keeper: self.keeper.clone(), term: Some(Begun::of(term)) }
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
        let (payload, entry, term) = (payload(entry)?, entry.clone(), self.term.clone());
        self.keeper.write(Append::Entry { payload, entry, expected, term }).await
    }

    async fn history(&self, ctx: &Context) -> Result<Arc<History>> {
        ctx.check()?;
        self.keeper.view().await
    }
}

/// What is to be appended.
enum Append {
    Entry { entry: JournalEntry, payload: Vec<u8>, expected: Option<Sequence>, term: Option<Begun> },
    Term(Begun),
}

/// A term that began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begun {
    token: LeaseToken,
    holder: Principal,
    instance: Instance,
}

impl Begun {
    fn of(term: &Term) -> Self {
        Self { token: term.token, holder: term.holder.clone(), instance: term.instance }
    }
}

/// A line that is no entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum TermLine {
    Term(Begun),
}

/// How a line of a term begins, and no entry does.
const TERM: &[u8] = br#"{"term":"#;

#[derive(Debug, Clone, Default)]
struct Actions {
    history: Arc<History>,
    /// The newest term.
    term: Option<Begun>,
}

impl Actions {
    /// Whether `term` is a new one; not so when it began already.
    fn begin(&mut self, term: &Begun) -> Result<bool> {
        match &self.term {
            Some(newest) if newest == term => return Ok(false),
            // The same token of somebody else: nobody could tell the two apart from now on.
            Some(newest) if newest.token >= term.token => return Err(self.stale(Some(term))),
            _ => {}
        }
        self.term = Some(term.clone());
        Ok(true)
    }

    fn stale(&self, term: Option<&Begun>) -> Error {
        let text = |term: Option<&Begun>| {
            term.map_or_else(
                || "none".to_owned(),
                |t| format!("{} of {} ({})", t.token, t.holder, t.instance),
            )
        };
        Error::new(ErrorKind::Conflict, "the journal is in another term")
            .with("term", text(term))
            .with("newest", text(self.term.as_ref()))
    }
}

impl Fold for Actions {
    const KIND: &'static str = "journal";
    type Request = Append;
    type Answer = Sequence;
    type View = Arc<History>;

    fn replay(&mut self, payload: &[u8], _: &Link) -> Result<()> {
        let malformed = |e| Error::new(ErrorKind::Malformed, "not an entry of a journal").caused_by(e);
        if payload.starts_with(TERM) {
            let TermLine::Term(term) = serde_json::from_slice(payload).map_err(malformed)?;
            return self.begin(&term).map(drop);
        }
        let entry = serde_json::from_slice(payload).map_err(malformed)?;
        Arc::make_mut(&mut self.history).apply(&entry).map(drop)
    }

    fn admit(&mut self, append: &Append, appender: &mut Appender) -> Result<Sequence> {
        let head = self.history.head();
        let (entry, bytes, expected, term) = match append {
            Append::Entry { entry, payload, expected, term } => (entry, payload, *expected, term),
            Append::Term(term) => {
                let line = payload(&TermLine::Term(term.clone()))?;
                if self.begin(term)? {
                    appender.push(&line)?;
                }
                return Ok(head);
            }
        };
        // What was done is written down whoever's term it is; what is to be done is for the newest.
        if matches!(entry, JournalEntry::Intent(_)) && *term != self.term {
            return Err(self.stale(term.as_ref()));
        }
        if expected.is_some_and(|expected| expected != head) {
            return Err(Error::new(ErrorKind::Conflict, "the journal moved on").with("head", head.0));
        }
        // Copies only while somebody still holds the former history.
        let at = Arc::make_mut(&mut self.history).apply(entry)?;
        appender.push(bytes)?;
        Ok(at)
    }

    fn view(&self) -> Arc<History> {
        Arc::clone(&self.history)
    }
}
