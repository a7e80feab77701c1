use serde::{Deserialize, Serialize};

use crate::stats::kolmogorov_sf;

/// What the two-sample Kolmogorov-Smirnov test says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KsTest {
    /// D: largest distance of the two empirical distribution functions, 0 to 1.
    pub statistic: f64,
    /// Probability of so large a distance when both samples come from one continuous distribution; for one with ties it
    /// is too large, which errs towards silence.
    pub p_value: f64,
}

/// Compares two ascending samples without NaN; `effective` are the numbers of independent samples they are worth. `None`
/// when either is empty. O(n + m).
///
/// ```
/// use aiops_detect::drift::ks_two_sample;
/// let (low, high) = ([1.0, 2.0, 3.0, 4.0], [3.0, 4.0, 5.0, 6.0]);
/// assert_eq!(ks_two_sample(&low, &high, (4.0, 4.0)).map(|test| test.statistic), Some(0.5));
/// ```
#[must_use]
pub fn ks_two_sample(first: &[f64], second: &[f64], effective: (f64, f64)) -> Option<KsTest> {
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let (mut left, mut right) = (first, second);
    let mut statistic = 0.0_f64;
    while let (Some(a), Some(b)) = (left.first(), right.first()) {
        // Both functions step over a value at once: between equal ones there is no distance to measure.
        let value = a.min(*b);
        left = left.get(left.partition_point(|v| *v <= value)..).unwrap_or_default();
        right = right.get(right.partition_point(|v| *v <= value)..).unwrap_or_default();
        let below = (1.0 - left.len() as f64 / n, 1.0 - right.len() as f64 / m);
        statistic = statistic.max((below.0 - below.1).abs());
    }
    let (a, b) = (effective.0.clamp(1.0, n), effective.1.clamp(1.0, m));
    let root = (a * b / (a + b)).sqrt();
    let p_value = kolmogorov_sf((root + 0.12 + 0.11 / root) * statistic);
    Some(KsTest { statistic, p_value })
}
