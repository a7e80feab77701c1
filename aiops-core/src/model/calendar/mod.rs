//! What is known beforehand: maintenance, batch jobs, days of unusual demand. // ING-06
//!
//! One calendar serves everybody who should know: contextual baselines learn an announced job apart from ordinary hours and
//! nothing from maintenance, alert correlation holds back what maintenance explains, and guards tell when automation asks
//! first. All of them read the same hours.
//!
//! Times are those of the local clock of one zone. Where that clock is put forward or back, a time exists never or twice;
//! RFC 5545 (§3.3.5) settles which is meant, and [`Reading`] has the longer and the shorter reading for those who must err on
//! one side.

mod check;
mod error;
mod event;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use error::CalendarError;
pub use event::{CalendarEvent, Day, EventKind, Every, Once, Reading, When};

use crate::model::{EntityId, TimeRange};

/// A calendar as it stands in a file; [`Calendar`] is a checked one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CalendarFile {
    /// Zone of all times: an IANA name (`Europe/Berlin`) or a POSIX string (`CET-1CEST,M3.5.0,M10.5.0/3`). Default `UTC`.
    pub zone: String,
    /// The events; where two hold at once, what stands first goes first. At most [`Calendar::MOST_EVENTS`].
    pub events: Vec<CalendarEvent>,
}

impl Default for CalendarFile {
    fn default() -> Self {
        Self { zone: "UTC".to_owned(), events: Vec::new() }
    }
}

/// Events that are known beforehand, checked. A clone costs no copy of them.
///
/// ```
/// use aiops_core::model::Calendar;
/// let calendar: Calendar = serde_json::from_str(r#"{"zone": "Europe/Berlin", "events": [
///     {"id": "settlement", "kind": "batch", "about": ["host/db-1"],
///      "when": {"every": {"days": ["monday", "tuesday", "wednesday", "thursday", "friday"], "from": "01:00", "to": "04:00"}}},
///     {"id": "black-friday", "kind": "demand", "when": {"every": {"dates": ["2026-11-27"]}}}]}"#)?;
/// // A Wednesday at three in Berlin, and the Sunday after.
/// let holding = |at: &str| -> Vec<&str> { calendar.holding(at.parse().unwrap()).map(|h| h.event.id.as_str()).collect() };
/// assert_eq!(holding("2026-06-03T01:00:00Z"), ["settlement"]);
/// assert!(holding("2026-06-07T01:00:00Z").is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CalendarFile", into = "CalendarFile")]
pub struct Calendar {
    file: Arc<CalendarFile>,
    zone: TimeZone,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { file: Arc::default(), zone: TimeZone::UTC }
    }
}

impl TryFrom<CalendarFile> for Calendar {
    type Error = CalendarError;

    /// # Errors
    /// What makes no sense, and what contradicts itself; see [`CalendarError`].
    fn try_from(file: CalendarFile) -> Result<Self, CalendarError> {
        let zone = check::check(&file)?;
        Ok(Self { file: Arc::new(file), zone })
    }
}

impl From<Calendar> for CalendarFile {
    fn from(calendar: Calendar) -> Self {
        Arc::unwrap_or_clone(calendar.file)
    }
}

/// An event that holds, and the occurrence of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holding<'c> {
    /// The event.
    pub event: &'c CalendarEvent,
    /// From when to when this time.
    pub range: TimeRange,
    /// Local date on which this occurrence began by the calendar.
    pub date: Date,
}

impl Calendar {
    /// Most events of a calendar.
    pub const MOST_EVENTS: usize = 256;

    /// Without any event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is known beforehand.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.file.events.is_empty()
    }

    /// The events in the order of the file.
    #[must_use]
    pub fn events(&self) -> &[CalendarEvent] {
        &self.file.events
    }

    /// The zone whose clock the events follow.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The calendar of what is about `entity`: the events that name it, and those that name nobody.
    #[must_use]
    pub fn about(&self, entity: &EntityId) -> Self {
        if self.events().iter().all(|event| event.is_about(entity)) {
            return self.clone();
        }
        let events = self.events().iter().filter(|event| event.is_about(entity)).cloned().collect();
        Self {
            file: Arc::new(CalendarFile { zone: self.file.zone.clone(), events }),
            zone: self.zone.clone(),
        }
    }

    /// What holds at `at`, in the order of the file. O(events).
    pub fn holding(&self, at: Timestamp) -> impl Iterator<Item = Holding<'_>> {
        self.holding_by(at, Reading::Compatible)
    }

    /// [`holding`](Self::holding) by another reading of times that the clock skips or repeats.
    pub fn holding_by(&self, at: Timestamp, reading: Reading) -> impl Iterator<Item = Holding<'_>> {
        self.events().iter().filter_map(move |event| {
            let (range, date) = event.when.occurrence(at, &self.zone, reading)?;
            Some(Holding { event, range, date })
        })
    }
}
