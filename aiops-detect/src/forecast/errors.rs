//! Errors of forecasts by how far they looked ahead, and the intervals they make.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Errors of one horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Horizon {
    /// Steps ahead.
    pub(super) steps: usize,
    /// Actual less forecast, the newest last.
    pub(super) errors: VecDeque<f32>,
    /// Share of values the interval leaves out, as it follows the misses.
    pub(super) miss: f64,
}

impl Horizon {
    pub(super) fn new(steps: usize, miss: f64) -> Self {
        Self { steps, errors: VecDeque::new(), miss }
    }

    pub(super) fn learn(&mut self, error: f64, most: usize) {
        if self.errors.len() >= most {
            self.errors.pop_front();
        }
        self.errors.push_back(error.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32);
    }

    /// Follows a miss or hit: with `rate` γ, the level moves by γ(target − missed).
    pub(super) fn adapt(&mut self, missed: bool, target: f64, rate: f64) {
        let away = target - f64::from(u8::from(missed));
        self.miss = (self.miss + rate * away).clamp(LEAST_MISS, 0.999);
    }

    /// What is added to a point forecast for the ends of the interval: quantiles of the errors with the correction for a finite
    /// number of them. Below 1/(n + 1) it is the largest error, and more than that where misses ask for more.
    pub(super) fn ends(&self) -> (f64, f64) {
        let mut sorted: Vec<f32> = self.errors.iter().copied().collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let n = sorted.len();
        let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else { return (0.0, 0.0) };
        let (least, most) = (f64::from(*least), f64::from(*most));
        // Rank ⌈(n + 1)(1 − miss/2)⌉, from both sides.
        let rank = ((n + 1) as f64 * (1.0 - self.miss / 2.0)).ceil();
        if rank <= n as f64 {
            let at = (rank as usize).saturating_sub(1);
            let (high, low) = (sorted.get(at), sorted.get(n - 1 - at.min(n - 1)));
            return (low.map_or(least, |e| f64::from(*e)), high.map_or(most, |e| f64::from(*e)));
        }
        // No rank is high enough: the range, wider the less may be missed.
        let wider = (2.0 / ((n + 1) as f64 * self.miss)).sqrt().clamp(1.0, 4.0);
        let (middle, half) = (0.5 * (most + least), 0.5 * (most - least) * wider);
        (middle - half, middle + half)
    }

    /// Share of the errors that reach `error` on the side of `sign`.
    pub(super) fn reaching(&self, error: f64, sign: f64) -> f64 {
        let reach = self.errors.iter().filter(|e| sign * f64::from(**e) >= error).count();
        // As with one more error that may lie anywhere.
        (reach as f64 + 0.5) / (self.errors.len() as f64 + 1.0)
    }
}

/// However seldom values missed, an interval leaves room for it.
const LEAST_MISS: f64 = 1e-4;

/// Horizons that double up to the longest one.
pub(super) fn horizons(longest: usize, miss: f64) -> Vec<Horizon> {
    let mut steps = vec![1];
    while let Some(next) = steps.last().map(|last| last * 2).filter(|next| *next < longest) {
        steps.push(next);
    }
    if longest > 1 {
        steps.push(longest);
    }
    steps.into_iter().map(|steps| Horizon::new(steps, miss)).collect()
}

/// The ends of the intervals of all horizons.
pub(super) fn ends(horizons: &[Horizon]) -> Vec<(usize, (f64, f64))> {
    horizons.iter().map(|h| (h.steps, h.ends())).collect()
}

/// The ends of the interval `steps` ahead: between two horizons in proportion, beyond the last one wider in proportion.
pub(super) fn ends_at(ends: &[(usize, (f64, f64))], steps: usize) -> (f64, f64) {
    let at = ends.partition_point(|(s, _)| *s < steps);
    match (at.checked_sub(1).and_then(|b| ends.get(b)), ends.get(at)) {
        (None, Some((_, ends))) => *ends,
        (Some((s0, (l0, u0))), Some((s1, (l1, u1)))) => {
            let share = (steps - s0) as f64 / (s1 - s0).max(1) as f64;
            (l0 + share * (l1 - l0), u0 + share * (u1 - u0))
        }
        (Some((s, (lower, upper))), None) => {
            let wider = steps as f64 / (*s).max(1) as f64;
            (lower * wider, upper * wider)
        }
        (None, None) => (0.0, 0.0),
    }
}

/// The horizon whose errors tell most of `steps` ahead: the next longer one, or the longest.
pub(super) fn nearest(horizons: &[Horizon], steps: usize) -> Option<&Horizon> {
    let at = horizons.partition_point(|h| h.steps < steps);
    horizons.get(at).or_else(|| horizons.last())
}
