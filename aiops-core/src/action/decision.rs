//! What guards and people said about a proposal.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::proposal::{Principal, Proposal, ProposalId};
use crate::action::target::Preview;

/// How much the system may do by itself (ACT-08).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Watch and diagnose; every action is denied.
    Observe,
    /// Propose; every action waits for a person.
    #[default]
    Suggest,
    /// Act where guards allow it.
    Auto,
}

/// Name of a guard, as it stands in decisions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GuardId(pub String);

/// What one guard says. It never grants anything: only a chain mints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verdict {
    /// No objection.
    Allow {
        /// Why not.
        reason: String,
        /// People are to be told at once.
        notify: bool,
    },
    /// Only with a person's consent.
    NeedsApproval {
        /// Why.
        reason: String,
        /// How long to wait for an answer; silence is a no.
        #[serde(with = "crate::model::duration")]
        wait: Duration,
    },
    /// No.
    Deny {
        /// Why.
        reason: String,
    },
}

impl Verdict {
    /// No objection, for this reason.
    pub fn allow(reason: impl Into<String>) -> Self {
        Self::Allow { reason: reason.into(), notify: false }
    }

    /// Only with a person's consent; 5 minutes for an answer (ACT-02).
    pub fn needs_approval(reason: impl Into<String>) -> Self {
        Self::NeedsApproval { reason: reason.into(), wait: Duration::from_secs(300) }
    }

    /// No, for this reason.
    pub fn deny(reason: impl Into<String>) -> Self {
        Self::Deny { reason: reason.into() }
    }

    /// The reason given.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Allow { reason, .. } | Self::NeedsApproval { reason, .. } | Self::Deny { reason } => reason,
        }
    }
}

/// A verdict and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardVerdict {
    /// Whose.
    pub guard: GuardId,
    /// What.
    pub verdict: Verdict,
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ApprovalRequest {
    /// The proposal in full.
    pub proposal: Proposal,
    /// What would happen to the target as it is now.
    pub preview: Preview,
    /// Why a person is asked.
    pub reasons: Vec<String>,
    /// Until when an answer counts.
    pub expires_at: Timestamp,
}

/// What a person answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalDecision {
    /// Who; must differ from who proposed.
    pub approver: Principal,
    /// Yes or no.
    pub granted: bool,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// How a decision came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DecisionOutcome {
    /// The right to act was minted.
    Authorized {
        /// Until when it can be spent.
        expires_at: Timestamp,
    },
    /// It was not.
    Denied {
        /// Why.
        reason: String,
    },
}

/// Everything a decision rests on, for the case and the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DecisionRecord {
    /// Which proposal.
    pub proposal: ProposalId,
    /// In which mode.
    pub mode: Mode,
    /// What the guards said last.
    pub verdicts: Vec<GuardVerdict>,
    /// What a person said, if one was asked and answered.
    #[serde(default)]
    pub approval: Option<ApprovalDecision>,
    /// When it was decided.
    pub at: Timestamp,
    /// How it came out.
    pub outcome: DecisionOutcome,
}

impl DecisionRecord {
    /// Whether the right to act was minted.
    #[must_use]
    pub fn is_authorized(&self) -> bool {
        matches!(self.outcome, DecisionOutcome::Authorized { .. })
    }

    /// Whether some guard wants people told at once.
    #[must_use]
    pub fn wants_notice(&self) -> bool {
        self.verdicts.iter().any(|v| matches!(v.verdict, Verdict::Allow { notify: true, .. }))
    }
}
