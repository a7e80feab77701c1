//! Changes made to the system: the first suspects of every incident (ING-04).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::entity::EntityId;
use crate::model::labels::Labels;

/// Id of a change in the system that made it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeId(pub String);

impl std::fmt::Display for ChangeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What sort of change it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// New code or image.
    Deployment,
    /// New configuration.
    ConfigRollout,
    /// A feature flag turned.
    FeatureFlag,
    /// More or fewer copies.
    Scaling,
    /// A patch of an installed package.
    Patch,
    /// Started anew without any other change.
    Restart,
    /// A return to an earlier revision.
    Rollback,
    /// Upkeep: a cache flush, a log rotation.
    Maintenance,
}

/// From what to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Revision {
    /// Revision before, when known; it is what a rollback goes back to.
    #[serde(default)]
    pub from: Option<String>,
    /// Revision after.
    pub to: String,
    /// Source commit of `to`.
    #[serde(default)]
    pub commit: Option<String>,
}

impl Revision {
    /// A change to `to` from `from`.
    pub fn new(from: Option<String>, to: impl Into<String>) -> Self {
        Self { from, to: to.into(), commit: None }
    }

    /// The same with the commit of the new revision.
    #[must_use]
    pub fn with_commit(mut self, commit: impl Into<String>) -> Self {
        self.commit = Some(commit.into());
        self
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Change {
    /// Its id.
    pub id: ChangeId,
    /// When it took effect.
    pub time: Timestamp,
    /// Sort of change.
    pub kind: ChangeKind,
    /// What was changed.
    pub entity: EntityId,
    /// One line of text, as the feed gave it.
    pub summary: String,
    /// From what to what, where revisions exist.
    #[serde(default)]
    pub revision: Option<Revision>,
    /// Who or what made it.
    #[serde(default)]
    pub author: Option<String>,
    /// Further attributes.
    #[serde(default)]
    pub attributes: Labels,
}

impl Change {
    /// A change of which only the outline is known.
    pub fn new(
        id: impl Into<String>,
        time: Timestamp,
        kind: ChangeKind,
        entity: EntityId,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            id: ChangeId(id.into()),
            time,
            kind,
            entity,
            summary: summary.into(),
            revision: None,
            author: None,
            attributes: Labels::new(),
        }
    }

    /// The same change with revisions.
    #[must_use]
    pub fn with_revision(mut self, revision: Revision) -> Self {
        self.revision = Some(revision);
        self
    }

    /// The same change with its author.
    #[must_use]
    pub fn with_author(mut self, author: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self
    }
}
