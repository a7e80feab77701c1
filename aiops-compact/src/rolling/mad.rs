use std::collections::VecDeque;

use super::{RollingConfig, Score, WindowStats, standardise, usable};
use crate::error::LengthMismatch;
use crate::order::{MAD_TO_SIGMA, median_and_mad_near};

/// Deviation of each sample from median and median absolute deviation (× 1.4826) of the window before it: the robust
/// variant, unmoved by anything that happens to fewer than half of the samples. // CMP-01
///
/// The window is kept sorted: O(log w) to find a place, one `memmove` of at most `8 w` bytes to make it (some tens of
/// nanoseconds for hundreds of slots, the fastest structure known up to several thousand), O(log w) for median and
/// MAD. No sums are kept, so results are exact up to the rounding of `|x − median|`.
///
/// ```
/// use aiops_compact::rolling::{RollingConfig, RollingMad};
/// let mut rolling = RollingMad::new(RollingConfig::new(5)?.with_warm_up(5)?);
/// for value in [1.0, 2.0, 3.0, 4.0, 1e9] {
///     rolling.push(value);
/// }
/// let window = rolling.baseline().ok_or("empty")?;
/// assert_eq!(window.location, 3.0);
/// assert!((window.scale - 1.4826).abs() < 1e-4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct RollingMad {
    config: RollingConfig,
    /// Slots in order of arrival; NaN marks a slot without a sample.
    slots: VecDeque<f64>,
    sorted: Vec<f64>,
    /// Where the search for the MAD ended last; it moves little from one sample to the next.
    hint: usize,
}

impl RollingMad {
    /// An empty window.
    #[must_use]
    pub fn new(config: RollingConfig) -> Self {
        let window = config.window();
        Self { config, slots: VecDeque::with_capacity(window), sorted: Vec::with_capacity(window), hint: 0 }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &RollingConfig {
        &self.config
    }

    /// Scores `value` against the window, then lets it enter.
    pub fn push(&mut self, value: f64) -> Score {
        let mut hint = self.hint;
        let score = self.score(value, &mut hint);
        self.hint = hint;
        self.advance(if score == Score::OutOfRange { f64::NAN } else { value });
        score
    }

    /// Lets a slot pass without a sample.
    pub fn push_gap(&mut self) -> Score {
        self.advance(f64::NAN);
        Score::Gap
    }

    /// Scores `value` against the window without letting it enter.
    #[must_use]
    pub fn peek(&self, value: f64) -> Score {
        let mut hint = self.hint;
        self.score(value, &mut hint)
    }

    fn score(&self, value: f64, hint: &mut usize) -> Score {
        if !usable(value) {
            return Score::OutOfRange;
        }
        if self.sorted.len() < self.config.warm_up() {
            return Score::WarmUp;
        }
        match self.window(hint) {
            Some(window) => Score::Sigma(standardise(value - window.location, window.scale)),
            None => Score::WarmUp,
        }
    }

    fn window(&self, hint: &mut usize) -> Option<WindowStats> {
        let (location, mad) = median_and_mad_near(&self.sorted, hint)?;
        let scale = self.config.raised(MAD_TO_SIGMA * mad, location);
        Some(WindowStats { location, scale, count: self.sorted.len() })
    }

    /// Pushes every sample of `values` and writes its deviation, NaN where there is none. Same bits as
    /// [`push`](Self::push) one by one.
    ///
    /// # Errors
    /// When `scores` is not as long as `values`.
    pub fn push_slice(&mut self, values: &[f64], scores: &mut [f64]) -> Result<(), LengthMismatch> {
        LengthMismatch::check("scores", scores.len(), values.len())?;
        for (value, score) in values.iter().zip(scores) {
            *score = self.push(*value).to_f64();
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

    /// Median, floored scale and count of the window; `None` when it is empty.
    #[must_use]
    pub fn baseline(&self) -> Option<WindowStats> {
        let mut hint = self.hint;
        self.window(&mut hint)
    }

    /// Samples in the window; gaps do not count.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// Slots in the window, gaps included.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Forgets everything but the configuration.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.sorted.clear();
    }

    /// Adds the slots of `later`, a window of the same series over the time right after this one, as when one shard takes
    /// a series over from another: exactly what a window that had seen both streams holds. The configuration stays.
    /// O(slots of `later`) updates.
    pub fn append(&mut self, later: &Self) {
        for slot in &later.slots {
            self.advance(*slot);
        }
    }

    /// `value` is NaN for a slot without a sample.
    fn advance(&mut self, value: f64) {
        // −0 and +0 are equal samples; one representation keeps lookup by value unambiguous.
        let value = value + 0.0;
        let evicted = (self.slots.len() == self.config.window()).then(|| self.slots.pop_front()).flatten();
        self.slots.push_back(value);
        let leaving = evicted.filter(|old| !old.is_nan());
        match (leaving, value.is_nan()) {
            (Some(old), false) => self.replace(old, value),
            (Some(old), true) => {
                // INVARIANT: every sample in `slots` is in `sorted`, so this is its first place.
                let place = self.sorted.partition_point(|x| *x < old);
                self.sorted.remove(place);
            }
            (None, false) => {
                let place = self.sorted.partition_point(|x| *x < value);
                self.sorted.insert(place, value);
            }
            (None, true) => {}
        }
    }

    /// Takes `old` out and puts `new` in with one move of only the elements between the two places.
    fn replace(&mut self, old: f64, new: f64) {
        let from = self.sorted.partition_point(|x| *x < old);
        let to = self.sorted.partition_point(|x| *x < new);
        // One `memmove` of what lies between.
        let place = if from < to {
            self.sorted.copy_within(from + 1..to, from);
            to - 1
        } else {
            self.sorted.copy_within(to..from, to + 1);
            to
        };
        if let Some(slot) = self.sorted.get_mut(place) {
            *slot = new;
        }
    }
}
