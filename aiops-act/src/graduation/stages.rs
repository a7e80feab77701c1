use std::collections::BTreeMap;
use std::fmt;

use aiops_core::action::{Action, ActionKind, ActionTrace, History, IdempotencyKey, Principal, Sequence};
use aiops_core::model::{EntityId, EntityKind};
use aiops_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::ledger::{Appender, Fold, Link, payload};

/// Actions that graduate together: one kind of action on one kind of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionClass {
    /// Kind of action.
    pub action: ActionKind,
    /// Kind of target.
    pub target: EntityKind,
}

impl ActionClass {
    /// The class of `action`.
    #[must_use]
    pub fn of(action: &Action) -> Self {
        Self { action: action.kind(), target: action.target.kind() }
    }

    pub(crate) fn has(&self, action: &Action) -> bool {
        *self == Self::of(action)
    }

    pub(super) fn is_of(&self, action: ActionKind, target: &EntityId) -> bool {
        *self == Self { action, target: target.kind() }
    }
}

impl fmt::Display for ActionClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.target)
    }
}

/// How much a class of actions may do by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Every action of it asks a person.
    #[default]
    Suggest,
    /// It acts where the other guards allow it.
    Auto,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Suggest => "suggest",
            Self::Auto => "auto",
        })
    }
}

/// What a person vouches for who lets a class act alone: no record shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Its way back was tried.
    pub rollback_tested: bool,
    /// What carries it out may do nothing else.
    pub least_permissions: bool,
    /// People know what to do when it goes wrong.
    pub escalation_playbook: bool,
}

impl Attestation {
    pub(super) fn lacking(&self) -> impl Iterator<Item = String> {
        let all = [
            (self.rollback_tested, "a way back that was tried"),
            (self.least_permissions, "least permissions"),
            (self.escalation_playbook, "an escalation playbook"),
        ];
        all.into_iter().filter(|(there, _)| !there).map(|(_, what)| what.to_owned())
    }
}

/// A recorded decision on the stage of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StageChange {
    /// The class.
    pub class: ActionClass,
    /// Its stage from now on.
    pub to: Stage,
    /// Who decided.
    pub by: Principal,
    /// Why.
    pub reason: String,
    /// What it rested on.
    pub record: Record,
    /// What was vouched for, for a promotion.
    pub attested: Option<Attestation>,
    /// When.
    pub at: Timestamp,
    /// Entries of the journal it was decided on. What stands behind them came later, whatever the clock said.
    pub head: Sequence,
    /// Remedies of the class among them of which nobody knew yet whether they helped.
    pub open: Vec<IdempotencyKey>,
}

impl StageChange {
    /// Whether `action` was intended after the decision. By the order of the journal; by the clock where another journal must
    /// have taken its place, since it is shorter.
    pub(super) fn is_before(&self, action: &ActionTrace, history: &History) -> bool {
        if history.head() < self.head {
            return action.intent.at > self.at;
        }
        action.fence.0 > self.head.0
    }
}

/// How a class stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Assessment {
    /// The class.
    pub class: ActionClass,
    /// Its stage as it was last decided.
    pub stage: Stage,
    /// Its record since then.
    pub record: Record,
    /// What the record lacks for acting alone, in words; empty when a person may promote it.
    pub lacking: Vec<String>,
}

/// The stages that the lines of the file add up to.
#[derive(Debug, Clone, Default)]
pub(super) struct Stages {
    changes: Vec<StageChange>,
    latest: BTreeMap<ActionClass, usize>,
}

impl Stages {
    pub(super) fn latest(&self, class: &ActionClass) -> Option<&StageChange> {
        self.latest.get(class).and_then(|i| self.changes.get(*i))
    }

    pub(super) fn stage(&self, class: &ActionClass) -> Stage {
        self.latest(class).map_or(Stage::Suggest, |change| change.to)
    }

    pub(super) fn changes(&self) -> &[StageChange] {
        &self.changes
    }

    /// Classes that act alone.
    pub(super) fn alone(&self) -> impl Iterator<Item = &StageChange> {
        self.latest.values().filter_map(|i| self.changes.get(*i)).filter(|change| change.to == Stage::Auto)
    }

    fn apply(&mut self, change: &StageChange) -> Result<()> {
        let class = change.class;
        if change.by.as_str().trim().is_empty() || change.reason.trim().is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "a decision on a stage has a name and a reason"));
        }
        if self.stage(&class) == change.to {
            return Err(Error::new(ErrorKind::Conflict, "the class is in this stage already")
                .with("class", class)
                .with("stage", change.to));
        }
        // Whoever wrote the file: acting alone needs somebody who vouched for it.
        let vouched = change.attested.as_ref().is_some_and(|a| a.lacking().next().is_none());
        if change.to == Stage::Auto && !vouched {
            return Err(Error::new(ErrorKind::Denied, "nobody vouched for the class").with("class", class));
        }
        if change.to == Stage::Auto && change.record.recovered + change.record.not_recovered == 0 {
            return Err(Error::new(ErrorKind::Denied, "the class has no record").with("class", class));
        }
        self.latest.insert(class, self.changes.len());
        self.changes.push(change.clone());
        Ok(())
    }
}

impl Fold for std::sync::Arc<Stages> {
    const KIND: &'static str = "graduation";
    type Request = StageChange;
    type Answer = StageChange;
    type View = Self;

    fn replay(&mut self, payload: &[u8], _: &Link) -> Result<()> {
        let change = serde_json::from_slice(payload)
            .map_err(|e| Error::new(ErrorKind::Malformed, "not a change of a stage").caused_by(e))?;
        Self::make_mut(self).apply(&change)
    }

    fn admit(&mut self, change: &StageChange, appender: &mut Appender) -> Result<StageChange> {
        let line = payload(change)?;
        Self::make_mut(self).apply(change)?;
        appender.push(&line)?;
        Ok(change.clone())
    }

    fn view(&self) -> Self {
        Self::clone(self)
    }
}
