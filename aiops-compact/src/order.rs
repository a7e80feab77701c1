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
    let n = sorted.len();
    let split = sorted.partition_point(|value| *value < median);
    let kth = |rank: usize| kth_deviation(sorted, split, median, rank);
    match (n, n % 2) {
        (0, _) => None,
        (_, 1) => Some(kth(n / 2)),
        _ => Some(midpoint(kth(n / 2 - 1), kth(n / 2))),
    }
}

/// The deviation of rank `rank` (0 is the smallest) from `median`, where `sorted[..split] < median`.
fn kth_deviation(sorted: &[f64], split: usize, median: f64, rank: usize) -> f64 {
    let left = |i: usize| median - at(sorted, split - 1 - i);
    let right = |i: usize| at(sorted, split + i) - median;
    let (left_len, right_len) = (split, sorted.len() - split);
    // How many of the `rank + 1` smallest deviations lie on the left: the smallest `take` for which the next
    // left deviation is not smaller than the last one taken from the right.
    let (mut low, mut high) = ((rank + 1).saturating_sub(right_len), (rank + 1).min(left_len));
    while low < high {
        let take = low + (high - low) / 2;
        // INVARIANT: take < high ≤ rank + 1, so `rank - take` does not underflow and lies inside the right run.
        if left(take) < right(rank - take) { low = take + 1 } else { high = take }
    }
    let from_right = rank + 1 - low;
    let last_left = if low > 0 { left(low - 1) } else { f64::NEG_INFINITY };
    let last_right = if from_right > 0 { right(from_right - 1) } else { f64::NEG_INFINITY };
    last_left.max(last_right)
}
