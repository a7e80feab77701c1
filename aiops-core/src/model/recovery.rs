//! Whether it is over, from telemetry alone (VER-01).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::entity::EntityId;

/// The verdict of a verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// The detecting signals are back, the target lives and serves.
    Recovered,
    /// They are not.
    NotRecovered,
    /// The telemetry needed to tell is missing (VER-02).
    Inconclusive,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalCheck {
    /// Whose signal.
    pub entity: EntityId,
    /// What was checked: a series, liveness, served traffic.
    pub what: String,
    /// The verdict on it alone.
    pub recovery: Recovery,
    /// Observed against expected, in words.
    pub detail: String,
}

/// A verdict with everything it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The verdict.
    pub recovery: Recovery,
    /// When it was reached.
    pub at: Timestamp,
    /// What was checked.
    pub checks: Vec<SignalCheck>,
}

impl RecoveryReport {
    /// Combines checks: one that failed is a failure; otherwise one that could not be made, or none at all, is inconclusive.
    #[must_use]
    pub fn from_checks(at: Timestamp, checks: Vec<SignalCheck>) -> Self {
        let any = |r: Recovery| checks.iter().any(|c| c.recovery == r);
        let recovery = if any(Recovery::NotRecovered) {
            Recovery::NotRecovered
        } else if checks.is_empty() || any(Recovery::Inconclusive) {
            Recovery::Inconclusive
        } else {
            Recovery::Recovered
        };
        Self { recovery, at, checks }
    }
}
