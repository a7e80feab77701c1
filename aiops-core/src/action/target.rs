//! What a mitigator knows about a target before it acts.

use serde::{Deserialize, Serialize};

use crate::action::operation::Precondition;

/// Present state of a target. `None` means the mitigator cannot tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TargetState {
    /// Whether it exists.
    pub exists: bool,
    /// Changes with every change to the target; an approval is for one generation.
    #[serde(default)]
    pub generation: Option<String>,
    /// Revision it runs.
    #[serde(default)]
    pub revision: Option<String>,
    /// Wanted copies.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// Copies that serve.
    #[serde(default)]
    pub ready: Option<u32>,
    /// Copies of all targets of this kind together.
    #[serde(default)]
    pub fleet: Option<u32>,
    /// Whether replication is healthy, for databases.
    #[serde(default)]
    pub replication_healthy: Option<bool>,
}

impl TargetState {
    /// A target that exists and of which nothing more is known.
    #[must_use]
    pub fn existing() -> Self {
        Self { exists: true, ..Self::default() }
    }

    /// Whether an approval that was given for this state still holds for `other`: the same generation, or where the
    /// mitigator tells none, the same existence, revision and wanted copies.
    #[must_use]
    pub fn is_same_generation(&self, other: &Self) -> bool {
        match (&self.generation, &other.generation) {
            (Some(mine), Some(others)) => mine == others,
            (None, None) => {
                (self.exists, &self.revision, self.replicas)
                    == (other.exists, &other.revision, other.replicas)
            }
            _ => false,
        }
    }

    /// Whether `precondition` holds. What cannot be told does not hold.
    #[must_use]
    pub fn fulfils(&self, precondition: &Precondition) -> bool {
        match precondition {
            Precondition::Exists => self.exists,
            Precondition::ReadyReplicas(n) => self.ready.is_some_and(|ready| ready >= *n),
            Precondition::Revision(r) => self.revision.as_ref() == Some(r),
            Precondition::ReplicationHealthy => self.replication_healthy == Some(true),
        }
    }
}

/// A dry run: what an action would do to the target as it is now. Reading only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Preview {
    /// The target now.
    pub target: TargetState,
    /// What would be done, in one sentence for a person.
    pub effect: String,
}

impl Preview {
    /// A preview.
    pub fn new(target: TargetState, effect: impl Into<String>) -> Self {
        Self { target, effect: effect.into() }
    }
}
