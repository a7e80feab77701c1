//! Post-mortems, written from the case file (VER-05).
//!
//! What a machine can tell is told: the timeline, how long it lasted and who was affected, what was held to be the cause and whether acting on it bore that out, what was
//! done and whether it helped, what could not be seen. From that follow [action items](ActionItem) by fixed rules, each with the role that owns it. What
//! only people know (what customers lost, why the change was made) is left to them, with a heading of its own.

mod items;
mod page;
mod told;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use aiops_core::action::{ActionOutcome, IncidentId};
use aiops_core::model::{Confidence, DetectorId, EntityId, FaultType, Recovery};
use aiops_core::{Case, CaseStatus, Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::foretold::Outcome;

/// From the first symptom to the opening of the case: later than this is an action item for whoever owns detection, unless
/// told otherwise ([`PostMortem::of_with`]).
pub const LATE: Duration = Duration::from_secs(300);

/// What an incident was, and what follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PostMortem {
    /// The incident.
    pub incident: IncidentId,
    /// How it ended.
    pub status: CaseStatus,
    /// What happened when, oldest first.
    pub timeline: Vec<Moment>,
    /// Whom it reached and how long it lasted.
    pub impact: Impact,
    /// What was held to be the cause at the end; `None` where none was told.
    pub cause: Option<Cause>,
    /// What was held to be the cause before, and was not borne out, in order.
    #[serde(default)]
    pub discarded: Vec<Cause>,
    /// What was done, undoings included, in order.
    pub attempts: Vec<Attempted>,
    /// What automation came to.
    pub automation: Automation,
    /// What could not be seen, in words, each once.
    pub unseen: Vec<String>,
    /// What is to be done, by whom.
    pub items: Vec<ActionItem>,
    /// Who foretold it, where remedies were proposed before anybody felt anything.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub foretold_by: BTreeSet<DetectorId>,
    /// What became of the prediction, where that [was looked up](Self::with_foretelling).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foretelling: Option<Outcome>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What, in a sentence.
    pub what: String,
}

/// Whom it reached and how long it lasted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Impact {
    /// When the first symptom began; of those that the cause explains, where there is one.
    pub began: Timestamp,
    /// From then to the opening of the case.
    #[serde(with = "aiops_core::model::duration")]
    pub unnoticed: Duration,
    /// From then to the verified recovery, or to the end of the case without one.
    #[serde(with = "aiops_core::model::duration")]
    pub lasted: Duration,
    /// Signals that left their norm.
    pub signals: usize,
    /// Whose, in order of their names.
    pub entities: Vec<EntityId>,
}

/// What was held to be the cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Cause {
    /// Where.
    pub system: EntityId,
    /// What kind.
    pub fault: FaultType,
    /// In a sentence.
    pub statement: String,
    /// How sure.
    pub confidence: Confidence,
    /// Symptoms that it leaves unexplained.
    pub unexplained: usize,
    /// Whether a remedy for it helped: what bears a diagnosis out, or does not. `None` where none was carried out or its effect is not known.
    pub borne_out: Option<bool>,
}

/// An action and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempted {
    /// What, to whom.
    pub action: String,
    /// How it ended.
    pub outcome: ActionOutcome,
    /// What the verifier said; `None` where it was not asked, as after an undoing.
    pub recovery: Option<Recovery>,
}

/// What automation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Automation {
    /// A remedy ran, and telemetry recovered after it.
    Helped,
    /// A remedy failed, or did not help, and no other one did.
    DidNotHelp,
    /// Nobody knows what a remedy came to.
    CannotBeTold,
    /// Nothing was done: nothing was allowed, nothing was known, or it was stopped.
    DidNothing,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionItem {
    /// Who owns it, as a role: the service's name is in `what`.
    pub owner: Owner,
    /// What.
    pub what: String,
}

/// Roles that own action items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// Whoever owns the service that was at fault.
    Service,
    /// Whoever owns metrics, logs and traces.
    Instrumentation,
    /// Whoever owns detectors and triggers.
    Detection,
    /// Whoever owns what may be done.
    Policy,
    /// Whoever owns diagnosis and calibration: retraining.
    Diagnosis,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "service",
            Self::Instrumentation => "instrumentation",
            Self::Detection => "detection",
            Self::Policy => "policy",
            Self::Diagnosis => "diagnosis",
        })
    }
}

impl PostMortem {
    /// The post-mortem of a closed case, which calls detection late after [`LATE`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a case that is open.
    pub fn of(case: &Case) -> Result<Self> {
        Self::of_with(case, LATE)
    }

    /// The same; detection is late after `late`.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_with(case: &Case, late: Duration) -> Result<Self> {
        let Some(status) = case.status().cloned() else {
            return Err(
                Error::new(ErrorKind::Invalid, "an open case has no post-mortem").with("case", case.id())
            );
        };
        let attempts: Vec<Attempted> = case
            .attempts()
            .map(|(receipt, recovery)| Attempted {
                action: receipt.action.to_string(),
                outcome: receipt.outcome.clone(),
                recovery,
            })
            .collect();
        let automation = told::automation(&attempts);
        let mut causes = told::causes(case);
        let cause = causes.pop().flatten();
        let mut discarded: Vec<Cause> = causes.into_iter().flatten().collect();
        discarded.retain(|earlier| earlier.borne_out == Some(false));
        let mut report = Self {
            incident: case.id().clone(),
            timeline: told::timeline(case),
            impact: told::impact(case),
            cause,
            discarded,
            unseen: told::unseen(case),
            items: Vec::new(),
            foretold_by: told::foretold_by(case),
            foretelling: None,
            status,
            attempts,
            automation,
        };
        report.items = items::items(&report, case, late);
        Ok(report)
    }

    /// The same with what [became](crate::Foretold::outcome) of the prediction. Its time ends long after the case, so it is looked up when the
    /// page is read. A false alarm is for whoever owns detection.
    #[must_use]
    pub fn with_foretelling(mut self, outcome: Outcome) -> Self {
        self.foretelling = Some(outcome);
        if outcome == Outcome::FalseAlarm {
            let names: Vec<&str> = self.foretold_by.iter().map(|d| d.0.as_str()).collect();
            let what = format!("see why {} foretold what would not have come", names.join(", "));
            let item = ActionItem { owner: Owner::Detection, what };
            if !self.items.contains(&item) {
                self.items.push(item);
            }
        }
        self
    }
}
