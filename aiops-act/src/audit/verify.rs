use std::collections::BTreeMap;
use std::path::Path;

use aiops_core::seam::AuditEvent;
use aiops_core::{Error, ErrorKind, Result};

use super::sign::AuditKey;
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
    /// Number of entries that the last signed checkpoint vouches for, of those by an expected key; 0 where none is expected.
    pub signed: u64,
    /// Bytes behind the last whole line: what a crash left of one.
    pub torn: usize,
    /// What all entries amount to, to be kept elsewhere.
    pub now: Checkpoint,
}

/// What an audit log must bear out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    kept: Vec<Checkpoint>,
    keys: Vec<AuditKey>,
    signed_from: u64,
    unsigned_run: u64,
}

impl Default for Expectation {
    fn default() -> Self {
        Self { kept: Vec::new(), keys: Vec::new(), signed_from: 0, unsigned_run: 1_001 }
    }
}

impl Expectation {
    /// Nothing but that the log fits itself.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// That it bears out these checkpoints of it, which were kept elsewhere.
    #[must_use]
    pub fn kept(mut self, checkpoints: impl IntoIterator<Item = Checkpoint>) -> Self {
        self.kept.extend(checkpoints);
        self
    }

    /// That every checkpoint is signed by `key`, or another one that is expected: keys change over the years. So a signature that was taken off is found.
    #[must_use]
    pub fn signed_by(mut self, key: AuditKey) -> Self {
        self.keys.push(key);
        self
    }

    /// That only from this number of entries on: the log began without signatures.
    #[must_use]
    pub fn signed_from(mut self, entries: u64) -> Self {
        self.signed_from = entries;
        self
    }

    /// That no more than so many entries in a row, from [`signed_from`](Self::signed_from) on, are without a signed checkpoint behind them,
    /// between two of them as well as at the end; default 1,001, one checkpoint more than every 1,000 events. So checkpoints that were taken
    /// out are found, where a key is expected, also when later ones were signed over what was left. A log whose key service was down for longer
    /// needs more. What is written anew within one such run, with the checkpoint behind it taken out, only an anchor tells.
    #[must_use]
    pub fn unsigned_run(mut self, entries: u64) -> Self {
        self.unsigned_run = entries;
        self
    }

    /// Fails when too many entries behind the first `signed` ones, of `entries`, are without a signature.
    fn run(&self, signed: u64, entries: u64) -> Result<()> {
        let bare = entries.saturating_sub(signed.max(self.signed_from));
        if self.keys.is_empty() || bare <= self.unsigned_run {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Malformed, format!("{bare} entries without a signed checkpoint")))
    }

    /// Whether `checkpoint`, whose signature is right if there is one, is signed by an expected key; fails when it must be.
    fn signature(&self, checkpoint: &Checkpoint) -> Result<bool> {
        let wrong = |why: &str| {
            Err(Error::new(ErrorKind::Malformed, why.to_owned()).with("entries", checkpoint.entries))
        };
        match &checkpoint.signature {
            Some(signature) if self.keys.contains(&signature.key) => Ok(true),
            _ if self.keys.is_empty() || checkpoint.entries < self.signed_from => Ok(false),
            Some(_) => wrong("the checkpoint is signed by a key that is not expected"),
            None => wrong("the checkpoint is not signed"),
        }
    }
}

/// Checks the audit log at `path` line by line, and against `kept`, [checkpoints](Checkpoint) of it that were kept elsewhere. Changes
/// nothing. As [`verify_as`] with nothing else expected.
///
/// # Errors
/// As [`verify_as`].
pub fn verify(path: impl AsRef<Path>, kept: &[Checkpoint]) -> Result<AuditReport> {
    verify_as(path, &Expectation::none().kept(kept.iter().cloned()))
}

/// Checks the audit log at `path` line by line, and against what is expected of it. Changes nothing.
///
/// Takes about the time of hashing the file once and memory that does not depend on its length.
///
/// # Errors
/// [`ErrorKind::Malformed`] with [`Damage`](crate::ledger::Damage) as its source, which names the first line that is wrong: a changed bit; a
/// line that is missing, added, repeated or moved; a checkpoint that is not of the lines before it, or not signed as it must be; with [`Flaw::End`] a log
/// that is shorter than a checkpoint that was kept says, with [`Flaw::Content`] one that was written anew, or has too many entries without a
/// signature. The same kind without a source for a checkpoint that was kept and does not bear its signature.
/// [`ErrorKind::Unavailable`] when it cannot be read.
pub fn verify_as(path: impl AsRef<Path>, expected: &Expectation) -> Result<AuditReport> {
    let mut file = LedgerFile::open_to_read(path.as_ref(), "audit")?;
    // Of two with the same number of entries and other roots one cannot be right: all are checked.
    let mut due: BTreeMap<u64, Vec<&Checkpoint>> = BTreeMap::new();
    for checkpoint in &expected.kept {
        checkpoint.check_signature()?;
        expected.signature(checkpoint)?;
        due.entry(checkpoint.entries).or_default().push(checkpoint);
    }
    let (mut tree, mut checkpoints, mut vouched, mut signed) = (Tree::default(), 0, 0, 0);
    let torn = file.read(|payload, link| {
        // Most lines are events, and the chain vouches for their text: only checkpoints are parsed.
        if payload.starts_with(br#"{"checkpoint":"#)
            && let AuditLine::Checkpoint(checkpoint) = parse(payload)?
        {
            checkpoint.check(&tree)?;
            if expected.signature(&checkpoint)? {
                expected.run(signed, checkpoint.entries)?;
                signed = checkpoint.entries;
            }
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
    expected.run(signed, tree.leaves()).map_err(|e| file.damaged(Flaw::Content(e.message().to_owned())))?;
    let (entries, now) = (tree.leaves(), Checkpoint::of(&tree));
    Ok(AuditReport { entries, checkpoints, vouched, signed, torn, now })
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
