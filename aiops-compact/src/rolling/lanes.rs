//! Scores of a run of samples, column by column, so that the compiler vectorises them.

use super::sums::{Reciprocals, Sums};
use super::{MIN_SCALE, RollingConfig, standardise};

/// Samples whose scores are computed together: enough for the vector units, few enough that the running sums of the
/// next ones proceed while square roots and quotients of these are under way.
pub(super) const LANES: usize = 16;

/// A column of [`LANES`] samples in a row.
pub(super) type Lane = [f64; LANES];

/// What windows with one count share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared {
    pub(super) config: RollingConfig,
    pub(super) reciprocals: Reciprocals,
}

/// `values` with what the window held before each of them: front and back apart.
pub(super) struct Lanes<'a> {
    pub(super) values: &'a Lane,
    pub(super) front_sum: &'a Lane,
    pub(super) front_squares: &'a Lane,
    pub(super) back_sum: &'a Lane,
    pub(super) back_squares: &'a Lane,
}

impl Shared {
    /// Deviation of a sample from a window with these sums around `pivot`, and the window's scale.
    #[inline(always)]
    fn deviation(&self, value: f64, pivot: f64, window: Sums) -> (f64, f64) {
        let (mean, variance) = self.reciprocals.moments(window);
        // Relative to the pivot both terms are small and exact, where `value − mean` would round at the offset's ulp.
        ((value - pivot) - mean, self.config.floored(variance.sqrt(), pivot + mean))
    }

    /// Scores one sample against a window with these sums around `pivot`.
    #[inline(always)]
    pub(super) fn score(&self, value: f64, pivot: f64, window: Sums) -> f64 {
        let (deviation, scale) = self.deviation(value, pivot, window);
        standardise(deviation, scale)
    }

    /// Scores every lane: quotients first, and only if a scale is too small for one, once more with care.
    #[inline(always)]
    #[allow(
        clippy::indexing_slicing,
        reason = "every lane is below the arrays' constant length; zips of so many are not vectorised"
    )]
    pub(super) fn scores(&self, pivot: f64, lanes: &Lanes<'_>, scores: &mut Lane) {
        let window = |lane: usize| Sums {
            sum: lanes.front_sum[lane] + lanes.back_sum[lane],
            squares: lanes.front_squares[lane] + lanes.back_squares[lane],
        };
        let mut least = [f64::INFINITY; 2];
        for (lane, score) in scores.iter_mut().enumerate() {
            let (deviation, scale) = self.deviation(lanes.values[lane], pivot, window(lane));
            *score = deviation / scale;
            let least = &mut least[lane % 2];
            *least = if scale < *least { scale } else { *least };
        }
        if least.iter().any(|least| *least <= MIN_SCALE) {
            for (lane, score) in scores.iter_mut().enumerate() {
                *score = self.score(lanes.values[lane], pivot, window(lane));
            }
        }
    }
}
