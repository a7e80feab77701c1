//! What is known of one series, and how one more sample changes it.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::config::BaselineConfig;

/// Blocks of the day in which the weekday may add something: two hours each.
pub(super) const BLOCKS: usize = 12;

/// Where residuals are cut when a sample is learned, in scales (Huber 1981, §6.4, proposal 2).
const CLIP: f64 = 1.5;

/// E[min(z², CLIP²)] of normal noise: makes the clipped second moment a consistent σ.
const CONSISTENCY: f64 = 0.778_5;

/// Location, scale and weight of a set of samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, f32, u16)", into = "(f64, f32, u16)")]
pub(crate) struct Cell {
    pub(crate) center: f64,
    /// A σ; at four bytes to keep the state small.
    pub(crate) scale: f32,
    /// Samples it rests on, up to the memory; 0 while it knows nothing.
    pub(crate) weight: u16,
}

impl From<(f64, f32, u16)> for Cell {
    fn from((center, scale, weight): (f64, f32, u16)) -> Self {
        Self { center, scale, weight }
    }
}

impl From<Cell> for (f64, f32, u16) {
    fn from(cell: Cell) -> Self {
        (cell.center, cell.scale, cell.weight)
    }
}

impl Cell {
    pub(super) fn new(center: f64, scale: f64, samples: usize, memory: u16) -> Self {
        let weight = u16::try_from(samples).unwrap_or(u16::MAX).min(memory);
        Self { center, scale: narrow(scale), weight }
    }

    fn usable(&self) -> bool {
        self.center.is_finite() && self.scale.is_finite() && self.scale >= 0.0
    }

    /// One step of a Huber M-estimate of location and scale with the gain of a running mean, bounded below by the memory.
    /// `spread` stands in for the scale while the cell has none.
    pub(crate) fn learn(&mut self, value: f64, spread: f64, memory: u16) {
        if self.weight == 0 {
            *self = Self { center: value, scale: narrow(spread), weight: 1 };
            return;
        }
        self.weight = self.weight.saturating_add(1).min(memory);
        let gain = 1.0 / f64::from(self.weight);
        let scale = f64::from(self.scale).max(0.01 * spread);
        let residual = (value - self.center).clamp(-CLIP * scale, CLIP * scale);
        self.center += gain * residual;
        let variance = scale * scale + gain * (residual * residual / CONSISTENCY - scale * scale);
        self.scale = narrow(variance.max(0.0).sqrt());
    }

    /// As [`learn`](Self::learn) for the cell of all samples, which has no other to borrow a first scale from.
    pub(crate) fn learn_overall(&mut self, value: f64) {
        self.learn(value, 0.0, u16::MAX);
        if self.weight == 2 {
            // Two samples are the first hint of a spread, and without one nothing would be learned.
            self.scale = narrow((value - self.center).abs());
        } else if self.scale == 0.0 {
            self.scale = narrow((value - self.center).abs() / f64::from(self.weight.max(1)));
        }
    }
}

/// Below this no scale is used: a share of the typical one, and a millionth of the level, so that a constant series stays
/// judgeable; never zero.
pub(crate) fn smallest_scale(floor: f64, typical: f64, center: f64) -> f64 {
    (floor * typical).max(1e-6 * center.abs()).max(1e-9)
}

/// As f32, huge values at its end instead of at ∞.
pub(super) fn narrow(scale: f64) -> f32 {
    scale.min(f64::from(f32::MAX)) as f32
}

/// What is usual for one series by time of day, and by weekday where that helps.
///
/// Made by [`ContextualBaseline::fit`](super::ContextualBaseline::fit), or empty by
/// [`ContextualBaseline::empty`](super::ContextualBaseline::empty) for learning sample by sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesBaseline {
    pub(super) cells: Box<[Cell]>,
    /// All samples, whatever the hour.
    pub(super) overall: Cell,
    /// Median of the scales of the cells.
    pub(super) typical: f64,
    /// Local days with a learned sample.
    pub(super) days: u32,
    pub(super) last_day: Option<Date>,
    /// What the weekday adds, by weekday from Monday on and block of the day; as shares of `typical`. Empty where unused.
    #[serde(default, skip_serializing_if = "<[f32]>::is_empty")]
    pub(super) weekdays: Box<[f32]>,
}

impl SeriesBaseline {
    pub(super) fn empty(cells: usize) -> Self {
        Self {
            cells: vec![Cell::default(); cells].into(),
            overall: Cell::default(),
            typical: 0.0,
            days: 0,
            last_day: None,
            weekdays: Box::default(),
        }
    }

    /// Local days it has seen.
    #[must_use]
    pub fn days(&self) -> u32 {
        self.days
    }

    /// Whether the day of the week is used.
    #[must_use]
    pub fn uses_weekday(&self) -> bool {
        !self.weekdays.is_empty()
    }

    /// Bytes it takes in memory.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.cells) + size_of_val(&*self.weekdays)
    }

    /// Whether it is what this configuration makes: right number of cells, every number usable.
    pub(super) fn fits(&self, config: &BaselineConfig) -> bool {
        self.cells.len() == config.cells()
            && self.cells.iter().chain([&self.overall]).all(Cell::usable)
            && self.typical.is_finite()
            && self.typical >= 0.0
            && (self.weekdays.is_empty() || self.weekdays.len() == 7 * BLOCKS)
            && self.weekdays.iter().all(|share| share.is_finite())
    }

    /// What the weekday adds there, 0 where it is not used.
    pub(super) fn weekday(&self, place: &Place) -> f64 {
        self.weekdays
            .get(place.weekday * BLOCKS + place.block)
            .map_or(0.0, |share| f64::from(*share) * self.typical)
    }

    /// Location and scale at a place; of all samples where the cell knows nothing or cannot be trusted yet.
    pub(super) fn usual(&self, place: &Place, trusted: bool, floor: f64) -> Option<(f64, f64, u16)> {
        let cell = self.cells.get(place.cell).filter(|cell| trusted && cell.weight > 0);
        let (center, scale, weight) = match cell {
            Some(cell) => (cell.center + self.weekday(place), f64::from(cell.scale), cell.weight),
            None if self.overall.weight > 1 => {
                (self.overall.center, f64::from(self.overall.scale), self.overall.weight)
            }
            None => return None,
        };
        Some((center, scale.max(smallest_scale(floor, self.typical, center)), weight))
    }

    /// Learns one sample at a place, for the cell and its neighbours.
    pub(super) fn learn(&mut self, value: f64, place: &Place, config: &BaselineConfig, memory: u16) {
        let spread = f64::from(self.overall.scale);
        self.overall.learn_overall(value);
        let without = value - self.weekday(place);
        self.around(place, config).for_each(|cell| cell.learn(without, spread, memory));
        if self.last_day.is_none_or(|day| day < place.date) {
            self.last_day = Some(place.date);
            self.days = self.days.saturating_add(1);
            self.settle();
        }
    }

    /// Moves the location of a place towards a lasting new level; the scale stays. Only its own cell: there is no median
    /// here, and a neighbour beyond a jump of the day would pull it to where no sample is.
    pub(super) fn adopt(&mut self, value: f64, place: &Place, config: &BaselineConfig, memory: u16) {
        let without = value - self.weekday(place);
        let shared = (2 * config.options().neighbours + 1) as f64;
        // A mean over about one visit of the cell.
        let gain = (shared * f64::from(config.options().memory_days) / f64::from(memory.max(1))).min(1.0);
        if let Some(cell) = self.cells.get_mut(place.cell) {
            cell.center += gain * (without - cell.center);
        }
        self.overall.center += gain * (value - self.overall.center);
    }

    /// The cell of a place and its neighbours.
    fn around(&mut self, place: &Place, config: &BaselineConfig) -> impl Iterator<Item = &mut Cell> {
        let (n, reach, here) = (self.cells.len(), config.options().neighbours, place.cell);
        let near = move |at: usize| at.abs_diff(here).min(n - at.abs_diff(here).min(n)) <= reach;
        self.cells.iter_mut().enumerate().filter(move |(at, _)| near(*at)).map(|(_, cell)| cell)
    }

    /// The typical scale anew. Once a day is often enough.
    pub(super) fn settle(&mut self) {
        let mut scales: Vec<f64> =
            self.cells.iter().filter(|cell| cell.weight > 0).map(|cell| f64::from(cell.scale)).collect();
        scales.sort_unstable_by(f64::total_cmp);
        self.typical = aiops_compact::order::median_of_sorted(&scales).unwrap_or(0.0);
    }
}

/// Where an instant lies in the local calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) date: Date,
    pub(super) cell: usize,
    /// Monday is 0; a holiday is a Sunday.
    pub(super) weekday: usize,
    pub(super) block: usize,
}
