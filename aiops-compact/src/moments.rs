//! Mergeable first and second moments.

use serde::{Deserialize, Serialize};

/// Count, mean, sum of squared deviations, minimum and maximum of a set of samples, mergeable across shards.
///
/// Updates follow Welford (1962), merging Chan, Golub and LeVeque (1979). The mean is carried as an unevaluated
/// sum of two `f64` (Knuth's two-sum), so a large common offset does not swallow the spread: the relative error of
/// [`variance`](Self::variance) stays below `8 n u` (`u = 2⁻⁵³`) for offsets up to `10¹⁰` standard deviations,
/// where the textbook update loses every digit.
///
/// `merge` is commutative and associative within that error, exact for count, minimum and maximum.
///
/// ```
/// use aiops_compact::Moments;
/// let mut left: Moments = [1.0, 2.0].into_iter().collect();
/// let right: Moments = [3.0, 4.0].into_iter().collect();
/// left.merge(&right);
/// assert_eq!(left.count(), 4);
/// assert_eq!(left.mean(), Some(2.5));
/// assert_eq!(left.variance(), Some(5.0 / 3.0));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    count: u64,
    mean: f64,
    mean_low: f64,
    m2: f64,
    min: f64,
    max: f64,
    excluded: u64,
}

/// Knuth's two-sum: `a + b` as rounded sum and exact rounding error.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_virtual = sum - a;
    (sum, (a - (sum - b_virtual)) + (b - b_virtual))
}

impl Moments {
    /// No samples yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one sample in O(1). NaN, infinities and magnitudes above
    /// [`MAX_MAGNITUDE`](crate::rolling::MAX_MAGNITUDE) are not added but counted in [`excluded`](Self::excluded).
    pub fn push(&mut self, value: f64) {
        if !crate::rolling::usable(value) {
            self.excluded += 1;
            return;
        }
        if self.count == 0 {
            (self.min, self.max) = (value, value);
        } else {
            (self.min, self.max) = (self.min.min(value), self.max.max(value));
        }
        self.count += 1;
        let before = (value - self.mean) - self.mean_low;
        self.shift_mean(before / self.count as f64);
        let after = (value - self.mean) - self.mean_low;
        self.m2 += before * after;
    }

    /// Adds everything `other` has seen, in O(1).
    pub fn merge(&mut self, other: &Self) {
        self.excluded += other.excluded;
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = Self { excluded: self.excluded, ..*other };
            return;
        }
        let (mine, theirs) = (self.count as f64, other.count as f64);
        let total = mine + theirs;
        let delta = (other.mean - self.mean) + (other.mean_low - self.mean_low);
        self.m2 += other.m2 + delta * delta * (mine / total) * theirs;
        self.shift_mean(delta * (theirs / total));
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    fn shift_mean(&mut self, by: f64) {
        let (high, error) = two_sum(self.mean, by);
        (self.mean, self.mean_low) = two_sum(high, self.mean_low + error);
    }

    /// Samples added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Samples offered but not representable (NaN, infinite, too large to square).
    #[must_use]
    pub fn excluded(&self) -> u64 {
        self.excluded
    }

    /// Arithmetic mean; `None` without samples.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// Sample variance (divisor `n − 1`); `None` below two samples.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        (self.count > 1).then(|| self.m2.max(0.0) / (self.count - 1) as f64)
    }

    /// Sample standard deviation; `None` below two samples.
    #[must_use]
    pub fn standard_deviation(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }

    /// Smallest sample; `None` without samples.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// Largest sample; `None` without samples.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }
}

impl Extend<f64> for Moments {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, samples: I) {
        samples.into_iter().for_each(|sample| self.push(sample));
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        let mut moments = Self::new();
        moments.extend(samples);
        moments
    }
}
