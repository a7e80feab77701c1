//! Evidence: what conclusions cite.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::entity::EntityId;

/// Id of a piece of evidence, unique within its case: `anomaly-3`, `change-1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EvidenceId(String);

impl EvidenceId {
    pub(crate) fn numbered(kind: EvidenceKind, n: usize) -> Self {
        Self(format!("{kind}-{n}"))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EvidenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EvidenceKind {
    /// A signal that left its norm.
    Anomaly,
    /// A log template or line.
    Log,
    /// A span or call path.
    Trace,
    /// A change to the system.
    Change,
    /// An alert of another system.
    Alert,
    /// Something that could not be seen.
    Gap,
    /// An action of ours and what became of it.
    Attempt,
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anomaly => "anomaly",
            Self::Log => "log",
            Self::Trace => "trace",
            Self::Change => "change",
            Self::Alert => "alert",
            Self::Gap => "gap",
            Self::Attempt => "attempt",
        })
    }
}

/// One citable observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Evidence {
    /// What conclusions cite.
    pub id: EvidenceId,
    /// Where it comes from.
    pub kind: EvidenceKind,
    /// Whom it is about, where it is about someone.
    #[serde(default)]
    pub entity: Option<EntityId>,
    /// When.
    pub time: Timestamp,
    /// The observation in one sentence.
    pub statement: String,
}
