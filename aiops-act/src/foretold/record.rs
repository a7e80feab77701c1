use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::{IncidentId, Principal};
use aiops_core::model::{DetectorId, EntityId, time};
use aiops_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::graduation::wilson_lower_bound;
use crate::ledger::{Appender, Fold, Link, payload};

/// What a person says of a prediction that nobody felt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It would have come, had nobody done anything.
    WouldHaveCome,
    /// It would not.
    WouldNotHaveCome,
}

/// What was seen of a prediction: one line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    /// A case was opened that nobody felt.
    Foretold {
        /// The case.
        incident: IncidentId,
        /// By whom.
        by: BTreeSet<DetectorId>,
        /// Of whom.
        about: BTreeSet<EntityId>,
        /// When.
        at: Timestamp,
        /// By when users must feel it.
        until: Timestamp,
    },
    /// Users felt it.
    Felt {
        /// The case that had foretold it.
        incident: IncidentId,
        /// When that was seen.
        at: Timestamp,
    },
    /// An action of ours was carried out for it, or may have been.
    Acted {
        /// The case.
        incident: IncidentId,
        /// When.
        at: Timestamp,
        /// Whether what had foretold it was back to normal after it.
        recovered: bool,
    },
    /// Somebody vouches that nobody did anything about it.
    LeftAlone {
        /// The case.
        incident: IncidentId,
        /// Who.
        by: Principal,
        /// When.
        at: Timestamp,
    },
    /// A person judged it.
    Judged {
        /// The case.
        incident: IncidentId,
        /// What they say.
        judgement: Judgement,
        /// Who.
        by: Principal,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
}

impl Line {
    /// The case it is about.
    #[must_use]
    pub fn incident(&self) -> &IncidentId {
        match self {
            Self::Foretold { incident, .. }
            | Self::Felt { incident, .. }
            | Self::Acted { incident, .. }
            | Self::LeftAlone { incident, .. }
            | Self::Judged { incident, .. } => incident,
        }
    }
}

/// What became of a prediction; [here](super) is what each rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its time is not over.
    Open,
    /// Users felt it in time.
    CameTrue,
    /// It would have come, says a person, and did not.
    Prevented,
    /// It did not come and would not have.
    FalseAlarm,
    /// Nobody can know.
    Unknown,
}

/// A prediction and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Foretelling {
    /// Its case.
    pub incident: IncidentId,
    /// By whom.
    pub by: BTreeSet<DetectorId>,
    /// Of whom.
    pub about: BTreeSet<EntityId>,
    /// When.
    pub at: Timestamp,
    /// By when users must feel it.
    pub until: Timestamp,
    /// When they first did, in time or not.
    pub felt: Option<Timestamp>,
    /// Whether we acted, and if so whether what had foretold it was back to normal after the last action.
    pub acted: Option<bool>,
    /// Who vouches that nobody did anything.
    pub left_alone: Option<Principal>,
    /// What a person said last.
    pub judged: Option<Judgement>,
}

impl Foretelling {
    /// What became of it, as known at `now`.
    #[must_use]
    pub fn outcome(&self, now: Timestamp) -> Outcome {
        if self.felt.is_some_and(|felt| felt <= self.until) {
            return Outcome::CameTrue;
        }
        match self.judged {
            Some(Judgement::WouldHaveCome) => return Outcome::Prevented,
            Some(Judgement::WouldNotHaveCome) => return Outcome::FalseAlarm,
            None if now <= self.until => return Outcome::Open,
            None => {}
        }
        match (self.acted, &self.left_alone) {
            (None, Some(_)) => Outcome::FalseAlarm,
            _ => Outcome::Unknown,
        }
    }

    /// Whether an action of ours brought what had foretold it back to normal, and nobody felt it or can know more.
    fn was_averted(&self, now: Timestamp) -> bool {
        self.acted == Some(true) && self.outcome(now) == Outcome::Unknown
    }
}

/// Predictions by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Tally {
    /// Whose time is not over.
    pub open: usize,
    /// That users felt in time.
    pub came_true: usize,
    /// Of which a person says that they would have come, and that did not.
    pub prevented: usize,
    /// False alarms.
    pub false_alarms: usize,
    /// Of which nobody can know.
    pub unknown: usize,
    /// Of those unknown: where we acted and what had foretold it was back to normal. They count as nothing else.
    pub averted: usize,
}

impl Tally {
    /// Those whose outcome is known.
    #[must_use]
    pub fn known(&self) -> usize {
        self.came_true + self.prevented + self.false_alarms
    }

    /// Share of false alarms among those known; `None` where none is.
    #[must_use]
    pub fn false_alarm_share(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "counts of cases")]
        let share = self.false_alarms as f64 / self.known() as f64;
        (self.known() > 0).then_some(share)
    }

    /// Upper bound of Wilson's interval for that share, at the normal quantile `z`; 1 where none is known.
    #[must_use]
    pub fn false_alarms_at_most(&self, z: f64) -> f64 {
        1.0 - wilson_lower_bound(self.came_true + self.prevented, self.known(), z)
    }

    /// How many of those [averted](Self::averted) would have come, by the lower bound of the share that was right among those known:
    /// an estimate, never part of what is counted.
    #[must_use]
    pub fn expected(&self, z: f64) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "counts of cases")]
        let averted = self.averted as f64;
        averted * wilson_lower_bound(self.came_true + self.prevented, self.known(), z)
    }

    fn count(&mut self, foretelling: &Foretelling, now: Timestamp) {
        *match foretelling.outcome(now) {
            Outcome::Open => &mut self.open,
            Outcome::CameTrue => &mut self.came_true,
            Outcome::Prevented => &mut self.prevented,
            Outcome::FalseAlarm => &mut self.false_alarms,
            Outcome::Unknown => &mut self.unknown,
        } += 1;
        self.averted += usize::from(foretelling.was_averted(now));
    }
}

/// What the lines of the file add up to.
#[derive(Debug, Clone)]
pub(super) struct Record {
    kept: BTreeMap<IncidentId, Foretelling>,
    /// In the order they were foretold.
    order: VecDeque<IncidentId>,
    most: usize,
}

impl Record {
    pub(super) fn new(most: usize) -> Self {
        Self { kept: BTreeMap::new(), order: VecDeque::new(), most }
    }

    /// In the order they were foretold.
    pub(super) fn all(&self) -> impl Iterator<Item = &Foretelling> {
        self.order.iter().filter_map(|incident| self.kept.get(incident))
    }

    pub(super) fn get(&self, incident: &IncidentId) -> Option<&Foretelling> {
        self.kept.get(incident)
    }

    /// Of those by `detector`, or of all, those that count at `now`: their time did not end longer ago than `memory`.
    pub(super) fn tally(&self, by: Option<&DetectorId>, now: Timestamp, memory: Duration) -> Tally {
        let since = time::before(now, memory);
        let mut tally = Tally::default();
        // A case whose time lies far ahead was foretold by a clock that was wrong; it stays open and counts for nothing.
        self.all()
            .filter(|f| f.until >= since && by.is_none_or(|by| f.by.contains(by)))
            .for_each(|foretelling| tally.count(foretelling, now));
        tally
    }

    /// Whether `line` says anything that is not known.
    fn is_news(&self, line: &Line) -> bool {
        let known = self.kept.get(line.incident());
        match line {
            Line::Foretold { .. } => known.is_none(),
            Line::Felt { .. } => known.is_some_and(|f| f.felt.is_none()),
            Line::Acted { recovered, .. } => known.is_some_and(|f| f.acted != Some(*recovered)),
            Line::LeftAlone { .. } => known.is_some_and(|f| f.left_alone.is_none()),
            Line::Judged { judgement, .. } => known.is_some_and(|f| f.judged != Some(*judgement)),
        }
    }

    /// Takes a line in. One about a case that is not kept, or not any more, says nothing.
    fn apply(&mut self, line: &Line) -> Result<()> {
        if let Line::LeftAlone { by, .. } | Line::Judged { by, .. } = line
            && by.as_str().trim().is_empty()
        {
            return Err(Error::new(ErrorKind::Invalid, "whoever speaks of a prediction has a name"));
        }
        if let Line::Foretold { incident, by, about, at, until } = line {
            if by.is_empty() || until < at {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "a prediction is somebody's, and ends after it begins",
                )
                .with("incident", incident));
            }
            if self.kept.contains_key(incident) {
                return Ok(());
            }
            if self.order.len() >= self.most
                && let Some(oldest) = self.order.pop_front()
            {
                self.kept.remove(&oldest);
            }
            let foretelling = Foretelling {
                incident: incident.clone(),
                by: by.clone(),
                about: about.clone(),
                at: *at,
                until: *until,
                felt: None,
                acted: None,
                left_alone: None,
                judged: None,
            };
            self.order.push_back(incident.clone());
            self.kept.insert(incident.clone(), foretelling);
            return Ok(());
        }
        let Some(known) = self.kept.get_mut(line.incident()) else { return Ok(()) };
        match line {
            Line::Foretold { .. } => {}
            Line::Felt { at, .. } => known.felt = known.felt.or(Some(*at)),
            Line::Acted { recovered, .. } => known.acted = Some(*recovered),
            Line::LeftAlone { by, .. } => known.left_alone = Some(by.clone()),
            Line::Judged { judgement, .. } => known.judged = Some(*judgement),
        }
        Ok(())
    }
}

impl Fold for Arc<Record> {
    const KIND: &'static str = "foretold";
    type Request = Vec<Line>;
    /// What was news, and is written.
    type Answer = Vec<Line>;
    type View = Self;

    fn replay(&mut self, payload: &[u8], _: &Link) -> Result<()> {
        let line = serde_json::from_slice(payload)
            .map_err(|e| Error::new(ErrorKind::Malformed, "not a line of what was foretold").caused_by(e))?;
        Self::make_mut(self).apply(&line)
    }

    fn admit(&mut self, lines: &Vec<Line>, appender: &mut Appender) -> Result<Vec<Line>> {
        // On a copy, so that either all of them count or none.
        let mut after = Record::clone(self);
        let (mut news, mut payloads) = (Vec::new(), Vec::new());
        for line in lines.iter() {
            if after.is_news(line) {
                payloads.push(payload(line)?);
                after.apply(line)?;
                news.push(line.clone());
            }
        }
        for line in &payloads {
            appender.push(line)?;
        }
        *Self::make_mut(self) = after;
        Ok(news)
    }

    fn view(&self) -> Self {
        Self::clone(self)
    }
}
