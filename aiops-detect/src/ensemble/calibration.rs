use aiops_compact::order::quantile_of_sorted;
use aiops_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::error::FitError;

/// Scores kept: quantiles at even distances.
const KEPT: usize = 512;

/// Share of the scores that make the tail.
const TAIL: f64 = 0.05;

/// Fewest scores to calibrate on: the tail then has five.
const FEWEST: usize = 100;

/// Smallest p-value told: what lies beyond is as sure as can be.
const LEAST: f64 = 1e-300;

/// Turns scores into p-values by scores of rows that are known to be healthy.
///
/// ```
/// use aiops_detect::ensemble::Calibration;
/// let healthy: Vec<f64> = (1..1000).map(|i| -(1.0 - f64::from(i) / 1000.0).ln()).collect();
/// let calibration = Calibration::learn(&healthy)?;
/// // Exponential scores: the probability to exceed 2 is e⁻², and the tail goes on beyond all that was seen.
/// assert!((calibration.p_value(2.0) - (-2.0_f64).exp()).abs() < 0.01);
/// assert!(calibration.p_value(14.0) < 1e-4 && calibration.p_value(-1.0) == 1.0);
/// # Ok::<(), aiops_detect::FitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Calibration {
    /// Ascending.
    quantiles: Vec<f64>,
    samples: usize,
    /// Where the tail begins.
    from: f64,
    /// Scale and shape of the tail.
    scale: f64,
    shape: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    quantiles: Vec<f64>,
    samples: usize,
    from: f64,
    scale: f64,
    shape: f64,
}

impl From<Calibration> for Stored {
    fn from(c: Calibration) -> Self {
        Self { quantiles: c.quantiles, samples: c.samples, from: c.from, scale: c.scale, shape: c.shape }
    }
}

impl TryFrom<Stored> for Calibration {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let Stored { quantiles, samples, from, scale, shape } = stored;
        let fits = !quantiles.is_empty()
            && quantiles.len() <= KEPT.max(samples)
            && quantiles.iter().all(|q| q.is_finite())
            && quantiles.is_sorted()
            && samples >= FEWEST
            && from.is_finite()
            && scale.is_finite()
            && scale > 0.0
            && (0.0..=1.0).contains(&shape);
        if !fits {
            return Err(Error::new(ErrorKind::Invalid, "a stored calibration is damaged"));
        }
        Ok(Self { quantiles, samples, from, scale, shape })
    }
}

impl Calibration {
    /// Learns from the scores of healthy rows; NaN and ±∞ are left out. O(n log n).
    ///
    /// # Errors
    /// [`FitError::TooFew`] with fewer than 100 finite scores.
    pub fn learn(scores: &[f64]) -> Result<Self, FitError> {
        let mut usable: Vec<f64> = scores.iter().copied().filter(|s| s.is_finite()).collect();
        if usable.len() < FEWEST {
            return Err(FitError::TooFew { usable: usable.len(), needed: FEWEST });
        }
        usable.sort_unstable_by(f64::total_cmp);
        let samples = usable.len();
        let from = quantile_of_sorted(&usable, 1.0 - TAIL).unwrap_or(0.0);
        let excesses: Vec<f64> = usable.iter().map(|s| s - from).filter(|e| *e > 0.0).collect();
        let (scale, shape) = pareto(&excesses);
        // Scores that hardly vary: rounding alone must not make them extreme.
        let scale = scale.max(1e-9 * from.abs()).max(f64::MIN_POSITIVE.sqrt());
        let at = |i: usize| quantile_of_sorted(&usable, i as f64 / (KEPT - 1) as f64);
        let quantiles = if samples <= KEPT { usable } else { (0..KEPT).filter_map(at).collect() };
        Ok(Self { quantiles, samples, from, scale, shape })
    }

    /// Probability that a healthy row scores `score` or higher: 10⁻³⁰⁰ to 1, NaN for NaN. Falls as the score rises.
    /// O(log n).
    #[must_use]
    pub fn p_value(&self, score: f64) -> f64 {
        if score.is_nan() {
            return f64::NAN;
        }
        if score > self.from {
            let x = (score - self.from) / self.scale;
            let beyond =
                if self.shape < 1e-6 { (-x).exp() } else { (1.0 + self.shape * x).powf(-1.0 / self.shape) };
            return (TAIL * beyond).max(LEAST);
        }
        let below = self.quantiles.partition_point(|q| *q < score);
        let share = 1.0 - below as f64 / self.quantiles.len() as f64;
        let n = self.samples as f64;
        ((share * n + 1.0) / (n + 1.0)).clamp(TAIL, 1.0)
    }
}

/// Scale and shape of a generalised Pareto distribution by probability-weighted moments. The shape is kept within 0, an
/// exponential tail, and ½: lighter tails end somewhere, and what lies beyond the end would be infinitely sure.
fn pareto(excesses: &[f64]) -> (f64, f64) {
    // Excesses are ascending, since the scores are.
    let n = excesses.len() as f64;
    if excesses.len() < 3 {
        return (excesses.iter().copied().fold(0.0, f64::max), 0.0);
    }
    let mean = excesses.iter().sum::<f64>() / n;
    let weighted =
        excesses.iter().enumerate().map(|(i, e)| e * (n - 1.0 - i as f64) / (n - 1.0)).sum::<f64>() / n;
    let shape = 2.0 - mean / (mean - 2.0 * weighted);
    if !shape.is_finite() || shape <= 0.0 {
        return (mean, 0.0);
    }
    let shape = shape.min(0.5);
    // The mean of the distribution is scale ÷ (1 − shape): the one the excesses have.
    (mean * (1.0 - shape), shape)
}

/// Fisher's statistic of p-values of one thing: the mean of −ln p, NaN ones left out; NaN when all are. Which p-value it has
/// depends on how the p-values depend on each other; see [`super`].
///
/// ```
/// use aiops_detect::ensemble::fisher_statistic;
/// assert_eq!(fisher_statistic([1.0, f64::NAN, (-4.0_f64).exp()].into_iter()), 2.0);
/// assert!(fisher_statistic(std::iter::empty()).is_nan());
/// ```
#[must_use]
pub fn fisher_statistic(p_values: impl Iterator<Item = f64>) -> f64 {
    let known = p_values.filter(|p| !p.is_nan()).map(|p| -p.clamp(LEAST, 1.0).ln());
    let (sum, count) = known.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
    let mean: f64 = sum / count;
    // −ln 1 is −0.
    if mean == 0.0 { 0.0 } else { mean }
}
