use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use aiops_core::action::Principal;
use aiops_core::{Error, ErrorKind, Result};
use jiff::Timestamp;

use super::change::{Change, ChangeId, Evidence, Lesson, Looser, Lowering, Moved, Outcome, Reversal};
use super::config::{HarmBelief, LearnedConfig};
use crate::graduation::ActionClass;
use crate::ledger::{Appender, Fold, Link, payload};

/// The numbers of a class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Numbers {
    pub(super) harm: HarmBelief,
    /// What the record asks for.
    asked: f64,
    /// What is in force.
    pub(super) floor: f64,
}

impl Numbers {
    fn new(class: &ActionClass, config: &LearnedConfig) -> Self {
        Self { harm: config.prior_of(class.action), asked: config.base, floor: config.base }
    }

    /// What they are once `outcome` taught: the one rule by which the guard and the file count.
    #[must_use]
    pub(super) fn after(self, outcome: &Outcome, config: &LearnedConfig) -> Self {
        let harm = match outcome.evidence {
            Evidence::Action { .. } => self.harm.after(outcome.good),
            Evidence::Answer { .. } => self.harm,
        };
        let asked = config.asked_after(self.asked, outcome.good);
        Self { harm, asked, floor: self.floor.max(asked) }
    }
}

/// What stands for a class.
#[derive(Debug, Clone, PartialEq)]
struct Learnt {
    now: Numbers,
    /// The newest remedies that helped since one did not, or since the floor was lowered: no more than a lower floor is proposed on, and none
    /// where there is nothing to lower.
    good: VecDeque<Evidence>,
}

impl Learnt {
    fn new(class: &ActionClass, config: &LearnedConfig) -> Self {
        Self { now: Numbers::new(class, config), good: VecDeque::new() }
    }

    fn learn(&mut self, outcome: &Outcome, config: &LearnedConfig) {
        self.now = self.now.after(outcome, config);
        if !outcome.good {
            self.good.clear();
        } else if self.now.floor > config.base {
            self.good.push_back(outcome.evidence.clone());
            if self.good.len() > config.record {
                self.good.pop_front();
            }
        }
    }

    /// Never below what the record asks for, however that changed since it was accepted.
    fn lower(&mut self, to: f64) {
        self.now.floor = self.now.floor.min(to.max(self.now.asked));
        self.good.clear();
    }

    fn looser(&self, class: ActionClass, config: &LearnedConfig) -> Option<Looser> {
        let floor = Moved { from: self.now.floor, to: self.now.asked.max(self.now.floor - config.rate) };
        (floor.to < floor.from && self.good.len() >= config.record).then(|| Looser {
            class,
            floor,
            evidence: self.good.iter().cloned().collect(),
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
    /// Everything that ever taught, and whether it helped when it last did.
    known: BTreeMap<Evidence, bool>,
    classes: BTreeMap<ActionClass, Learnt>,
}

impl Book {
    pub(super) fn new(config: LearnedConfig) -> Self {
        let (changes, reverted) = (Vec::new(), BTreeSet::new());
        Self { config, changes, reverted, known: BTreeMap::new(), classes: BTreeMap::new() }
    }

    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether it teaches: what never taught does, and what taught as a remedy that helped once more when it turns out not to have.
    pub(super) fn is_news(&self, outcome: &Outcome) -> bool {
        self.known.get(&outcome.evidence).is_none_or(|helped| *helped && !outcome.good)
    }

    pub(super) fn of(&self, class: &ActionClass) -> Numbers {
        self.classes.get(class).map_or_else(|| Numbers::new(class, &self.config), |learnt| learnt.now)
    }

    pub(super) fn has_lessons(&self, class: &ActionClass) -> bool {
        self.classes.contains_key(class)
    }

    pub(super) fn looser(&self) -> Vec<Looser> {
        self.classes.iter().filter_map(|(class, learnt)| learnt.looser(*class, &self.config)).collect()
    }

    /// Whether `looser` is what the record allows now.
    fn proposes(&self, looser: &Looser) -> bool {
        let learnt = self.classes.get(&looser.class);
        learnt.and_then(|learnt| learnt.looser(looser.class, &self.config)).as_ref() == Some(looser)
    }

    fn next_id(&self) -> ChangeId {
        ChangeId(u64::try_from(self.changes.len()).unwrap_or(u64::MAX))
    }

    fn get(&self, id: ChangeId) -> Option<&Change> {
        usize::try_from(id.0).ok().and_then(|i| self.changes.get(i))
    }

    /// What those of `outcomes` that are news would change, one after the other.
    fn lessons(&self, outcomes: &[Outcome], at: Timestamp) -> Vec<Change> {
        let (mut classes, mut told) = (BTreeMap::new(), BTreeSet::new());
        // Another replica may have been first.
        let news = outcomes.iter().filter(|o| self.is_news(o) && told.insert(&o.evidence));
        let lesson = |(id, outcome): (u64, &Outcome)| {
            let now = classes.entry(outcome.class).or_insert_with(|| self.of(&outcome.class));
            let before = std::mem::replace(now, now.after(outcome, &self.config));
            Change::Learned(Box::new(Lesson {
                id: ChangeId(id),
                outcome: outcome.clone(),
                harm: Moved { from: before.harm, to: now.harm },
                floor: Moved { from: before.floor, to: now.floor },
                at,
            }))
        };
        (self.next_id().0..).zip(news).map(lesson).collect()
    }

    fn apply(&mut self, change: &Change) -> Result<()> {
        change.check()?;
        if change.id() != self.next_id() {
            return Err(Error::new(ErrorKind::Invalid, "the change has another number than its place")
                .with("change", change.id()));
        }
        match change {
            Change::Learned(lesson) => {
                if !self.is_news(&lesson.outcome) {
                    return Err(
                        Error::new(ErrorKind::Conflict, "this taught before").with("change", lesson.id)
                    );
                }
                self.known.insert(lesson.outcome.evidence.clone(), lesson.outcome.good);
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
    /// newest to the oldest. A floor that was lowered on what does not stand was not lowered.
    fn count_anew(&mut self) {
        self.reverted.clear();
        for change in self.changes.iter().rev() {
            if let Change::Reverted(reversal) = change
                && !self.reverted.contains(&reversal.id)
            {
                self.reverted.insert(reversal.of);
            }
        }
        let (gone, stand): (Vec<&Change>, Vec<&Change>) =
            self.changes.iter().partition(|change| self.reverted.contains(&change.id()));
        let gone: BTreeSet<&Evidence> = gone.into_iter().filter_map(Change::that_helped).collect();
        self.classes.clear();
        for change in stand {
            if let Change::Lowered(lowering) = change
                && lowering.proposed.evidence.iter().any(|evidence| gone.contains(evidence))
            {
                continue;
            }
            Self::count(&mut self.classes, &self.config, change);
        }
    }

    /// Applies `changes` and hands their lines over, or does neither: whatever may refuse one of many comes before the first is applied.
    fn write(&mut self, changes: Vec<Change>, appender: &mut Appender) -> Result<Vec<Change>> {
        let mut lines = Vec::with_capacity(changes.len());
        for change in &changes {
            change.check()?;
            lines.push(payload(change)?);
        }
        for (change, line) in changes.iter().zip(&lines) {
            self.apply(change)?;
            appender.push(line)?;
        }
        Ok(changes)
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
        let changes = match request {
            Request::Learn(outcomes, at) => book.lessons(outcomes, *at),
            Request::Accept { looser, by, reason, at } => {
                if !book.proposes(looser) {
                    let why = "this is not proposed, or not any more";
                    return Err(Error::new(ErrorKind::Conflict, why).with("class", looser.class));
                }
                let (id, proposed) = (book.next_id(), (**looser).clone());
                let (by, reason, at) = (by.clone(), reason.clone(), *at);
                vec![Change::Lowered(Box::new(Lowering { id, proposed, by, reason, at }))]
            }
            Request::Revert { of, by, reason, at } => {
                let (id, of) = (book.next_id(), *of);
                let (by, reason, at) = (by.clone(), reason.clone(), *at);
                vec![Change::Reverted(Reversal { id, of, by, reason, at })]
            }
        };
        book.write(changes, appender)
    }

    fn view(&self) -> Self {
        Self::clone(self)
    }
}
