//! Samples of metrics as they arrive, in bounded memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use aiops_core::jiff::{SignedDuration, Timestamp};
use aiops_core::model::{EntityId, MetricKind, MetricSeries, SeriesKey, TimeAxis, TimeRange, Unit, time};

use super::IntakeOptions;
use crate::rolling::usable;

/// The samples of one series.
#[derive(Debug, Clone)]
struct Track {
    kind: MetricKind,
    unit: Unit,
    samples: Samples,
}

#[derive(Debug, Clone)]
enum Samples {
    /// As they came: ns since the beginning, and the value; `None` for a gap.
    Single(Vec<(i64, Option<f64>)>),
    /// By slot of time.
    Slots(Vec<Slot>),
}

/// Usable samples of a slot and their sum.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    sum: f64,
    samples: u32,
    /// Whether anything was there, be it a gap.
    seen: bool,
}

/// What was not taken in, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Untaken {
    /// Samples outside the range.
    pub(super) outside: u64,
    /// Samples of series beyond the limit.
    pub(super) crowded: u64,
    /// Samples of an instant that had one already.
    pub(super) repeated: u64,
    /// Not a number, infinite or too large, in slots.
    pub(super) unusable: u64,
    /// Series whose samples were averaged by slot.
    pub(super) averaged: u64,
}

/// The series of a range of time: samples as they came as long as a series has few of them, beyond that one mean for each of so
/// many slots of time. What comes out depends on neither order nor batches, but for the rounding of sums.
#[derive(Debug, Clone)]
pub(super) struct Tracks {
    range: TimeRange,
    limits: IntakeOptions,
    tracks: BTreeMap<(EntityId, SeriesKey), Track>,
    untaken: Untaken,
}

impl Tracks {
    pub(super) fn new(range: TimeRange, limits: IntakeOptions) -> Self {
        Self { range, limits, tracks: BTreeMap::new(), untaken: Untaken::default() }
    }

    /// Nanoseconds of a slot.
    fn width(&self) -> i64 {
        let nanos = self.range.length().as_nanos() / self.limits.max_samples.max(1) as u128;
        i64::try_from(nanos).unwrap_or(i64::MAX).max(1)
    }

    /// Adds a batch of samples of one series. O(log series + samples), more once when its slots begin.
    pub(super) fn push(&mut self, series: &MetricSeries) {
        let (range, most, width) = (self.range, self.limits.max_samples, self.width());
        let count = self.tracks.len();
        let track = match self.tracks.entry((series.entity().clone(), series.key().clone())) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if count >= self.limits.max_series => {
                self.untaken.crowded += series.len() as u64;
                return;
            }
            Entry::Vacant(entry) => entry.insert(Track {
                kind: series.kind(),
                unit: series.unit().clone(),
                samples: Samples::Single(Vec::new()),
            }),
        };
        for (instant, value) in series.times().iter().zip(series.samples()) {
            if !range.contains(instant) {
                self.untaken.outside += 1;
                continue;
            }
            let since = i64::try_from(time::elapsed(range.start(), instant).as_nanos()).unwrap_or(i64::MAX);
            track.samples.push(since, value, most, width, &mut self.untaken);
        }
    }

    /// Adds what a shard took in of the same range.
    pub(super) fn merge(&mut self, other: Self) {
        let (most, width) = (self.limits.max_samples, self.width());
        self.untaken.outside += other.untaken.outside;
        self.untaken.crowded += other.untaken.crowded;
        self.untaken.unusable += other.untaken.unusable;
        for (key, theirs) in other.tracks {
            let count = self.tracks.len();
            let own = match self.tracks.entry(key) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(_) if count >= self.limits.max_series => {
                    self.untaken.crowded += theirs.samples.len();
                    continue;
                }
                Entry::Vacant(entry) => {
                    entry.insert(theirs);
                    continue;
                }
            };
            match theirs.samples {
                Samples::Single(samples) => {
                    for (since, value) in samples {
                        own.samples.push(since, value, most, width, &mut self.untaken);
                    }
                }
                Samples::Slots(slots) => {
                    own.samples.slot(width, &mut self.untaken);
                    let Samples::Slots(mine) = &mut own.samples else { continue };
                    if mine.len() < slots.len() {
                        mine.resize(slots.len(), Slot::default());
                    }
                    for (mine, slot) in mine.iter_mut().zip(slots) {
                        mine.sum += slot.sum;
                        mine.samples = mine.samples.saturating_add(slot.samples);
                        mine.seen |= slot.seen;
                    }
                }
            }
        }
    }

    /// Samples and slots held.
    pub(super) fn held(&self) -> usize {
        self.tracks.values().map(|track| track.samples.len() as usize).sum()
    }

    /// The series in order, and what was not taken in.
    pub(super) fn finish(self) -> (Vec<MetricSeries>, Untaken) {
        let width = self.width();
        let Self { range, tracks, mut untaken, .. } = self;
        let at =
            |nanos: i64| range.start().checked_add(SignedDuration::from_nanos(nanos)).unwrap_or(range.end());
        let mut series = Vec::with_capacity(tracks.len());
        for ((entity, key), Track { kind, unit, samples }) in tracks {
            let points: Vec<(i64, Option<f64>)> = match samples {
                Samples::Single(mut samples) => {
                    // Of several samples of one instant the smallest stays, whatever came first; a gap gives way.
                    let order = |value: Option<f64>| (value.is_none(), value.unwrap_or(0.0));
                    samples.sort_by(|a, b| {
                        let ((no_a, a_value), (no_b, b_value)) = (order(a.1), order(b.1));
                        a.0.cmp(&b.0).then(no_a.cmp(&no_b)).then(a_value.total_cmp(&b_value))
                    });
                    let all = samples.len();
                    samples.dedup_by_key(|sample| sample.0);
                    untaken.repeated += (all - samples.len()) as u64;
                    samples
                }
                Samples::Slots(slots) => {
                    untaken.averaged += 1;
                    let mean = |slot: Slot| (slot.samples > 0).then(|| slot.sum / f64::from(slot.samples));
                    let seen = (0_i64..).zip(slots).filter(|(_, slot)| slot.seen);
                    seen.map(|(i, slot)| (i.saturating_mul(width), mean(slot))).collect()
                }
            };
            let times: Vec<Timestamp> = points.iter().map(|(nanos, _)| at(*nanos)).collect();
            // Instants are distinct and in order.
            let made = TimeAxis::irregular(times)
                .and_then(|axis| MetricSeries::new(key, entity, axis, points.into_iter().map(|(_, v)| v)));
            series.extend(made.map(|series| series.with_kind(kind).with_unit(unit)));
        }
        (series, untaken)
    }
}

impl Samples {
    fn len(&self) -> u64 {
        match self {
            Self::Single(samples) => samples.len() as u64,
            Self::Slots(slots) => slots.iter().filter(|slot| slot.seen).count() as u64,
        }
    }

    fn push(&mut self, since: i64, value: Option<f64>, most: usize, width: i64, untaken: &mut Untaken) {
        match self {
            Self::Single(samples) => {
                samples.push((since, value));
                if samples.len() > most {
                    self.slot(width, untaken);
                }
            }
            Self::Slots(slots) => add(slots, since, value, width, untaken),
        }
    }

    /// Puts the samples so far into slots.
    fn slot(&mut self, width: i64, untaken: &mut Untaken) {
        if let Self::Single(samples) = self {
            let mut slots = Vec::with_capacity(samples.len());
            for (since, value) in std::mem::take(samples) {
                add(&mut slots, since, value, width, untaken);
            }
            *self = Self::Slots(slots);
        }
    }
}

fn add(slots: &mut Vec<Slot>, since: i64, value: Option<f64>, width: i64, untaken: &mut Untaken) {
    // Instants lie in the range, so there are hardly more slots than samples are kept.
    let at = usize::try_from(since / width).unwrap_or(0);
    if at >= slots.len() {
        slots.resize(at + 1, Slot::default());
    }
    let Some(slot) = slots.get_mut(at) else { return };
    slot.seen = true;
    match value {
        Some(value) if usable(value) => {
            slot.sum += value;
            slot.samples = slot.samples.saturating_add(1);
        }
        Some(_) => untaken.unusable += 1,
        None => {}
    }
}
