//! The record of actions: a fold over journal entries, and the rules that every journal obeys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::decision::DecisionRecord;
use crate::action::operation::RollbackPlan;
use crate::action::proposal::{IncidentId, Proposal, Purpose};
use crate::action::receipt::{ActionOutcome, Fence, IdempotencyKey};
use crate::error::{Error, ErrorKind, Result};
use crate::model::time::elapsed;
use crate::model::{EntityId, Recovery};

/// Position in a journal: the number of entries up to and with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

/// An action that is about to be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IntentRecord {
    /// Key it will run under.
    pub key: IdempotencyKey,
    /// What is to be done, and why.
    pub proposal: Proposal,
    /// Who allowed it.
    pub decision: DecisionRecord,
    /// When it was written.
    pub at: Timestamp,
}

impl IntentRecord {
    pub(crate) fn new(
        key: IdempotencyKey,
        proposal: Proposal,
        decision: DecisionRecord,
        at: Timestamp,
    ) -> Self {
        Self { key, proposal, decision, at }
    }
}

/// What a journal holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum JournalEntry {
    /// An action is about to be run.
    Intent(Box<IntentRecord>),
    /// How it ended. Until this is written the action is in doubt and its target is held.
    Outcome {
        /// Which action.
        key: IdempotencyKey,
        /// How.
        outcome: ActionOutcome,
        /// When.
        at: Timestamp,
    },
    /// Whether it helped.
    Verified {
        /// Which action.
        key: IdempotencyKey,
        /// What the verifier said.
        recovery: Recovery,
        /// When.
        at: Timestamp,
    },
}

/// One action with what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionTrace {
    /// Fence of the action: the position of its intent.
    pub fence: Fence,
    /// What was intended.
    pub intent: IntentRecord,
    /// How it ended; `None` while it is in doubt.
    #[serde(default)]
    pub outcome: Option<ActionOutcome>,
    /// Whether it helped; `None` until verified.
    #[serde(default)]
    pub recovery: Option<Recovery>,
}

impl ActionTrace {
    /// Whether it may have touched its target: everything but what was never begun.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!(self.outcome, Some(ActionOutcome::NotStarted { .. }))
    }

    /// Whether nobody knows yet how it ended.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        self.outcome.is_none()
    }

    /// Whether it helped: not when it failed or telemetry did not recover, and `None` while nobody knows.
    #[must_use]
    pub fn helped(&self) -> Option<bool> {
        match (&self.outcome, self.recovery) {
            (Some(ActionOutcome::Failed { .. }), _) | (_, Some(Recovery::NotRecovered)) => Some(false),
            (_, Some(Recovery::Recovered)) => Some(true),
            _ => None,
        }
    }

    /// Whether it was meant as a remedy, not as the undoing of one.
    #[must_use]
    pub fn is_remedy(&self) -> bool {
        self.intent.proposal.purpose == Purpose::Remedy
    }
}

/// The fold over a journal. Guards decide on it, so caps and cooldowns survive a restart and hold across replicas.
///
/// What guards ask for is kept in indices, so that a decision does not take longer the more was done before: questions about a time span, an
/// end or the last remedies take O(log n + what is returned), a new entry O(log n) while the clock does not jump.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    head: Sequence,
    actions: Vec<ActionTrace>,
    by_key: BTreeMap<IdempotencyKey, usize>,
    by_target: BTreeMap<EntityId, OnTarget>,
    by_incident: BTreeMap<IncidentId, Vec<usize>>,
    /// Actions by what they say they undo.
    by_undone: BTreeMap<IdempotencyKey, Vec<usize>>,
    in_doubt: BTreeSet<usize>,
    /// When what counts was intended, in order of time; after a clock jump that is not the order of the journal.
    counted_at: Vec<Timestamp>,
    helped: BTreeSet<usize>,
    did_not_help: BTreeSet<usize>,
    did_not_help_at: BTreeSet<(Timestamp, usize)>,
}

/// What was done on one target.
#[derive(Debug, Clone, Default, PartialEq)]
struct OnTarget {
    actions: Vec<usize>,
    by_time: BTreeSet<(Timestamp, usize)>,
    longest_cooldown: Duration,
}

impl History {
    /// Nothing happened yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of entries applied.
    #[must_use]
    pub fn head(&self) -> Sequence {
        self.head
    }

    /// Applies one entry; every journal calls this before it accepts an entry.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] for an intent whose key was used, whose target is held by an action in doubt, or for a
    /// second, different outcome, or for the verification of an action that has not ended. [`ErrorKind::NotFound`] for
    /// the outcome of an unknown key. Nothing changes then.
    pub fn apply(&mut self, entry: &JournalEntry) -> Result<Sequence> {
        match entry {
            JournalEntry::Intent(intent) => self.apply_intent(intent)?,
            JournalEntry::Outcome { key, outcome, .. } => {
                let (index, action) = self.action_mut(key)?;
                match &action.outcome {
                    Some(known) if known != outcome => {
                        return Err(Error::new(ErrorKind::Conflict, "the action already ended otherwise")
                            .with("key", key));
                    }
                    Some(_) => {}
                    None => {
                        action.outcome = Some(outcome.clone());
                        let (counts, at) = (action.counts(), action.intent.at);
                        self.in_doubt.remove(&index);
                        if !counts {
                            self.forget_time(at);
                        }
                    }
                }
                self.note_effect(index);
            }
            JournalEntry::Verified { key, recovery, .. } => {
                let (index, action) = self.action_mut(key)?;
                if action.in_doubt() {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        "an action that has not ended cannot be verified",
                    )
                    .with("key", key));
                }
                action.recovery = Some(*recovery);
                self.note_effect(index);
            }
        }
        self.head.0 += 1;
        Ok(self.head)
    }

    fn apply_intent(&mut self, intent: &IntentRecord) -> Result<()> {
        let target = &intent.proposal.action.target;
        if self.by_key.contains_key(&intent.key) {
            return Err(
                Error::new(ErrorKind::Conflict, "this action was intended before").with("key", &intent.key)
            );
        }
        if let Some(holder) = self.in_doubt().find(|a| a.intent.proposal.action.target == *target) {
            return Err(Error::new(ErrorKind::Conflict, "an action on this target has not ended yet")
                .with("target", target)
                .with("holder", &holder.intent.key));
        }
        let index = self.actions.len();
        self.actions.push(ActionTrace {
            fence: Fence(self.head.0 + 1),
            intent: intent.clone(),
            outcome: None,
            recovery: None,
        });
        self.by_key.insert(intent.key.clone(), index);
        let on_target = self.by_target.entry(target.clone()).or_default();
        on_target.actions.push(index);
        on_target.by_time.insert((intent.at, index));
        on_target.longest_cooldown = on_target.longest_cooldown.max(intent.proposal.action.cooldown);
        self.by_incident.entry(intent.proposal.incident.clone()).or_default().push(index);
        if let Purpose::Revert { of } = &intent.proposal.purpose {
            self.by_undone.entry(of.clone()).or_default().push(index);
        }
        self.in_doubt.insert(index);
        let place = self.counted_at.partition_point(|at| *at <= intent.at);
        self.counted_at.insert(place, intent.at);
        Ok(())
    }

    fn action_mut(&mut self, key: &IdempotencyKey) -> Result<(usize, &mut ActionTrace)> {
        let index = self.by_key.get(key).copied();
        index
            .and_then(|i| Some((i, self.actions.get_mut(i)?)))
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "no intent has this key").with("key", key))
    }

    /// An action intended at `at` was never begun.
    fn forget_time(&mut self, at: Timestamp) {
        // INVARIANT: every action that counts has its instant here.
        if let Ok(place) = self.counted_at.binary_search(&at) {
            self.counted_at.remove(place);
        }
    }

    fn note_effect(&mut self, index: usize) {
        let Some(action) = self.actions.get(index) else { return };
        let (helped, at) = (action.helped(), action.intent.at);
        self.helped.remove(&index);
        self.did_not_help.remove(&index);
        self.did_not_help_at.remove(&(at, index));
        match helped {
            Some(true) => drop(self.helped.insert(index)),
            Some(false) => {
                self.did_not_help.insert(index);
                self.did_not_help_at.insert((at, index));
            }
            None => {}
        }
    }

    /// The action with this key.
    #[must_use]
    pub fn get(&self, key: &IdempotencyKey) -> Option<&ActionTrace> {
        self.by_key.get(key).and_then(|i| self.actions.get(*i))
    }

    /// All actions, oldest first; also backwards.
    pub fn actions(&self) -> impl DoubleEndedIterator<Item = &ActionTrace> {
        self.actions.iter()
    }

    /// Actions on `target`, oldest first.
    pub fn for_target(&self, target: &EntityId) -> impl DoubleEndedIterator<Item = &ActionTrace> {
        self.pick(self.by_target.get(target).map(|on| on.actions.as_slice()))
    }

    /// Actions on `target` that were intended at `since` or later, by the time they bear.
    pub fn on_target_since(
        &self,
        target: &EntityId,
        since: Timestamp,
    ) -> impl DoubleEndedIterator<Item = &ActionTrace> {
        let on_target = self.by_target.get(target).into_iter();
        let recent = on_target.flat_map(move |on| on.by_time.range((since, 0)..));
        recent.filter_map(|(_, i)| self.actions.get(*i))
    }

    /// The longest cooldown that any action on `target` ever asked for; zero where none was.
    #[must_use]
    pub fn longest_cooldown(&self, target: &EntityId) -> Duration {
        self.by_target.get(target).map_or(Duration::ZERO, |on| on.longest_cooldown)
    }

    /// How many actions that [count](ActionTrace::counts) were intended at `since` or later, whatever order the journal has them in.
    #[must_use]
    pub fn counted_since(&self, since: Timestamp) -> usize {
        self.counted_at.len() - self.counted_at.partition_point(|at| *at < since)
    }

    /// Actions that [helped](ActionTrace::helped), oldest first.
    pub fn that_helped(&self) -> impl DoubleEndedIterator<Item = &ActionTrace> {
        self.helped.iter().filter_map(|i| self.actions.get(*i))
    }

    /// Actions that did not help and stand behind `fence` in the journal, oldest first.
    pub fn that_did_not_help(&self, behind: Option<Fence>) -> impl DoubleEndedIterator<Item = &ActionTrace> {
        let first = behind.map_or(0, |fence| self.actions.partition_point(|a| a.fence <= fence));
        self.did_not_help.range(first..).filter_map(|i| self.actions.get(*i))
    }

    /// Actions that did not help and were intended at `since` or later, by the time they bear.
    pub fn that_did_not_help_since(&self, since: Timestamp) -> impl DoubleEndedIterator<Item = &ActionTrace> {
        self.did_not_help_at.range((since, 0)..).filter_map(|(_, i)| self.actions.get(*i))
    }

    /// Actions of `incident`, oldest first.
    pub fn for_incident(&self, incident: &IncidentId) -> impl DoubleEndedIterator<Item = &ActionTrace> {
        self.pick(self.by_incident.get(incident).map(Vec::as_slice))
    }

    /// The action of ours that `proposal` undoes, if it truly undoes one: carried out under the same incident on the same
    /// target, by exactly the operation its own proposal named as the way back, at most `window` before `at`, and not
    /// undone before. What was verified to help is not undone on that authority. `before` leaves out what was intended at
    /// or after that fence, to judge a proposal of the past.
    #[must_use]
    pub fn undone_by(
        &self,
        proposal: &Proposal,
        at: Timestamp,
        window: Duration,
        before: Option<Fence>,
    ) -> Option<&ActionTrace> {
        let Purpose::Revert { of } = &proposal.purpose else { return None };
        let earlier = |a: &ActionTrace| before.is_none_or(|fence| a.fence < fence);
        let undone = self.get(of).filter(|a| earlier(a))?;
        let original = &undone.intent.proposal;
        let way_back = matches!(
            &original.action.rollback,
            RollbackPlan::Operation(back) if **back == proposal.action.operation
        );
        let same = original.action.target == proposal.action.target
            && original.incident == proposal.incident
            && original.purpose == Purpose::Remedy;
        let recent = elapsed(undone.intent.at, at) <= window;
        let others = self.pick(self.by_undone.get(of).map(Vec::as_slice));
        let mut others = others.filter(|a| earlier(a) && a.counts());
        let again = others.any(|a| a.intent.proposal.action.target == original.action.target);
        let helped = undone.recovery == Some(Recovery::Recovered);
        let ended = undone.counts() && !undone.in_doubt();
        (way_back && same && recent && ended && !helped && !again).then_some(undone)
    }

    /// Actions nobody knows the end of.
    pub fn in_doubt(&self) -> impl Iterator<Item = &ActionTrace> {
        self.in_doubt.iter().filter_map(|i| self.actions.get(*i))
    }

    fn pick<'a>(&'a self, indices: Option<&'a [usize]>) -> impl DoubleEndedIterator<Item = &'a ActionTrace> {
        indices.into_iter().flatten().filter_map(|i| self.actions.get(*i))
    }
}
