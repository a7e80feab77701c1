//! Learning a series from its history.

use std::collections::BTreeMap;

use aiops_compact::order::median_of_sorted;
use aiops_core::model::time::elapsed;
use jiff::Timestamp;
use jiff::civil::Date;

use super::event::{EventBaseline, Known, Sampled, robust};
use super::series::ContextualBaseline;
use super::state::{BLOCKS, Place, SeriesBaseline};
use crate::error::FitError;

/// Fewest samples a cell is estimated from; with fewer it takes in more neighbours.
const FEWEST: usize = 8;

/// Farthest neighbours a thin cell takes in, on each side.
const FARTHEST: usize = 8;

/// Weeks a weekday must have been seen for it to be considered.
const WEEKS: usize = 3;

/// A sample of the history: where it lies, and its value.
type Placed = (Place, f64);

impl ContextualBaseline {
    /// Learns what is usual from samples of the past, in any order; NaN and ±∞ are left out. Anomalies among them do no
    /// harm as long as they are the smaller part of their time of day. Samples of maintenance are left out, those of an event
    /// of the [calendar](Self::with_calendar) say what is usual during it. O(n log n).
    ///
    /// # Errors
    /// [`FitError::TooFew`] when fewer than eight samples can be used.
    pub fn fit(
        &self,
        history: impl IntoIterator<Item = (Timestamp, f64)>,
    ) -> Result<SeriesBaseline, FitError> {
        let mut ends: Option<(Timestamp, Timestamp)> = None;
        let mut samples: Vec<Placed> = Vec::new();
        let mut events: BTreeMap<&str, Vec<Sampled>> = BTreeMap::new();
        let mut usable = 0_usize;
        for (at, value) in history.into_iter().filter(|(_, value)| value.is_finite()) {
            let place = self.place(at);
            match self.known(at) {
                Known::Maintenance => continue,
                Known::Event { id, began } => events.entry(id).or_default().push((began, place.hour, value)),
                Known::Nothing => samples.push((place, value)),
            }
            ends = Some(ends.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
            usable += 1;
        }
        let (Some((first, last)), true) = (ends, usable >= FEWEST) else {
            return Err(FitError::TooFew { usable, needed: FEWEST });
        };
        let mut dates: Vec<Date> = samples.iter().map(|(place, _)| place.date).collect();
        dates.sort_unstable();
        dates.dedup();
        let steps = u32::try_from(usable).unwrap_or(u32::MAX).saturating_sub(1).max(1);
        let memory = self.memory(elapsed(first, last) / steps);

        let mut learned = self.cells(&samples, |_| 0.0, memory);
        learned.days = u32::try_from(dates.len()).unwrap_or(u32::MAX);
        learned.last_day = dates.last().copied();
        if let Some(weekdays) = self.weekdays(&samples, &learned, memory) {
            let typical = learned.typical;
            let added = |place: &Place| {
                weekdays
                    .get(place.weekday * BLOCKS + place.block)
                    .map_or(0.0, |share| f64::from(*share) * typical)
            };
            let apart = self.cells(&samples, added, memory);
            // The shares keep the unit they were learned in: the typical scale of before.
            (learned.cells, learned.weekdays) = (apart.cells, weekdays);
        }
        let of =
            |(id, samples): (&str, Vec<Sampled>)| (id.into(), EventBaseline::of(&samples, FEWEST, memory));
        learned.events = events.into_iter().map(of).collect();
        Ok(learned)
    }

    /// Cells of the day, after `added` was taken off each sample.
    fn cells(&self, samples: &[Placed], added: impl Fn(&Place) -> f64, memory: u16) -> SeriesBaseline {
        let n = self.config().cells();
        let mut by_cell: Vec<Vec<f64>> = vec![Vec::new(); n];
        let mut all: Vec<f64> = Vec::with_capacity(samples.len());
        for (place, value) in samples {
            all.push(*value);
            if let Some(cell) = by_cell.get_mut(place.cell) {
                cell.push(value - added(place));
            }
        }
        let mut learned = SeriesBaseline::empty(n);
        let mut pool = Vec::new();
        for (at, cell) in learned.cells.iter_mut().enumerate() {
            for reach in self.config().options().neighbours..=FARTHEST {
                pool.clear();
                let around = (0..=2 * reach).filter_map(|away| by_cell.get((at + n + away - reach) % n));
                around.for_each(|values| pool.extend_from_slice(values));
                if pool.len() >= FEWEST {
                    *cell = robust(&mut pool, memory);
                    break;
                }
            }
        }
        learned.overall = robust(&mut all, u16::MAX);
        learned.settle();
        learned
    }

    /// What each weekday adds by block of the day, where it lowers the residual of the weeks it was not learned from.
    fn weekdays(&self, samples: &[Placed], learned: &SeriesBaseline, memory: u16) -> Option<Box<[f32]>> {
        // Days since a Monday, so that whole weeks are told apart.
        let week = |place: &Place| {
            let monday = Date::constant(1970, 1, 5);
            place.date.duration_since(monday).as_hours().div_euclid(24 * 7)
        };
        let mut weeks: Vec<i64> = samples.iter().map(|(place, _)| week(place)).collect();
        weeks.sort_unstable();
        weeks.dedup();
        if weeks.len() <= WEEKS || learned.typical <= 0.0 {
            return None;
        }
        let (mut with, mut without) = (0.0, 0.0);
        for parity in [0, 1] {
            let (taught, asked): (Vec<Placed>, Vec<Placed>) =
                samples.iter().copied().partition(|(place, _)| week(place).rem_euclid(2) == parity);
            let model = self.cells(&taught, |_| 0.0, memory);
            let shares = shares(&taught, &model);
            for (place, value) in &asked {
                let Some(cell) = model.cells.get(place.cell).filter(|cell| cell.weight > 0) else { continue };
                let share = shares.get(place.weekday * BLOCKS + place.block).copied().unwrap_or(0.0);
                // Cut, so that anomalies do not decide.
                let most = 10.0 * learned.typical;
                without += (value - cell.center).abs().min(most);
                with += (value - cell.center - f64::from(share) * model.typical).abs().min(most);
            }
        }
        let gain = self.config().options().weekday_gain;
        (without > 0.0 && with <= without * (1.0 - gain)).then(|| shares(samples, learned))
    }
}

/// Medians of what the cells leave over, by weekday and block, as shares of the typical scale.
fn shares(samples: &[Placed], model: &SeriesBaseline) -> Box<[f32]> {
    let mut rest: Vec<Vec<f64>> = vec![Vec::new(); 7 * BLOCKS];
    for (place, value) in samples {
        let cell = model.cells.get(place.cell).filter(|cell| cell.weight > 0);
        if let (Some(cell), Some(block)) = (cell, rest.get_mut(place.weekday * BLOCKS + place.block)) {
            block.push(value - cell.center);
        }
    }
    let share = |mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        let median = median_of_sorted(&values).filter(|_| values.len() >= FEWEST && model.typical > 0.0);
        median.map_or(0.0, |median| {
            (median / model.typical).clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
        })
    };
    rest.into_iter().map(share).collect()
}
