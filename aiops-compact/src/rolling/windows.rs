//! Whole windows of a slice, four at once. What a window needs, the samples before it with the youngest as pivot, is known
//! from the slice alone, so they are as independent as the columns of a frame.

use super::lanes::Shared;
use super::side::Running;

/// Windows that are scored together.
pub(super) const SIDE: usize = 4;

/// The same slot of each of them.
type Row = [f64; SIDE];

/// Largest window that is scored beside others: its sums, 64 bytes a slot, stay in the second cache.
pub(super) const MOST_SLOTS: usize = 4096;

/// Scratch memory: for every slot the sums from there to the end of the window before, 64 bytes a slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Fronts {
    sum: Vec<Row>,
    squares: Vec<Row>,
}

impl Fronts {
    /// Scores the first [`SIDE`] windows of `values`, one after the other, in the very operations of a push. `before` is the
    /// window before the first of them, of samples that can be scored. Returns how many windows, from the first on, have only such
    /// samples; the scores of the others mean nothing.
    pub(super) fn score(
        &mut self,
        shared: &Shared,
        before: &[f64],
        values: &[f64],
        scores: &mut [f64],
    ) -> usize {
        if shared.config.has_floors() {
            self.score_as::<true>(shared, before, values, scores)
        } else {
            self.score_as::<false>(shared, before, values, scores)
        }
    }

    fn score_as<const FLOORS: bool>(
        &mut self,
        shared: &Shared,
        before: &[f64],
        values: &[f64],
        scores: &mut [f64],
    ) -> usize {
        let window = before.len();
        self.sum.resize(window, Row::default());
        self.squares.resize(window, Row::default());
        let mut parts = values.chunks_exact(window.max(1));
        let [first, second, third, fourth]: [&[f64]; SIDE] =
            std::array::from_fn(|_| parts.next().unwrap_or_default());
        // What comes next is touched while scores are computed, so that the memory is not waited for. A group reads forward
        // and backward from several places, which no processor foresees.
        let (next, _) = values.get(SIDE * window..2 * SIDE * window).unwrap_or(values).as_chunks::<SIDE>();
        let mut touched = 0.0;
        let pivot = [before, first, second, third].map(|older| older.last().copied().unwrap_or_default());

        let mut older = Running::around(pivot);
        let rows = before.iter().zip(first).zip(second).zip(third);
        let fronts = self.sum.iter_mut().zip(&mut self.squares);
        for ((((a, b), c), d), (sum, squares)) in rows.zip(fronts).rev() {
            older.add(&[*a, *b, *c, *d]);
            (*sum, *squares) = (older.sum, older.squares);
        }

        let mut back = Running::around(pivot);
        let rows = first.iter().zip(second).zip(third).zip(fourth);
        let fronts = self.sum.iter().zip(&self.squares);
        let mut written = scores.chunks_exact_mut(window.max(1));
        let [a, b, c, d]: [&mut [f64]; SIDE] = std::array::from_fn(|_| written.next().unwrap_or_default());
        let written = a.iter_mut().zip(b).zip(c).zip(d);
        for ((((((a, b), c), d), (sum, squares)), (((e, f), g), h)), [next, ..]) in
            rows.zip(fronts).zip(written).zip(next)
        {
            touched += next;
            let row = [*a, *b, *c, *d];
            [*e, *f, *g, *h] = back.score::<FLOORS>(&row, (sum, squares), shared);
            back.add(&row);
        }
        std::hint::black_box(touched);
        back.sound().into_iter().take_while(|sound| *sound).count()
    }
}
