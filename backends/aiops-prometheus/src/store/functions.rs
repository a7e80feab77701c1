use super::ring::Point;

/// Evaluation times: `start`, `start + step`, … (milliseconds since the Unix epoch), `len` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// First evaluation time in milliseconds.
    pub start_ms: i64,
    /// Distance in milliseconds; positive.
    pub step_ms: i64,
    /// Number of evaluations.
    pub len: usize,
}

impl Grid {
    /// Evaluation time `index`, saturating at the end of time.
    #[must_use]
    pub fn at(&self, index: usize) -> i64 {
        let offset = i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(self.step_ms);
        self.start_ms.saturating_add(offset)
    }

    /// All evaluation times, in order.
    pub fn times(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.len).map(|index| self.at(index))
    }
}

/// The value at each grid time: the last point in `(t - lookback, t]`, or `None` (a gap) when there is none or when it
/// is a stale marker. NaN is a value, not a gap.
///
/// `points` are in time order. O(grid · log points).
#[must_use]
pub fn instant(points: &[Point], grid: Grid, lookback_ms: i64) -> Vec<Option<f64>> {
    grid.times()
        .map(|t| {
            let upto = points.partition_point(|point| point.at_ms <= t);
            let last = upto.checked_sub(1).and_then(|index| points.get(index))?;
            (last.at_ms > t.saturating_sub(lookback_ms) && !last.is_stale()).then_some(last.value)
        })
        .collect()
}

/// A counter over the window `(t - window, t]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Increase {
    /// Growth between the first and the last sample of the window, resets added back. Never negative.
    pub increase: f64,
    /// Seconds between those two samples; positive.
    pub covered_seconds: f64,
}

impl Increase {
    /// Mean growth per second between the two samples.
    #[must_use]
    pub fn per_second(self) -> f64 {
        self.increase / self.covered_seconds
    }
}

/// The growth of a counter in the window `(t - window, t]` before each grid time.
///
/// As `increase()` in Prometheus, a drop is a reset to zero, and the first sample of a window is only a reference. Unlike
/// there, the growth is not extrapolated to the edges of the window: it is what the samples prove. Divided by
/// [`Increase::covered_seconds`] it equals Prometheus's `rate()` wherever samples reach within 1.1 intervals of both
/// edges, because there Prometheus extrapolates numerator and denominator alike.
///
/// `None` (a gap) with fewer than two samples in the window. Stale markers and samples that are no counts (NaN, infinite)
/// are left out, so a restart or an exporter's slip does not poison the neighbours. O(points + grid · log points).
#[must_use]
pub fn increase(points: &[Point], grid: Grid, window_ms: i64) -> Vec<Option<Increase>> {
    let mut counter: Vec<(Point, f64)> = Vec::with_capacity(points.len());
    for point in points.iter().filter(|point| point.value.is_finite()) {
        // Sum of the values lost in resets so far: equal sums mean an exact difference between the raw values.
        let lost = match counter.last() {
            Some((previous, lost)) if point.value < previous.value => lost + previous.value,
            Some((_, lost)) => *lost,
            None => 0.0,
        };
        counter.push((*point, lost));
    }
    grid.times()
        .map(|t| {
            let from = counter.partition_point(|(point, _)| point.at_ms <= t.saturating_sub(window_ms));
            let upto = counter.partition_point(|(point, _)| point.at_ms <= t);
            let (first, lost_before) = counter.get(from)?;
            let (last, lost) =
                upto.checked_sub(1).filter(|last| *last > from).and_then(|last| counter.get(last))?;
            let covered_ms = last.at_ms.saturating_sub(first.at_ms);
            (covered_ms > 0).then(|| Increase {
                increase: (last.value - first.value + (lost - lost_before)).max(0.0),
                covered_seconds: covered_ms as f64 / 1_000.0,
            })
        })
        .collect()
}

/// A cumulative histogram bucket: how many observations are at most `upper_bound`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Label `le`; the last bucket is `+Inf`.
    pub upper_bound: f64,
    /// Observations, or observations per second.
    pub count: f64,
}

/// Quantile of a classic histogram, as `histogram_quantile` of Prometheus: linear interpolation inside the bucket that
/// holds the rank, the lowest bucket starting at zero if its bound is positive.
///
/// `None` when it is undefined: no observations, no `+Inf` bucket, a single bucket, or a bound or count that is NaN.
/// `q < 0` is -∞ and `q > 1` is +∞. Equal bounds are added up and counts are made monotonic first (federated or
/// half-scraped buckets). A rank in the `+Inf` bucket gives the largest finite bound. O(n log n).
///
/// ```
/// use aiops_prometheus::store::{Bucket, histogram_quantile};
///
/// let buckets = [(0.5, 50.0), (1.0, 100.0), (f64::INFINITY, 100.0)];
/// let buckets = buckets.map(|(upper_bound, count)| Bucket { upper_bound, count });
/// assert_eq!(histogram_quantile(0.75, &buckets), Some(0.75));
/// ```
#[must_use]
pub fn histogram_quantile(q: f64, buckets: &[Bucket]) -> Option<f64> {
    if q.is_nan() || buckets.iter().any(|bucket| bucket.upper_bound.is_nan() || bucket.count.is_nan()) {
        return None;
    }
    let mut sorted = buckets.to_vec();
    sorted.sort_by(|a, b| a.upper_bound.total_cmp(&b.upper_bound));
    let mut buckets: Vec<Bucket> = Vec::with_capacity(sorted.len());
    for bucket in sorted {
        match buckets.last_mut() {
            Some(last) if last.upper_bound == bucket.upper_bound => last.count += bucket.count,
            _ => buckets.push(bucket),
        }
    }
    let mut floor = f64::NEG_INFINITY;
    for bucket in &mut buckets {
        floor = floor.max(bucket.count);
        bucket.count = floor;
    }
    let (last, finite) = buckets.split_last()?;
    let largest_finite = finite.last()?.upper_bound;
    if last.upper_bound != f64::INFINITY || last.count <= 0.0 {
        return None;
    }
    if q < 0.0 {
        return Some(f64::NEG_INFINITY);
    }
    if q > 1.0 {
        return Some(f64::INFINITY);
    }
    let rank = q * last.count;
    let index = finite.partition_point(|bucket| bucket.count < rank);
    let Some(bucket) = finite.get(index) else {
        return Some(largest_finite);
    };
    let below = index.checked_sub(1).and_then(|below| finite.get(below));
    let (start, before) = match below {
        Some(below) => (below.upper_bound, below.count),
        None if bucket.upper_bound <= 0.0 => return Some(bucket.upper_bound),
        None => (0.0, 0.0),
    };
    let inside = bucket.count - before;
    if inside <= 0.0 {
        // Rank zero before the first observation: the lowest edge.
        return Some(start);
    }
    Some(start + (bucket.upper_bound - start) * ((rank - before) / inside))
}
