use aiops_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::sign::{CheckpointSigner, Signature};
use crate::ledger::Tree;

/// What the first entries of an audit log amount to. A copy that is kept elsewhere proves later that they were not changed; a signature
/// proves who said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Number of entries it speaks of: the lines between the header and its own.
    pub entries: u64,
    /// Root of their Merkle tree, in hexadecimal, against which [`Inclusion`](crate::ledger::Inclusion) proves single entries.
    pub root: String,
    /// Who vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

impl Checkpoint {
    pub(super) fn of(tree: &Tree) -> Self {
        Self { entries: tree.leaves(), root: tree.root().to_hex().to_string(), signature: None }
    }

    /// The same, signed.
    pub(super) fn signed(mut self, signer: &dyn CheckpointSigner) -> Result<Self> {
        self.signature = Some(Signature::by(signer, &self.statement())?);
        Ok(self)
    }

    /// What a signature signs: three lines, as in a checkpoint of a transparency log (C2SP tlog-checkpoint), so that it cannot be taken for
    /// anything else that the key signs.
    ///
    /// ```text
    /// aiops audit checkpoint v1
    /// ENTRIES
    /// ROOT
    /// ```
    #[must_use]
    pub fn statement(&self) -> Vec<u8> {
        format!("aiops audit checkpoint v1\n{}\n{}\n", self.entries, self.root).into_bytes()
    }

    /// Whether a signature that it bears is of it.
    pub(super) fn check_signature(&self) -> Result<()> {
        match &self.signature {
            Some(signature) if !signature.is_of(&self.statement()) => {
                Err(Error::new(ErrorKind::Malformed, "the signature is not of this checkpoint")
                    .with("entries", self.entries))
            }
            _ => Ok(()),
        }
    }

    /// Whether it speaks of the entries of `tree`, and bears no wrong signature.
    pub(super) fn check(&self, tree: &Tree) -> Result<()> {
        self.check_signature()?;
        let is = Self::of(tree);
        if (self.entries, &self.root) == (is.entries, &is.root) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Malformed, "the checkpoint is of other entries")
            .with("entries", self.entries))
    }
}
