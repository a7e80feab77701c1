use std::collections::{BTreeMap, BTreeSet};

use aiops_core::action::{Action, ActionKind, GuardId, Verdict};
use aiops_core::model::calendar::{Calendar, EventKind, Reading};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{guard_id, is_own_revert};
use crate::config;
use crate::policy::{Effect, Targets, is_named};

/// What a calendar says of the time between two instants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarEntry {
    /// Its name, as it stands in decisions.
    pub id: String,
    /// *Deny* and *ask* make it a freeze; *allow* makes it a maintenance window, in which what is
    /// [confined](CalendarConfig::confined) may run.
    pub effect: Effect,
    /// First local time inside.
    pub from: DateTime,
    /// First local time after; later than `from`.
    pub to: DateTime,
    /// Kinds of action it is about; default all.
    #[serde(default)]
    pub actions: BTreeSet<ActionKind>,
    /// Targets it is about; default all.
    #[serde(default)]
    pub targets: Targets,
}

/// Settings of a [`ChangeCalendar`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CalendarConfig {
    /// Time zone of all entries, as an IANA name; default UTC.
    pub zone: Option<String>,
    /// Kinds of action that run only in a maintenance window; outside a person is asked. Default none.
    pub confined: BTreeSet<ActionKind>,
    /// The entries, in any order.
    pub entries: Vec<CalendarEntry>,
    /// What [events that are known beforehand](ChangeCalendar::with_events) say, by their kind; one that is not named says
    /// nothing. Default: *allow* in maintenance, which makes it a window for what is confined; *ask* on days of unusual demand.
    pub known: BTreeMap<EventKind, Effect>,
}

impl Default for CalendarConfig {
    fn default() -> Self {
        Self {
            zone: None,
            confined: BTreeSet::new(),
            entries: Vec::new(),
            known: [(EventKind::Maintenance, Effect::Allow), (EventKind::Demand, Effect::Ask)].into(),
        }
    }
}

/// An entry between instants.
#[derive(Debug, Clone)]
struct Span {
    entry: CalendarEntry,
    from: Timestamp,
    to: Timestamp,
}

impl Span {
    /// Where the clocks are put forward or back an entry has two readings: a freeze takes the longer one, a maintenance window the
    /// shorter one.
    fn new(entry: &CalendarEntry, zone: &TimeZone) -> Result<Self> {
        let wrong = |why: &str| Error::new(ErrorKind::Invalid, why.to_owned()).with("entry", &entry.id);
        if entry.from >= entry.to {
            return Err(wrong("from is out of range").with("value", entry.from).with("allowed", "before to"));
        }
        if !entry.targets.is_empty() && entry.targets.values().all(Vec::is_empty) {
            return Err(wrong("its targets have no names"));
        }
        let (from, to) = (zone.to_ambiguous_timestamp(entry.from), zone.to_ambiguous_timestamp(entry.to));
        let read = match entry.effect {
            Effect::Allow => (from.later(), to.earlier()),
            Effect::Ask | Effect::Deny => (from.earlier(), to.later()),
        };
        let (Ok(from), Ok(to)) = read else { return Err(wrong("it lies beyond the calendar")) };
        Ok(Self { entry: entry.clone(), from, to })
    }

    fn is_about(&self, action: &Action) -> bool {
        (self.entry.actions.is_empty() || self.entry.actions.contains(&action.kind()))
            && (self.entry.targets.is_empty() || is_named(&self.entry.targets, &action.target))
    }
}

/// Freezes and maintenance windows: ranges of local time in which nothing, or only with consent, or only then something runs. // ACT-07
///
/// Of the entries that hold the strictest decides. A freeze that denies stops undoing too; where consent is asked, undoing our own action was consented to
/// with it. Times of the week are for a [`PolicyTable`](crate::PolicyTable).
///
/// What is known beforehand stands in one [`Calendar`] for everybody: with [`with_events`](Self::with_events) the guard keeps the hours that
/// baselines and alert correlation go by.
///
/// ```
/// use aiops_act::guards::ChangeCalendar;
/// let entries = r#"{"zone": "Europe/Berlin", "entries": [
///     {"id": "end-of-year", "effect": "deny", "from": "2026-12-18T18:00:00", "to": "2027-01-04T06:00:00"}]}"#;
/// let calendar = ChangeCalendar::new(&serde_json::from_str(entries)?)?;
/// # let _ = calendar;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChangeCalendar {
    spans: Vec<Span>,
    confined: BTreeSet<ActionKind>,
    known: BTreeMap<EventKind, Effect>,
    events: Calendar,
}

impl ChangeCalendar {
    /// The calendar of `config`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], with the entry's id, for an unknown time zone, two entries of one id, an entry that ends before it begins,
    /// and targets without names.
    pub fn new(config: &CalendarConfig) -> Result<Self> {
        let zone = config::zone(config.zone.as_deref())?;
        let mut ids = BTreeSet::new();
        if let Some(twice) = config.entries.iter().find(|entry| !ids.insert(&entry.id)) {
            return Err(Error::new(ErrorKind::Invalid, "two entries have one id").with("entry", &twice.id));
        }
        let spans = config.entries.iter().map(|entry| Span::new(entry, &zone)).collect::<Result<_>>()?;
        let known = config.known.clone();
        Ok(Self { spans, confined: config.confined.clone(), known, events: Calendar::default() })
    }

    /// The same with events that are known beforehand, which say what [`CalendarConfig::known`] has for their kind about the
    /// targets that they name.
    #[must_use]
    pub fn with_events(mut self, events: Calendar) -> Self {
        self.events = events;
        self
    }

    /// What speaks of `action` at `now`, with its name.
    fn holding(&self, action: &Action, now: Timestamp) -> Vec<(Effect, &str)> {
        let spans =
            self.spans.iter().filter(|span| span.from <= now && now < span.to && span.is_about(action));
        let entries = spans.map(|span| (span.entry.effect, span.entry.id.as_str()));
        // As for entries: what permits is read short where the clock is moved, what forbids long.
        let known = [Reading::Shorter, Reading::Longer].into_iter().flat_map(|reading| {
            self.events.holding_by(now, reading).filter_map(move |held| {
                let effect = *self.known.get(&held.event.kind)?;
                let read = if effect == Effect::Allow { Reading::Shorter } else { Reading::Longer };
                (read == reading && held.event.is_about(&action.target))
                    .then_some((effect, held.event.id.as_str()))
            })
        });
        entries.chain(known).collect()
    }
}

#[async_trait]
impl Guardrail for ChangeCalendar {
    fn id(&self) -> GuardId {
        guard_id("calendar")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        let action = &review.proposal.action;
        let holding = self.holding(action, review.now);
        let named = |effect: Effect| {
            let ids: Vec<&str> = holding.iter().filter(|(e, _)| *e == effect).map(|(_, id)| *id).collect();
            (!ids.is_empty()).then(|| ids.join(", "))
        };
        if let Some(ids) = named(Effect::Deny) {
            return Ok(Verdict::deny(format!("frozen: {ids}")));
        }
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        if let Some(ids) = named(Effect::Ask) {
            return Ok(Verdict::needs_approval(format!("frozen but for consent: {ids}")));
        }
        Ok(match named(Effect::Allow) {
            Some(ids) => Verdict::allow(format!("within maintenance: {ids}")),
            None if self.confined.contains(&action.kind()) => {
                Verdict::needs_approval(format!("{} runs alone only within maintenance", action.kind()))
            }
            None => Verdict::allow("no entry speaks of now"),
        })
    }
}
