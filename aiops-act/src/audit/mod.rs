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
pub(crate) use compliance::cell;
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
    /// How many entries more than `checkpoint_every` may stand behind the last signature of an accepted key when a signed log is opened; default
    /// 1,000. A key service may have been down. With more it does not open: nothing is signed that nobody can vouch for. Whoever looked
    /// at the log and takes it as it is raises this, or `signed_from`, for once.
    pub unsigned_allowance: u64,
    /// The log's first entries, this many, were written before it was signed; default 0.
    pub signed_from: u64,
    /// Keys that signed the log before the one that signs it now; default none.
    pub earlier_keys: Vec<AuditKey>,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            checkpoint_every: 1_000,
            anchor_required: false,
            unsigned_allowance: 1_000,
            signed_from: 0,
            earlier_keys: Vec::new(),
        }
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

    /// The same, with `signer` under every checkpoint. When it cannot sign, the log goes on without a checkpoint until it can; it is asked
    /// again after 1, 2, 4, … more events, `checkpoint_every` at most. It is asked under the file's lock: appends wait for its answer, and
    /// those of other processes fail after ten seconds, so it must give up sooner by itself.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`ErrorKind::Denied`] for a log with more entries behind its last accepted signature than
    /// [`unsigned_allowance`](AuditConfig::unsigned_allowance) permits: its signatures may have been taken off and the rest written anew.
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
        let mut keys = config.earlier_keys.clone();
        keys.extend(signer.as_ref().map(|signer| signer.key()));
        let blank = Sum {
            tree: Tree::default(),
            events: 0,
            every: config.checkpoint_every,
            due: config.checkpoint_every,
            pause: 1,
            signed: config.signed_from,
            most_bare: config.checkpoint_every.saturating_add(config.unsigned_allowance),
            keys,
            signer,
        };
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
    /// Events since the last checkpoint at which the next one is tried.
    due: u64,
    /// Events until it is tried again, if that fails.
    pause: u64,
    /// Entries that the last signature of an accepted key vouches for.
    signed: u64,
    /// Entries that may stand behind them when a signed log is opened.
    most_bare: u64,
    keys: Vec<AuditKey>,
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
        self.written(&checkpoint);
        Ok(checkpoint)
    }

    fn written(&mut self, checkpoint: &Checkpoint) {
        (self.events, self.due, self.pause) = (0, self.every, 1);
        if checkpoint.signature.as_ref().is_some_and(|signature| self.keys.contains(&signature.key)) {
            self.signed = self.signed.max(checkpoint.entries);
        }
    }

    /// A key service that is down is not asked at every event.
    fn put_off(&mut self, e: &Error) {
        tracing::error!(error = %e, again_after = self.pause, "a checkpoint could not be signed");
        self.due = self.events.saturating_add(self.pause);
        self.pause = self.pause.saturating_mul(2).min(self.every.max(1));
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
                self.written(&checkpoint);
            }
        }
        self.tree.push(&link.hash());
        Ok(())
    }

    fn admit(&mut self, request: &Request, appender: &mut Appender) -> Result<Option<Checkpoint>> {
        let Request::Event(line) = request else { return self.checkpoint(appender).map(Some) };
        self.push(line, appender)?;
        self.events += 1;
        if self.every > 0 && self.events >= self.due {
            // The event stands whatever a signer says; a later one brings the checkpoint.
            return Ok(self.checkpoint(appender).inspect_err(|e| self.put_off(e)).ok());
        }
        Ok(None)
    }

    fn opened(&self) -> Result<()> {
        let bare = self.tree.leaves().saturating_sub(self.signed);
        if self.signer.is_none() || bare <= self.most_bare {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Denied,
            "too many entries are behind the last signature to sign what comes next",
        )
        .with("entries", bare)
        .with("allowed", self.most_bare))
    }

    fn view(&self) {}
}
