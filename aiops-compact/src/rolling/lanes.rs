//! Scores of samples side by side, so that the compiler vectorises them.

use super::sums::{Reciprocals, Sums};
use super::{RollingConfig, standardise};

/// Samples in a row whose scores are computed together: enough for the vector units, few enough that the running sums of
/// the next ones proceed while square roots and quotients of these are under way.
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
        if self.config.has_floors() {
            self.score_as::<true>(value, pivot, window)
        } else {
            self.score_as::<false>(value, pivot, window)
        }
    }

    /// [`score`](Self::score) where it is known whether there are floors: without a branch.
    #[inline(always)]
    pub(super) fn score_as<const FLOORS: bool>(&self, value: f64, pivot: f64, window: Sums) -> f64 {
        let (mean, variance) = self.reciprocals.moments(window);
        let scale = variance.sqrt();
        let scale = if FLOORS { self.config.raised(scale, pivot + mean) } else { scale };
        // Relative to the pivot both terms are small and exact, where `value − mean` would round at the offset's ulp.
        standardise((value - pivot) - mean, scale)
    }

    /// Scores every lane.
    #[inline(always)]
    #[allow(
        clippy::indexing_slicing,
        reason = "every lane is below the arrays' constant length; zips of so many are not vectorised"
    )]
    pub(super) fn scores(&self, pivot: f64, lanes: &Lanes<'_>, scores: &mut Lane) {
        for (lane, score) in scores.iter_mut().enumerate() {
            let window = Sums {
                sum: lanes.front_sum[lane] + lanes.back_sum[lane],
                squares: lanes.front_squares[lane] + lanes.back_squares[lane],
            };
            *score = self.score(lanes.values[lane], pivot, window);
        }
    }
}
