//! Who is suspected (LOC-01).

use serde::{Deserialize, Serialize};

use crate::model::entity::EntityId;
use crate::model::evidence::EvidenceId;

/// One suspected entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Suspect {
    /// Who.
    pub entity: EntityId,
    /// How much; larger is more suspect. Comparable within one ranking.
    #[serde(with = "crate::model::float")]
    pub score: f64,
    /// Why.
    #[serde(default)]
    pub evidence: Vec<EvidenceId>,
    /// How the trouble travelled: from the suspect to the entity where it was felt, both included.
    #[serde(default)]
    pub path: Vec<EntityId>,
}

impl Suspect {
    /// A suspect without evidence yet.
    #[must_use]
    pub fn new(entity: EntityId, score: f64) -> Self {
        Self { entity, score, evidence: Vec::new(), path: Vec::new() }
    }
}

/// Suspects, most suspect first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Ranking {
    /// Suspects by falling score; equal scores by entity.
    pub suspects: Vec<Suspect>,
    /// What the localiser could not see, in words.
    #[serde(default)]
    pub unseen: Vec<String>,
}

impl Ranking {
    /// Orders suspects by falling score, ties by entity; NaN scores go last.
    #[must_use]
    pub fn new(mut suspects: Vec<Suspect>) -> Self {
        suspects.sort_by(|a, b| {
            let key = |s: &Suspect| if s.score.is_nan() { f64::NEG_INFINITY } else { s.score };
            key(b).total_cmp(&key(a)).then_with(|| a.entity.cmp(&b.entity))
        });
        Self { suspects, unseen: Vec::new() }
    }

    /// The first suspect.
    #[must_use]
    pub fn first(&self) -> Option<&Suspect> {
        self.suspects.first()
    }
}
