mod batch;

use super::lanes::Shared;
use super::sums::{Reciprocals, Sums, deviation};
use super::windows::Fronts;
use super::{RollingConfig, Score, WindowStats, usable};

/// Deviation of each sample from mean and standard deviation of the window before it. // CMP-01
///
/// # Numerical method
/// The window is a queue of two stacks (the "two-stacks" sliding-window aggregation of Tangwongsan, Hirzel and
/// Schneider, DEBS 2017): samples are added to the sums of the back; the front holds the sums of every suffix, so
/// evicting the oldest sample goes on to the next suffix. **Nothing is ever subtracted out of a sum**, hence no error
/// survives the samples that caused it: after 10⁹ updates the error is that of one window, and a huge outlier leaves no
/// trace once it has left.
///
/// Both stacks sum `d = x − p` and `d²` around one pivot `p`, the youngest sample of the front, which is the last to be
/// evicted and therefore a member of every window it serves (where gaps end it early, the back is summed anew around
/// its own first sample). A member is at most `√M₂` from the mean (`M₂ = Σ(x − mean)²`), so `Σd² ≤ w M₂`, and the
/// cancellation in `M₂ = Σd² − (Σd)²/w` costs at most a factor `w`, whatever the offset.
/// With `u = 2⁻⁵³`, `d²` and its sums are off by at most `(w + 3) u Σd²`, `(Σd)²/w ≤ Σd²` by `(2w + 5) u Σd²`: the
/// relative error of the variance is at most `4 (w + 4)² u` (4·10⁻¹¹ for 288 slots); typical errors are some units
/// of `u`.
///
/// # Cost
/// O(1) amortised per slot, O(w) for the one slot in `w` that turns the stack over; `24 w` bytes. Slices of four windows and
/// more are scored four windows at a time, in `64 w` bytes more (up to 4,096 slots; longer windows one at a time).
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
    /// The window as a ring: before `next` the back, the youngest slots; from `next` on the front, the oldest, which are
    /// overwritten in turn. NaN marks a slot without a sample. Shorter than the window until it is full.
    slots: Vec<f64>,
    next: usize,
    /// Samples in the window.
    count: usize,
    reciprocals: Reciprocals,
    pivot: f64,
    /// Where the pivot stands: in the front its youngest sample, else in the back; `None` without samples.
    pivot_slot: Option<usize>,
    back: Sums,
    front: Suffixes,
    /// Scratch memory of long slices.
    fronts: Fronts,
}

/// For every slot the sums from there to the end of the ring; empty until the ring has been full once.
#[derive(Debug, Clone, Default)]
struct Suffixes {
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl Suffixes {
    fn clear(&mut self) {
        self.sum.clear();
        self.squares.clear();
    }

    fn resize(&mut self, len: usize) {
        self.sum.resize(len, 0.0);
        self.squares.resize(len, 0.0);
    }

    #[inline(always)]
    fn at(&self, slot: usize) -> Sums {
        let at = |sums: &[f64]| sums.get(slot).copied().unwrap_or(0.0);
        Sums { sum: at(&self.sum), squares: at(&self.squares) }
    }
}

impl RollingSigma {
    /// An empty window.
    #[must_use]
    pub fn new(config: RollingConfig) -> Self {
        Self {
            config,
            slots: Vec::with_capacity(config.window()),
            next: 0,
            count: 0,
            reciprocals: Reciprocals::of(0),
            pivot: 0.0,
            pivot_slot: None,
            back: Sums::default(),
            front: Suffixes::default(),
            fronts: Fronts::default(),
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
        let score = self.score(value);
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
        if usable(value) { self.score(value) } else { Score::OutOfRange }
    }

    /// Mean, floored standard deviation and count of the window; `None` below two samples.
    #[must_use]
    pub fn baseline(&self) -> Option<WindowStats> {
        let (mean, variance) = self.moments()?;
        let location = self.pivot + mean;
        let scale = self.config.raised(variance.sqrt(), location);
        Some(WindowStats { location, scale, count: self.count })
    }

    /// Sample variance of the window before any floor; `None` below two samples.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        self.moments().map(|(_, variance)| variance)
    }

    /// Samples in the window; gaps do not count.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Slots in the window, gaps included.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Forgets everything but the configuration.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.front.clear();
        (self.next, self.count, self.pivot_slot, self.back) = (0, 0, None, Sums::default());
    }

    /// Adds the slots of `later`, a window of the same series over the time right after this one, as when one shard takes
    /// a series over from another. The window then holds what one that had seen both streams would hold: the same slots
    /// and count, mean and variance within the stated error. Associative. The configuration stays. O(slots of `later`).
    pub fn append(&mut self, later: &Self) {
        let (young, old) = later.slots.split_at(later.next.min(later.slots.len()));
        for slot in old.iter().chain(young) {
            self.advance(*slot);
        }
    }

    #[inline(always)]
    fn shared(&self) -> Shared {
        Shared { config: self.config, reciprocals: self.reciprocals }
    }

    /// Sums over the whole window.
    #[inline(always)]
    fn sums(&self) -> Sums {
        let front = self.front.at(self.next);
        Sums { sum: front.sum + self.back.sum, squares: front.squares + self.back.squares }
    }

    #[inline(always)]
    fn score(&self, value: f64) -> Score {
        // INVARIANT: the warm-up is at least two samples, so there is a variance.
        if self.count < self.config.warm_up() {
            return Score::WarmUp;
        }
        Score::Sigma(self.shared().score(value, self.pivot, self.sums()))
    }

    /// Mean relative to the pivot, and variance; `None` below two samples.
    fn moments(&self) -> Option<(f64, f64)> {
        (self.count > 1).then(|| self.reciprocals.moments(self.sums()))
    }

    /// Evicts the oldest slot of a full window and adds a new one; `value` is NaN for a slot without a sample.
    #[inline(always)]
    fn advance(&mut self, value: f64) {
        let at = self.next;
        let evicted = match self.slots.get_mut(at) {
            Some(slot) => std::mem::replace(slot, value),
            None => {
                self.slots.push(value);
                f64::NAN
            }
        };
        let (leaves, enters) = (!evicted.is_nan(), !value.is_nan());
        if leaves != enters {
            self.count = if enters { self.count + 1 } else { self.count - 1 };
            self.reciprocals = Reciprocals::of(self.count);
        }
        self.next += 1;
        if self.next == self.config.window() {
            self.turn_over();
        } else if self.pivot_slot == Some(at) {
            self.anchor_in_back();
        } else if enters {
            if self.pivot_slot.is_none() {
                (self.pivot, self.pivot_slot) = (value, Some(at));
            }
            self.back.add(value - self.pivot);
        }
    }

    /// Sums the back anew around its first sample, once the front has no sample left.
    #[cold]
    #[inline(never)]
    fn anchor_in_back(&mut self) {
        let back = self.slots.get(..self.next).unwrap_or_default();
        self.pivot_slot = back.iter().position(|slot| !slot.is_nan());
        self.pivot = self.pivot_slot.and_then(|slot| back.get(slot)).copied().unwrap_or_default();
        self.back = Sums::default();
        for slot in back {
            self.back.add(deviation(*slot, self.pivot));
        }
    }

    /// Makes the back the new front: the sums of every suffix around its youngest sample.
    #[inline(never)]
    fn turn_over(&mut self) {
        self.pivot_slot = self.slots.iter().rposition(|slot| !slot.is_nan());
        self.pivot = self.pivot_slot.and_then(|slot| self.slots.get(slot)).copied().unwrap_or_default();
        self.front.resize(self.slots.len());
        let mut older = Sums::default();
        suffixes(&self.slots, self.pivot, &mut older, &mut self.front.sum, &mut self.front.squares);
        (self.next, self.back) = (0, Sums::default());
    }
}

/// Adds `slots` to `sums`, the last first, and writes what they hold after each.
#[inline(always)]
fn suffixes(slots: &[f64], pivot: f64, sums: &mut Sums, sum: &mut [f64], squares: &mut [f64]) {
    for ((slot, sum), squares) in slots.iter().zip(sum).zip(squares).rev() {
        sums.add(deviation(*slot, pivot));
        (*sum, *squares) = (sums.sum, sums.squares);
    }
}
