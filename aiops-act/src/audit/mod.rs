//! The audit log: append-only, tamper-evident, checkpointed (AUD-01).

mod checkpoint;
mod verify;

use std::path::Path;
use std::sync::Arc;

use aiops_core::seam::{AuditEvent, AuditSink};
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::ledger::{Appender, Disk, Fold, Keeper, Link, MachineDisk, Tree, payload};

pub use checkpoint::Checkpoint;
pub use verify::{AuditReport, events, verify};

/// What a line of an audit log holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AuditLine {
    /// Something that happened.
    Event(AuditEvent),
    /// What all lines before amount to.
    Checkpoint(Checkpoint),
}

/// Settings of a [`FileAudit`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditConfig {
    /// A checkpoint is written after this many events; 0 for never but when asked. 1,000 unless told.
    pub checkpoint_every: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { checkpoint_every: 1_000 }
    }
}

/// An [`AuditSink`] in one file.
///
/// The file is a [ledger](crate::ledger) of kind `audit`; a payload is an [`AuditLine`] as JSON. An append returns once its event is on
/// disk. Several processes of one machine may write to the same file. Secrets are masked before they come here: put the log behind
/// [`Masked`](aiops_core::layer::Masked).
///
/// Whoever can write the file can also compute its chain anew. Keep [checkpoints](Self::checkpoint) where he cannot write, and give
/// them to [`verify`]: a log that was cut or written anew below the newest of them is found out then.
///
/// # Errors
/// As the [`AuditSink`] seam, and [`ErrorKind::Malformed`] with [`Damage`](crate::ledger::Damage) as its source when the file is not as it
/// was written. After a failed sync, or when another file stands in its place, it answers nothing any more
/// ([`ErrorKind::Unavailable`]).
#[derive(Debug, Clone)]
pub struct FileAudit(Keeper<Sum>);

impl FileAudit {
    /// Opens the log at `path`, or creates it, and checks all of it.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for a damaged file, naming the place; [`ErrorKind::Unavailable`] for one that cannot be read.
    pub fn open(path: impl AsRef<Path>, config: AuditConfig) -> Result<Self> {
        Self::open_on(path, config, Arc::new(MachineDisk))
    }

    /// The same on another [`Disk`], for tests of what a failing one does.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(path: impl AsRef<Path>, config: AuditConfig, disk: Arc<dyn Disk>) -> Result<Self> {
        let blank = Sum { tree: Tree::default(), events: 0, every: config.checkpoint_every };
        Keeper::open(path.as_ref(), blank, disk).map(Self)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a checkpoint now and returns it, to be kept elsewhere.
    ///
    /// # Errors
    /// As `append`.
    pub async fn checkpoint(&self, ctx: &Context) -> Result<Checkpoint> {
        ctx.check()?;
        let written = self.0.write(Request::Checkpoint).await?;
        written.ok_or_else(|| Error::new(ErrorKind::Internal, "no checkpoint was written"))
    }
}

#[async_trait]
impl AuditSink for FileAudit {
    async fn append(&self, event: &AuditEvent, ctx: &Context) -> Result<()> {
        ctx.check()?;
        let line = payload(&AuditLine::Event(event.clone()))?;
        self.0.write(Request::Event(line)).await.map(drop)
    }
}

enum Request {
    /// To append the line with this payload.
    Event(Vec<u8>),
    Checkpoint,
}

/// What the lines so far amount to.
#[derive(Debug, Clone)]
struct Sum {
    tree: Tree,
    /// Events since the last checkpoint.
    events: u64,
    every: u64,
}

impl Sum {
    fn push(&mut self, line: &[u8], appender: &mut Appender) -> Result<()> {
        appender.push(line)?;
        self.tree.push(&appender.link().hash());
        Ok(())
    }

    fn checkpoint(&mut self, appender: &mut Appender) -> Result<Checkpoint> {
        let checkpoint = Checkpoint::of(&self.tree);
        self.push(&payload(&AuditLine::Checkpoint(checkpoint.clone()))?, appender)?;
        self.events = 0;
        Ok(checkpoint)
    }
}

impl Fold for Sum {
    const KIND: &'static str = "audit";
    type Request = Request;
    type Answer = Option<Checkpoint>;
    type View = ();

    fn replay(&mut self, payload: &[u8], link: &Link) -> Result<()> {
        match verify::parse(payload)? {
            AuditLine::Event(_) => self.events += 1,
            AuditLine::Checkpoint(checkpoint) => {
                checkpoint.check(&self.tree)?;
                self.events = 0;
            }
        }
        self.tree.push(&link.hash());
        Ok(())
    }

    fn admit(&mut self, request: &Request, appender: &mut Appender) -> Result<Option<Checkpoint>> {
        let Request::Event(line) = request else { return self.checkpoint(appender).map(Some) };
        self.push(line, appender)?;
        self.events += 1;
        if self.every > 0 && self.events >= self.every {
            return self.checkpoint(appender).map(Some);
        }
        Ok(None)
    }

    fn view(&self) {}
}
