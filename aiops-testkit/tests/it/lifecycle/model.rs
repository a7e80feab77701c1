//! What ought to happen, in plain data: no futures, no tokens, no journal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::action::IdempotencyKey;
use aiops_core::jiff::Timestamp;
use aiops_core::model::time;

use super::{Answer, Lie, Opinion, Trouble};

/// Most actions of one incident.
pub(super) const CAP: usize = 3;
/// How long a right can be spent.
pub(super) const LIFE: Duration = Duration::from_secs(60);

pub(super) type Key = IdempotencyKey;

/// A right as the model sees it.
#[derive(Debug, Clone)]
pub(super) struct Right {
    pub(super) key: Key,
    pub(super) replica: usize,
    pub(super) target: usize,
    pub(super) incident: usize,
    pub(super) expires_at: Timestamp,
    /// Head of the journal that the guards saw; for an intent, its fence.
    pub(super) position: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Completed,
    Failed,
    NotStarted,
}

#[derive(Debug)]
pub(super) struct Intent {
    pub(super) target: usize,
    pub(super) incident: usize,
    pub(super) ended: Option<Ended>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) head: u64,
    pub(super) killed: bool,
    pub(super) allowed: BTreeSet<Key>,
    pub(super) revoked: BTreeSet<Key>,
    pub(super) intents: BTreeMap<Key, Intent>,
    /// Every effect, in order.
    pub(super) effects: Vec<Key>,
    /// How the mitigator remembers the end of a key.
    pub(super) done: BTreeMap<Key, Ended>,
    pub(super) crashed: BTreeSet<Key>,
    pub(super) promised_not: BTreeSet<Key>,
    /// Under way with nobody waiting.
    pub(super) flying: BTreeSet<Key>,
    /// What the mitigator said an untruth of.
    pub(super) lied_about: BTreeSet<Key>,
    pub(super) newest_fence: BTreeMap<usize, u64>,
}

impl Model {
    pub(super) fn actions_of(&self, incident: usize) -> usize {
        let of = self.intents.values().filter(|i| i.incident == incident);
        of.filter(|i| i.ended != Some(Ended::NotStarted)).count()
    }

    pub(super) fn is_held(&self, target: usize) -> bool {
        self.intents.values().any(|i| i.target == target && i.ended.is_none())
    }

    /// Why the chain must deny, or whether a person was asked.
    pub(super) fn decide(
        &self,
        incident: usize,
        must_ask: bool,
        opinion: Opinion,
        answer: Answer,
    ) -> Result<bool, &'static str> {
        if self.killed {
            return Err("denied: killed");
        }
        match opinion {
            Opinion::Deny => return Err("denied: guard said no"),
            Opinion::Broken => return Err("denied: guard broke"),
            _ if self.actions_of(incident) >= CAP => return Err("denied: cap reached"),
            _ => {}
        }
        let asked = must_ask || opinion == Opinion::Ask;
        if asked {
            match answer {
                Answer::Yes | Answer::TooLate => {}
                Answer::No => return Err("denied: answer was no"),
                Answer::Silence => return Err("denied: silence"),
                Answer::Broken => return Err("denied: approver broke"),
                Answer::Himself => return Err("denied: self-approval"),
            }
        }
        match opinion {
            Opinion::AskLater => return Err("denied: asked only at the second hearing"),
            _ if asked && answer == Answer::TooLate => return Err("denied: target changed after approval"),
            Opinion::Kill => return Err("denied: killed between the hearings"),
            _ => {}
        }
        Ok(asked)
    }

    /// Why a right cannot be used, whatever it is for.
    fn check(&self, right: &Right, now: Timestamp) -> Option<[&'static str; 2]> {
        if self.killed {
            Some(["record: killed", "execute: killed"])
        } else if self.revoked.contains(&right.key) {
            Some(["record: revoked", "execute: revoked"])
        } else if now >= right.expires_at || now < time::before(right.expires_at, 2 * LIFE) {
            // A clock that jumped back by more than a life does not lengthen it.
            Some(["record: expired", "execute: expired"])
        } else {
            None
        }
    }

    pub(super) fn record(
        &mut self,
        right: &Right,
        cancelled: bool,
        now: Timestamp,
    ) -> Result<u64, &'static str> {
        if cancelled {
            return Err("record: cancelled");
        }
        if let Some([why, _]) = self.check(right, now) {
            return Err(why);
        }
        if right.position != self.head {
            return Err("record: journal moved on");
        }
        if self.intents.contains_key(&right.key) {
            return Err("record: repeated key");
        }
        if self.is_held(right.target) {
            return Err("record: held target");
        }
        self.head += 1;
        let intent = Intent { target: right.target, incident: right.incident, ended: None };
        self.intents.insert(right.key.clone(), intent);
        Ok(self.head)
    }

    /// What the mitigator must answer: an end, `None` for "in doubt", or why it must refuse.
    pub(super) fn execute(
        &mut self,
        right: &Right,
        trouble: Trouble,
        now: Timestamp,
    ) -> Result<Option<Ended>, &'static str> {
        if trouble == Trouble::Cancelled {
            return Err("execute: cancelled");
        }
        if let Some([_, why]) = self.check(right, now) {
            return Err(why);
        }
        if self.promised_not.contains(&right.key) {
            return Err("execute: called not started before");
        }
        let newest = self.newest_fence.entry(right.target).or_default();
        if right.position < *newest {
            return Err("execute: stale fence");
        }
        *newest = right.position;
        if trouble == Trouble::Crash {
            self.crashed.insert(right.key.clone());
            return Ok(None);
        }
        self.effects.push(right.key.clone());
        let ended = if matches!(trouble, Trouble::Failure | Trouble::FailureUnwritten) {
            Ended::Failed
        } else {
            Ended::Completed
        };
        self.done.insert(right.key.clone(), ended);
        if trouble == Trouble::Slow {
            self.flying.insert(right.key.clone());
        }
        Ok((!matches!(trouble, Trouble::LostReply | Trouble::Slow)).then_some(ended))
    }

    /// Writes the end of an action; `false` where the journal knows another one.
    pub(super) fn end(&mut self, key: &Key, ended: Ended) -> bool {
        let Some(intent) = self.intents.get_mut(key) else { return false };
        let accepted = intent.ended.is_none_or(|known| known == ended);
        if accepted {
            intent.ended = Some(ended);
            self.head += 1;
        }
        accepted
    }

    /// What `status` must answer; `None` for running and unknown.
    pub(super) fn status(&mut self, key: &Key, lie: Option<Lie>) -> Option<Ended> {
        if let Some(lie) = lie {
            self.lied_about.insert(key.clone());
            return match lie {
                Lie::Completed => Some(Ended::Completed),
                Lie::Failed => Some(Ended::Failed),
                Lie::NotStarted => Some(Ended::NotStarted),
                Lie::Unknown => None,
            };
        }
        match self.done.get(key) {
            _ if self.flying.contains(key) => None,
            Some(ended) => Some(*ended),
            None if self.crashed.contains(key) => None,
            None => {
                self.promised_not.insert(key.clone());
                Some(Ended::NotStarted)
            }
        }
    }

    pub(super) fn expiry(now: Timestamp) -> Timestamp {
        time::after(now, LIFE)
    }
}
