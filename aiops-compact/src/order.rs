//! Order statistics of sorted slices.

/// Makes the median absolute deviation of a normal sample estimate its standard deviation: `1 / Φ⁻¹(3/4)`.
pub const MAD_TO_SIGMA: f64 = 1.482_602_218_505_602;

/// Element `rank` of a slice whose bounds the caller has checked; NaN past the end rather than a panic.
fn at(sorted: &[f64], rank: usize) -> f64 {
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

fn midpoint(low: f64, high: f64) -> f64 {
    if low == high { low } else { low + (high - low) * 0.5 }
}

/// Sorts by IEEE total order, so the result never depends on the input order.
pub(crate) fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Median of an ascending slice, the mean of the two middle elements when even (as NumPy); `None` when empty. O(1).
#[must_use]
pub fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let n = sorted.len();
    match (n, n % 2) {
        (0, _) => None,
        (_, 1) => Some(at(sorted, n / 2)),
        _ => Some(midpoint(at(sorted, n / 2 - 1), at(sorted, n / 2))),
    }
}

/// [`median_of_sorted`] of the same values in ascending order, which it need not establish. O(n).
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return Some(*upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(midpoint(lower, *upper))
}

/// Quantile `q` in `[0, 1]` of an ascending slice by linear interpolation (Hyndman and Fan's type 7, NumPy's
/// default); `None` when empty. O(1).
#[must_use]
pub fn quantile_of_sorted(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = q.clamp(0.0, 1.0) * last as f64;
    let below = position.floor();
    let (low, high) = (at(sorted, below as usize), at(sorted, (below as usize + 1).min(last)));
    Some(if low == high { low } else { low + (high - low) * (position - below) })
}

/// Median absolute deviation around `median` of an ascending slice, not scaled; `None` when empty.
///
/// Left of the median the deviations ascend towards the front, right of it towards the back: two sorted runs, whose
/// middle element a binary search finds in O(log n) without building them.
#[must_use]
pub fn mad_of_sorted(sorted: &[f64], median: f64) -> Option<f64> {
    Deviations::from(sorted, median)?.middle(&mut 0)
}

/// [`median_of_sorted`] and [`mad_of_sorted`] of a slice that differs little from the one before it. `hint` is how many
/// of the deviations up to the middle one lay left of the median then; it only decides where the search begins.
pub(crate) fn median_and_mad_near(sorted: &[f64], hint: &mut usize) -> Option<(f64, f64)> {
    let median = median_of_sorted(sorted)?;
    Some((median, Deviations::from(sorted, median)?.middle(hint)?))
}

/// Deviations of an ascending slice from its median: left of it they ascend towards the front, right of it towards the
/// back.
struct Deviations<'s> {
    sorted: &'s [f64],
    median: f64,
    /// `sorted[..split] < median`.
    split: usize,
}

impl<'s> Deviations<'s> {
    /// `None` when there are none.
    #[inline]
    fn from(sorted: &'s [f64], median: f64) -> Option<Self> {
        let half = sorted.len() / 2;
        let split = match sorted.get(half.checked_sub(1).unwrap_or(half)) {
            None => return None,
            // No other sample equals the median: it splits in the middle.
            Some(below) if *below < median && at(sorted, half) >= median => half,
            Some(_) => sorted.partition_point(|value| *value < median),
        };
        Some(Self { sorted, median, split })
    }

    /// The median of the deviations.
    #[inline]
    fn middle(&self, hint: &mut usize) -> Option<f64> {
        let n = self.sorted.len();
        let upper = self.ranked(n / 2, hint);
        if n % 2 == 1 {
            return Some(upper);
        }
        // The one before it in rank needs as many from the left, or one fewer.
        let mut near = *hint;
        Some(midpoint(self.ranked(n / 2 - 1, &mut near), upper))
    }

    #[inline(always)]
    fn left(&self, i: usize) -> f64 {
        self.median - at(self.sorted, self.split - 1 - i)
    }

    #[inline(always)]
    fn right(&self, i: usize) -> f64 {
        at(self.sorted, self.split + i) - self.median
    }

    /// The deviation of rank `rank`, 0 the smallest. O(log n), less from a good hint.
    #[inline]
    fn ranked(&self, rank: usize, hint: &mut usize) -> f64 {
        let (left_len, right_len) = (self.split, self.sorted.len() - self.split);
        // How many of the `rank + 1` smallest deviations lie on the left: the smallest `take` for which the next
        // left deviation is not smaller than the last one taken from the right.
        let (mut low, mut high) = ((rank + 1).saturating_sub(right_len), (rank + 1).min(left_len));
        // INVARIANT: take < high ≤ rank + 1, so `rank - take` does not underflow and lies inside the right run.
        let more = |take: usize| self.left(take) < self.right(rank - take);
        let mut take = (*hint).clamp(low, high);
        let mut stride = 1;
        // From the hint in growing strides towards the place, then by halves inside the last stride.
        if take < high && more(take) {
            while take < high && more(take) {
                low = take + 1;
                take = low.saturating_add(stride).min(high);
                stride *= 2;
            }
            high = high.min(take);
        } else {
            high = take;
            while take > low {
                let probe = take.saturating_sub(stride).max(low);
                if more(probe) {
                    low = probe + 1;
                    break;
                }
                (high, take) = (probe, probe);
                stride *= 2;
            }
        }
        while low < high {
            let take = low + (high - low) / 2;
            if more(take) { low = take + 1 } else { high = take }
        }
        *hint = low;
        let from_right = rank + 1 - low;
        let last_left = if low > 0 { self.left(low - 1) } else { f64::NEG_INFINITY };
        let last_right = if from_right > 0 { self.right(from_right - 1) } else { f64::NEG_INFINITY };
        last_left.max(last_right)
    }
}
