use std::collections::VecDeque;

/// Requests, and those of them that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Count {
    pub(super) total: f64,
    pub(super) bad: f64,
}

impl Count {
    fn plus(self, other: Self) -> Self {
        Self { total: self.total + other.total, bad: self.bad + other.bad }
    }

    fn minus(self, other: Self) -> Self {
        // Sums of many numbers are off by a rounding error, which must not become a negative count.
        let less = |a: f64, b: f64| (a - b).max(0.0);
        Self { total: less(self.total, other.total), bad: less(self.bad, other.bad) }
    }

    pub(super) fn ratio(self) -> f64 {
        if self.total > 0.0 { (self.bad / self.total).min(1.0) } else { 0.0 }
    }
}

/// Counts by slot of time, as running sums: the sum over any number of the newest slots is one difference.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ledger {
    /// Seconds of a slot.
    seconds: i64,
    /// Slots kept.
    most: usize,
    /// Sums up to the end of each slot, the newest last.
    sums: VecDeque<Count>,
    /// Sum up to the beginning of the oldest slot.
    before: Count,
    /// Number of the newest slot.
    newest: i64,
    /// Number of the first slot ever counted in.
    first: Option<i64>,
}

impl Ledger {
    pub(super) fn new(seconds: i64, most: usize) -> Self {
        let (seconds, most) = (seconds.max(1), most.max(1));
        Self { seconds, most, sums: VecDeque::new(), before: Count::default(), newest: i64::MIN, first: None }
    }

    /// Adds to the slot of `second`; false when that slot is kept no more. O(1) for the newest slot, O(slots) for an
    /// older one.
    pub(super) fn add(&mut self, second: i64, count: Count) -> bool {
        let slot = second.div_euclid(self.seconds);
        if self.first.is_none() {
            (self.first, self.newest) = (Some(slot), slot);
            self.sums.push_back(Count::default());
        }
        if slot > self.newest {
            let last = self.sums.back().copied().unwrap_or_default();
            let skipped = usize::try_from(slot.saturating_sub(self.newest)).unwrap_or(usize::MAX);
            for _ in 0..skipped.min(self.most) {
                if self.sums.len() == self.most {
                    self.before = self.sums.pop_front().unwrap_or_default();
                }
                self.sums.push_back(last);
            }
            self.newest = slot;
        }
        let back = usize::try_from(self.newest.saturating_sub(slot)).unwrap_or(usize::MAX);
        if back >= self.sums.len() {
            return false;
        }
        self.sums.iter_mut().rev().take(back + 1).for_each(|sum| *sum = sum.plus(count));
        true
    }

    /// What the newest `seconds` hold, rounded up to whole slots.
    pub(super) fn over(&self, seconds: u64) -> Count {
        let slots = usize::try_from(seconds.div_ceil(self.seconds.unsigned_abs())).unwrap_or(usize::MAX);
        let all = self.sums.back().copied().unwrap_or_default();
        let before = self.sums.len().checked_sub(slots.saturating_add(1)).and_then(|at| self.sums.get(at));
        all.minus(before.copied().unwrap_or(self.before))
    }

    /// Share of `seconds` since the first count, at most 1.
    pub(super) fn covered(&self, seconds: u64) -> f64 {
        let Some(first) = self.first else { return 0.0 };
        let slots = self.newest.saturating_sub(first).saturating_add(1);
        (slots as f64 * self.seconds as f64 / seconds.max(1) as f64).min(1.0)
    }
}
