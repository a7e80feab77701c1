use aiops_core::model::{Baseline, Direction};
use serde::{Deserialize, Serialize};

use super::CompareOptions;
use crate::stats::{
    RankTest, adjust, effective_size, hodges_lehmann, mann_whitney, pseudo_median, robust, signed_rank,
};

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Clearly worse.
    Regressed,
    /// Clearly better.
    Improved,
    /// Clearly different; whether that is worse nobody said.
    Changed,
    /// No difference that is both sure and large enough.
    Unchanged,
    /// Too few samples to say.
    Inconclusive,
}

/// One of two samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// Median and robust scale, in the metric's unit; `None` without a sample. Of pairs the scale is that of the
    /// differences: what moves both sides is no part of it.
    pub level: Option<Baseline>,
    /// Finite samples.
    pub samples: usize,
    /// Independent samples they are worth.
    pub effective: f64,
}

impl Side {
    fn of(values: &[f64]) -> Self {
        Self {
            level: robust(values.iter().copied()),
            samples: values.len(),
            effective: effective_size(values),
        }
    }
}

/// Evidence of a comparison, and its verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// What it says.
    pub verdict: Verdict,
    /// The time before, or the baseline.
    pub before: Side,
    /// The time after, or the canary.
    pub after: Side,
    /// Shift of the level, in the metric's unit (Hodges and Lehmann).
    pub shift: f64,
    /// Shift in σ of `before`.
    pub sigma: f64,
    /// Effect, −1 to 1 (Cliff's delta, rank-biserial correlation).
    pub effect: f64,
    /// p-value of this comparison alone; 1 where it could not be made.
    pub p_value: f64,
    /// p-value corrected for all comparisons made together; of one alone the same.
    pub adjusted: f64,
}

impl Comparison {
    fn of(before: Side, after: Side, shift: f64, test: Option<RankTest>) -> Self {
        let scale = before.level.map_or(f64::NAN, |level| level.scale);
        let (effect, p_value) = test.map_or((0.0, 1.0), |test| (test.effect, test.p_value));
        let shift = if shift.is_finite() { shift } else { 0.0 };
        let sigma = if scale > 0.0 { shift / scale } else { 0.0 };
        Self { verdict: Verdict::Unchanged, before, after, shift, sigma, effect, p_value, adjusted: p_value }
    }

    /// Which way it shifted; `None` when it did not.
    #[must_use]
    pub fn direction(&self) -> Option<Direction> {
        match self.shift {
            s if s > 0.0 => Some(Direction::Up),
            s if s < 0.0 => Some(Direction::Down),
            _ => None,
        }
    }

    fn judge(&mut self, worse: Option<Direction>, options: &CompareOptions) {
        let enough = |side: &Side| side.samples >= options.min_samples;
        let level = self.before.level.map_or(0.0, |level| level.center.abs());
        let clear = self.adjusted <= options.alpha
            && self.effect.abs() >= options.min_effect
            && self.sigma.abs() >= options.min_sigma
            && self.shift.abs() >= options.min_relative * level;
        self.verdict = match (enough(&self.before) && enough(&self.after), self.direction()) {
            (false, _) => Verdict::Inconclusive,
            (true, Some(direction)) if clear => match worse {
                Some(worse) if worse == direction => Verdict::Regressed,
                Some(_) => Verdict::Improved,
                None => Verdict::Changed,
            },
            (true, _) => Verdict::Unchanged,
        };
    }
}

/// Judges comparisons that were made together: each with which way its metric gets worse. Those with too few samples do
/// not count as tests.
pub(super) fn judge_all(comparisons: &mut [(Comparison, Option<Direction>)], options: &CompareOptions) {
    let enough =
        |c: &Comparison| c.before.samples >= options.min_samples && c.after.samples >= options.min_samples;
    let p_values: Vec<f64> =
        comparisons.iter().map(|(c, _)| if enough(c) { c.p_value } else { f64::NAN }).collect();
    let adjusted = adjust(&p_values, options.correction);
    for ((comparison, worse), adjusted) in comparisons.iter_mut().zip(adjusted) {
        comparison.adjusted = if adjusted.is_nan() { 1.0 } else { adjusted };
        comparison.judge(*worse, options);
    }
}

pub(super) fn raw_samples(before: &[f64], after: &[f64]) -> Comparison {
    let finite = |values: &[f64]| values.iter().copied().filter(|v| v.is_finite()).collect::<Vec<f64>>();
    let (before, after) = (finite(before), finite(after));
    let sides = (Side::of(&before), Side::of(&after));
    let test = mann_whitney(&before, &after, (sides.0.effective, sides.1.effective));
    Comparison::of(sides.0, sides.1, hodges_lehmann(&before, &after), test)
}

pub(super) fn raw_pairs(pairs: &[(f64, f64)]) -> Comparison {
    let finite = pairs.iter().filter(|(a, b)| a.is_finite() && b.is_finite());
    let (before, after): (Vec<f64>, Vec<f64>) = finite.copied().unzip();
    let differences: Vec<f64> = before.iter().zip(&after).map(|(a, b)| b - a).collect();
    let effective = effective_size(&differences);
    let scale = robust(differences.iter().copied()).map(|level| level.scale);
    let side = |values: &[f64]| {
        let level = robust(values.iter().copied()).zip(scale);
        let level = level.map(|(level, scale)| Baseline { scale, ..level });
        Side { level, samples: values.len(), effective }
    };
    Comparison::of(
        side(&before),
        side(&after),
        pseudo_median(&differences),
        signed_rank(&differences, effective),
    )
}

/// Compares the samples of one metric before and after something, in order of time. NaN and ±∞ are left out; `worse` is
/// which way the metric gets worse, where known. O(n log n + n · m), n and m at most 512 in the latter.
///
/// ```
/// use aiops_core::model::Direction;
/// use aiops_detect::regression::{Verdict, compare_samples};
/// let sample = |level: f64| (0..40_u32).map(move |i| level + f64::from(i * 7 % 5)).collect::<Vec<f64>>();
/// let options = Default::default();
/// let verdict = |after: f64, worse| compare_samples(&sample(100.0), &sample(after), worse, &options).verdict;
/// assert_eq!(verdict(120.0, Some(Direction::Up)), Verdict::Regressed);
/// assert_eq!(verdict(80.0, Some(Direction::Up)), Verdict::Improved);
/// assert_eq!(verdict(120.0, None), Verdict::Changed);
/// assert_eq!(verdict(101.0, Some(Direction::Up)), Verdict::Unchanged);
/// ```
#[must_use]
pub fn compare_samples(
    before: &[f64],
    after: &[f64],
    worse: Option<Direction>,
    options: &CompareOptions,
) -> Comparison {
    let mut comparison = raw_samples(before, after);
    comparison.judge(worse, options);
    comparison
}

/// Compares pairs (baseline, canary) taken at the same instants, in order of time; otherwise as [`compare_samples`].
#[must_use]
pub fn compare_paired(
    pairs: &[(f64, f64)],
    worse: Option<Direction>,
    options: &CompareOptions,
) -> Comparison {
    let mut comparison = raw_pairs(pairs);
    comparison.judge(worse, options);
    comparison
}
