use std::fmt::Debug;
use std::path::Path;

use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;

use super::Checkpoint;
use crate::ledger::{Appender, Fold, Keeper, LedgerFile, Link, payload};

/// Keeps checkpoints where whoever can write the log cannot: another machine, a bucket that only takes, a ledger of somebody else.
#[async_trait]
pub trait Anchor: Debug + Send + Sync + 'static {
    /// Keeps `checkpoint`. At least once: a repeated one is better than a lost one.
    ///
    /// # Errors
    /// When it is not kept.
    async fn anchor(&self, checkpoint: &Checkpoint, ctx: &Context) -> Result<()>;
}

/// An anchor in a file of its own, a [ledger](crate::ledger) of kind `anchor` with a checkpoint a line. It is worth what the file's
/// place is worth: on the log's own disk, under the log's own user, it keeps nothing from whoever has both.
#[derive(Debug, Clone)]
pub struct FileAnchor(Keeper<Kept>);

impl FileAnchor {
    /// Opens the anchor at `path`, or creates it.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for a damaged file, naming the place; [`ErrorKind::Unavailable`] for one that cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Keeper::open(path.as_ref(), Kept).map(Self)
    }

    /// What was kept at `path`, oldest first, for [`verify`](super::verify).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(path: impl AsRef<Path>) -> Result<Vec<Checkpoint>> {
        let mut kept = Vec::new();
        let mut file = LedgerFile::open_to_read(path.as_ref(), Kept::KIND)?;
        file.read(|payload, _| {
            kept.push(parse(payload)?);
            Ok(())
        })?;
        Ok(kept)
    }
}

#[async_trait]
impl Anchor for FileAnchor {
    async fn anchor(&self, checkpoint: &Checkpoint, ctx: &Context) -> Result<()> {
        ctx.check()?;
        self.0.write(payload(checkpoint)?).await
    }
}

/// Lines that need no memory.
#[derive(Debug, Clone)]
struct Kept;

fn parse(payload: &[u8]) -> Result<Checkpoint> {
    serde_json::from_slice(payload)
        .map_err(|e| Error::new(ErrorKind::Malformed, "not a line of an anchor").caused_by(e))
}

impl Fold for Kept {
    const KIND: &'static str = "anchor";
    type Request = Vec<u8>;
    type Answer = ();
    type View = ();

    fn replay(&mut self, payload: &[u8], _: &Link) -> Result<()> {
        parse(payload).map(drop)
    }

    fn admit(&mut self, line: &Vec<u8>, appender: &mut Appender) -> Result<()> {
        appender.push(line)
    }

    fn view(&self) {}
}
