use super::lanes::{LANES, Lanes};
use super::sums::{Aggregate, PivotSums, Reciprocals};
use super::{RollingConfig, Score, WindowStats, standardise, usable};
use crate::error::LengthMismatch;

/// Deviation of each sample from mean and standard deviation of the window before it. // CMP-01
///
/// # Numerical method
/// The window is a queue of two stacks (the "two-stacks" sliding-window aggregation of Tangwongsan, Hirzel and
/// Schneider, DEBS 2017): samples are added to the back; the front holds the aggregate of every suffix, so evicting
/// the oldest sample pops one aggregate. **Nothing is ever subtracted out of a sum**, hence no error survives the
/// samples that caused it: after 10⁹ updates the error is that of one window, and a huge outlier leaves no trace once
/// it has left.
///
/// Each stack sums `d = x − p` and `d²` around a pivot `p` that is itself a member of every set it serves.
/// A member is at most `√M₂` from the mean (`M₂ = Σ(x − mean)²`), so `Σd² ≤ w M₂`, and the cancellation in
/// `M₂ = Σd² − (Σd)²/w` costs at most a factor `w`, whatever the offset. The stacks are joined by the merge of Chan,
/// Golub and LeVeque, a sum of non-negative terms.
/// With `u = 2⁻⁵³` the relative error of the variance is at most `8 (w + 4)² u` (8·10⁻¹¹ for 288 slots); typical
/// errors are some units of `u`.
///
/// # Cost
/// O(1) amortised per slot, O(w) for the one slot in `w` that turns the stack over; `32 w` bytes.
///
/// ```
/// use aiops_compact::rolling::{RollingConfig, RollingSigma, Score};
/// let mut rolling = RollingSigma::new(RollingConfig::new(4)?.with_warm_up(4)?);
/// for value in [1.0, 3.0, 1.0, 3.0] {
///     assert_eq!(rolling.push(value), Score::WarmUp);
/// }
/// assert_eq!(rolling.push(2.0), Score::Sigma(0.0));
/// assert_eq!(rolling.push_gap(), Score::Gap);
/// # Ok::<(), aiops_compact::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RollingSigma {
    config: RollingConfig,
    /// Aggregates of the older slots; the last one covers all of them, popping it evicts the oldest.
    front: Vec<Aggregate>,
    front_pivot: f64,
    /// The younger slots as they came; NaN marks a slot without a sample.
    back: Vec<f64>,
    back_sums: PivotSums,
    reciprocals: Reciprocals,
}

/// Moments of the whole window; the mean is `pivot + offset`, kept apart so that nothing is rounded away.
#[derive(Debug, Clone, Copy)]
struct WindowMoments {
    pivot: f64,
    offset: f64,
    variance: f64,
    count: f64,
}

impl RollingSigma {
    /// An empty window.
    #[must_use]
    pub fn new(config: RollingConfig) -> Self {
        Self {
            config,
            front: Vec::with_capacity(config.window()),
            front_pivot: 0.0,
            back: Vec::with_capacity(config.window()),
            back_sums: PivotSums::default(),
            reciprocals: Reciprocals::EMPTY,
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &RollingConfig {
        &self.config
    }

    /// Scores `value` against the window, then lets it enter.
    #[inline]
    pub fn push(&mut self, value: f64) -> Score {
        if !usable(value) {
            self.advance(f64::NAN);
            return Score::OutOfRange;
        }
        let mut reciprocals = self.reciprocals;
        let score = self.score(value, &mut reciprocals);
        self.reciprocals = reciprocals;
        self.advance(value);
        score
    }

    /// Lets a slot pass without a sample.
    #[inline]
    pub fn push_gap(&mut self) -> Score {
        self.advance(f64::NAN);
        Score::Gap
    }

    /// Scores `value` against the window without letting it enter.
    #[inline]
    #[must_use]
    pub fn peek(&self, value: f64) -> Score {
        if !usable(value) {
            return Score::OutOfRange;
        }
        let mut reciprocals = self.reciprocals;
        self.score(value, &mut reciprocals)
    }

    /// Pushes every sample of `values` and writes its deviation, NaN where there is none. Same bits as
    /// [`push`](Self::push) one by one.
    ///
    /// Between two turn-overs of a full window without gaps the running sums come first and the scores in a second,
    /// branch-free pass that the compiler vectorises.
    ///
    /// # Errors
    /// When `scores` is not as long as `values`.
    pub fn push_slice(&mut self, values: &[f64], scores: &mut [f64]) -> Result<(), LengthMismatch> {
        LengthMismatch::check("scores", scores.len(), values.len())?;
        let (mut values, mut scores) = (values, scores);
        while let (Some(value), Some(score)) = (values.first(), scores.first_mut()) {
            let block = self.block(values);
            if block == 0 {
                *score = self.push(*value).to_f64();
            }
            let (now, later) = values.split_at(block.max(1));
            let (written, rest) = std::mem::take(&mut scores).split_at_mut(block.max(1));
            if block > 0 {
                self.push_block(now, written);
            }
            (values, scores) = (later, rest);
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

    /// Mean, floored standard deviation and count of the window; `None` below two samples.
    #[must_use]
    pub fn baseline(&self) -> Option<WindowStats> {
        let mut reciprocals = self.reciprocals;
        let window = self.moments(&mut reciprocals)?;
        let location = window.pivot + window.offset;
        let scale = self.config.floored(window.variance.sqrt(), location);
        Some(WindowStats { location, scale, count: window.count as usize })
    }

    /// Sample variance of the window before any floor; `None` below two samples.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        let mut reciprocals = self.reciprocals;
        self.moments(&mut reciprocals).map(|window| window.variance)
    }

    /// Samples in the window; gaps do not count.
    #[must_use]
    pub fn count(&self) -> usize {
        (self.front.last().map_or(0.0, |front| front.count) + self.back_sums.sums.count) as usize
    }

    /// Slots in the window, gaps included.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.front.len() + self.back.len()
    }

    /// Forgets everything but the configuration.
    pub fn clear(&mut self) {
        self.front.clear();
        self.back.clear();
        self.back_sums = PivotSums::default();
    }

    #[inline(always)]
    fn score(&self, value: f64, reciprocals: &mut Reciprocals) -> Score {
        let Some(window) = self.moments(reciprocals) else { return Score::WarmUp };
        if window.count < self.config.warm_up() as f64 {
            return Score::WarmUp;
        }
        // Relative to the pivot both terms are small and exact, where `value − mean` would round at the offset's ulp.
        let deviation = (value - window.pivot) - window.offset;
        let scale = self.config.floored(window.variance.sqrt(), window.pivot + window.offset);
        Score::Sigma(standardise(deviation, scale))
    }

    /// Joins front and back; `None` below two samples.
    #[inline(always)]
    fn moments(&self, reciprocals: &mut Reciprocals) -> Option<WindowMoments> {
        let front = self.front.last().copied().unwrap_or_default();
        let back = self.back_sums.sums.aggregate();
        let count = front.count + back.count;
        if count < 2.0 {
            return None;
        }
        reciprocals.update(count);
        let (pivot, offset, m2) = if back.count == 0.0 {
            (self.front_pivot, front.mean, front.m2)
        } else if front.count == 0.0 {
            (self.back_sums.pivot, back.mean, back.m2)
        } else {
            let delta = (self.front_pivot - self.back_sums.pivot) + (front.mean - back.mean);
            let share = front.count * reciprocals.of_count;
            let offset = back.mean + delta * share;
            (self.back_sums.pivot, offset, front.m2 + back.m2 + delta * delta * (share * back.count))
        };
        Some(WindowMoments { pivot, offset, variance: m2 * reciprocals.of_degrees, count })
    }

    /// How many of `values` can be pushed as one block: the window is full and holds a sample in every slot on both
    /// stacks, the front outlasts the block, and every value can be scored. At least two, else 0.
    fn block(&self, values: &[f64]) -> usize {
        let window = self.config.window();
        let full = self.slots() == window
            && self.back_sums.sums.count == self.back.len() as f64
            && !self.back.is_empty();
        let dense = self.front.last().is_some_and(|all| all.count == self.front.len() as f64);
        if !full || !dense {
            return 0;
        }
        let most = self.front.len();
        let usable = values.iter().take(most).take_while(|value| usable(**value)).count();
        if usable < 2 { 0 } else { usable }
    }

    /// Pushes a block that [`block`](Self::block) allows, in the very operations of [`push`](Self::push).
    fn push_block(&mut self, values: &[f64], scores: &mut [f64]) {
        let count = self.config.window() as f64;
        self.reciprocals.update(count);
        let kept = self.front.len() - values.len();
        let front = self.front.get(kept..).unwrap_or_default();
        let mut back = self.back_sums;
        let mut lanes = Lanes::new();
        for (chunk, (scores, front)) in
            values.chunks(LANES).zip(scores.chunks_mut(LANES).zip(front.rchunks(LANES)))
        {
            // The sums depend on each other, the scores do not.
            for (lane, (value, front)) in chunk.iter().zip(front.iter().rev()).enumerate() {
                lanes.load(lane, *value, &back.sums, front);
                back.add_sample(*value);
            }
            lanes.score(&self.config, back.pivot, self.front_pivot - back.pivot, self.reciprocals);
            scores.copy_from_slice(lanes.scores.get(..chunk.len()).unwrap_or_default());
        }
        self.back_sums = back;
        self.front.truncate(kept);
        self.back.extend_from_slice(values);
    }

    /// Evicts the oldest slot of a full window and adds a new one; `value` is NaN for a slot without a sample.
    #[inline(always)]
    fn advance(&mut self, value: f64) {
        if self.slots() == self.config.window() {
            if self.front.is_empty() {
                self.turn_over();
            }
            self.front.pop();
        }
        self.back.push(value);
        self.back_sums.add(value);
    }

    /// Makes the back the new front: the aggregate of every suffix, youngest first.
    #[inline(never)]
    fn turn_over(&mut self) {
        let mut older = PivotSums::default();
        for value in self.back.iter().rev() {
            older.add(*value);
            self.front.push(older.sums.aggregate());
        }
        self.front_pivot = older.pivot;
        self.back.clear();
        self.back_sums = PivotSums::default();
    }
}
