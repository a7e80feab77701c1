//! Whether a confidence keeps what it says.

use std::fmt;

use aiops_core::model::FittedHash;
use aiops_rca::{CalibrationConfig, Calibrator, FittedOn};
use serde::Serialize;

/// Answers whose confidence fell between two tenths.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReliabilityBin {
    /// Answers.
    pub answers: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// Share of them that was right.
    pub right: f64,
}

/// Confidence against outcome: each answer's confidence comes from a fit on all the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Calibration {
    /// Answers.
    pub answers: usize,
    /// Expected calibration error over five bins of equal width (Naeini et al. 2015).
    pub ece: f64,
    /// 95th percentile of the error that a perfect predictor with these confidences would show, over 1,000 draws.
    pub ece_of_perfect: f64,
    /// Mean squared error of the confidence.
    pub brier: f64,
    /// The same of always answering the base rate.
    pub brier_of_base_rate: f64,
    /// Answers with a confidence above 0.85, and how many of them were right.
    pub above_85: (usize, usize),
    /// Probability that a right answer was told a higher confidence than a wrong one, ties counting half (the area under the ROC curve);
    /// `None` without either.
    pub separation: Option<f64>,
    /// The reliability curve.
    pub bins: Vec<ReliabilityBin>,
}

const BINS: usize = 5;

impl Calibration {
    /// From pairs of raw score and whether it was right; `None` where they are too few to fit on or do not differ.
    #[must_use]
    pub fn leave_one_out(answers: &[(f64, bool)]) -> Option<Self> {
        if answers.iter().all(|a| a.0 == 0.0) {
            return None;
        }
        let mut config = CalibrationConfig::default();
        config.least_outcomes = 15;
        // Whose answers they are does not matter here: they are all of one.
        let same = FittedHash::of(b"leave one out");
        let mut told = Vec::with_capacity(answers.len());
        for (i, (raw, right)) in answers.iter().enumerate() {
            let others = answers.iter().enumerate().filter(|(j, _)| *j != i);
            let others: Vec<(f64, bool)> = others.map(|(_, a)| *a).collect();
            let fitted = Calibrator::fit(&others, FittedOn::new(same.clone(), others.len()), &config).ok()?;
            told.push((fitted.confidence(*raw, &same).ok()?.probability(), *right));
        }
        Some(Self::of(&told))
    }

    /// From pairs of confidence and whether it was right.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts of cases")]
    pub fn of(told: &[(f64, bool)]) -> Self {
        let n = told.len().max(1) as f64;
        let base = told.iter().filter(|t| t.1).count() as f64 / n;
        let brier = |p: &dyn Fn(f64) -> f64| {
            told.iter().map(|(c, right)| (p(*c) - f64::from(u8::from(*right))).powi(2)).sum::<f64>() / n
        };
        let bins = bins(told);
        let mut draw = 0x5EED_u64;
        let mut errors: Vec<f64> = (0..1000)
            .map(|_| {
                let perfect: Vec<(f64, bool)> =
                    told.iter().map(|(c, _)| (*c, uniform(&mut draw) < *c)).collect();
                error(&self::bins(&perfect), n)
            })
            .collect();
        errors.sort_by(f64::total_cmp);
        let high = || told.iter().filter(|t| t.0 > 0.85);
        Self {
            answers: told.len(),
            ece: error(&bins, n),
            ece_of_perfect: errors.get(949).copied().unwrap_or(0.0),
            brier: brier(&|c| c),
            brier_of_base_rate: brier(&|_| base),
            above_85: (high().filter(|t| t.1).count(), high().count()),
            separation: separation(told),
            bins,
        }
    }
}

/// O(right · wrong).
#[allow(clippy::cast_precision_loss, reason = "counts of cases")]
fn separation(told: &[(f64, bool)]) -> Option<f64> {
    let of = |right: bool| told.iter().filter(move |t| t.1 == right).map(|t| t.0);
    let pairs = of(true).count() * of(false).count();
    let won = |(right, wrong): (f64, f64)| match right.partial_cmp(&wrong) {
        Some(std::cmp::Ordering::Greater) => 1.0,
        Some(std::cmp::Ordering::Equal) => 0.5,
        _ => 0.0,
    };
    let sum: f64 = of(true).flat_map(|r| of(false).map(move |w| (r, w))).map(won).sum();
    (pairs > 0).then(|| sum / pairs as f64)
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of cases; a share times the number of bins"
)]
fn bins(told: &[(f64, bool)]) -> Vec<ReliabilityBin> {
    let mut sums = [(0_usize, 0.0, 0_usize); BINS];
    for (confidence, right) in told {
        let at = ((confidence * BINS as f64) as usize).min(BINS - 1);
        if let Some(sum) = sums.get_mut(at) {
            *sum = (sum.0 + 1, sum.1 + confidence, sum.2 + usize::from(*right));
        }
    }
    let filled = sums.into_iter().filter(|s| s.0 > 0);
    filled
        .map(|(answers, confidence, right)| ReliabilityBin {
            answers,
            confidence: confidence / answers as f64,
            right: right as f64 / answers as f64,
        })
        .collect()
}

#[allow(clippy::cast_precision_loss, reason = "counts of cases")]
fn error(bins: &[ReliabilityBin], n: f64) -> f64 {
    bins.iter().map(|b| b.answers as f64 / n * (b.confidence - b.right).abs()).sum()
}

/// SplitMix64, in 0..1.
#[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "calibration (leave-one-out, n {}): ECE {:.3} (95 % of perfect predictors ≤ {:.3}), Brier {:.3} (base rate {:.3}), above 0.85: {}/{}",
            self.answers,
            self.ece,
            self.ece_of_perfect,
            self.brier,
            self.brier_of_base_rate,
            self.above_85.0,
            self.above_85.1
        )
    }
}
