//! A recorded series, cut into constant levels.
//!
//! Exact segmentation into constant levels by the least penalised sum of squares, searched with PELT (Killick, Fearnhead,
//! Eckley: *Optimal detection of changepoints with a linear computational cost*, JASA 107, 2012). Columns are
//! standardised by their mean and standard deviation over the whole series, changes included: what is a change then has
//! to be large against everything the series does, trends and seasons too, and not only against its noise.

use aiops_compact::{ConfigError, Moments};
use serde::{Deserialize, Serialize};

use crate::error::check;
use crate::rows::Rows;

/// What a change must be worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentOptions {
    /// Penalty of each change, in multiples of ln(rows) · columns and in units of the standardised sum of squares; 0.1
    /// to 1000. Default 8. The Bayesian information criterion of independent noise asks for 2; series of operations are
    /// autocorrelated, so that as many rows say less. Between 6 and 12 hardly anything changes.
    pub penalty: f64,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self { penalty: 8.0 }
    }
}

/// Checked [`SegmentOptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SegmentOptions", into = "SegmentOptions")]
pub struct SegmentConfig(SegmentOptions);

impl SegmentConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &SegmentOptions {
        &self.0
    }
}

impl From<SegmentConfig> for SegmentOptions {
    fn from(config: SegmentConfig) -> Self {
        config.0
    }
}

impl TryFrom<SegmentOptions> for SegmentConfig {
    type Error = ConfigError;

    fn try_from(options: SegmentOptions) -> Result<Self, ConfigError> {
        check("penalty", options.penalty, 0.1..=1000.0, "0.1 to 1000")?;
        Ok(Self(options))
    }
}

/// A change of level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangePoint {
    /// First row of the new level.
    pub onset: usize,
    /// Mean of each column from the change before on, in the column's unit.
    pub before: Vec<f64>,
    /// Mean of each column up to the next change.
    pub after: Vec<f64>,
    /// What the change explains, in multiples of its penalty: 1 is just worth it, more is surer.
    pub gain: f64,
}

/// Running sums that give the sum of squares of any stretch of rows in O(columns).
struct Sums {
    columns: usize,
    /// Sums of the columns up to each row, row by row; one row more than the data.
    linear: Vec<f64>,
    /// Sums of squares over all columns up to each row.
    squares: Vec<f64>,
}

impl Sums {
    fn of<'a>(rows: impl Iterator<Item = &'a [f64]>, scales: &[(f64, f64)]) -> Self {
        let columns = scales.len();
        let mut sum = vec![0.0; columns];
        let mut square = 0.0;
        let (mut linear, mut squares) = (sum.clone(), vec![0.0]);
        for row in rows {
            for ((sum, value), (mean, deviation)) in sum.iter_mut().zip(row).zip(scales) {
                let z = (value - mean) / deviation;
                *sum += z;
                square += z * z;
            }
            linear.extend_from_slice(&sum);
            squares.push(square);
        }
        Self { columns, linear, squares }
    }

    fn stretch(&self, from: usize, to: usize) -> impl Iterator<Item = f64> + '_ {
        let at = |row: usize| self.linear.iter().skip(row * self.columns).take(self.columns);
        at(to).zip(at(from)).map(|(late, early)| late - early)
    }

    /// Sum of squares of rows `from..to` about their mean.
    fn cost(&self, from: usize, to: usize) -> f64 {
        let square = |row: usize| self.squares.get(row).copied().unwrap_or(f64::NAN);
        let about: f64 = self.stretch(from, to).map(|sum| sum * sum).sum();
        square(to) - square(from) - about / (to - from).max(1) as f64
    }
}

/// Finds where the level of `rows` (in order of time) changed; ascending. Rows with NaN or ±∞ are passed over, and
/// columns that never vary, or too widely for their variance to be finite, say nothing.
///
/// O(rows) while changes come up steadily, O(rows²) at worst, which is a long series without any change.
///
/// ```
/// use aiops_detect::{Rows, changepoint::change_points};
/// let values: Vec<f64> = (0..80).map(|i| f64::from(i % 3) + if i < 50 { 0.0 } else { 9.0 }).collect();
/// let found = change_points(Rows::new(&values, 1)?, &Default::default());
/// assert_eq!(found.iter().map(|change| change.onset).collect::<Vec<_>>(), [50]);
/// # Ok::<(), aiops_detect::FitError>(())
/// ```
#[must_use]
pub fn change_points(rows: Rows<'_>, config: &SegmentConfig) -> Vec<ChangePoint> {
    let usable: Vec<(usize, &[f64])> =
        rows.iter().enumerate().filter(|(_, row)| row.iter().all(|v| v.is_finite())).collect();
    let n = usable.len();
    let scales: Vec<(f64, f64)> = (0..rows.columns())
        .map(|column| {
            let mut moments = Moments::new();
            usable.iter().filter_map(|(_, row)| row.get(column)).for_each(|v| moments.push(*v));
            let deviation = moments.standard_deviation().filter(|d| d.is_finite() && *d > 0.0);
            (moments.mean().unwrap_or(0.0), deviation.unwrap_or(f64::INFINITY))
        })
        .collect();
    let sums = Sums::of(usable.iter().map(|(_, row)| *row), &scales);
    let penalty = config.options().penalty * (n.max(2) as f64).ln() * rows.columns() as f64;

    let cuts = segment(&sums, n, penalty);
    let mut bounds = vec![0];
    bounds.extend(&cuts);
    bounds.push(n);
    let stretches = bounds.windows(3).filter_map(|w| <[usize; 3]>::try_from(w).ok());
    let level = |from: usize, to: usize| {
        let count = (to - from).max(1) as f64;
        let mean = |(column, (center, deviation)): (usize, &(f64, f64))| {
            if deviation.is_finite() {
                return center + deviation * sums.stretch(from, to).nth(column).unwrap_or(0.0) / count;
            }
            usable.get(from).and_then(|(_, row)| row.get(column)).copied().unwrap_or(*center)
        };
        scales.iter().enumerate().map(mean).collect::<Vec<f64>>()
    };
    stretches
        .filter_map(|[from, cut, to]| {
            let gain = sums.cost(from, to) - sums.cost(from, cut) - sums.cost(cut, to);
            let onset = usable.get(cut)?.0;
            let (before, after) = (level(from, cut), level(cut, to));
            Some(ChangePoint { onset, before, after, gain: gain / penalty })
        })
        .collect()
}

/// Starts of the segments but the first, ascending.
fn segment(sums: &Sums, n: usize, penalty: f64) -> Vec<usize> {
    // best[t]: least penalised cost of the first t rows, and where their last segment starts.
    let mut best = vec![(-penalty, 0_usize)];
    let mut candidates = vec![0_usize];
    let mut costs: Vec<f64> = Vec::new();
    for t in 1..=n {
        costs.clear();
        let upto = |s: &usize| best.get(*s).map_or(f64::INFINITY, |b| b.0) + sums.cost(*s, t);
        costs.extend(candidates.iter().map(upto));
        let least = costs.iter().zip(&candidates).min_by(|a, b| a.0.total_cmp(b.0));
        let Some((cost, start)) = least.map(|(cost, start)| (*cost, *start)) else { return Vec::new() };
        // INVARIANT: a start that is already worse than the best without its penalty can never win again, for cutting
        // a segment never makes its squares larger.
        let mut kept = costs.iter();
        candidates.retain(|_| kept.next().is_some_and(|c| *c <= cost + penalty));
        candidates.push(t);
        best.push((cost + penalty, start));
    }
    let mut cuts = Vec::new();
    let mut at = n;
    while let Some((_, start)) = best.get(at).filter(|_| at > 0) {
        if *start > 0 {
            cuts.push(*start);
        }
        at = *start;
    }
    cuts.reverse();
    cuts
}
