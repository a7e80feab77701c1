//! Sums around a pivot, and what follows from them.

use super::config::larger;

/// Sum and sum of squares of deviations from a pivot.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) sum: f64,
    pub(super) squares: f64,
}

impl Sums {
    /// Adds the deviation of one sample.
    #[inline(always)]
    pub(super) fn add(&mut self, deviation: f64) {
        self.sum += deviation;
        self.squares += deviation * deviation;
    }
}

/// Deviation of a slot from `pivot`, 0 for a slot without a sample (NaN), which leaves every sum as it is.
#[inline(always)]
pub(super) fn deviation(slot: f64, pivot: f64) -> f64 {
    let deviation = slot - pivot;
    if deviation.is_nan() { 0.0 } else { deviation }
}

/// `1 / n` and `1 / (n − 1)` for the window's sample count, which rarely changes between pushes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reciprocals {
    pub(super) of_count: f64,
    pub(super) of_degrees: f64,
}

impl Reciprocals {
    /// Of a window with `count` samples; meaningless below two.
    #[inline(always)]
    pub(super) fn of(count: usize) -> Self {
        let count = count as f64;
        Self { of_count: 1.0 / count, of_degrees: 1.0 / (count - 1.0) }
    }

    /// Mean relative to the pivot, and sample variance, of everything in `sums`.
    #[inline(always)]
    pub(super) fn moments(self, sums: Sums) -> (f64, f64) {
        let mean = sums.sum * self.of_count;
        (mean, larger(sums.squares - sums.sum * mean, 0.0) * self.of_degrees)
    }
}
