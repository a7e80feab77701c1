use aiops_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::ledger::Tree;

/// What the first entries of an audit log amount to. A copy that is kept elsewhere proves later that they were not changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Number of entries it speaks of: the lines between the header and its own.
    pub entries: u64,
    /// Root of their Merkle tree, in hexadecimal, against which [`Inclusion`](crate::ledger::Inclusion) proves single entries.
    pub root: String,
}

impl Checkpoint {
    pub(super) fn of(tree: &Tree) -> Self {
        Self { entries: tree.leaves(), root: tree.root().to_hex().to_string() }
    }

    /// Whether it speaks of the entries of `tree`.
    pub(super) fn check(&self, tree: &Tree) -> Result<()> {
        if *self == Self::of(tree) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Malformed, "the checkpoint is of other entries")
            .with("entries", self.entries))
    }
}
