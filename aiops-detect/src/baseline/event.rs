//! What is usual during an announced event.

use aiops_compact::order::{MAD_TO_SIGMA, mad_of_sorted, median_of_sorted};
use aiops_core::model::{Calendar, EventKind};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::state::{Cell, smallest_scale};

/// What a calendar says of an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum During {
    /// Nothing.
    #[default]
    Nothing,
    /// A batch job or unusual demand: compared with what is usual during this event.
    Event,
    /// Maintenance: neither judged nor learned.
    Maintenance,
}

/// The same, with which event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known<'c> {
    Nothing,
    Event { id: &'c str, began: Date },
    Maintenance,
}

impl Known<'_> {
    pub(super) fn during(self) -> During {
        match self {
            Self::Nothing => During::Nothing,
            Self::Event { .. } => During::Event,
            Self::Maintenance => During::Maintenance,
        }
    }
}

/// Maintenance goes before everything, and a job before the day it runs on: it is the narrower of the two.
pub(super) fn known(calendar: &Calendar, at: Timestamp) -> Known<'_> {
    if calendar.is_empty() {
        return Known::Nothing;
    }
    let first = calendar.holding(at).min_by_key(|held| match held.event.kind {
        EventKind::Maintenance => 0,
        EventKind::Batch => 1,
        _ => 2,
    });
    match first {
        Some(held) if held.event.kind == EventKind::Maintenance => Known::Maintenance,
        Some(held) => Known::Event { id: &held.event.id, began: held.date },
        None => Known::Nothing,
    }
}

/// What is usual for one series during one event, by local hour: events are rare, and hours hold enough samples of them where
/// cells of minutes would not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventBaseline {
    /// By hour of the local clock; only those seen.
    hours: Vec<(u8, Cell)>,
    /// All its samples.
    overall: Cell,
    /// Occurrences seen.
    days: u32,
    last_day: Option<Date>,
}

/// A sample of an event: the date on which the occurrence began, the hour, the value.
pub(super) type Sampled = (Date, u8, f64);

impl EventBaseline {
    /// Learns from all samples of the past. O(n log n).
    pub(super) fn of(samples: &[Sampled], fewest: usize, memory: u16) -> Self {
        let mut days: Vec<Date> = samples.iter().map(|(began, ..)| *began).collect();
        days.sort_unstable();
        days.dedup();
        let mut all: Vec<f64> = samples.iter().map(|(.., value)| *value).collect();
        let mut hours = Vec::new();
        for hour in 0..24 {
            let mut of_hour: Vec<f64> =
                samples.iter().filter(|(_, h, _)| *h == hour).map(|(.., value)| *value).collect();
            // With fewer the hour stays unknown, and the event as a whole stands in.
            if of_hour.len() >= fewest {
                hours.push((hour, robust(&mut of_hour, memory)));
            }
        }
        Self {
            hours,
            overall: robust(&mut all, u16::MAX),
            days: u32::try_from(days.len()).unwrap_or(u32::MAX),
            last_day: days.last().copied(),
        }
    }

    pub(super) fn days(&self) -> u32 {
        self.days
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.hours)
    }

    pub(super) fn is_sound(&self) -> bool {
        let ordered = self.hours.is_sorted_by(|(a, _), (b, _)| a < b);
        let hours = self.hours.iter().all(|(hour, cell)| *hour < 24 && cell.usable());
        ordered && hours && self.overall.usable()
    }

    /// Location, scale and weight at an hour; of the whole event where the hour is not known or not to be trusted.
    pub(super) fn usual(&self, hour: u8, trusted: bool, floor: f64, typical: f64) -> Option<(f64, f64, u16)> {
        let of_hour = self.hours.iter().find(|(h, _)| *h == hour).map(|(_, cell)| cell);
        let cell = match of_hour.filter(|cell| trusted && cell.weight > 0) {
            Some(cell) => cell,
            None if self.overall.weight > 1 => &self.overall,
            None => return None,
        };
        let scale = f64::from(cell.scale).max(smallest_scale(floor, typical, cell.center));
        Some((cell.center, scale, cell.weight))
    }

    /// Learns one sample; `ordinary` is the scale of the series' ordinary samples. The event borrows it until it has one of its own: one that
    /// began near zero would call the next samples deviations, and never learn from them.
    pub(super) fn learn(&mut self, value: f64, began: Date, hour: u8, memory: u16, ordinary: f64) {
        if ordinary > 0.0 {
            self.overall.learn(value, ordinary, u16::MAX);
        } else {
            self.overall.learn_overall(value);
        }
        let spread = f64::from(self.overall.scale);
        if let Some(cell) = self.hour(hour) {
            cell.learn(value, spread, memory);
        }
        if self.last_day.is_none_or(|last| last < began) {
            self.last_day = Some(began);
            self.days = self.days.saturating_add(1);
        }
    }

    /// Moves the location towards a lasting new level; the scale stays.
    pub(super) fn adopt(&mut self, value: f64, hour: u8, gain: f64) {
        if let Some(cell) = self.hour(hour) {
            cell.center += gain * (value - cell.center);
        }
        self.overall.center += gain * (value - self.overall.center);
    }

    fn hour(&mut self, hour: u8) -> Option<&mut Cell> {
        let at = match self.hours.binary_search_by_key(&hour, |(h, _)| *h) {
            Ok(at) => at,
            Err(at) => {
                self.hours.insert(at, (hour, Cell::default()));
                at
            }
        };
        self.hours.get_mut(at).map(|(_, cell)| cell)
    }
}

/// Median and scaled MAD.
pub(super) fn robust(values: &mut [f64], memory: u16) -> Cell {
    values.sort_unstable_by(f64::total_cmp);
    let center = median_of_sorted(values).unwrap_or(0.0);
    let mad = mad_of_sorted(values, center).unwrap_or(0.0);
    Cell::new(center, MAD_TO_SIGMA * mad, values.len(), memory)
}
