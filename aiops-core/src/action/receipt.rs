//! What became of an action.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::operation::Action;

/// Names one execution; a mitigator runs a key at most once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Fencing token: grows with every intent in a journal. A mitigator refuses one that is older than the newest it
/// has seen for the target, so a replica that was paused cannot act late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub u64);

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ActionOutcome {
    /// It was carried out. Whether it helped is for the verifier to say.
    Completed,
    /// It was tried and failed; the target may be changed in part.
    Failed {
        /// Why.
        reason: String,
    },
    /// It was never begun, and never will be under this key.
    NotStarted {
        /// Why.
        reason: String,
    },
}

/// What a mitigator knows of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ActionStatus {
    /// Never begun, and from this answer on it never will be.
    NotStarted,
    /// Under way.
    Running,
    /// Carried out.
    Completed,
    /// Tried and failed.
    Failed {
        /// Why.
        reason: String,
    },
    /// The mitigator cannot tell.
    Unknown,
}

/// The serialisable part of a receipt. A case keeps these; the proof itself cannot be stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ReceiptRecord {
    /// Key it ran under.
    pub key: IdempotencyKey,
    /// Fence it ran under.
    pub fence: Fence,
    /// What was done.
    pub action: Action,
    /// When the right to act was spent.
    pub started_at: Timestamp,
    /// When the mitigator was done.
    pub finished_at: Timestamp,
    /// How it ended.
    pub outcome: ActionOutcome,
    /// What the mitigator says about it.
    #[serde(default)]
    pub detail: String,
}
