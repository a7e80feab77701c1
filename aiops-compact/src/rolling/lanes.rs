//! Scores of a block of samples, column by column, so that the compiler vectorises them.

use super::sums::{Aggregate, Reciprocals, Sums};
use super::{RollingConfig, standardise};

/// Samples of a block whose scores are computed together.
pub(super) const LANES: usize = 32;

/// What the scores of [`LANES`] samples in a row are computed from, a column each.
pub(super) struct Lanes {
    values: [f64; LANES],
    count: [f64; LANES],
    sum: [f64; LANES],
    squares: [f64; LANES],
    front_count: [f64; LANES],
    front_mean: [f64; LANES],
    front_m2: [f64; LANES],
    pub(super) scores: [f64; LANES],
}

#[allow(
    clippy::indexing_slicing,
    reason = "every lane is below the arrays' constant length; zips are not vectorised"
)]
impl Lanes {
    pub(super) fn new() -> Self {
        let [values, count, sum, squares, front_count, front_mean, front_m2, scores] = [[1.0; LANES]; 8];
        Self { values, count, sum, squares, front_count, front_mean, front_m2, scores }
    }

    /// Sets a lane (modulo [`LANES`]): a sample, and what back and front held before it.
    #[inline(always)]
    pub(super) fn load(&mut self, lane: usize, value: f64, back: &Sums, front: &Aggregate) {
        let lane = lane % LANES;
        self.values[lane] = value;
        self.count[lane] = back.count;
        self.sum[lane] = back.sum;
        self.squares[lane] = back.squares;
        self.front_count[lane] = front.count;
        self.front_mean[lane] = front.mean;
        self.front_m2[lane] = front.m2;
    }

    /// Scores every lane: the operations of `Sums::aggregate` and of `RollingSigma`'s `moments` and `score` in their
    /// order, hence the same bits. `between` is the front's pivot relative to `pivot`, the back's.
    #[inline(never)]
    pub(super) fn score(
        &mut self,
        config: &RollingConfig,
        pivot: f64,
        between: f64,
        reciprocals: Reciprocals,
    ) {
        let Reciprocals { of_count, of_degrees, .. } = reciprocals;
        for lane in 0..LANES {
            let mean = self.sum[lane] / self.count[lane];
            let m2 = (self.squares[lane] - self.sum[lane] * mean).max(0.0);
            let delta = between + (self.front_mean[lane] - mean);
            let share = self.front_count[lane] * of_count;
            let offset = mean + delta * share;
            let variance =
                (self.front_m2[lane] + m2 + delta * delta * (share * self.count[lane])) * of_degrees;
            let deviation = (self.values[lane] - pivot) - offset;
            let scale = config.floored(variance.sqrt(), pivot + offset);
            self.scores[lane] = standardise(deviation, scale);
        }
    }
}
