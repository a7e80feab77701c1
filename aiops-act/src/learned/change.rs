use std::fmt;

use aiops_core::action::{IdempotencyKey, IncidentId, Principal};
use aiops_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::config::HarmBelief;
use super::guard::LEARNER;
use crate::approval::RequestId;
use crate::graduation::ActionClass;

/// Number of a change: the lines before it in its file, the header not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeId(pub u64);

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What was learned from. One piece of evidence teaches once; a remedy that helped teaches once more when it turns out not to have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Evidence {
    /// A remedy whose end is known.
    Action {
        /// The case.
        incident: IncidentId,
        /// The remedy.
        key: IdempotencyKey,
    },
    /// A person who held the diagnosis behind a proposal to be wrong.
    Answer {
        /// The case.
        incident: IncidentId,
        /// The question.
        request: RequestId,
    },
}

/// What a piece of evidence says of a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The class.
    pub class: ActionClass,
    /// Where that is written.
    pub evidence: Evidence,
    /// Whether acting on the diagnosis was right.
    pub good: bool,
    /// How sure the diagnosis was, 0..=1.
    pub confidence: f64,
}

/// A number before and after.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved<T> {
    /// Before.
    pub from: T,
    /// After.
    pub to: T,
}

/// What one piece of evidence changed. Both numbers as they stood then: what is taken back later moves them too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Lesson {
    /// Its number.
    pub id: ChangeId,
    /// What was learned from.
    pub outcome: Outcome,
    /// Belief in harm of the class. An answer does not move it: nothing ran.
    pub harm: Moved<HarmBelief>,
    /// Confidence below which a person is asked. It never falls here.
    pub floor: Moved<f64>,
    /// When.
    pub at: Timestamp,
}

/// A lower floor that the record allows. It comes into force when a person [accepts](super::Learned::accept) it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Looser {
    /// The class.
    pub class: ActionClass,
    /// The floor in force, and the one proposed.
    pub floor: Moved<f64>,
    /// What speaks for it: the newest [`record`](super::LearnedConfig::record) remedies in a row that helped.
    pub evidence: Vec<Evidence>,
}

/// A floor that a person lowered. It is lowered as long as all of its evidence stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Lowering {
    /// Its number.
    pub id: ChangeId,
    /// What was proposed.
    pub proposed: Looser,
    /// Who accepted it.
    pub by: Principal,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// A change that a person took back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Reversal {
    /// Its number.
    pub id: ChangeId,
    /// What was taken back. A reversal that is taken back lets stand again what it took.
    pub of: ChangeId,
    /// Who did.
    pub by: Principal,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Evidence taught something.
    Learned(Box<Lesson>),
    /// A person lowered a floor.
    Lowered(Box<Lowering>),
    /// A person took a change back.
    Reverted(Reversal),
}

impl Change {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> ChangeId {
        match self {
            Self::Learned(lesson) => lesson.id,
            Self::Lowered(lowering) => lowering.id,
            Self::Reverted(reversal) => reversal.id,
        }
    }

    /// The remedy whose success it is a lesson of.
    pub(super) fn that_helped(&self) -> Option<&Evidence> {
        match self {
            Self::Learned(lesson) if lesson.outcome.good => Some(&lesson.outcome.evidence),
            _ => None,
        }
    }

    /// What is refused whoever wrote the line.
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |why: &'static str| Err(Error::new(ErrorKind::Invalid, why).with("change", self.id()));
        let (by, reason) = match self {
            Self::Learned(lesson) => {
                if !(0.0..=1.0).contains(&lesson.outcome.confidence) {
                    return invalid("a confidence lies in 0..=1");
                }
                if lesson.floor.to < lesson.floor.from {
                    return invalid("no lesson lowers a floor");
                }
                return Ok(());
            }
            Self::Lowered(lowering) if lowering.proposed.evidence.is_empty() => {
                return invalid("a floor is lowered on evidence only");
            }
            Self::Lowered(lowering) => (&lowering.by, &lowering.reason),
            Self::Reverted(reversal) => (&reversal.by, &reversal.reason),
        };
        if by.as_str().trim().is_empty() || reason.trim().is_empty() {
            return invalid("what a person decides has a name and a reason");
        }
        if by.as_str().trim().eq_ignore_ascii_case(LEARNER) {
            let why = "what loosens is decided by a person";
            return Err(Error::new(ErrorKind::Denied, why).with("by", by));
        }
        Ok(())
    }
}
