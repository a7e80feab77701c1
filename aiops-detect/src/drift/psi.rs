use aiops_compact::ConfigError;
use aiops_compact::order::quantile_of_sorted;
use serde::{Deserialize, Serialize};

use crate::checked::Options;
use crate::error::check_count;
use crate::stats::chi_squared_sf;

/// How distributions are binned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PsiOptions {
    /// Bins, with as many samples of the reference in each, 2 to 100. Default 10.
    pub bins: usize,
}

impl Default for PsiOptions {
    fn default() -> Self {
        Self { bins: 10 }
    }
}

impl Options for PsiOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check_count("bins", self.bins, 2..=100, "2 to 100 bins")
    }
}

/// A population stability index.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Psi {
    /// Σ (qᵢ − pᵢ) ln(qᵢ ÷ pᵢ) ≥ 0, symmetric. By custom below 0.1 nothing happened, from 0.25 on the population is another.
    pub index: f64,
    /// Probability of so large an index when nothing changed: it is χ² of `bins − 1` degrees, times 1/n + 1/m.
    pub p_value: f64,
    /// Bins that were told apart; fewer than asked for where values repeat.
    pub bins: usize,
}

/// Compares `sample` with `reference` (finite and ascending), in bins of equal reference share. `effective` are the numbers of
/// independent samples both are worth, for the p-value. A bin without a sample counts as half a sample. Values equal
/// to an edge fall below it; values that are no number are left out. `None` when either is empty. O(m log bins).
///
/// ```
/// use aiops_detect::drift::psi;
/// let reference: Vec<f64> = (0..1000).map(f64::from).collect();
/// let same: Vec<f64> = (0..200).map(|i| f64::from(i * 5)).collect();
/// let other: Vec<f64> = same.iter().map(|v| v * 0.5).collect();
/// let index = |sample: &[f64]| psi(&reference, sample, (1000.0, 200.0), &Default::default()).map(|p| p.index);
/// assert!(index(&same) < Some(0.01) && index(&other) > Some(0.25));
/// ```
#[must_use]
pub fn psi(reference: &[f64], sample: &[f64], effective: (f64, f64), options: &PsiOptions) -> Option<Psi> {
    let bins = options.bins.max(2);
    let mut edges: Vec<f64> =
        (1..bins).filter_map(|i| quantile_of_sorted(reference, i as f64 / bins as f64)).collect();
    edges.dedup();
    // An edge at the largest value would leave nothing above it.
    edges.retain(|edge| reference.last().is_some_and(|last| edge < last));
    let counted = |values: &mut dyn Iterator<Item = f64>| {
        let mut counts = vec![0.0; edges.len() + 1];
        for value in values.filter(|v| !v.is_nan()) {
            if let Some(count) = counts.get_mut(edges.partition_point(|edge| *edge < value)) {
                *count += 1.0;
            }
        }
        let total: f64 = counts.iter().sum();
        (total > 0.0).then(|| {
            let smoothed = counts.iter().map(|c| f64::max(*c, 0.5)).collect::<Vec<f64>>();
            let total: f64 = smoothed.iter().sum();
            smoothed.into_iter().map(|c| c / total).collect::<Vec<f64>>()
        })
    };
    let (p, q) = (counted(&mut reference.iter().copied())?, counted(&mut sample.iter().copied())?);
    let index: f64 = p.iter().zip(&q).map(|(p, q)| (q - p) * (q / p).ln()).sum();
    let (n, m) = (effective.0.max(1.0), effective.1.max(1.0));
    let p_value =
        if edges.is_empty() { 1.0 } else { chi_squared_sf(index / (1.0 / n + 1.0 / m), edges.len() as f64) };
    Some(Psi { index, p_value, bins: edges.len() + 1 })
}
