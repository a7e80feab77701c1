//! What a calendar must be to be meant.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::event::{CalendarEvent, EventKind, Every, Once, When};
use super::{Calendar, CalendarError, CalendarFile};

/// Dates after which days of the week and of the month repeat together, leap days too: 28 years.
const CYCLE: usize = 10_228;

/// Where the search for a date begins that no bound is given for.
const SOME_DAY: Date = Date::constant(2024, 1, 1);

/// The zone of a calendar that can be meant.
pub(super) fn check(file: &CalendarFile) -> Result<TimeZone, CalendarError> {
    let zone = TimeZone::get(&file.zone)
        .or_else(|_| TimeZone::posix(&file.zone))
        .map_err(|_| CalendarError::UnknownZone { zone: file.zone.clone() })?;
    if file.events.len() > Calendar::MOST_EVENTS {
        return Err(CalendarError::TooMany { events: file.events.len() });
    }
    let mut names = BTreeSet::new();
    for event in &file.events {
        if event.id.trim().is_empty() || event.id.len() > 128 {
            return Err(CalendarError::Name { id: event.id.clone() });
        }
        if !names.insert(&event.id) {
            return Err(CalendarError::Twice { id: event.id.clone() });
        }
        is_possible(event)?;
    }
    for (at, second) in file.events.iter().enumerate() {
        for first in file.events.iter().take(at) {
            do_not_contradict(first, second)?;
        }
    }
    Ok(zone)
}

fn is_possible(event: &CalendarEvent) -> Result<(), CalendarError> {
    let id = || event.id.clone();
    let backwards = |from: &dyn ToString, to: &dyn ToString| CalendarError::Backwards {
        event: id(),
        from: from.to_string(),
        to: to.to_string(),
    };
    if event.holds_critical && event.kind != EventKind::Maintenance {
        return Err(CalendarError::HoldsNothing { event: id() });
    }
    match &event.when {
        When::Once(Once { from, to }) if from >= to => Err(backwards(from, to)),
        When::Once(_) => Ok(()),
        When::Every(every) => {
            if let (Some(first), Some(last)) = (every.first, every.last)
                && first > last
            {
                return Err(backwards(&first, &last));
            }
            let is_day = |day: &i8| (1..=31).contains(&day.unsigned_abs());
            if let Some(day) = every.month_days.iter().find(|day| !is_day(day)) {
                return Err(CalendarError::MonthDay { event: id(), day: *day });
            }
            if !dates(every, None).any(|date| every.begins_on(date)) {
                return Err(CalendarError::Never { event: id() });
            }
            Ok(())
        }
    }
}

/// Maintenance may overlap with anything: it only ever holds more back, and it goes first. Of two jobs, or two kinds of demand,
/// only one can be what is usual.
fn do_not_contradict(first: &CalendarEvent, second: &CalendarEvent) -> Result<(), CalendarError> {
    let about_the_same = first.about.is_empty()
        || second.about.is_empty()
        || first.about.intersection(&second.about).next().is_some();
    if first.kind != second.kind || first.kind == EventKind::Maintenance || !about_the_same {
        return Ok(());
    }
    match overlap(&first.when, &second.when) {
        Some(date) => Err(CalendarError::Contradiction {
            first: first.id.clone(),
            second: second.id.clone(),
            kind: first.kind,
            date,
        }),
        None => Ok(()),
    }
}

/// A date on which both hold, by the local clock.
fn overlap(one: &When, other: &When) -> Option<Date> {
    match (one, other) {
        (When::Once(one), When::Once(other)) => common((one.from, one.to), (other.from, other.to)),
        (When::Once(once), When::Every(every)) | (When::Every(every), When::Once(once)) => {
            let before = once.from.date().yesterday().unwrap_or(once.from.date());
            let listed: Vec<Date> = match every.dates.is_empty() {
                true => days_from(before).take_while(|date| *date <= once.to.date()).take(CYCLE).collect(),
                false => every.dates.iter().copied().collect(),
            };
            let held = listed.into_iter().filter(|date| every.begins_on(*date));
            held.filter_map(|date| every.span(date)).find_map(|span| common(span, (once.from, once.to)))
        }
        (When::Every(one), When::Every(other)) => {
            // Most differ by the hour alone, whatever their dates.
            let span = one.span(SOME_DAY)?;
            let near = [SOME_DAY.yesterday().ok(), Some(SOME_DAY), SOME_DAY.tomorrow().ok()];
            near.into_iter().flatten().find_map(|date| common(span, other.span(date)?))?;
            dates(one, Some(other)).filter(|date| one.begins_on(*date)).find_map(|date| {
                let span = one.span(date)?;
                let near = [date.yesterday().ok(), Some(date), date.tomorrow().ok()];
                near.into_iter()
                    .flatten()
                    .filter(|date| other.begins_on(*date))
                    .find_map(|date| common(span, other.span(date)?))
            })
        }
    }
}

/// The first date in both spans.
fn common(one: (DateTime, DateTime), other: (DateTime, DateTime)) -> Option<Date> {
    let from = one.0.max(other.0);
    (from < one.1.min(other.1)).then(|| from.date())
}

/// Dates among which there is one on which `one` begins, near one on which `other` does, if there is any at all.
fn dates(one: &Every, other: Option<&Every>) -> Box<dyn Iterator<Item = Date>> {
    if !one.dates.is_empty() {
        return Box::new(one.dates.clone().into_iter());
    }
    if let Some(other) = other.filter(|other| !other.dates.is_empty()) {
        let near =
            |date: Date| [date.yesterday().ok(), Some(date), date.tomorrow().ok()].into_iter().flatten();
        return Box::new(other.dates.clone().into_iter().flat_map(near));
    }
    let both = || [Some(one), other].into_iter().flatten();
    // A day more, for the one that begins the evening before.
    let last = both().filter_map(|every| every.last).min().map(|last| last.tomorrow().unwrap_or(last));
    let first = both().filter_map(|every| every.first).max();
    let first = first.or_else(|| Some(back(last?))).unwrap_or(SOME_DAY);
    let first = first.yesterday().unwrap_or(first);
    let excepted: usize = both().map(|every| every.except.len()).sum();
    let weekly = both().all(|every| every.month_days.is_empty());
    // Each exception takes one week, or at most one cycle's date, away.
    let enough = if weekly { 7 * (excepted.min(CYCLE) + 2) + 2 } else { CYCLE + 2 };
    Box::new(days_from(first).take_while(move |date| last.is_none_or(|last| *date <= last)).take(enough))
}

/// A cycle before `last`.
fn back(last: Date) -> Date {
    last.checked_sub(jiff::Span::new().days(i64::try_from(CYCLE).unwrap_or(0))).unwrap_or(Date::MIN)
}

fn days_from(first: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(first), |date| date.tomorrow().ok())
}
