/// How many independent samples `values` (in order of time) are worth: n ÷ τ with the autocorrelation time
/// τ = 1 + 2 Σ ρₖ; from 1 to n.
///
/// Two estimates are made and the smaller is taken. Geyer's initial monotone sequence (*Practical Markov chain Monte
/// Carlo*, Statistical Science 7, 1992, §3.3) needs no model; on short, strongly autocorrelated stretches it is too
/// optimistic, since what a short stretch wanders looks like its mean. There the first autocorrelation, freed of that
/// bias (Kendall, *Note on bias in the estimation of autocorrelation*, Biometrika 41, 1954), and that of a first-order
/// process say more. Negative autocorrelation, which would make more of samples than they are, is not counted.
///
/// Values must be finite; constant ones are worth what they are, n. O(n · τ).
///
/// ```
/// use aiops_detect::stats::effective_size;
/// let alternating: Vec<f64> = (0..100).map(|i| f64::from(i % 2)).collect();
/// assert_eq!(effective_size(&alternating), 100.0);
/// let ramp: Vec<f64> = (0..100).map(f64::from).collect();
/// assert!(effective_size(&ramp) < 3.0);
/// ```
#[must_use]
pub fn effective_size(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if values.len() < 4 {
        return n;
    }
    let mean = values.iter().sum::<f64>() / n;
    let covariance = |lag: usize| {
        let later = values.iter().skip(lag);
        values.iter().zip(later).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n
    };
    let variance = covariance(0);
    if variance.is_nan() || variance <= 0.0 {
        return n;
    }
    let (mut sum, mut last) = (0.0, f64::INFINITY);
    for pair in 0..values.len() / 2 {
        let both = (covariance(2 * pair) + covariance(2 * pair + 1)) / variance;
        if both <= 0.0 {
            break;
        }
        last = both.min(last);
        sum += last;
    }
    let monotone = (2.0 * sum - 1.0).max(1.0);
    let first = covariance(1) / variance;
    let unbiased = (first + (1.0 + 3.0 * first) / n).clamp(0.0, 1.0);
    let first_order = (1.0 + unbiased) / (1.0 - unbiased);
    (n / monotone.max(first_order)).clamp(1.0, n)
}
