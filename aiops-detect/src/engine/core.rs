//! All series together.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::config::EngineConfig;
use super::packed::Packed;
use super::rules::{Place, Rules};
use super::series::Series;
use super::verdict::{Refused, Verdict};
use crate::clock::LocalClock;

/// Place of a series in the engine. One whose series was dropped is known no more, though the place is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    index: u32,
    generation: u32,
}

/// Follows many series, keyed by `K`.
///
/// # Cost
/// A push by [`Slot`] is O(1) in the number of series and in the length of the stream; see `benches/records/` for nanoseconds.
/// A push by key looks the slot up first, O(log series).
///
/// ```
/// use std::time::Duration;
/// use aiops_detect::engine::StreamEngine;
/// use jiff::Timestamp;
///
/// let mut engine = StreamEngine::new(Default::default());
/// let slot = engine.register("cpu of host a")?;
/// let at = |i: u32| Timestamp::UNIX_EPOCH + Duration::from_secs(60) * i;
/// let load = |i: u32| 50.0 + f64::from(i * 7919 % 101) / 20.0;
/// let mut alarms = Vec::new();
/// for i in 0..20 * 1440 {
///     let sick = i >= 20 * 1440 - 10;
///     let verdict = engine.push(slot, at(i), load(i) + if sick { 40.0 } else { 0.0 })?;
///     alarms.extend(verdict.alarm);
/// }
/// assert_eq!(alarms.len(), 1);
/// assert_eq!(alarms[0].onset, at(20 * 1440 - 10));
/// assert!(engine.state_bytes() < 2048);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StreamEngine<K> {
    pub(super) config: EngineConfig,
    pub(super) rules: Rules,
    clock: LocalClock,
    slots: BTreeMap<K, u32>,
    /// How often each place was given up: its slots from then on are others.
    places: Vec<u32>,
    series: Vec<Series>,
    /// As many for each place as the day has.
    cells: Vec<Packed>,
    free: Vec<u32>,
}

impl<K: Ord + Clone> StreamEngine<K> {
    /// Follows no series yet.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        let rules = Rules::of(config.options());
        let clock = LocalClock::new(config.options().baseline.zone());
        Self {
            config,
            rules,
            clock,
            slots: BTreeMap::new(),
            places: Vec::new(),
            series: Vec::new(),
            cells: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Makes room for `series` series at once, so that no memory is moved while they come. At most
    /// [`max_series`](super::EngineOptions::max_series).
    pub fn reserve(&mut self, series: usize) {
        let more = series.min(self.config.options().max_series).saturating_sub(self.places.len());
        self.places.reserve_exact(more);
        self.series.reserve_exact(more);
        self.cells.reserve_exact(more * self.rules.cells);
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Series that are followed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no series is followed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Keys, ascending, with their slots.
    pub fn keys(&self) -> impl Iterator<Item = (&K, Slot)> {
        self.slots.iter().filter_map(|(key, index)| Some((key, self.slot_at(*index)?)))
    }

    fn slot_at(&self, index: u32) -> Option<Slot> {
        self.places.get(index as usize).map(|generation| Slot { index, generation: *generation })
    }

    /// The slot of a series that is followed.
    #[must_use]
    pub fn slot(&self, key: &K) -> Option<Slot> {
        self.slot_at(*self.slots.get(key)?)
    }

    /// The slot of a series, which is followed from now on if it was not before.
    ///
    /// # Errors
    /// [`Refused::Full`] where there is no room for another one.
    pub fn register(&mut self, key: K) -> Result<Slot, Refused> {
        if let Some(slot) = self.slot(&key) {
            return Ok(slot);
        }
        let max_series = self.config.options().max_series;
        let full = Refused::Full { max_series };
        if self.slots.len() >= max_series {
            return Err(full);
        }
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.places.len()).map_err(|_| full)?;
                self.places.push(0);
                self.series.push(Series::default());
                self.cells.resize(self.cells.len() + self.rules.cells, Packed::default());
                index
            }
        };
        self.slots.insert(key, index);
        self.slot_at(index).ok_or(full)
    }

    /// Judges a sample of a series, and learns from it unless it deviates.
    ///
    /// # Errors
    /// [`Refused`] for a slot without a series, and for a sample that was not taken in.
    #[inline]
    pub fn push(&mut self, slot: Slot, at: Timestamp, value: f64) -> Result<Verdict, Refused> {
        let index = slot.index as usize;
        let known = self.places.get(index).is_some_and(|generation| *generation == slot.generation);
        let first = index * self.rules.cells;
        let cells = self.cells.get_mut(first..first + self.rules.cells);
        let (true, Some(cells), Some(series)) = (known, cells, self.series.get_mut(index)) else {
            return Err(Refused::Unknown);
        };
        let (clock, rules) = (&mut self.clock, &self.rules);
        let place = || Place::of(clock.local(at.as_second()), rules.cells);
        series.push(cells, at.as_microsecond(), value, rules, place)
    }

    /// As [`push`](Self::push) by key; a series that is not followed yet is registered.
    ///
    /// # Errors
    /// [`Refused::Full`] for a new series where there is no room, else as `push`.
    pub fn push_key(&mut self, key: &K, at: Timestamp, value: f64) -> Result<Verdict, Refused> {
        let slot = match self.slot(key) {
            Some(slot) => slot,
            None => self.register(key.clone())?,
        };
        self.push(slot, at, value)
    }

    /// When a series' newest sample was taken; `None` without one.
    #[must_use]
    pub fn last(&self, slot: Slot) -> Option<Timestamp> {
        let last = self.known(slot)?.last();
        if last == i64::MIN { None } else { Timestamp::from_microsecond(last).ok() }
    }

    /// Samples of a series that were not taken in.
    #[must_use]
    pub fn rejected(&self, slot: Slot) -> u64 {
        self.known(slot).map_or(0, |series| u64::from(series.rejected()))
    }

    fn known(&self, slot: Slot) -> Option<&Series> {
        let generation = self.places.get(slot.index as usize)?;
        self.series.get(slot.index as usize).filter(|_| *generation == slot.generation)
    }

    /// Drops a series; its slot is known no more.
    pub fn remove(&mut self, key: &K) -> bool {
        let Some(index) = self.slots.remove(key) else { return false };
        let at = index as usize;
        if let (Some(place), Some(series)) = (self.places.get_mut(at), self.series.get_mut(at)) {
            *place = place.wrapping_add(1);
            *series = Series::default();
        }
        let first = at * self.rules.cells;
        let cells = self.cells.get_mut(first..first + self.rules.cells);
        cells.unwrap_or_default().fill(Packed::default());
        self.free.push(index);
        true
    }

    /// Drops the series whose newest sample lies more than [`expire_after`](super::EngineOptions::expire_after) before
    /// `now`, and those that never had one; returns their keys, ascending. O(series).
    pub fn expire(&mut self, now: Timestamp) -> Vec<K> {
        let expire = i64::try_from(self.config.options().expire_after.as_micros()).unwrap_or(i64::MAX);
        let oldest = now.as_microsecond().saturating_sub(expire);
        let silent = |index: &u32| self.series.get(*index as usize).is_none_or(|s| s.last() < oldest);
        let gone: Vec<K> =
            self.slots.iter().filter(|(_, index)| silent(index)).map(|(key, _)| key.clone()).collect();
        gone.iter().for_each(|key| {
            self.remove(key);
        });
        gone
    }

    /// Bytes of the state in use, of all series: what lies in the arrays and their share of the index of keys. What a key has
    /// on the heap by itself is not seen.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        // A node of a B-tree is at least half full, so an entry takes at most twice its size, and some for the nodes.
        let index = 2 * (size_of::<K>() + size_of::<u32>()) + 8;
        let place = 2 * size_of::<u32>();
        let one = size_of::<Series>() + self.rules.cells * size_of::<Packed>() + place;
        self.places.len() * one + self.slots.len() * index
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = (&K, &Series, &[Packed])> {
        self.slots.iter().filter_map(|(key, index)| {
            let first = *index as usize * self.rules.cells;
            let cells = self.cells.get(first..first + self.rules.cells)?;
            Some((key, self.series.get(*index as usize)?, cells))
        })
    }

    /// Puts a stored series into its place.
    pub(super) fn restore(&mut self, key: K, state: Series, stored: &[Packed]) -> Result<(), Refused> {
        let slot = self.register(key)?;
        let first = slot.index as usize * self.rules.cells;
        let cells = self.cells.get_mut(first..first + self.rules.cells).unwrap_or_default();
        cells.iter_mut().zip(stored).for_each(|(cell, stored)| *cell = *stored);
        self.series.iter_mut().skip(slot.index as usize).take(1).for_each(|series| *series = state.clone());
        Ok(())
    }
}
