//! Quantiles of durations with a bounded relative error, mergeable exactly.

use serde::{Deserialize, Serialize};

/// Buckets per power of two: 2⁶.
const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;
/// Buckets that cover every `u64`.
const BUCKETS: usize = ((64 - SUB_BITS + 1) as usize) << SUB_BITS;

/// Samples that are listed one by one, 2 bytes each, before there is a histogram of them: most of thousands of sketches
/// never see more, and bins for as few would be ten times as large.
const MAX_LISTED: usize = 256;

/// A histogram of durations in nanoseconds: DDSketch (Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable
/// quantile sketch with relative-error guarantees", VLDB 2019) with the linearly interpolated mapping, which takes
/// the bucket from the bits of the number.
///
/// A quantile is off from the sample of that rank by at most [`RELATIVE_ERROR`](Self::RELATIVE_ERROR) of it, and not
/// at all below 128 ns. There are at most 3,776 buckets (30 kB), kept only between the smallest and the largest sample
/// (64 per power of two), so none is ever collapsed; up to 256 samples take 2 bytes each instead. Merging adds integers:
/// exact, associative, commutative.
///
/// ```
/// use aiops_compact::traces::DurationSketch;
/// let mut sketch: DurationSketch = (1..=1000).map(|ms| ms * 1_000_000).collect();
/// let p95 = sketch.quantile(0.95).unwrap() as f64;
/// assert!((p95 - 950e6).abs() <= 950e6 * DurationSketch::RELATIVE_ERROR);
/// sketch.merge(&sketch.clone());
/// assert_eq!(sketch.count(), 2000);
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct DurationSketch {
    /// The bucket of each sample, in any order, while there are no bins.
    listed: Vec<u16>,
    /// Bucket of the first bin.
    offset: usize,
    /// Counts. May have empty bins at both ends, on which nothing depends.
    bins: Vec<u64>,
}

/// What is stored: always bins, without empty ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    offset: usize,
    bins: Vec<u64>,
}

impl From<DurationSketch> for Stored {
    fn from(sketch: DurationSketch) -> Self {
        let mut buckets = sketch.occupied().map(|(at, _)| at);
        let Some(first) = buckets.next() else { return Self { offset: 0, bins: Vec::new() } };
        let last = buckets.last().unwrap_or(first);
        let mut bins = vec![0; last - first + 1];
        for (at, count) in sketch.occupied() {
            if let Some(bin) = bins.get_mut(at - first) {
                *bin = count;
            }
        }
        Self { offset: first, bins }
    }
}

impl TryFrom<Stored> for DurationSketch {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let Stored { offset, bins } = stored;
        if offset.checked_add(bins.len()).is_none_or(|end| end > BUCKETS) {
            return Err("a duration sketch has buckets beyond the largest duration");
        }
        Ok(Self { listed: Vec::new(), offset, bins })
    }
}

/// Bucket of a duration; all of them fit `u16`.
#[inline]
pub(super) fn bucket(nanos: u64) -> u16 {
    let shift = (63 - (nanos | SUB).leading_zeros()) - SUB_BITS;
    // INVARIANT: below `BUCKETS`, 3,776: the shift is at most 57, and what it leaves at most 127.
    ((shift << SUB_BITS) + (nanos >> shift) as u32) as u16
}

/// Smallest value of a bucket and the bucket's width.
fn extent(bucket: usize) -> (u64, u64) {
    let shift = (bucket >> SUB_BITS).saturating_sub(1);
    let mantissa = (bucket - (shift << SUB_BITS)) as u64;
    (mantissa << shift, 1 << shift)
}

impl DurationSketch {
    /// Largest distance of [`quantile`](Self::quantile) from the sample of that rank, as a share of the sample: 1/128.
    pub const RELATIVE_ERROR: f64 = 0.5 / SUB as f64;

    /// No samples yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one duration, ns. Amortised O(1).
    #[inline]
    pub fn push(&mut self, nanos: u64) {
        let bucket = bucket(nanos);
        if let Some(bin) = self.bins.get_mut(usize::from(bucket).wrapping_sub(self.offset)) {
            *bin = bin.saturating_add(1);
        } else if self.bins.is_empty() && self.listed.len() < MAX_LISTED {
            self.listed.push(bucket);
        } else {
            self.push_buckets(std::iter::once(bucket));
        }
    }

    /// Adds one duration for each bucket: bins grow once, and are walked while they are in the cache.
    pub(super) fn push_buckets(&mut self, buckets: impl Iterator<Item = u16> + Clone) {
        if self.bins.is_empty() {
            self.listed.extend(buckets);
            if self.listed.len() > MAX_LISTED {
                let listed = std::mem::take(&mut self.listed);
                self.count_buckets(listed.iter().copied());
            }
        } else {
            self.count_buckets(buckets);
        }
    }

    fn count_buckets(&mut self, buckets: impl Iterator<Item = u16> + Clone) {
        let ends = buckets.clone().fold(None, |ends: Option<(u16, u16)>, bucket| {
            Some(ends.map_or((bucket, bucket), |(low, high)| (low.min(bucket), high.max(bucket))))
        });
        let Some((low, high)) = ends else { return };
        self.cover(low.into(), high.into());
        for bucket in buckets {
            self.count_at(bucket.into(), 1);
        }
    }

    /// Adds to a bin that there is.
    #[inline]
    fn count_at(&mut self, bucket: usize, count: u64) {
        if let Some(bin) = self.bins.get_mut(bucket - self.offset) {
            *bin = bin.saturating_add(count);
        }
    }

    /// Makes bins for the buckets `low` to `high`.
    fn cover(&mut self, low: usize, high: usize) {
        // Bins come by whole powers of two, so that a slowly moving extreme does not move everything each time.
        let first = low & !(SUB as usize - 1);
        if self.bins.is_empty() {
            self.offset = first;
        } else if first < self.offset {
            self.bins.splice(0..0, std::iter::repeat_n(0, self.offset - first));
            self.offset = first;
        }
        let needed = high - self.offset + 1;
        if needed > self.bins.len() {
            self.bins.resize(needed.next_multiple_of(SUB as usize), 0);
        }
    }

    /// Adds every sample of `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.bins.is_empty() {
            return self.push_buckets(other.listed.iter().copied());
        }
        let listed = std::mem::take(&mut self.listed);
        self.count_buckets(listed.iter().copied());
        for (at, count) in (other.offset..).zip(&other.bins).filter(|(_, n)| **n > 0) {
            self.cover(at, at);
            self.count_at(at, *count);
        }
    }

    /// Buckets with samples, ascending, and how many each has.
    fn occupied(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        // Sorting as few samples takes no longer than walking over as many bins as they would fill.
        let mut listed = self.listed.clone();
        listed.sort_unstable();
        let mut rest = listed.into_iter().peekable();
        let runs = std::iter::from_fn(move || {
            let bucket = rest.next()?;
            let mut count = 1;
            while rest.next_if_eq(&bucket).is_some() {
                count += 1;
            }
            Some((usize::from(bucket), count))
        });
        // One of the two is empty.
        runs.chain((self.offset..).zip(&self.bins).filter(|(_, n)| **n > 0).map(|(at, n)| (at, *n)))
    }

    /// Samples added. O(bins), as all questions are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.bins.iter().fold(self.listed.len() as u64, |sum, n| sum.saturating_add(*n))
    }

    /// The sample of rank `⌈q·n⌉` (the first when `q` is 0), ns, within
    /// [`RELATIVE_ERROR`](Self::RELATIVE_ERROR); `None` without samples or when `q` is NaN. `q` is clamped to `[0, 1]`.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let (low, width) = extent(self.quantile_bucket(q)?);
        Some(low + width / 2)
    }

    /// The largest duration that may share a bucket with the `q`-quantile: beyond it, a duration is certainly longer.
    pub(super) fn quantile_ceiling(&self, q: f64) -> Option<u64> {
        let (low, width) = extent(self.quantile_bucket(q)?);
        Some(low + (width - 1))
    }

    fn quantile_bucket(&self, q: f64) -> Option<usize> {
        if q.is_nan() {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * self.count() as f64).ceil() as u64).clamp(1, self.count().max(1));
        let mut seen = 0_u64;
        self.occupied()
            .find(|(_, n)| {
                seen = seen.saturating_add(*n);
                seen >= rank
            })
            .map(|(at, _)| at)
    }

    /// How many samples of `self` and of `other` lie in buckets above that of the `q`-quantile of `self`; `None`
    /// without samples. Both counts are exact for the one threshold, the upper edge of that bucket.
    #[must_use]
    pub fn above(&self, other: &Self, q: f64) -> Option<(u64, u64)> {
        let threshold = self.quantile_bucket(q)?;
        Some((self.counted(|at| at > threshold), other.counted(|at| at > threshold)))
    }

    /// The same for buckets below that of the `q`-quantile.
    #[must_use]
    pub fn below(&self, other: &Self, q: f64) -> Option<(u64, u64)> {
        let threshold = self.quantile_bucket(q)?;
        Some((self.counted(|at| at < threshold), other.counted(|at| at < threshold)))
    }

    fn counted(&self, chosen: impl Fn(usize) -> bool) -> u64 {
        let listed = self.listed.iter().filter(|at| chosen(usize::from(**at))).count() as u64;
        let bins = (self.offset..).zip(&self.bins).filter(|(at, _)| chosen(*at));
        bins.fold(listed, |sum, (_, n)| sum.saturating_add(*n))
    }
}

impl PartialEq for DurationSketch {
    fn eq(&self, other: &Self) -> bool {
        self.occupied().eq(other.occupied())
    }
}

impl Eq for DurationSketch {}

impl FromIterator<u64> for DurationSketch {
    fn from_iter<I: IntoIterator<Item = u64>>(nanos: I) -> Self {
        let mut sketch = Self::new();
        nanos.into_iter().for_each(|n| sketch.push(n));
        sketch
    }
}
