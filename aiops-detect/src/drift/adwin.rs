use std::collections::VecDeque;

use aiops_compact::ConfigError;
use serde::{Deserialize, Serialize};

use crate::checked::{Checked, Options};
use crate::error::{check, check_count};

/// Buckets of each size: more make finer cuts. The authors' choice.
const BUCKETS: usize = 5;

/// Sizes of buckets kept: 2⁴⁸ samples are never reached.
const SIZES: usize = 48;

/// How sure an [`Adwin`] is before it drops what is old.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdwinOptions {
    /// Bound of the probability of a false shift at each sample, δ; more than 0 to 0.5. Default 0.002. It holds for
    /// independent samples; of autocorrelated ones, offer every τth.
    pub delta: f64,
    /// Largest less smallest value; more than 0. Default 1: outcomes, ratios. Values farther apart are cut to that
    /// distance around the first one, and counted.
    pub range: f64,
    /// Samples between two looks for a cut, 1 to 10⁴. Default 32.
    pub every: usize,
    /// Fewest samples on either side of a cut, 2 to 10⁶. Default 16.
    pub min_side: usize,
}

impl Default for AdwinOptions {
    fn default() -> Self {
        Self { delta: 0.002, range: 1.0, every: 32, min_side: 16 }
    }
}

impl Options for AdwinOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check("delta", self.delta, f64::MIN_POSITIVE..=0.5, "more than 0, at most 0.5")?;
        check("range", self.range, f64::MIN_POSITIVE.., "a finite number above 0")?;
        check_count("every", self.every, 1..=10_000, "1 to 10000 samples")?;
        check_count("min_side", self.min_side, 2..=1_000_000, "2 to 1000000 samples")
    }
}

/// Count, sum and squared deviations of 2ⁱ samples next to each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bucket {
    count: u64,
    sum: f64,
    deviations: f64,
}

impl Bucket {
    fn of(value: f64) -> Self {
        Self { count: 1, sum: value, deviations: 0.0 }
    }

    fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    fn joined(self, other: Self) -> Self {
        let count = self.count + other.count;
        let apart = self.mean() - other.mean();
        let between = apart * apart * self.count as f64 * other.count as f64 / count.max(1) as f64;
        Self { count, sum: self.sum + other.sum, deviations: self.deviations + other.deviations + between }
    }
}

/// The mean of a stream became another one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanShift {
    /// Mean of what was dropped.
    pub before: f64,
    /// Mean of what is kept.
    pub after: f64,
    /// Samples dropped, and kept.
    pub samples: (u64, u64),
}

/// A window over a stream that grows while the mean stays and drops what is old when it does not.
///
/// Memory is O(log n): 5 buckets of each power of two. A sample costs O(1) on average, O(log n) at each look.
///
/// ```
/// use aiops_detect::drift::Adwin;
/// let mut rate = Adwin::new(Default::default());
/// // One alarm in ten is false, and then every second one.
/// let outcome = |i: u32| f64::from(u8::from(if i < 1000 { i % 10 == 0 } else { i % 2 == 0 }));
/// assert!((0..1000).all(|i| rate.push(outcome(i)).is_none()));
/// let shift = (1000..1200).find_map(|i| rate.push(outcome(i))).ok_or("not seen")?;
/// // Told early, when what is kept still holds some of what was before.
/// assert!(shift.before < 0.11 && shift.after > 0.2);
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Adwin {
    config: Checked<AdwinOptions>,
    /// By size, ascending; of each size the oldest first.
    rows: Vec<VecDeque<Bucket>>,
    /// Values are within half the range of it.
    origin: Option<f64>,
    seen: u64,
    clipped: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    config: Checked<AdwinOptions>,
    rows: Vec<VecDeque<Bucket>>,
    origin: Option<f64>,
    seen: u64,
    clipped: u64,
}

impl From<Adwin> for Stored {
    fn from(adwin: Adwin) -> Self {
        let Adwin { config, rows, origin, seen, clipped } = adwin;
        Self { version: 1, config, rows, origin, seen, clipped }
    }
}

impl TryFrom<Stored> for Adwin {
    type Error = aiops_core::Error;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let refuse = |kind, why: &str| Err(aiops_core::Error::new(kind, why.to_owned()));
        if stored.version != 1 {
            return refuse(aiops_core::ErrorKind::Unsupported, "unknown version of a stored adaptive window");
        }
        let whole = |(size, row): (usize, &VecDeque<Bucket>)| {
            row.len() <= BUCKETS
                && row.iter().all(|b| b.count == 1 << size && b.sum.is_finite() && b.deviations >= 0.0)
        };
        let count: u64 = stored.rows.iter().flatten().map(|b| b.count).fold(0, u64::saturating_add);
        let fits = stored.rows.len() <= SIZES
            && stored.rows.iter().enumerate().all(whole)
            && count <= stored.seen
            && stored.origin.is_none_or(f64::is_finite)
            && stored.origin.is_some() == (stored.seen > 0);
        if !fits {
            return refuse(aiops_core::ErrorKind::Invalid, "a stored adaptive window is damaged");
        }
        let Stored { config, rows, origin, seen, clipped, .. } = stored;
        Ok(Self { config, rows, origin, seen, clipped })
    }
}

impl Adwin {
    /// Has seen nothing yet.
    #[must_use]
    pub fn new(config: Checked<AdwinOptions>) -> Self {
        Self { config, rows: Vec::new(), origin: None, seen: 0, clipped: 0 }
    }

    /// Samples in the window.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.whole().count
    }

    /// Whether the window holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.iter().all(VecDeque::is_empty)
    }

    /// Mean of the window; `None` when it is empty.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let whole = self.whole();
        (whole.count > 0).then(|| whole.mean())
    }

    /// Samples taken in since the beginning.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Samples that lay outside the stated range and were cut.
    #[must_use]
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    /// Buckets held: the memory it takes.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.rows.iter().map(VecDeque::len).sum()
    }

    fn whole(&self) -> Bucket {
        self.rows.iter().flatten().copied().fold(Bucket::default(), Bucket::joined)
    }

    /// Takes in the next sample, and says when the mean became another one. NaN and ±∞ are passed over.
    pub fn push(&mut self, value: f64) -> Option<MeanShift> {
        if !value.is_finite() {
            return None;
        }
        let options = *self.config.options();
        let origin = *self.origin.get_or_insert(value);
        // Half the range to either side would cut outcomes whose first one was a 0 or a 1.
        let kept = value.clamp(origin - options.range, origin + options.range);
        self.clipped += u64::from(kept != value);
        self.seen += 1;
        self.insert(Bucket::of(kept));
        if !self.seen.is_multiple_of(options.every as u64) {
            return None;
        }
        let mut dropped = Bucket::default();
        while let Some(oldest) = self.cut(&options) {
            dropped = dropped.joined(oldest);
        }
        (dropped.count > 0).then(|| {
            let kept = self.whole();
            MeanShift { before: dropped.mean(), after: kept.mean(), samples: (dropped.count, kept.count) }
        })
    }

    fn insert(&mut self, bucket: Bucket) {
        let mut carried = Some(bucket);
        for size in 0..SIZES {
            let Some(bucket) = carried.take() else { break };
            if self.rows.len() == size {
                self.rows.push(VecDeque::with_capacity(BUCKETS + 1));
            }
            let Some(row) = self.rows.get_mut(size) else { break };
            row.push_back(bucket);
            if row.len() > BUCKETS
                && let (Some(a), Some(b)) = (row.pop_front(), row.pop_front())
            {
                carried = Some(a.joined(b));
            }
        }
    }

    /// Drops the oldest bucket when anywhere the older part differs from the newer one.
    fn cut(&mut self, options: &AdwinOptions) -> Option<Bucket> {
        let whole = self.whole();
        let n = whole.count as f64;
        let variance = whole.deviations / n;
        let confidence = (2.0 * n.ln().max(1.0) / options.delta).ln();
        let least = options.min_side as u64;
        let mut old = Bucket::default();
        let differs = self.rows.iter().rev().flatten().any(|bucket| {
            old = old.joined(*bucket);
            let newer = whole.count - old.count;
            if old.count < least || newer < least {
                return false;
            }
            let harmonic = 1.0 / (1.0 / old.count as f64 + 1.0 / newer as f64);
            let bound = (2.0 / harmonic * variance * confidence).sqrt()
                + 2.0 / (3.0 * harmonic) * options.range * confidence;
            (old.mean() - (whole.sum - old.sum) / newer as f64).abs() > bound
        });
        if !differs {
            return None;
        }
        let oldest = self.rows.iter_mut().rev().find(|row| !row.is_empty())?.pop_front();
        while self.rows.last().is_some_and(VecDeque::is_empty) {
            self.rows.pop();
        }
        oldest
    }
}
