//! Slices of samples: the very operations of a push, many at a time.

use super::super::lanes::{LANES, Lane, Lanes};
use super::super::usable;
use super::super::windows::{MOST_SLOTS, SIDE};
use super::{RollingSigma, Sums};
use crate::error::LengthMismatch;

/// Fewest samples that are worth a block.
const LEAST_BLOCK: usize = 4;

impl RollingSigma {
    /// Pushes every sample of `values` and writes its deviation, NaN where there is none. Same bits as
    /// [`push`](Self::push) one by one.
    ///
    /// Windows without gaps are scored four side by side; over other stretches in which samples come as samples leave, the
    /// running sums come first and the scores in a second pass. Both are free of branches, so that the compiler vectorises
    /// them.
    ///
    /// # Errors
    /// When `scores` is not as long as `values`.
    pub fn push_slice(&mut self, values: &[f64], scores: &mut [f64]) -> Result<(), LengthMismatch> {
        LengthMismatch::check("scores", scores.len(), values.len())?;
        let (mut values, mut scores) = (values, scores);
        while !values.is_empty() {
            let pushed = match self.whole_windows(values, scores) {
                0 => self.push_some(values, scores),
                pushed => pushed,
            };
            values = values.get(pushed..).unwrap_or_default();
            scores = scores.get_mut(pushed..).unwrap_or_default();
        }
        Ok(())
    }

    /// As [`push_slice`](Self::push_slice) with a validity mask: where `valid` is false the slot is a gap.
    ///
    /// # Errors
    /// When `valid` or `scores` is not as long as `values`.
    pub fn push_masked(
        &mut self,
        values: &[f64],
        valid: &[bool],
        scores: &mut [f64],
    ) -> Result<(), LengthMismatch> {
        LengthMismatch::check("scores", scores.len(), values.len())?;
        LengthMismatch::check("valid", valid.len(), values.len())?;
        for ((value, valid), score) in values.iter().zip(valid).zip(scores) {
            *score = if *valid { self.push(*value) } else { self.push_gap() }.to_f64();
        }
        Ok(())
    }

    /// Pushes as many of `values` as are whole windows that can be scored side by side, and says how many.
    fn whole_windows(&mut self, values: &[f64], scores: &mut [f64]) -> usize {
        let window = self.config.window();
        // INVARIANT: at the beginning of the ring, a full window is a front without gaps around its last sample.
        if self.next > 0 || self.count < window || window > MOST_SLOTS {
            return 0;
        }
        let shared = self.shared();
        let mut before = self.slots.as_slice();
        let mut pushed = 0;
        for scores in scores.chunks_exact_mut(SIDE * window) {
            let values = values.get(pushed..).unwrap_or_default();
            let whole = self.fronts.score(&shared, before, values, scores);
            pushed += whole * window;
            if whole < SIDE {
                break;
            }
            before = values.get((SIDE - 1) * window..SIDE * window).unwrap_or_default();
        }
        if let Some(last) = pushed.checked_sub(window).and_then(|from| values.get(from..pushed)) {
            self.slots.copy_from_slice(last);
            self.turn_over();
        }
        pushed
    }

    /// Pushes a block, or else one sample; says how many it was.
    fn push_some(&mut self, values: &[f64], scores: &mut [f64]) -> usize {
        let block = self.block(values);
        if block == 0 {
            if let (Some(value), Some(score)) = (values.first(), scores.first_mut()) {
                *score = self.push(*value).to_f64();
            }
            return 1;
        }
        self.push_block(values.get(..block).unwrap_or_default(), scores.get_mut(..block).unwrap_or_default());
        block
    }

    /// How many of `values` can be pushed as one block: the window is full, each of them can be scored and replaces a
    /// sample, so that the count stays, and so does the pivot. At least [`LEAST_BLOCK`], else 0.
    fn block(&self, values: &[f64]) -> usize {
        let window = self.config.window();
        if self.slots.len() < window || self.count < self.config.warm_up() {
            return 0;
        }
        let until = match self.pivot_slot {
            // Evicting the pivot needs another one; the turn-over at the end of the ring brings it.
            Some(slot) if slot >= self.next && slot + 1 < window => slot,
            _ => window,
        };
        let leaving = self.slots.get(self.next..until).unwrap_or_default();
        let most = leaving.len().min(values.len());
        let (values, leaving) =
            (values.get(..most).unwrap_or_default(), leaving.get(..most).unwrap_or_default());
        let all = run_of(values, usable);
        let block = if self.count == window { all } else { all.min(run_of(leaving, |old| !old.is_nan())) };
        if block < LEAST_BLOCK { 0 } else { block }
    }

    /// Pushes a block that [`block`](Self::block) allows.
    fn push_block(&mut self, values: &[f64], scores: &mut [f64]) {
        let (from, to) = (self.next, self.next + values.len());
        let (shared, pivot) = (self.shared(), self.pivot);
        let mut back = self.back;

        let (chunks, last) = values.as_chunks::<LANES>();
        let (written, last_written) = scores.as_chunks_mut::<LANES>();
        let front = |sums| <[f64]>::get(sums, from..to).unwrap_or_default();
        let (front_sum, last_front_sum) = front(&self.front.sum).as_chunks::<LANES>();
        let (front_squares, last_front_squares) = front(&self.front.squares).as_chunks::<LANES>();
        let (mut back_sum, mut back_squares) = ([0.0; LANES], [0.0; LANES]);
        for (((values, scores), front_sum), front_squares) in
            chunks.iter().zip(written).zip(front_sum).zip(front_squares)
        {
            prefixes(values, pivot, &mut back, &mut back_sum, &mut back_squares);
            let (back_sum, back_squares) = (&back_sum, &back_squares);
            let lanes = Lanes { values, front_sum, front_squares, back_sum, back_squares };
            shared.scores(pivot, &lanes, scores);
        }
        for (((value, score), sum), squares) in
            last.iter().zip(last_written).zip(last_front_sum).zip(last_front_squares)
        {
            let window = Sums { sum: sum + back.sum, squares: squares + back.squares };
            *score = shared.score(*value, pivot, window);
            back.add(value - pivot);
        }

        self.back = back;
        if let Some(slots) = self.slots.get_mut(from..to) {
            slots.copy_from_slice(values);
        }
        self.next = to;
        if to == self.config.window() {
            self.turn_over();
        }
    }
}

/// How many samples at the beginning of `samples` are `good`, found in vectorisable steps.
#[inline(always)]
fn run_of(samples: &[f64], good: impl Fn(f64) -> bool) -> usize {
    let all = |lane: &&Lane| lane.iter().fold(true, |all, sample| all & good(*sample));
    let (lanes, _) = samples.as_chunks::<LANES>();
    let whole = lanes.iter().take_while(all).count() * LANES;
    whole + samples.iter().skip(whole).take_while(|sample| good(**sample)).count()
}

/// Writes what `sums` held before each of `values`, and adds them.
#[inline(always)]
fn prefixes(values: &Lane, pivot: f64, sums: &mut Sums, sum: &mut Lane, squares: &mut Lane) {
    for ((value, sum), squares) in values.iter().zip(sum).zip(squares) {
        (*sum, *squares) = (sums.sum, sums.squares);
        sums.add(value - pivot);
    }
}
