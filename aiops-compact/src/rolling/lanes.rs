//! Scores of a run of samples, column by column, so that the compiler vectorises them.

use super::sums::{Reciprocals, Sums};
use super::{RollingConfig, standardise};

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
    /// Scores one sample against a window with these sums around `pivot`.
    #[inline(always)]
    pub(super) fn score(&self, value: f64, pivot: f64, window: Sums) -> f64 {
        let (mean, variance) = self.reciprocals.moments(window);
        // Relative to the pivot both terms are small and exact, where `value − mean` would round at the offset's ulp.
        let deviation = (value - pivot) - mean;
        let scale = self.config.floored(variance.sqrt(), pivot + mean);
        standardise(deviation, scale)
    }

    /// Scores every lane.
    #[inline(always)]
    #[allow(
        clippy::indexing_slicing,
        reason = "every lane is below the arrays' constant length; zips of so many are not vectorised"
    )]
    pub(super) fn scores(&self, pivot: f64, lanes: &Lanes<'_>, scores: &mut Lane) {
        for lane in 0..LANES {
            let sum = lanes.front_sum[lane] + lanes.back_sum[lane];
            let squares = lanes.front_squares[lane] + lanes.back_squares[lane];
            scores[lane] = self.score(lanes.values[lane], pivot, Sums { sum, squares });
        }
    }
}
