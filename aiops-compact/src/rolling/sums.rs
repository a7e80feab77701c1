//! Sums around a pivot, and what follows from them.

/// Count, sum and sum of squares of deviations from a pivot.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) squares: f64,
}

/// Samples, mean relative to the pivot, sum of squared deviations from the mean.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Aggregate {
    pub(super) count: f64,
    pub(super) mean: f64,
    pub(super) m2: f64,
}

impl Sums {
    #[inline(always)]
    pub(super) fn aggregate(&self) -> Aggregate {
        if self.count == 0.0 {
            return Aggregate::default();
        }
        let mean = self.sum / self.count;
        Aggregate { count: self.count, mean, m2: (self.squares - self.sum * mean).max(0.0) }
    }
}

/// Sums around a pivot that is the first sample added.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PivotSums {
    pub(super) pivot: f64,
    pub(super) sums: Sums,
}

impl PivotSums {
    /// `value` is NaN for a slot without a sample.
    #[inline(always)]
    pub(super) fn add(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        if self.sums.count == 0.0 {
            self.pivot = value;
        }
        self.add_sample(value);
    }

    /// Adds to sums that have a pivot.
    #[inline(always)]
    pub(super) fn add_sample(&mut self, value: f64) {
        let difference = value - self.pivot;
        self.sums.count += 1.0;
        self.sums.sum += difference;
        self.sums.squares += difference * difference;
    }
}

/// `1 / n` and `1 / (n − 1)` for the window's sample count, which rarely changes between pushes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reciprocals {
    count: f64,
    pub(super) of_count: f64,
    pub(super) of_degrees: f64,
}

impl Reciprocals {
    pub(super) const EMPTY: Self = Self { count: 0.0, of_count: 0.0, of_degrees: 0.0 };

    #[inline(always)]
    pub(super) fn update(&mut self, count: f64) {
        if count != self.count {
            *self = Self { count, of_count: 1.0 / count, of_degrees: 1.0 / (count - 1.0) };
        }
    }
}
