//! Robust additive Holt–Winters, one step at a time.

use aiops_compact::order::median_of_sorted;
use serde::{Deserialize, Serialize};

/// Smoothing weights, and which parts there are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Weights {
    /// α: of the level.
    pub(super) level: f64,
    /// β: of the trend, relative to the level's; 0 keeps the slope that was learned.
    pub(super) trend: f64,
    /// φ: what is left of the trend a step later; 0 is none at all.
    pub(super) damping: f64,
    /// γ: of the season; a negative one is none at all.
    pub(super) season: f64,
}

/// The candidates that are tried.
pub(super) fn candidates(seasonal: bool) -> Vec<Weights> {
    let trends = [(0.0, 0.0), (0.0, 1.0), (0.01, 1.0), (0.1, 1.0), (0.1, 0.98)];
    let seasons: &[f64] = if seasonal { &[-1.0, 0.0, 0.05] } else { &[-1.0] };
    let mut all = Vec::new();
    for level in [0.02, 0.1, 0.3, 0.7] {
        for (trend, damping) in trends {
            all.extend(seasons.iter().map(|season| Weights { level, trend, damping, season: *season }));
        }
    }
    all
}

/// What is known at one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) level: f64,
    pub(super) trend: f64,
    /// Typical size of an innovation, as σ.
    pub(super) scale: f64,
    /// What the season adds, cell by cell; empty without one.
    pub(super) season: Vec<f64>,
}

/// Where an instant lies in the season: the cell before its middle, and how far towards the next one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Phase {
    pub(super) cell: usize,
    pub(super) share: f64,
}

impl Phase {
    /// Of `position`, 0 to less than 1 of the season, among `cells` cells.
    pub(super) fn of(position: f64, cells: usize) -> Self {
        let at = position * cells as f64 - 0.5;
        let below = at.floor();
        let cell = if below < 0.0 { cells.saturating_sub(1) } else { below as usize };
        Self { cell, share: at - below }
    }
}

impl State {
    /// What the season adds at a phase.
    pub(super) fn seasonal(&self, phase: Phase) -> f64 {
        let n = self.season.len().max(1);
        let at = |cell: usize| self.season.get(cell % n).copied().unwrap_or(0.0);
        at(phase.cell) * (1.0 - phase.share) + at(phase.cell + 1) * phase.share
    }

    /// Forecast `steps` steps on, at a phase of its own.
    pub(super) fn ahead(&self, steps: usize, phase: Phase, weights: &Weights) -> f64 {
        // φ + φ² + … + φ^steps.
        let phi = weights.damping;
        let slopes = match phi {
            1.0 => steps as f64,
            0.0 => 0.0,
            _ => phi * (1.0 - phi.powi(i32::try_from(steps).unwrap_or(i32::MAX))) / (1.0 - phi),
        };
        self.level + slopes * self.trend + self.seasonal(phase)
    }

    /// Goes one step on; a missing sample is forecast.
    pub(super) fn step(&mut self, value: Option<f64>, phase: Phase, weights: &Weights, clip: f64) {
        let slope = weights.damping * self.trend;
        let (before, season) = (self.level, self.seasonal(phase));
        self.level += slope;
        self.trend = slope;
        let Some(value) = value else { return };
        let away = value - before - slope - season;
        let limit = clip * self.scale;
        let taken = away.clamp(-limit, limit);
        self.level += weights.level * taken;
        self.trend += weights.level * weights.trend * taken;
        if weights.season > 0.0 {
            let n = self.season.len().max(1);
            let shares = [(phase.cell % n, 1.0 - phase.share), ((phase.cell + 1) % n, phase.share)];
            for (cell, share) in shares {
                if let Some(cell) = self.season.get_mut(cell) {
                    *cell += weights.season * share * taken;
                }
            }
        }
        // A mean of cut absolute innovations, to which a lasting change of scale gets through. 1.25 makes σ of it.
        let size = 1.25 * away.abs().min(1.5 * limit);
        self.scale = (self.scale + SCALE_GAIN * (size - self.scale)).max(f64::MIN_POSITIVE);
    }
}

const SCALE_GAIN: f64 = 0.02;

/// A robust straight line and profile through the beginning of a series: where smoothing starts from.
pub(super) fn start(values: &[Option<f64>], phases: &[Phase], cells: usize) -> State {
    let present: Vec<(f64, f64)> =
        values.iter().enumerate().filter_map(|(i, value)| Some((i as f64, (*value)?))).collect();
    let slope = slope(&present);
    let rest = |i: f64, value: f64| value - slope * i;
    let level = median(present.iter().map(|(i, value)| rest(*i, *value)).collect());
    let mut season = vec![0.0; cells];
    if cells > 0 {
        let mut by_cell: Vec<Vec<f64>> = vec![Vec::new(); cells];
        for ((i, value), phase) in values.iter().enumerate().zip(phases) {
            let nearest = if phase.share < 0.5 { phase.cell } else { (phase.cell + 1) % cells };
            if let (Some(value), Some(cell)) = (value, by_cell.get_mut(nearest)) {
                cell.push(rest(i as f64, *value) - level);
            }
        }
        let mut last = 0.0;
        for (added, cell) in season.iter_mut().zip(by_cell) {
            // A cell without samples has what the one before it has.
            last = if cell.is_empty() { last } else { median(cell) };
            *added = last;
        }
    }
    let state = State { level, trend: slope, scale: 1.0, season };
    let sizes: Vec<f64> = present
        .iter()
        .filter_map(|(i, value)| {
            let phase = phases.get(*i as usize)?;
            Some((rest(*i, *value) - level - state.seasonal(*phase)).abs())
        })
        .collect();
    let largest = sizes.iter().copied().fold(0.0, f64::max);
    let typical = 1.4826 * median(sizes);
    let candidates = [typical, largest / 4.0, 1e-6 * level.abs(), 1e-9];
    let scale = candidates.into_iter().find(|s| s.is_finite() && *s > 0.0).unwrap_or(1.0);
    State { scale, ..state }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    median_of_sorted(&values).unwrap_or(0.0)
}

/// Median of the slopes between points half the series apart (Theil 1950 and Sen 1968, by pairs that matter): O(n log n).
fn slope(points: &[(f64, f64)]) -> f64 {
    let half = points.len() / 2;
    let later = points.iter().skip(half.max(1));
    let between = |((x0, y0), (x1, y1)): (&(f64, f64), &(f64, f64))| (y1 - y0) / (x1 - x0);
    let found = median(points.iter().zip(later).map(between).collect());
    if found.is_finite() { found } else { 0.0 }
}
