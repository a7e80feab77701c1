use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, EvidenceId, EvidenceKind};

/// What a finding is worth on a scale common to all kinds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strength {
    /// What it speaks of, e.g. `own time`: strengths of different aspects add up, of those of one the largest counts.
    pub aspect: &'static str,
    /// How much; 0 or less, and NaN, count as nothing.
    pub value: f64,
}

/// One observation of one modality on its way into a briefing: what metrics, log templates, traces, changes and alerts
/// have in common.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// Whom it is about.
    pub entity: EntityId,
    /// Its modality.
    pub kind: EvidenceKind,
    /// When what it tells of began.
    pub onset: Timestamp,
    /// How much it stands out among findings of its kind; larger is more. Scales of different kinds need not agree: only
    /// the order within a kind counts.
    pub score: f64,
    /// The observation in one line, without the entity's name.
    pub summary: String,
    /// What it is worth on a scale common to all kinds, where whoever made it knows one.
    pub strength: Option<Strength>,
    /// Its id, where it is evidence of a case already.
    pub evidence: Option<EvidenceId>,
}

impl Finding {
    /// A finding that is not yet part of a case.
    pub fn new(
        entity: EntityId,
        kind: EvidenceKind,
        onset: Timestamp,
        score: f64,
        summary: impl Into<String>,
    ) -> Self {
        Self { entity, kind, onset, score, summary: summary.into(), strength: None, evidence: None }
    }

    /// The same finding, worth `value` on a scale common to all kinds; it becomes the score too.
    #[must_use]
    pub fn with_strength(mut self, aspect: &'static str, value: f64) -> Self {
        self.score = value;
        self.strength = Some(Strength { aspect, value });
        self
    }

    /// The same finding, known to a case under `id`.
    #[must_use]
    pub fn with_evidence(mut self, id: EvidenceId) -> Self {
        self.evidence = Some(id);
        self
    }
}
