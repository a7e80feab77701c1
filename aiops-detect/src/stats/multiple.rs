use serde::{Deserialize, Serialize};

/// How p-values are corrected for having asked many times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Holm (*A simple sequentially rejective multiple test procedure*, 1979): the probability of even one false finding
    /// among all stays below the level, whatever depends on what.
    #[default]
    Holm,
    /// Benjamini and Hochberg (*Controlling the false discovery rate*, 1995): the expected share of false findings among
    /// the findings stays below the level, for tests that are independent or depend on each other positively.
    BenjaminiHochberg,
}

/// Adjusted p-values, in the order of `p_values`: a finding is significant where its own is at most the level. NaN stays
/// NaN and does not count as a test. O(n log n).
///
/// ```
/// use aiops_detect::stats::{Correction, adjust};
/// assert_eq!(adjust(&[0.01, 0.5, 0.04], Correction::Holm), [0.03, 0.5, 0.08]);
/// ```
#[must_use]
pub fn adjust(p_values: &[f64], correction: Correction) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> =
        p_values.iter().copied().zip(0..).filter(|(p, _)| !p.is_nan()).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let tests = order.len();
    let mut adjusted = vec![f64::NAN; p_values.len()];
    let mut set = |at: usize, p: f64| {
        if let Some(cell) = adjusted.get_mut(at) {
            *cell = p;
        }
    };
    match correction {
        Correction::Holm => {
            let mut highest = 0.0_f64;
            for (rank, (p, at)) in order.into_iter().enumerate() {
                highest = highest.max((p * (tests - rank) as f64).min(1.0));
                set(at, highest);
            }
        }
        Correction::BenjaminiHochberg => {
            let mut lowest = 1.0_f64;
            for (rank, (p, at)) in order.into_iter().enumerate().rev() {
                lowest = lowest.min(p * tests as f64 / (rank + 1) as f64);
                set(at, lowest);
            }
        }
    }
    adjusted
}
