//! Windows of a slice side by side: none waits for the sums of another.

use super::lanes::Shared;
use super::sums::Sums;

/// Deviations up to here from a pivot up to here make a sample that can be scored, with a factor of five to spare.
const SOUND: f64 = 1e149;

/// Sums of each of `N` around its pivot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running<const N: usize> {
    pub(super) pivot: [f64; N],
    pub(super) sum: [f64; N],
    pub(super) squares: [f64; N],
}

#[allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "every lane is below the constant length of a row, and lanes of several rows go together"
)]
impl<const N: usize> Running<N> {
    /// Empty sums around `pivot`.
    #[inline(always)]
    pub(super) fn around(pivot: [f64; N]) -> Self {
        Self { pivot, sum: [0.0; N], squares: [0.0; N] }
    }

    #[inline(always)]
    pub(super) fn add(&mut self, row: &[f64; N]) {
        for lane in 0..N {
            let mut sums = Sums { sum: self.sum[lane], squares: self.squares[lane] };
            sums.add(row[lane] - self.pivot[lane]);
            (self.sum[lane], self.squares[lane]) = (sums.sum, sums.squares);
        }
    }

    /// Scores of a row against the sums and squares of the front and these, those of the back.
    #[inline(always)]
    pub(super) fn score<const FLOORS: bool>(
        &self,
        row: &[f64; N],
        front: (&[f64; N], &[f64; N]),
        shared: &Shared,
    ) -> [f64; N] {
        let mut scores = [0.0; N];
        for lane in 0..N {
            let sum = front.0[lane] + self.sum[lane];
            let squares = front.1[lane] + self.squares[lane];
            let window = Sums { sum, squares };
            scores[lane] = shared.score_as::<FLOORS>(row[lane], self.pivot[lane], window);
        }
        scores
    }

    /// For each whether all samples that were added can be scored.
    pub(super) fn sound(&self) -> [bool; N] {
        std::array::from_fn(|lane| is_sound(self.pivot[lane], self.squares[lane]))
    }
}

/// Whether all samples whose squared deviations from `pivot` sum up to `squares` can be scored, told from the sum so that no
/// sample need be looked at twice. Where it is not so, they may be all the same: then they are larger than ever occurs.
#[inline(always)]
pub(super) fn is_sound(pivot: f64, squares: f64) -> bool {
    // NaN is not below anything.
    pivot.abs() <= SOUND && squares <= SOUND * SOUND
}
