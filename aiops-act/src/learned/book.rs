use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aiops_core::action::Principal;
use aiops_core::{Error, ErrorKind, Result};
use jiff::Timestamp;

use super::change::{Change, ChangeId, Evidence, Lesson, Looser, Lowering, Moved, Outcome, Reversal};
use super::config::{HarmBelief, LearnedConfig};
use crate::graduation::ActionClass;
use crate::ledger::{Appender, Fold, Link, payload};

/// What stands for a class.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Learnt {
    pub(super) harm: HarmBelief,
    /// What the record asks for.
    asked: f64,
    /// What is in force.
    pub(super) floor: f64,
    /// Remedies that helped since one did not, or since the floor was lowered.
    good: Vec<Evidence>,
}

impl Learnt {
    fn new(class: &ActionClass, config: &LearnedConfig) -> Self {
        let harm = config.prior_of(class.action);
        Self { harm, asked: config.base, floor: config.base, good: Vec::new() }
    }

    fn learn(&mut self, outcome: &Outcome, config: &LearnedConfig) {
        if let Evidence::Action { .. } = outcome.evidence {
            self.harm = self.harm.after(outcome.good);
        }
        self.asked = config.asked_after(self.asked, outcome.good);
        self.floor = self.floor.max(self.asked);
        if outcome.good {
            self.good.push(outcome.evidence.clone());
        } else {
            self.good.clear();
        }
    }

    /// Never below what the record asks for, however that changed since it was accepted.
    fn lower(&mut self, to: f64) {
        self.floor = self.floor.min(to.max(self.asked));
        self.good.clear();
    }

    fn looser(&self, class: ActionClass, config: &LearnedConfig) -> Option<Looser> {
        let floor = Moved { from: self.floor, to: self.asked.max(self.floor - config.rate) };
        (floor.to < floor.from && self.good.len() >= config.record).then(|| Looser {
            class,
            floor,
            evidence: self.good.clone(),
        })
    }
}

/// What may be asked to be written.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Learn(Vec<Outcome>, Timestamp),
    Accept { looser: Box<Looser>, by: Principal, reason: String, at: Timestamp },
    Revert { of: ChangeId, by: Principal, reason: String, at: Timestamp },
}

/// What the lines of the file add up to.
#[derive(Debug, Clone)]
pub(super) struct Book {
    config: LearnedConfig,
    changes: Vec<Change>,
    /// What does not stand.
    reverted: BTreeSet<ChangeId>,
    /// Everything that ever taught.
    known: BTreeSet<Evidence>,
    classes: BTreeMap<ActionClass, Learnt>,
}

impl Book {
    pub(super) fn new(config: LearnedConfig) -> Self {
        let (changes, reverted) = (Vec::new(), BTreeSet::new());
        Self { config, changes, reverted, known: BTreeSet::new(), classes: BTreeMap::new() }
    }

    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub(super) fn knows(&self, evidence: &Evidence) -> bool {
        self.known.contains(evidence)
    }

    pub(super) fn of(&self, class: &ActionClass) -> Learnt {
        self.classes.get(class).cloned().unwrap_or_else(|| Learnt::new(class, &self.config))
    }

    pub(super) fn has_lessons(&self, class: &ActionClass) -> bool {
        self.classes.contains_key(class)
    }

    pub(super) fn looser(&self) -> Vec<Looser> {
        self.classes.iter().filter_map(|(class, learnt)| learnt.looser(*class, &self.config)).collect()
    }

    fn next_id(&self) -> ChangeId {
        ChangeId(u64::try_from(self.changes.len()).unwrap_or(u64::MAX))
    }

    fn get(&self, id: ChangeId) -> Option<&Change> {
        usize::try_from(id.0).ok().and_then(|i| self.changes.get(i))
    }

    /// What `outcome` would change.
    fn lesson(&self, outcome: &Outcome, at: Timestamp) -> Lesson {
        let before = self.of(&outcome.class);
        let mut after = before.clone();
        after.learn(outcome, &self.config);
        Lesson {
            id: self.next_id(),
            outcome: outcome.clone(),
            harm: Moved { from: before.harm, to: after.harm },
            floor: Moved { from: before.floor, to: after.floor },
            at,
        }
    }

    fn apply(&mut self, change: &Change) -> Result<()> {
        change.check()?;
        if change.id() != self.next_id() {
            return Err(Error::new(ErrorKind::Invalid, "the change has another number than its place")
                .with("change", change.id()));
        }
        match change {
            Change::Learned(lesson) => {
                if !self.known.insert(lesson.outcome.evidence.clone()) {
                    return Err(
                        Error::new(ErrorKind::Conflict, "this taught before").with("change", lesson.id)
                    );
                }
            }
            Change::Lowered(_) => {}
            Change::Reverted(Reversal { of, .. }) => {
                if self.get(*of).is_none() {
                    let why = "no such change was made";
                    return Err(Error::new(ErrorKind::NotFound, why).with("change", of));
                }
                if self.reverted.contains(of) {
                    let why = "the change was taken back already";
                    return Err(Error::new(ErrorKind::Conflict, why).with("change", of));
                }
            }
        }
        self.changes.push(change.clone());
        if let Change::Reverted(_) = change {
            self.count_anew();
        } else {
            Self::count(&mut self.classes, &self.config, change);
        }
        Ok(())
    }

    fn count(classes: &mut BTreeMap<ActionClass, Learnt>, config: &LearnedConfig, change: &Change) {
        let mut of = |class: &ActionClass, act: &dyn Fn(&mut Learnt)| {
            act(classes.entry(*class).or_insert_with(|| Learnt::new(class, config)));
        };
        match change {
            Change::Learned(lesson) => of(&lesson.outcome.class, &|l| l.learn(&lesson.outcome, config)),
            Change::Lowered(lowering) => {
                of(&lowering.proposed.class, &|l| l.lower(lowering.proposed.floor.to))
            }
            Change::Reverted(_) => {}
        }
    }

    /// As if what was taken back had never been. A reversal that was taken back itself takes nothing back, so what stands is told from the
    /// newest to the oldest.
    fn count_anew(&mut self) {
        self.reverted.clear();
        for change in self.changes.iter().rev() {
            if let Change::Reverted(reversal) = change
                && !self.reverted.contains(&reversal.id)
            {
                self.reverted.insert(reversal.of);
            }
        }
        self.classes.clear();
        for change in self.changes.iter().filter(|change| !self.reverted.contains(&change.id())) {
            Self::count(&mut self.classes, &self.config, change);
        }
    }

    /// Applies `change` and hands its line over, or neither.
    fn write(&mut self, change: Change, appender: &mut Appender) -> Result<Change> {
        let line = payload(&change)?;
        self.apply(&change)?;
        appender.push(&line)?;
        Ok(change)
    }
}

impl Fold for Arc<Book> {
    const KIND: &'static str = "learned";
    type Request = Request;
    /// What was written.
    type Answer = Vec<Change>;
    type View = Self;

    fn replay(&mut self, payload: &[u8], _: &Link) -> Result<()> {
        let change = serde_json::from_slice(payload)
            .map_err(|e| Error::new(ErrorKind::Malformed, "not a change of what was learned").caused_by(e))?;
        Self::make_mut(self).apply(&change)
    }

    fn admit(&mut self, request: &Request, appender: &mut Appender) -> Result<Vec<Change>> {
        let book = Self::make_mut(self);
        match request {
            Request::Learn(outcomes, at) => {
                let mut written = Vec::new();
                for outcome in outcomes {
                    // Another replica may have been first.
                    if !book.knows(&outcome.evidence) {
                        let lesson = book.lesson(outcome, *at);
                        written.push(book.write(Change::Learned(Box::new(lesson)), appender)?);
                    }
                }
                Ok(written)
            }
            Request::Accept { looser, by, reason, at } => {
                let stands = book.of(&looser.class).looser(looser.class, &book.config);
                if stands.as_ref() != Some(&**looser) {
                    let why = "this is not proposed, or not any more";
                    return Err(Error::new(ErrorKind::Conflict, why).with("class", looser.class));
                }
                let (id, proposed) = (book.next_id(), (**looser).clone());
                let (by, reason, at) = (by.clone(), reason.clone(), *at);
                let lowering = Lowering { id, proposed, by, reason, at };
                Ok(vec![book.write(Change::Lowered(Box::new(lowering)), appender)?])
            }
            Request::Revert { of, by, reason, at } => {
                let (id, of) = (book.next_id(), *of);
                let reversal = Reversal { id, of, by: by.clone(), reason: reason.clone(), at: *at };
                Ok(vec![book.write(Change::Reverted(reversal), appender)?])
            }
        }
    }

    fn view(&self) -> Self {
        Self::clone(self)
    }
}
