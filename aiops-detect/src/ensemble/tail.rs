use aiops_compact::ConfigError;
use aiops_core::model::float;
use serde::{Deserialize, Serialize};

use crate::checked::{Checked, Options};
use crate::error::{FitError, check, check_count};

/// How the tail of healthy scores is learned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TailOptions {
    /// Share of the scores that make the tail, 0.001 to 0.2. Default 0.02.
    pub share: f64,
    /// Fewest scores to learn from, 20 to 10⁹. Default 100.
    pub min_scores: usize,
    /// Scores that are kept to rank others by, 50 to 100 000. Default 512.
    pub kept: usize,
}

impl Default for TailOptions {
    fn default() -> Self {
        Self { share: 0.02, min_scores: 100, kept: 512 }
    }
}

impl Options for TailOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check("share", self.share, 0.001..=0.2, "0.001 to 0.2")?;
        check_count("min_scores", self.min_scores, 20..=1_000_000_000, "20 to 10⁹ scores")?;
        check_count("kept", self.kept, 50..=100_000, "50 to 100000 scores")
    }
}

/// Heaviest tail that is believed: from 0.5 on the variance of the excesses is infinite already.
const HEAVIEST: f64 = 0.9;

/// From a score to the probability of one at least as high where nothing is wrong.
///
/// In the body by rank: `(1 + scores as high) ÷ (1 + scores)`, which is a valid p-value whatever the distribution, for scores that are
/// exchangeable with those learned from. Beyond the tail's threshold by a generalised Pareto distribution whose
/// parameters are estimated from probability-weighted moments (Hosking and Wallis 1987); it is taken to have no upper end, so that of two
/// scores higher than all before the higher one is still the rarer. O(1) memory, O(log kept) a score.
///
/// ```
/// use aiops_detect::ensemble::TailCalibration;
/// let healthy = (0..1000).map(|i| f64::from(i) / 1000.0);
/// let tail = TailCalibration::fit(healthy, &Default::default())?;
/// assert!((tail.p_value(0.9) - 0.1).abs() < 0.01);
/// assert!(tail.p_value(2.0) < tail.p_value(1.5) && tail.p_value(1.5) < 0.001);
/// # Ok::<(), aiops_detect::FitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TailCalibration {
    /// Scores learned from.
    count: u64,
    /// Order statistics of these, evenly spread by rank, ascending; the first and the last are the extremes.
    ranked: Vec<f64>,
    /// Where the tail begins, and the probability of being in it.
    #[serde(with = "float")]
    threshold: f64,
    #[serde(with = "float")]
    beyond: f64,
    #[serde(with = "float")]
    scale: f64,
    #[serde(with = "float")]
    shape: f64,
}

impl TailCalibration {
    /// Learns from scores of healthy data. Those that are no finite number say nothing and are left out.
    ///
    /// # Errors
    /// [`FitError::TooFew`] with fewer than [`min_scores`](TailOptions::min_scores).
    pub fn fit(
        scores: impl IntoIterator<Item = f64>,
        options: &Checked<TailOptions>,
    ) -> Result<Self, FitError> {
        let options = options.options();
        let mut sorted: Vec<f64> = scores.into_iter().filter(|s| s.is_finite()).collect();
        if sorted.len() < options.min_scores {
            return Err(FitError::TooFew { usable: sorted.len(), needed: options.min_scores });
        }
        sorted.sort_unstable_by(f64::total_cmp);
        let n = sorted.len();
        // INVARIANT: at least one score is in the tail, and one is below it or is its threshold.
        let tail = ((n as f64 * options.share).ceil() as usize).clamp(1, n - 1);
        let at = n - tail - 1;
        let threshold = sorted.get(at).copied().unwrap_or(0.0);
        // What equals the threshold is body: with many equal scores the tail is smaller than asked for.
        let excesses: Vec<f64> =
            sorted.iter().skip(at + 1).map(|s| s - threshold).filter(|e| *e > 0.0).collect();
        let (scale, shape) = pareto(&excesses, threshold);
        let kept = options.kept.min(n);
        let ranked = (0..kept)
            .filter_map(|i| sorted.get((i * (n - 1)).checked_div(kept - 1).unwrap_or(0)).copied())
            .collect();
        let beyond = (1.0 + excesses.len() as f64) / (1.0 + n as f64);
        Ok(Self { count: n as u64, ranked, threshold, beyond, scale, shape })
    }

    /// Scores it was learned from.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Probability of a score at least as high, more than 0 and at most 1. NaN is no evidence: 1.
    #[must_use]
    pub fn p_value(&self, score: f64) -> f64 {
        if score.is_nan() {
            return 1.0;
        }
        if score > self.threshold {
            let x = (score - self.threshold) / self.scale;
            let log = if self.shape < 1e-9 { -x } else { -(self.shape * x).ln_1p() / self.shape };
            return (self.beyond * log.exp()).clamp(f64::MIN_POSITIVE, 1.0);
        }
        let below = self.ranked.partition_point(|s| *s < score);
        let rank = below as f64 / self.ranked.len().max(1) as f64;
        let n = self.count as f64;
        ((1.0 + n * (1.0 - rank)) / (1.0 + n)).clamp(self.beyond, 1.0)
    }

    /// Whether what was stored can be calculated with.
    pub(super) fn is_sound(&self) -> bool {
        self.count > 0
            && !self.ranked.is_empty()
            && self.ranked.iter().all(|s| s.is_finite())
            && self.ranked.is_sorted()
            && self.threshold.is_finite()
            && (self.scale.is_finite() && self.scale > 0.0)
            && (0.0..=HEAVIEST).contains(&self.shape)
            && (self.beyond > 0.0 && self.beyond <= 1.0)
    }
}

/// Scale and shape of a generalised Pareto distribution of `excesses`, ascending.
fn pareto(excesses: &[f64], threshold: f64) -> (f64, f64) {
    let n = excesses.len() as f64;
    let least = (1e-6 * threshold.abs()).max(1e-9);
    let mean = excesses.iter().sum::<f64>() / n.max(1.0);
    if excesses.len() < 2 || !mean.is_finite() {
        return (if mean.is_finite() { mean.max(least) } else { least }, 0.0);
    }
    // E[X (1 − F(X))], of which the smaller excesses have the larger weights.
    let weighted: f64 =
        excesses.iter().enumerate().map(|(i, x)| x * (n - 1.0 - i as f64) / (n - 1.0)).sum::<f64>() / n;
    let shape = 2.0 - mean / (mean - 2.0 * weighted);
    let shape = if shape.is_finite() { shape.clamp(0.0, HEAVIEST) } else { 0.0 };
    ((mean * (1.0 - shape)).max(least), shape)
}
