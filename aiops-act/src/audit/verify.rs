use std::collections::BTreeMap;
use std::path::Path;

use aiops_core::seam::AuditEvent;
use aiops_core::{Error, ErrorKind, Result};

use super::{AuditLine, Checkpoint};
use crate::ledger::{Flaw, LedgerFile, Link, Tree};

/// What was found in an intact audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditReport {
    /// Number of entries: events and checkpoints.
    pub entries: u64,
    /// Number of checkpoints among them.
    pub checkpoints: u64,
    /// Number of entries that a checkpoint kept elsewhere vouches for; 0 without one. For those behind them the log speaks
    /// for itself.
    pub vouched: u64,
    /// Bytes behind the last whole line: what a crash left of one.
    pub torn: usize,
    /// What all entries amount to, to be kept elsewhere.
    pub now: Checkpoint,
}

/// Checks the audit log at `path` line by line, and against `kept`, [checkpoints](Checkpoint) of it that were kept elsewhere. Changes
/// nothing.
///
/// Takes about the time of hashing the file once and memory that does not depend on its length.
///
/// # Errors
/// [`ErrorKind::Malformed`] with [`Damage`](crate::ledger::Damage) as its source, which names the first line that is wrong: a changed bit; a
/// line that is missing, added, repeated or moved; a checkpoint that is not of the lines before it; with [`Flaw::End`] a log
/// that is shorter than one of `kept` says, with [`Flaw::Content`] one that was written anew.
/// [`ErrorKind::Unavailable`] when it cannot be read.
pub fn verify(path: impl AsRef<Path>, kept: &[Checkpoint]) -> Result<AuditReport> {
    let mut file = LedgerFile::open_to_read(path.as_ref(), "audit")?;
    // Of two with the same number of entries and other roots one cannot be right: all are checked.
    let mut due: BTreeMap<u64, Vec<&Checkpoint>> = BTreeMap::new();
    kept.iter().for_each(|checkpoint| due.entry(checkpoint.entries).or_default().push(checkpoint));
    let (mut tree, mut checkpoints, mut vouched) = (Tree::default(), 0, 0);
    let torn = file.read(|payload, link| {
        // Most lines are events, and the chain vouches for their text: only checkpoints are parsed.
        if payload.starts_with(br#"{"checkpoint":"#)
            && let AuditLine::Checkpoint(checkpoint) = parse(payload)?
        {
            checkpoint.check(&tree)?;
            checkpoints += 1;
        }
        tree.push(&link.hash());
        for checkpoint in due.remove(&tree.leaves()).into_iter().flatten() {
            checkpoint.check(&tree)?;
            vouched = tree.leaves();
        }
        Ok(())
    })?;
    for checkpoint in due.remove(&0).into_iter().flatten() {
        checkpoint.check(&Tree::default())?;
    }
    if !due.is_empty() {
        return Err(file.damaged(Flaw::End));
    }
    Ok(AuditReport { entries: tree.leaves(), checkpoints, vouched, torn, now: Checkpoint::of(&tree) })
}

/// Checks the audit log at `path` as [`verify`] does without checkpoints from elsewhere, and gives every event to `each` with the
/// chain up to it, oldest first. This is the way to export a log, as JSON lines or otherwise. Writers wait meanwhile, ten seconds at most:
/// `each` must not wait for one.
///
/// # Errors
/// As [`verify`], and [`ErrorKind::Malformed`] for an entry that is no event. What was given to `each` before was intact.
pub fn events(path: impl AsRef<Path>, mut each: impl FnMut(AuditEvent, &Link)) -> Result<()> {
    let mut file = LedgerFile::open_to_read(path.as_ref(), "audit")?;
    let mut tree = Tree::default();
    file.read(|payload, link| {
        match parse(payload)? {
            AuditLine::Event(event) => each(event, link),
            AuditLine::Checkpoint(checkpoint) => checkpoint.check(&tree)?,
        }
        tree.push(&link.hash());
        Ok(())
    })
    .map(drop)
}

pub(super) fn parse(payload: &[u8]) -> Result<AuditLine> {
    serde_json::from_slice(payload)
        .map_err(|e| Error::new(ErrorKind::Malformed, "not an entry of an audit log").caused_by(e))
}
