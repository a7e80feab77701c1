use super::{median, normal_sf};

/// Most values of a sample that pairs are made of; longer samples are thinned evenly.
const MOST_PAIRED: usize = 512;

/// What a rank test says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankTest {
    /// Effect, −1 to 1: the probability that the second sample is the larger less that it is the smaller. Cliff's delta
    /// of two samples, the matched-pairs rank-biserial correlation of pairs (Kerby 2014).
    pub effect: f64,
    /// Deviation from no effect in standard errors, signed as `effect`.
    pub z: f64,
    /// Two-sided p-value by the normal approximation.
    pub p_value: f64,
}

impl RankTest {
    fn of(effect: f64, deviation: f64, variance: f64, continuity: f64) -> Self {
        let shrunk = (deviation.abs() - continuity).max(0.0);
        let z = if variance > 0.0 { shrunk / variance.sqrt() } else { 0.0 };
        Self { effect, z: z.copysign(deviation), p_value: (2.0 * normal_sf(z)).min(1.0) }
    }
}

/// Midranks of `values`, and the correction of the variance for ties, 1 − Σ(t³ − t) ÷ (n³ − n).
fn midranks(values: &[f64]) -> (Vec<f64>, f64) {
    let mut order: Vec<(f64, usize)> = values.iter().copied().zip(0..).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut ranks = vec![0.0; values.len()];
    let (mut before, mut ties) = (0.0, 0.0);
    // −0 and 0 are one value.
    for tied in order.chunk_by(|a, b| a.0 == b.0) {
        let count = tied.len() as f64;
        ties += count * count * count - count;
        for (_, at) in tied {
            if let Some(rank) = ranks.get_mut(*at) {
                *rank = before + (count + 1.0) / 2.0;
            }
        }
        before += count;
    }
    let n = values.len() as f64;
    let all = n * n * n - n;
    (ranks, if all > 0.0 { 1.0 - ties / all } else { 0.0 })
}

/// Mann and Whitney's test whether `second` tends to be larger or smaller than `first` (*On a test of whether one of two
/// random variables is stochastically larger than the other*, 1947), with midranks for ties.
///
/// `effective` are the numbers of independent samples both are worth (see [`effective_size`](super::effective_size));
/// the variance is reckoned with those. The normal approximation holds from about eight each. `None` for an empty
/// sample; values must not be NaN. O(n log n).
///
/// ```
/// use aiops_detect::stats::mann_whitney;
/// let (low, high): (Vec<f64>, Vec<f64>) = ((0..20).map(f64::from).collect(), (40..60).map(f64::from).collect());
/// let test = mann_whitney(&low, &high, (20.0, 20.0)).ok_or("empty")?;
/// assert!(test.effect == 1.0 && test.p_value < 1e-6);
/// # Ok::<(), &str>(())
/// ```
#[must_use]
pub fn mann_whitney(first: &[f64], second: &[f64], effective: (f64, f64)) -> Option<RankTest> {
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let pooled: Vec<f64> = first.iter().chain(second).copied().collect();
    let (ranks, ties) = midranks(&pooled);
    let (n, m) = (first.len() as f64, second.len() as f64);
    let rank_sum: f64 = ranks.iter().skip(first.len()).sum();
    let superiority = (rank_sum - m * (m + 1.0) / 2.0) / (n * m);
    let (a, b) = (effective.0.clamp(1.0, n), effective.1.clamp(1.0, m));
    let variance = ties * (a + b + 1.0) / (12.0 * a * b);
    Some(RankTest::of(2.0 * superiority - 1.0, superiority - 0.5, variance, 0.5 / (a * b)))
}

/// Wilcoxon's signed-rank test whether `differences` of pairs tend to one side of zero (*Individual comparisons by
/// ranking methods*, 1945); differences of zero are left out.
///
/// `effective` is the number of independent differences they are worth. `None` when all are zero or there is none;
/// values must not be NaN. O(n log n).
#[must_use]
pub fn signed_rank(differences: &[f64], effective: f64) -> Option<RankTest> {
    let nonzero: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    if nonzero.is_empty() {
        return None;
    }
    let sizes: Vec<f64> = nonzero.iter().map(|d| d.abs()).collect();
    let (ranks, ties) = midranks(&sizes);
    let n = sizes.len() as f64;
    let positive: f64 = ranks.iter().zip(&nonzero).filter(|(_, d)| **d > 0.0).map(|(rank, _)| rank).sum();
    let total = n * (n + 1.0) / 2.0;
    // Without ties the variance is n(n + 1)(2n + 1)/24; ties take (1 − ties)(n³ − n)/48 off it.
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - (1.0 - ties) * (n * n * n - n) / 48.0;
    let inflation = differences.len() as f64 / effective.clamp(1.0, differences.len() as f64);
    let effect = 2.0 * positive / total - 1.0;
    Some(RankTest::of(effect, positive - total / 2.0, variance * inflation, 0.5))
}

/// At most [`MOST_PAIRED`] of `values`, evenly spread.
fn thinned(values: &[f64]) -> Vec<f64> {
    let stride = values.len().div_ceil(MOST_PAIRED).max(1);
    values.iter().step_by(stride).copied().collect()
}

/// Hodges and Lehmann's estimate of how far `second` is shifted against `first`: the median of all differences
/// (*Estimates of location based on rank tests*, 1963). NaN for an empty sample. O(n · m), at most 512 · 512.
#[must_use]
pub fn hodges_lehmann(first: &[f64], second: &[f64]) -> f64 {
    let (first, second) = (thinned(first), thinned(second));
    median(second.iter().flat_map(|b| first.iter().map(move |a| b - a)))
}

/// The median of all means of two of `differences`, each with itself too: the estimate of location that belongs to the
/// signed-rank test. NaN for none. O(n²), at most 512².
#[must_use]
pub fn pseudo_median(differences: &[f64]) -> f64 {
    let values = thinned(differences);
    let pairs = values.iter().enumerate();
    median(pairs.flat_map(|(i, a)| values.iter().skip(i).map(move |b| 0.5 * (a + b))))
}
