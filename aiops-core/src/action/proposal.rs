//! What a planner proposes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::action::operation::Action;
use crate::action::receipt::IdempotencyKey;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Confidence, DetectorId, EvidenceId};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id `text`.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// Id of an incident; replicas that see the same incident should derive the same id.
    IncidentId
);
text_id!(
    /// Id of a proposal, unique within its incident.
    ProposalId
);
text_id!(
    /// Who does, proposes or approves something.
    Principal
);

/// Why an action is proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Purpose {
    /// To remedy the incident.
    Remedy,
    /// To undo an earlier action of ours that did not help. It is an action like any other.
    Revert {
        /// Key of the action to undo.
        of: IdempotencyKey,
    },
}

/// A wish to act, as data. It grants nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Proposal {
    /// Its id.
    pub id: ProposalId,
    /// Incident it belongs to.
    pub incident: IncidentId,
    /// What is to be done.
    pub action: Action,
    /// Why.
    pub purpose: Purpose,
    /// Who proposes it.
    pub proposed_by: Principal,
    /// How sure the diagnosis is.
    pub confidence: Confidence,
    /// The reasoning in one sentence.
    pub reason: String,
    /// What the reasoning rests on.
    #[serde(default)]
    pub evidence: Vec<EvidenceId>,
    /// Detectors whose prediction it answers, where nobody felt anything yet; none for what is felt. The pipeline sets it by its
    /// [`Trigger`](crate::pipeline::Trigger), whatever a planner says; guards may ask more of a prediction.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub foretold_by: BTreeSet<DetectorId>,
}

impl Proposal {
    /// A remedy.
    pub fn new(
        id: ProposalId,
        incident: IncidentId,
        action: Action,
        proposed_by: Principal,
        confidence: Confidence,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            id,
            incident,
            action,
            purpose: Purpose::Remedy,
            proposed_by,
            confidence,
            reason: reason.into(),
            evidence: Vec::new(),
            foretold_by: BTreeSet::new(),
        }
    }

    /// The same proposal, to undo an earlier action.
    #[must_use]
    pub fn reverting(mut self, of: IdempotencyKey) -> Self {
        self.purpose = Purpose::Revert { of };
        self
    }

    /// The same proposal with what it rests on.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Vec<EvidenceId>) -> Self {
        self.evidence = evidence;
        self
    }

    /// The same proposal, about what `detectors` foretold and nobody felt yet.
    #[must_use]
    pub fn foretold(mut self, detectors: impl IntoIterator<Item = DetectorId>) -> Self {
        self.foretold_by = detectors.into_iter().collect();
        self
    }

    /// The key under which this proposal runs at most once: BLAKE3 over incident, id, purpose and action.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the action cannot be serialised.
    pub fn idempotency_key(&self) -> Result<IdempotencyKey> {
        let text = serde_json::to_vec(&(&self.incident, &self.id, &self.purpose, &self.action))
            .map_err(|e| Error::new(ErrorKind::Internal, "a proposal cannot be serialised").caused_by(e))?;
        Ok(IdempotencyKey::new(blake3::hash(&text).to_hex().as_str()))
    }
}
