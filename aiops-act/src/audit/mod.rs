//! The audit log: append-only, tamper-evident, checkpointed, signed and anchored where that is wanted (AUD-01).

mod anchor;
mod checkpoint;
mod compliance;
mod export;
mod sign;
mod verify;

use std::path::Path;
use std::sync::Arc;

use aiops_core::seam::{AuditEvent, AuditSink};
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::ledger::{Appender, Disk, Fold, Keeper, Link, MachineDisk, Tree, payload};

pub use anchor::{Anchor, FileAnchor};
pub use checkpoint::Checkpoint;
pub use compliance::{ActionLine, ComplianceReport, DenialLine};
pub use export::export;
pub use sign::{AuditKey, CheckpointSigner, Ed25519Signer, Signature};
pub use verify::{AuditReport, Expectation, events, verify, verify_as};

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
    /// Whether an event counts as not written when its checkpoint could not be anchored; then a pipeline stops acting. Default no: it
    /// is logged as an error, and the next checkpoint is tried again.
    pub anchor_required: bool,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { checkpoint_every: 1_000, anchor_required: false }
    }
}

/// An [`AuditSink`] in one file.
///
/// The file is a [ledger](crate::ledger) of kind `audit`; a payload is an [`AuditLine`] as JSON. An append returns once its event is on
/// disk. Several processes of one machine may write to the same file. Secrets are masked before they come here: put the log behind
/// [`Masked`](aiops_core::layer::Masked).
///
/// Whoever can write the file can also compute its chain anew. Two things stand against that, best together: [signed](Self::open_signed)
/// checkpoints, which he cannot make, and checkpoints kept where he cannot write ([`with_anchor`](Self::with_anchor)), which he cannot
/// take away. Give both to [`verify_as`]: a log that was written anew, or cut below the newest checkpoint kept, is found out then.
///
/// # Errors
/// As the [`AuditSink`] seam, and [`ErrorKind::Malformed`] with [`Damage`](crate::ledger::Damage) as its source when the file is not as it
/// was written. After a failed sync, or when another file stands in its place, it answers nothing any more
/// ([`ErrorKind::Unavailable`]).
#[derive(Debug, Clone)]
pub struct FileAudit {
    keeper: Keeper<Sum>,
    anchors: Vec<Arc<dyn Anchor>>,
    anchor_required: bool,
}

impl FileAudit {
    /// Opens the log at `path`, or creates it, and checks all of it.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for a damaged file, naming the place; [`ErrorKind::Unavailable`] for one that cannot be read.
    pub fn open(path: impl AsRef<Path>, config: AuditConfig) -> Result<Self> {
        Self::start(path.as_ref(), &config, None, Arc::new(MachineDisk))
    }

    /// The same, with `signer` under every checkpoint. When it cannot sign, the log goes on without a checkpoint until it can.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_signed(
        path: impl AsRef<Path>,
        config: AuditConfig,
        signer: impl CheckpointSigner,
    ) -> Result<Self> {
        Self::start(path.as_ref(), &config, Some(Arc::new(signer)), Arc::new(MachineDisk))
    }

    /// The same as [`open`](Self::open) on another [`Disk`], for tests of what a failing one does.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(path: impl AsRef<Path>, config: AuditConfig, disk: Arc<dyn Disk>) -> Result<Self> {
        Self::start(path.as_ref(), &config, None, disk)
    }

    fn start(
        path: &Path,
        config: &AuditConfig,
        signer: Option<Arc<dyn CheckpointSigner>>,
        disk: Arc<dyn Disk>,
    ) -> Result<Self> {
        let blank = Sum { tree: Tree::default(), events: 0, every: config.checkpoint_every, signer };
        let keeper = Keeper::open_on(path, blank, disk)?;
        Ok(Self { keeper, anchors: Vec::new(), anchor_required: config.anchor_required })
    }

    /// The same; every checkpoint written through it is also given to `anchor`.
    #[must_use]
    pub fn with_anchor(mut self, anchor: impl Anchor) -> Self {
        self.anchors.push(Arc::new(anchor));
        self
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.keeper.path()
    }

    /// Writes a checkpoint now, anchors it, and returns it, to be kept elsewhere.
    ///
    /// # Errors
    /// As `append`; the signer's; an anchor's, where anchoring is required.
    pub async fn checkpoint(&self, ctx: &Context) -> Result<Checkpoint> {
        ctx.check()?;
        let written = self.keeper.write(Request::Checkpoint).await?;
        let checkpoint =
            written.ok_or_else(|| Error::new(ErrorKind::Internal, "no checkpoint was written"))?;
        self.anchor(&checkpoint, ctx).await?;
        Ok(checkpoint)
    }

    async fn anchor(&self, checkpoint: &Checkpoint, ctx: &Context) -> Result<()> {
        let mut failed = None;
        for anchor in &self.anchors {
            if let Err(e) = anchor.anchor(checkpoint, ctx).await {
                tracing::error!(error = %e, entries = checkpoint.entries, "a checkpoint was not anchored");
                failed = failed.or(Some(e));
            }
        }
        failed.filter(|_| self.anchor_required).map_or(Ok(()), Err)
    }
}

#[async_trait]
impl AuditSink for FileAudit {
    async fn append(&self, event: &AuditEvent, ctx: &Context) -> Result<()> {
        ctx.check()?;
        let line = payload(&AuditLine::Event(event.clone()))?;
        match self.keeper.write(Request::Event(line)).await? {
            Some(checkpoint) => self.anchor(&checkpoint, ctx).await,
            None => Ok(()),
        }
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
    signer: Option<Arc<dyn CheckpointSigner>>,
}

impl Sum {
    fn push(&mut self, line: &[u8], appender: &mut Appender) -> Result<()> {
        appender.push(line)?;
        self.tree.push(&appender.link().hash());
        Ok(())
    }

    fn checkpoint(&mut self, appender: &mut Appender) -> Result<Checkpoint> {
        let checkpoint = Checkpoint::of(&self.tree);
        let checkpoint = match &self.signer {
            Some(signer) => checkpoint.signed(&**signer)?,
            None => checkpoint,
        };
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
            // The event stands whatever a signer says; the next one brings the checkpoint.
            let checkpoint = self.checkpoint(appender);
            return Ok(checkpoint
                .inspect_err(|e| tracing::error!(error = %e, "a checkpoint could not be signed"))
                .ok());
        }
        Ok(None)
    }

    fn view(&self) {}
}
