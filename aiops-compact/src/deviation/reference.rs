//! What is normal for a series: robust location, and a scale that no single estimator gives.

use aiops_core::model::{MetricKind, float};
use serde::{Deserialize, Serialize};

use super::DeviationOptions;
use crate::Moments;
use crate::order::{MAD_TO_SIGMA, mad_of_sorted, median, median_of_sorted, quantile_of_sorted, sorted};

/// Distance of the 90th percentile of a normal distribution from its median: `Φ⁻¹(0.9)` σ.
const DECILE: f64 = 1.281_551_565_544_600_4;

/// Most autocorrelation that is reckoned with: beyond it, the effective sample size says more about the estimate of
/// the autocorrelation than about the series.
const MAX_AUTOCORRELATION: f64 = 0.95;

/// Fewest degrees of freedom the correction for small samples reckons with; its expansion fails below.
const MIN_DEGREES: f64 = 2.0;

/// How far, as a share of the step, a value may lie from a multiple of the step to count as one.
const LATTICE_TOLERANCE: f64 = 0.05;

/// Below this ratio of variance to a Poisson variable's, a count-like series is not a count of independent events.
const UNDERDISPERSED: f64 = 0.25;

/// Which estimate or floor decided a [`Reference::scale`]; the largest one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScaleSource {
    /// Median absolute deviation × 1.4826.
    Mad,
    /// Distance of the 10th or the 90th percentile from the median, whichever is farther, ÷ 1.2816: sees what the MAD
    /// overlooks when more than half of the samples are equal, and the long side of a skewed series.
    Deciles,
    /// Median change over the recent part's length × 1.4826 ÷ √2 (a robust structure function): how far the series
    /// wanders by itself. Equals σ for independent samples, more for drifting and autocorrelated ones.
    Wander,
    /// √(λF) events of a count of mean λ (at least one event) and variance λF (at least λ): the noise no count can be
    /// without (quasi-Poisson; McCullagh and Nelder 1989, §6.2).
    Poisson,
    /// Standard deviation, for whole-numbered levels that are no counts of events.
    StandardDeviation,
    /// [`DeviationOptions::relative_floor`].
    RelativeFloor,
    /// [`DeviationOptions::constant_floor`].
    ConstantFloor,
    /// [`DeviationOptions::ratio_floor`].
    RatioFloor,
    /// [`DeviationOptions::absolute_floor`].
    AbsoluteFloor,
    /// Nothing: a continuous series that was always zero. The scale is chosen when samples are compared.
    None,
}

/// What is normal for one series, estimated from its reference samples. Serialisable: a fitted state is a map of these.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Median, in the series' unit.
    #[serde(with = "float")]
    pub center: f64,
    /// One σ in the series' unit, ≥ 0; 0 only where `source` is [`ScaleSource::None`].
    #[serde(with = "float")]
    pub scale: f64,
    /// What decided `scale`.
    pub source: ScaleSource,
    /// Highest persistent level the reference itself reached above its centre, in its σ; ≥ 0.
    #[serde(with = "float")]
    pub reach_up: f64,
    /// The same below.
    #[serde(with = "float")]
    pub reach_down: f64,
    /// Samples it rests on.
    pub samples: usize,
}

impl Reference {
    /// Estimates what is normal from `values` (finite, in order of time).
    ///
    /// `recent` is the number of samples that will be compared, the horizon of the series' own wandering; `step` the
    /// typical distance of samples in seconds, needed to recognise rates that count events. `None` for fewer than
    /// `options.min_reference` values. O(n log n).
    ///
    /// The centre withstands up to half of the values being something else.
    #[must_use]
    pub fn estimate(
        values: &[f64],
        recent: usize,
        step: f64,
        kind: MetricKind,
        options: &DeviationOptions,
    ) -> Option<Self> {
        Some(Summary::of(values, step, kind, options)?.full(recent))
    }

    /// Deviations of `values` in σ, and the scale they are in.
    ///
    /// The scale is [`scale`](Self::scale). Where there is none (always zero so far), one event if `values` count
    /// events, else the scale that gives the largest of them [`DeviationOptions::novel_sigma`]. `step` and `kind` as
    /// in [`estimate`](Self::estimate). O(n).
    #[must_use]
    pub fn scores(
        &self,
        values: &[f64],
        step: f64,
        kind: MetricKind,
        options: &DeviationOptions,
    ) -> (Vec<f64>, f64) {
        let scale =
            if self.scale > 0.0 { self.scale } else { novel_scale(values, self.center, step, kind, options) };
        (values.iter().map(|value| (value - self.center) / scale).collect(), scale)
    }

    /// How far the reference itself strayed to one side, in σ.
    #[must_use]
    pub fn reach(&self, up: bool) -> f64 {
        if up { self.reach_up } else { self.reach_down }
    }
}

/// How much of a sample an estimate listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breadth {
    Core,
    Full,
}

/// What every estimate from the same samples is computed from.
pub(super) struct Summary<'v> {
    values: &'v [f64],
    step: f64,
    kind: MetricKind,
    options: &'v DeviationOptions,
    center: f64,
    mad: f64,
    /// The 10th and the 90th percentile.
    deciles: (f64, f64),
    mean: f64,
    variance: f64,
    constant: bool,
    event: Option<f64>,
}

impl<'v> Summary<'v> {
    /// Parameters as of [`Reference::estimate`]; `None` for too few values. O(n log n).
    pub(super) fn of(
        values: &'v [f64],
        step: f64,
        kind: MetricKind,
        options: &'v DeviationOptions,
    ) -> Option<Self> {
        if values.len() < options.min_reference {
            return None;
        }
        let ascending = sorted(values.iter().copied());
        let center = median_of_sorted(&ascending)?;
        let moments: Moments = values.iter().copied().collect();
        Some(Self {
            values,
            step,
            kind,
            options,
            center,
            mad: mad_of_sorted(&ascending, center)?,
            deciles: (quantile_of_sorted(&ascending, 0.1)?, quantile_of_sorted(&ascending, 0.9)?),
            mean: moments.mean()?,
            variance: moments.variance().unwrap_or(0.0),
            constant: moments.min() == moments.max(),
            event: event_size(values, step, kind),
        })
    }

    /// The full estimate, for `recent` samples to be compared.
    pub(super) fn full(&self, recent: usize) -> Reference {
        let mut reference = self.reference(recent, Breadth::Full);
        let (scores, _) = reference.scores(self.values, self.step, self.kind, self.options);
        reference.reach_up = self.options.persistence.level(&scores, 1.0).max(0.0);
        reference.reach_down = self.options.persistence.level(&scores, -1.0).max(0.0);
        reference
    }

    /// The estimate from the median absolute deviation and the floors alone, which an excursion inside the values hardly
    /// moves: to find candidates that a full estimate on the samples before them then has to confirm.
    pub(super) fn core(&self) -> Reference {
        self.reference(0, Breadth::Core)
    }

    fn reference(&self, recent: usize, breadth: Breadth) -> Reference {
        let Self { values, options, center, mean, variance, .. } = *self;
        let mut scale = Scale::default();
        scale.raise(MAD_TO_SIGMA * self.mad, ScaleSource::Mad);
        if breadth == Breadth::Full {
            let (low, high) = self.deciles;
            scale.raise((high - center).max(center - low) / DECILE, ScaleSource::Deciles);
            scale.raise(wander(values, recent), ScaleSource::Wander);
            // All of the above are estimates from this sample, the floors below are not.
            scale.value *= small_sample_factor(values, center, scale.value);
        }
        scale.raise(options.relative_floor * center.abs(), ScaleSource::RelativeFloor);
        scale.raise(options.absolute_floor, ScaleSource::AbsoluteFloor);
        if self.kind == MetricKind::Ratio {
            scale.raise(options.ratio_floor, ScaleSource::RatioFloor);
        }
        // A count of independent events has variance = mean (in events); a level that is merely whole-numbered, like a
        // number of replicas, has not.
        let counts = self.event.filter(|q| mean == 0.0 || variance >= UNDERDISPERSED * q * mean.abs());
        match counts {
            Some(q) => {
                let events = (mean.abs() / q).max(1.0);
                let dispersion = match breadth {
                    Breadth::Full if mean != 0.0 => (variance / (q * mean.abs())).max(1.0),
                    _ => 1.0,
                };
                scale.raise(q * (events * dispersion).sqrt(), ScaleSource::Poisson);
            }
            None if self.constant || self.event.is_some() => {
                scale.raise(options.constant_floor * center.abs(), ScaleSource::ConstantFloor);
                if breadth == Breadth::Full {
                    // Of a few whole numbers, order statistics see only steps; the rare other ones count too.
                    scale.raise(variance.sqrt(), ScaleSource::StandardDeviation);
                }
            }
            None => {}
        }
        let Scale { value, source } = scale;
        Reference { center, scale: value, source, reach_up: 0.0, reach_down: 0.0, samples: values.len() }
    }
}

struct Scale {
    value: f64,
    source: ScaleSource,
}

impl Default for Scale {
    fn default() -> Self {
        Self { value: 0.0, source: ScaleSource::None }
    }
}

impl Scale {
    fn raise(&mut self, value: f64, source: ScaleSource) {
        // Below this, squares and quotients are no longer meaningful: such a scale is rounding noise.
        if value > self.value && value > f64::MIN_POSITIVE.sqrt() {
            *self = Self { value, source };
        }
    }
}

/// Robust size of the change over `lag` samples, on the scale of a standard deviation; 0 when there are too few.
fn wander(values: &[f64], lag: usize) -> f64 {
    let lag = lag.min(values.len() / 2).max(1);
    let later = values.iter().skip(lag);
    let mut changes: Vec<f64> =
        values.iter().zip(later).map(|(earlier, later)| (later - earlier).abs()).collect();
    MAD_TO_SIGMA * std::f64::consts::FRAC_1_SQRT_2 * median(&mut changes).unwrap_or(0.0)
}

/// How much a scale estimated from few, or dependent, samples must grow for 3 σ to keep its meaning: the quantile of
/// Student's t over that of the normal distribution, by its Cornish–Fisher expansion (Abramowitz and Stegun 26.7.5),
/// at the effective number of samples `n (1 − r) / (1 + r)` for autocorrelation `r` (Bayley and Hammersley 1946).
fn small_sample_factor(values: &[f64], center: f64, scale: f64) -> f64 {
    let limit = 3.0 * scale;
    let clipped = || values.iter().map(|value| (value - center).clamp(-limit, limit));
    let total: f64 = clipped().map(|d| d * d).sum();
    let together: f64 = clipped().zip(clipped().skip(1)).map(|(a, b)| a * b).sum();
    let n = values.len() as f64;
    let r = if total > 0.0 { together / total } else { 0.0 };
    // Estimates from short series are too low by this much (Marriott and Pope 1954, Kendall 1954).
    let r = (r + (1.0 + 3.0 * r) / n).clamp(0.0, MAX_AUTOCORRELATION);
    let degrees = (n * (1.0 - r) / (1.0 + r) - 1.0).max(MIN_DEGREES);
    let z: f64 = 3.0;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    1.0 + (first / degrees + second / (degrees * degrees)) / z
}

fn novel_scale(values: &[f64], center: f64, step: f64, kind: MetricKind, options: &DeviationOptions) -> f64 {
    let largest = values.iter().map(|value| (value - center).abs()).fold(0.0, f64::max);
    match event_size(values, step, kind) {
        Some(event) => event,
        None if largest > 0.0 => largest / options.novel_sigma,
        None => 1.0,
    }
}

/// The size of one event, when `values` are whole numbers of events: 1 for whole-numbered gauges, one event per
/// sampling step for rates, otherwise the smallest non-zero value if all others are multiples of it.
fn event_size(values: &[f64], step: f64, kind: MetricKind) -> Option<f64> {
    if matches!(kind, MetricKind::Ratio | MetricKind::Quantile) {
        return None;
    }
    let magnitudes = || values.iter().map(|value| value.abs()).filter(|value| *value > 0.0);
    let smallest = magnitudes().reduce(f64::min)?;
    // Values far below one event are no multiples of it, although they are close to zero events.
    let fits = |q: f64| {
        smallest > q * (1.0 - 2.0 * LATTICE_TOLERANCE)
            && values.iter().all(|value| (value / q - (value / q).round()).abs() <= LATTICE_TOLERANCE)
    };
    let per_step = if kind == MetricKind::Rate && step > 0.0 { 1.0 / step } else { 1.0 };
    if fits(per_step) {
        return Some(per_step);
    }
    // One multiple alone is any quantity that varies little.
    let several = magnitudes().any(|value| value > 1.5 * smallest);
    (several && fits(smallest)).then_some(smallest)
}
