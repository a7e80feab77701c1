use serde::{Deserialize, Serialize};

use crate::stats::{normal_quantile, normal_sf};

/// How p-values of several detectors become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combination {
    /// Mean of Cauchy variables (Liu and Xie, *Cauchy combination test*, 2020): small p-values come out right whatever depends on
    /// what. Those above one half count as one half: that a member sees nothing is no evidence against what another one sees.
    #[default]
    Cauchy,
    /// Harmonic mean (Wilson, *The harmonic mean p-value for combining dependent tests*, 2019): nearly the same, and never
    /// less than the smallest.
    HarmonicMean,
    /// Mean of normal deviates (Stouffer's), for members that depend on each other fully, which is the worst there is: it asks for
    /// agreement, where the other two believe whoever is surest.
    Normal,
}

/// One p-value of several, each with a weight; those that are NaN, or whose weight is not more than 0, are left out. 1 where none is left.
///
/// ```
/// use aiops_detect::ensemble::{Combination, combine};
/// let one_is_sure = [(1e-6, 1.0), (0.7, 1.0)];
/// assert!((combine(&one_is_sure, Combination::Cauchy) - 2e-6).abs() < 1e-8);
/// assert!(combine(&one_is_sure, Combination::Normal) > 1e-3);
/// ```
#[must_use]
pub fn combine(p_values: &[(f64, f64)], rule: Combination) -> f64 {
    let usable = || {
        let usable = |(p, w): &&(f64, f64)| !p.is_nan() && w.is_finite() && *w > 0.0;
        p_values.iter().filter(usable).map(|(p, w)| (p.clamp(f64::MIN_POSITIVE, 1.0), *w))
    };
    let weights: f64 = usable().map(|(_, w)| w).sum();
    if weights <= 0.0 {
        return 1.0;
    }
    let mean = |of: &dyn Fn(f64) -> f64| usable().map(|(p, w)| of(p) * w).sum::<f64>() / weights;
    match rule {
        Combination::Cauchy => {
            let mean = mean(&|p| cauchy(p).max(0.0));
            // For large values the arc tangent has no digits left.
            let p = if mean > 1e8 {
                (std::f64::consts::PI * mean).recip()
            } else {
                0.5 - mean.atan() / std::f64::consts::PI
            };
            p.max(f64::MIN_POSITIVE)
        }
        Combination::HarmonicMean => mean(&f64::recip).recip().clamp(f64::MIN_POSITIVE, 1.0),
        Combination::Normal => {
            // The quantile of what is next to 1 is infinite.
            let deviate = |p: f64| -normal_quantile(p.clamp(1e-300, 1.0 - 1e-12));
            normal_sf(mean(&deviate)).clamp(f64::MIN_POSITIVE, 1.0)
        }
    }
}

/// The Cauchy variable that exceeds its value with probability `p`.
fn cauchy(p: f64) -> f64 {
    if p < 1e-8 { (std::f64::consts::PI * p).recip() } else { (std::f64::consts::PI * (0.5 - p)).tan() }
}

/// The most that a p-value allows to believe that something is the matter, when a share `prevalence` of what is asked about is: no
/// alternative makes data with this p-value more than `1 ÷ (−e · p · ln p)` times as probable (Sellke, Bayarri and Berger, *Calibration
/// of p values for testing precise null hypotheses*, 2001).
///
/// ```
/// use aiops_detect::ensemble::confidence;
/// assert!(confidence(0.05, 0.01) < 0.03);
/// assert!(confidence(1e-6, 0.01) > 0.99);
/// ```
#[must_use]
pub fn confidence(p_value: f64, prevalence: f64) -> f64 {
    let p = if p_value.is_nan() { 1.0 } else { p_value.clamp(f64::MIN_POSITIVE, 1.0) };
    let real = prevalence.clamp(0.0, 1.0);
    let chance = if p < (-1.0_f64).exp() { -std::f64::consts::E * p * p.ln() } else { 1.0 };
    let against = (1.0 - real) * chance;
    if real <= 0.0 { 0.0 } else { real / (real + against) }
}
