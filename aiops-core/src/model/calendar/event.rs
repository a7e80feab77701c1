use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::model::{EntityId, TimeRange};

/// What kind of thing is known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// Things are out of order on purpose: nothing is learned from it, and its alerts are held back.
    Maintenance,
    /// A job that loads what it runs on, the same way each time.
    Batch,
    /// Customers come in other numbers: a sales day, a holiday, a campaign.
    Demand,
}

impl std::fmt::Display for EventKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Maintenance => "maintenance",
            Self::Batch => "batch",
            Self::Demand => "demand",
        })
    }
}

/// Something that is known beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarEvent {
    /// Its name, as it stands in decisions and in what was learned about it: 1 to 128 bytes, its own in the calendar.
    pub id: String,
    /// What it is.
    pub kind: EventKind,
    /// About whom; default everybody.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub about: BTreeSet<EntityId>,
    /// When.
    pub when: When,
    /// Whether maintenance holds back critical alerts too; default no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holds_critical: bool,
}

impl CalendarEvent {
    /// An event about everybody, which lets critical alerts through.
    pub fn new(id: impl Into<String>, kind: EventKind, when: When) -> Self {
        Self { id: id.into(), kind, about: BTreeSet::new(), when, holds_critical: false }
    }

    /// The same event about `entities` only.
    #[must_use]
    pub fn about(mut self, entities: impl IntoIterator<Item = EntityId>) -> Self {
        self.about.extend(entities);
        self
    }

    /// Whether it is about `entity`.
    #[must_use]
    pub fn is_about(&self, entity: &EntityId) -> bool {
        self.about.is_empty() || self.about.contains(entity)
    }
}

/// When an event is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// One time.
    Once(Once),
    /// Again and again.
    Every(Every),
}

/// One span of local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Once {
    /// First local time inside.
    pub from: DateTime,
    /// First local time after; later than `from`.
    pub to: DateTime,
}

/// The days that meet every condition given, from a time of day to another. Without any condition it is every day, the
/// whole of it.
///
/// A span over midnight belongs to the day on which it begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Every {
    /// Days of the week.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub days: BTreeSet<Day>,
    /// Days of the month: 1 to 31, or −1 for its last, to −31 (`BYMONTHDAY` of RFC 5545).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub month_days: BTreeSet<i8>,
    /// Dates.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub dates: BTreeSet<Date>,
    /// Dates on which it does not begin.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub except: BTreeSet<Date>,
    /// First date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Date>,
    /// Last date, itself included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Date>,
    /// First time of day inside; default 00:00.
    pub from: Time,
    /// First time of day after, of the next day where it is not later than `from`; default 00:00.
    pub to: Time,
}

impl Every {
    /// Every day from `from` to before `to`.
    #[must_use]
    pub fn day(from: Time, to: Time) -> Self {
        Self { from, to, ..Self::default() }
    }

    /// The same on these days of the week only.
    #[must_use]
    pub fn on(mut self, days: impl IntoIterator<Item = Day>) -> Self {
        self.days.extend(days);
        self
    }

    /// Whether it begins on `date`.
    #[must_use]
    pub fn begins_on(&self, date: Date) -> bool {
        let from_the_end = date.day() - date.days_in_month() - 1;
        (self.days.is_empty() || self.days.contains(&date.weekday().into()))
            && (self.month_days.is_empty()
                || self.month_days.contains(&date.day())
                || self.month_days.contains(&from_the_end))
            && (self.dates.is_empty() || self.dates.contains(&date))
            && self.first.is_none_or(|first| first <= date)
            && self.last.is_none_or(|last| date <= last)
            && !self.except.contains(&date)
    }

    /// Local times of the occurrence that begins on `date`; `None` at the end of the calendar.
    pub(super) fn span(&self, date: Date) -> Option<(DateTime, DateTime)> {
        let end = if self.from < self.to { date } else { date.tomorrow().ok()? };
        Some((date.to_datetime(self.from), end.to_datetime(self.to)))
    }
}

/// Which instants are meant by local times that the clock skips or repeats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Reading {
    /// As RFC 5545 (§3.3.5) has it: the first of two, and a skipped time as if the clock had not been put forward. An
    /// occurrence of which this leaves nothing does not take place.
    #[default]
    Compatible,
    /// The longest that may be meant: for what forbids.
    Longer,
    /// The shortest that may be meant: for what permits.
    Shorter,
}

impl When {
    /// The occurrence that holds at `at`, and the date on which it began by the calendar.
    pub(super) fn occurrence(
        &self,
        at: Timestamp,
        zone: &TimeZone,
        reading: Reading,
    ) -> Option<(TimeRange, Date)> {
        let holds = |from, to| read(zone, from, to, reading).filter(|range| range.contains(at));
        match self {
            Self::Once(once) => Some((holds(once.from, once.to)?, once.from.date())),
            Self::Every(every) => {
                let today = zone.to_datetime(at).date();
                // Over midnight it began the day before; the day after counts where a clock that is put forward at midnight
                // leaves a beginning without an instant of its own.
                let days = [today.yesterday().ok(), Some(today), today.tomorrow().ok()];
                days.into_iter().flatten().filter(|date| every.begins_on(*date)).find_map(|date| {
                    let (from, to) = every.span(date)?;
                    Some((holds(from, to)?, date))
                })
            }
        }
    }
}

fn read(zone: &TimeZone, from: DateTime, to: DateTime, reading: Reading) -> Option<TimeRange> {
    let (from, to) = (zone.to_ambiguous_timestamp(from), zone.to_ambiguous_timestamp(to));
    let (from, to) = match reading {
        Reading::Compatible => (from.compatible(), to.compatible()),
        Reading::Longer => (from.earlier(), to.later()),
        Reading::Shorter => (from.later(), to.earlier()),
    };
    TimeRange::new(from.ok()?, to.ok()?).ok()
}

/// A day of the week, as lower-case English names in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "named after themselves")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl From<Weekday> for Day {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
        }
    }
}
