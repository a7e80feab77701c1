//! Who is suspected (LOC-01).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::anomaly::FittedHash;
use crate::model::entity::EntityId;
use crate::model::evidence::{EvidenceId, EvidenceKind};
use crate::model::window::Signal;

/// What a localiser saw of a suspect beyond the anomalies it was shown: time in spans, lines that are new or missing, shifts
/// against a reference. It becomes evidence when the ranking becomes part of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Observation {
    /// What conclusions cite; set by [`Case::localize`](crate::Case::localize).
    #[serde(default)]
    pub id: Option<EvidenceId>,
    /// Where it was read.
    pub signal: Signal,
    /// What it says, in the localiser's word (`self_time`, `log_missing`).
    pub aspect: String,
    /// How much of it nobody else explains, 0 or more; comparable within one ranking.
    #[serde(with = "crate::model::float")]
    pub strength: f64,
    /// The observation in one sentence.
    pub statement: String,
    /// Since when; the end of the window where nothing is said.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

impl Observation {
    /// An observation that is not part of a case yet.
    pub fn new(
        signal: Signal,
        aspect: impl Into<String>,
        strength: f64,
        statement: impl Into<String>,
    ) -> Self {
        let (aspect, statement) = (aspect.into(), statement.into());
        Self { id: None, signal, aspect, strength, statement, since: None }
    }

    /// The same since `since`.
    #[must_use]
    pub fn since(mut self, since: Timestamp) -> Self {
        self.since = Some(since);
        self
    }

    /// The kind of evidence it becomes.
    #[must_use]
    pub fn kind(&self) -> EvidenceKind {
        match self.signal {
            Signal::Logs => EvidenceKind::Log,
            Signal::Traces => EvidenceKind::Trace,
            Signal::Changes => EvidenceKind::Change,
            Signal::Alerts => EvidenceKind::Alert,
            Signal::Metrics | Signal::Topology => EvidenceKind::Anomaly,
        }
    }
}

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
    /// What was seen of it beside the anomalies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observations: Vec<Observation>,
    /// How the trouble travelled: from the suspect to the entity where it was felt, both included.
    #[serde(default)]
    pub path: Vec<EntityId>,
}

impl Suspect {
    /// A suspect without evidence yet.
    #[must_use]
    pub fn new(entity: EntityId, score: f64) -> Self {
        Self { entity, score, evidence: Vec::new(), observations: Vec::new(), path: Vec::new() }
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
    /// Kind and configuration of the localiser, as a hash: scores of different ones do not compare, nor does a confidence that was
    /// fitted on the scores of one hold for those of another. `None` where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub localizer: Option<FittedHash>,
}

impl Ranking {
    /// Orders suspects by falling score, ties by entity; NaN scores go last.
    #[must_use]
    pub fn new(mut suspects: Vec<Suspect>) -> Self {
        suspects.sort_by(|a, b| {
            let key = |s: &Suspect| if s.score.is_nan() { f64::NEG_INFINITY } else { s.score };
            key(b).total_cmp(&key(a)).then_with(|| a.entity.cmp(&b.entity))
        });
        Self { suspects, unseen: Vec::new(), localizer: None }
    }

    /// The same, by the localiser of this kind and configuration.
    #[must_use]
    pub fn by(mut self, localizer: FittedHash) -> Self {
        self.localizer = Some(localizer);
        self
    }

    /// The first suspect.
    #[must_use]
    pub fn first(&self) -> Option<&Suspect> {
        self.suspects.first()
    }
}
