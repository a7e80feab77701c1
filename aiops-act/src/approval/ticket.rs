use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aiops_core::action::{ActionKind, ApprovalDecision, ApprovalRequest, IncidentId, Principal, ProposalId};
use aiops_core::model::{Confidence, EntityId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Names a request: 32 hexadecimal digits of the BLAKE3 hash of all it asks, and when.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(String);

impl RequestId {
    /// The id `text`, as a front end hands it back.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one person answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Answer {
    /// Who.
    pub by: Principal,
    /// Yes or no.
    pub granted: bool,
    /// Why.
    pub reason: String,
    /// Whether the diagnosis was held to be right; `None` where that was not said.
    #[serde(default)]
    pub diagnosis_right: Option<bool>,
    /// When.
    pub at: Timestamp,
}

impl Answer {
    pub(super) fn new(reply: super::Reply, at: Timestamp) -> Self {
        let super::Reply { by, granted, reason, diagnosis_right } = reply;
        Self { by, granted, reason, diagnosis_right, at }
    }
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Too few have answered.
    Pending,
    /// As many as were wanted said yes.
    Granted,
    /// Somebody said no.
    Refused,
    /// Its time passed without a decision.
    Expired,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Expired => "expired",
        })
    }
}

/// Whether this process has seen an instant at which the time of a request was over. All copies of a ticket share it.
#[derive(Debug, Clone, Default)]
pub(super) struct SeenOver(Arc<AtomicBool>);

impl SeenOver {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl PartialEq for SeenOver {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

/// A request with the answers to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Ticket {
    /// Its id.
    pub id: RequestId,
    /// What is asked.
    pub request: ApprovalRequest,
    /// How many different people must say yes.
    pub quorum: usize,
    /// Who may answer; `None` for anybody whom a front end lets in.
    #[serde(default)]
    pub approvers: Option<BTreeSet<Principal>>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// The answers, oldest first.
    pub answers: Vec<Answer>,
    /// Whether a later line of the file bears an instant at which its time was over: a clock that is set back does not bring it back.
    #[serde(default)]
    pub over: bool,
    #[serde(skip)]
    pub(super) seen_over: SeenOver,
}

impl Ticket {
    /// Where it stands at `now`.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        if self.answers.iter().any(|answer| !answer.granted) {
            Standing::Refused
        } else if self.answers.len() >= self.quorum {
            Standing::Granted
        } else if self.is_open(now) {
            Standing::Pending
        } else {
            Standing::Expired
        }
    }

    /// Whether an answer at `now` counts. A clock that stands before the question was asked has jumped: nothing counts then.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.stood_at(now) && !self.seen_over.get()
    }

    /// The same by the file alone, whatever this process saw meanwhile: so every process reads one file alike.
    pub(super) fn stood_at(&self, at: Timestamp) -> bool {
        self.asked_at <= at && at < self.request.expires_at && !self.over
    }

    /// The decision, once there is one. One of several people bears all their names.
    #[must_use]
    pub fn decision(&self) -> Option<ApprovalDecision> {
        if let Some(no) = self.answers.iter().find(|answer| !answer.granted) {
            let (approver, reason) = (no.by.clone(), no.reason.clone());
            return Some(ApprovalDecision { approver, granted: false, reason, at: no.at });
        }
        let last = self.answers.last().filter(|_| self.answers.len() >= self.quorum)?;
        let join = |text: fn(&Answer) -> &str| self.answers.iter().map(text).collect::<Vec<_>>().join(", ");
        let approver = Principal::new(join(|a| a.by.as_str()));
        let reason = join(|a| &a.reason);
        Some(ApprovalDecision { approver, granted: true, reason, at: last.at })
    }

    pub(super) fn label(&self) -> Option<ApprovalLabel> {
        let decision = self.decision()?;
        let proposal = &self.request.proposal;
        // One who saw that it was wrong outweighs those who did not.
        let said = self.answers.iter().filter_map(|answer| answer.diagnosis_right);
        Some(ApprovalLabel {
            request: self.id.clone(),
            incident: proposal.incident.clone(),
            proposal: proposal.id.clone(),
            action: proposal.action.kind(),
            target: proposal.action.target.clone(),
            confidence: proposal.confidence.clone(),
            granted: decision.granted,
            diagnosis_right: said.min(),
            at: decision.at,
        })
    }
}

/// What people said of a proposal, to learn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ApprovalLabel {
    /// The request.
    pub request: RequestId,
    /// The incident.
    pub incident: IncidentId,
    /// The proposal.
    pub proposal: ProposalId,
    /// Kind of the action proposed.
    pub action: ActionKind,
    /// Its target.
    pub target: EntityId,
    /// How sure the diagnosis was.
    pub confidence: Confidence,
    /// Whether it was granted.
    pub granted: bool,
    /// Whether the diagnosis was held to be right; `None` where nobody said.
    pub diagnosis_right: Option<bool>,
    /// When it was decided.
    pub at: Timestamp,
}
