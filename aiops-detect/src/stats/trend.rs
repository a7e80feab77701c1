use super::{effective_size, median, normal_sf};

/// Most points a trend is looked for in; longer series are summed up to the medians of stretches.
const MOST_POINTS: usize = 240;

/// A monotone trend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Kendall's τ, −1 to 1: the share of pairs that rise less those that fall.
    pub tau: f64,
    /// Two-sided p-value.
    pub p_value: f64,
    /// Theil and Sen's slope, per unit of x: the median over all pairs.
    pub slope: f64,
    /// Median of y − slope · x.
    pub intercept: f64,
}

impl Trend {
    /// Where the line is at `x`.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }
}

/// Mann's test for a trend (*Nonparametric tests against trend*, 1945) with the line of Theil (1950) and Sen (1968)
/// through it, for points `(x, y)` with ascending x and finite y.
///
/// The variance is inflated by the autocorrelation of what the line leaves over, after Hamed and Rao (*A modified
/// Mann-Kendall trend test for autocorrelated data*, 1998), with [`effective_size`]; a trend is none because noise wanders.
/// `None` for fewer than eight points. O(n²) for n ≤ 240; more points are first reduced to medians of equal stretches.
///
/// ```
/// use aiops_detect::stats::mann_kendall;
/// let rising: Vec<(f64, f64)> = (0..50).map(|i| (f64::from(i), 2.0 * f64::from(i) + f64::from(i % 3))).collect();
/// let trend = mann_kendall(&rising).ok_or("too few")?;
/// assert!(trend.p_value < 1e-6 && (trend.slope - 2.0).abs() < 0.1);
/// # Ok::<(), &str>(())
/// ```
#[must_use]
pub fn mann_kendall(points: &[(f64, f64)]) -> Option<Trend> {
    let stretch = points.len().div_ceil(MOST_POINTS).max(1);
    let points: Vec<(f64, f64)> = points
        .chunks(stretch)
        .map(|part| (median(part.iter().map(|p| p.0)), median(part.iter().map(|p| p.1))))
        .collect();
    let n = points.len() as f64;
    if points.len() < 8 {
        return None;
    }
    let (mut score, mut slopes) = (0.0, Vec::with_capacity(points.len() * points.len() / 2));
    for (i, (x, y)) in points.iter().enumerate() {
        for (later_x, later_y) in points.iter().skip(i + 1) {
            let rise = later_y - y;
            // `signum` of a zero is 1.
            score += if rise == 0.0 { 0.0 } else { rise.signum() };
            if later_x > x {
                slopes.push(rise / (later_x - x));
            }
        }
    }
    let slope = median(slopes);
    let rest: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
    let intercept = median(rest.iter().copied());
    let mut sorted: Vec<f64> = points.iter().map(|p| p.1).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let tied = |group: &[f64]| {
        let t = group.len() as f64;
        t * (t - 1.0) * (2.0 * t + 5.0)
    };
    let ties: f64 = sorted.chunk_by(|a, b| a == b).map(tied).sum();
    let variance = (n * (n - 1.0) * (2.0 * n + 5.0) - ties) / 18.0 * (n / effective_size(&rest));
    let z = if variance > 0.0 { (score.abs() - 1.0).max(0.0) / variance.sqrt() } else { 0.0 };
    let tau = score / (n * (n - 1.0) / 2.0);
    Some(Trend { tau, p_value: (2.0 * normal_sf(z)).min(1.0), slope, intercept })
}
