use aiops_compact::order::{median_of_sorted, quantile_of_sorted};
use aiops_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::linear::Square;
use super::{MultivariateConfig, MultivariateOptions};
use crate::error::FitError;
use crate::group::RowModel;
use crate::rows::Rows;

/// Interquartile range of a normal distribution, in σ.
const QUARTILES: f64 = 1.349;

/// Location and scale of a column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scaling {
    pub(crate) center: f64,
    pub(crate) scale: f64,
}

impl Scaling {
    /// Median and interquartile range; a column that hardly varies is measured by its range, its level, or one unit.
    pub(crate) fn of(mut values: Vec<f64>, floor: f64) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let quantile = |q| quantile_of_sorted(&values, q).unwrap_or(0.0);
        let center = median_of_sorted(&values).unwrap_or(0.0);
        let spread = (quantile(0.75) - quantile(0.25)) / QUARTILES;
        let range = quantile(1.0) - quantile(0.0);
        let scale = spread.max(floor * range);
        let constant = floor * if center == 0.0 { 1.0 } else { center.abs() };
        Self { center, scale: if scale.is_finite() && scale > 0.0 { scale } else { constant } }
    }
}

/// What is asked of the standardised rows, each a sum of squares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    /// Cholesky factor of the shrunk covariance of the rows.
    level: Vec<f64>,
    /// The same of what changes from row to row.
    change: Vec<f64>,
    /// Principal components that are kept, as rows.
    components: Vec<f64>,
    /// What 95 % of the learned rows keep below, of the three parts.
    typical: [f64; 3],
}

/// How all metrics of an entity hang together, and how far rows are from it. See the [module](super).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct MultivariateModel {
    smooth: usize,
    scalings: Vec<Scaling>,
    level: Square,
    change: Square,
    components: Vec<f64>,
    typical: [f64; 3],
    limit: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    smooth: usize,
    scalings: Vec<Scaling>,
    parts: Parts,
    limit: f64,
}

impl From<MultivariateModel> for Stored {
    fn from(model: MultivariateModel) -> Self {
        let parts = Parts {
            level: model.level.cells,
            change: model.change.cells,
            components: model.components,
            typical: model.typical,
        };
        Self { smooth: model.smooth, scalings: model.scalings, parts, limit: model.limit }
    }
}

impl TryFrom<Stored> for MultivariateModel {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let Stored { smooth, scalings, parts, limit } = stored;
        let size = scalings.len();
        let positive = |v: &f64| v.is_finite() && *v > 0.0;
        let factor = |cells: &[f64]| {
            cells.len() == size * size
                && cells.iter().all(|v| v.is_finite())
                && cells.iter().step_by(size + 1).all(|v| *v > 0.0)
        };
        let usable = size > 0
            && (1..=1000).contains(&smooth)
            && scalings.iter().all(|s| s.center.is_finite() && positive(&s.scale))
            && factor(&parts.level)
            && factor(&parts.change)
            && parts.components.len().is_multiple_of(size)
            && parts.components.len() <= size * size
            && parts.components.iter().all(|v| v.is_finite())
            && parts.typical.iter().all(positive)
            && positive(&limit);
        if !usable {
            return Err(Error::new(ErrorKind::Invalid, "a stored multivariate model does not fit together"));
        }
        let square = |cells| Square { size, cells };
        Ok(Self {
            smooth,
            scalings,
            level: square(parts.level),
            change: square(parts.change),
            components: parts.components,
            typical: parts.typical,
            limit,
        })
    }
}

/// Ledoit and Wolf's covariance about zero: (1 − δ) S + δ μ I with the δ that minimises the expected squared error
/// (*A well-conditioned estimator for large-dimensional covariance matrices*, J. Multivariate Analysis 88, 2004), as
/// scikit-learn computes it.
pub(crate) fn shrunk_covariance(rows: &[Vec<f64>], size: usize) -> Square {
    let (mut covariance, count) = Square::second_moments(rows.iter().map(Vec::as_slice), size);
    let (n, p) = (count.max(1) as f64, size as f64);
    let mu = covariance.trace() / p;
    let fourth: f64 = rows.iter().map(|row| row.iter().map(|v| v * v).sum::<f64>().powi(2)).sum();
    let squares: f64 = covariance.cells.iter().map(|v| v * v).sum();
    let delta = (squares - p * mu * mu) / p;
    let beta = ((fourth / n - squares) / (p * n)).clamp(0.0, delta.max(0.0));
    let shrinkage = if delta > 0.0 { beta / delta } else { 1.0 };
    covariance.cells.iter_mut().for_each(|cell| *cell *= 1.0 - shrinkage);
    // Columns that never vary leave nothing to divide by; the ridge is far below what rounding loses.
    let ridge = shrinkage * mu + 1e-9 * mu + 1e-12;
    covariance.cells.iter_mut().step_by(size + 1).for_each(|cell| *cell += ridge);
    covariance
}

/// The Cholesky factor of [`shrunk_covariance`].
fn shrunk_factor(rows: &[Vec<f64>], size: usize) -> Square {
    shrunk_covariance(rows, size).cholesky().unwrap_or_else(|| Square::identity(size))
}

/// Components that explain `share` of the variance.
fn components(rows: &[Vec<f64>], size: usize, share: f64) -> Vec<f64> {
    let (covariance, _) = Square::second_moments(rows.iter().map(Vec::as_slice), size);
    let (values, vectors) = covariance.eigen();
    let total: f64 = values.iter().sum();
    let mut explained = 0.0;
    let kept = values.iter().take_while(|value| {
        let more = explained < share * total;
        explained += **value;
        more
    });
    let kept = kept.count();
    vectors.cells.into_iter().take(kept * size).collect()
}

/// Mean of the last `width` defined values, NaN where the value itself is.
fn smoothed(values: &[f64], width: usize) -> Vec<f64> {
    let at = |i: usize| {
        let from = (i + 1).saturating_sub(width);
        let window = values.get(from..=i).unwrap_or_default();
        let defined = window.iter().filter(|v| !v.is_nan());
        let (sum, count) = defined.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
        sum / count
    };
    values.iter().enumerate().map(|(i, v)| if v.is_nan() { f64::NAN } else { at(i) }).collect()
}

/// A row in standard units, and how it changed since the one before; `None` with NaN or ±∞.
type Standard = Option<(Vec<f64>, Vec<f64>)>;

impl MultivariateModel {
    fn standardise(&self, rows: Rows<'_>) -> Vec<Standard> {
        let mut before: Option<Vec<f64>> = None;
        let one = |row: &[f64]| {
            let z: Vec<f64> = row.iter().zip(&self.scalings).map(|(v, s)| (v - s.center) / s.scale).collect();
            let known = z.iter().all(|v| v.is_finite());
            let change = |before: &Vec<f64>| z.iter().zip(before).map(|(now, then)| now - then).collect();
            let change = before.as_ref().map_or_else(|| vec![0.0; z.len()], change);
            before = known.then(|| z.clone());
            known.then_some((z, change))
        };
        rows.iter().map(one).collect()
    }

    /// z less what the components explain of it.
    fn residual(&self, z: &[f64]) -> Vec<f64> {
        let mut rest = z.to_vec();
        for component in self.components.chunks_exact(z.len().max(1)) {
            let along: f64 = component.iter().zip(z).map(|(c, v)| c * v).sum();
            rest.iter_mut().zip(component).for_each(|(r, c)| *r -= along * c);
        }
        rest
    }

    /// The three parts of each row, smoothed.
    fn parts(&self, standard: &[Standard]) -> [Vec<f64>; 3] {
        let squares = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
        let distance = |factor: &Square, values: &[f64]| {
            let mut whitened = values.to_vec();
            factor.forward(&mut whitened);
            squares(&whitened)
        };
        let mut parts: [Vec<f64>; 3] = Default::default();
        for row in standard {
            let values = row.as_ref().map(|(z, change)| {
                [distance(&self.level, z), distance(&self.change, change), squares(&self.residual(z))]
            });
            for (part, value) in parts.iter_mut().zip(values.unwrap_or([f64::NAN; 3])) {
                part.push(value);
            }
        }
        parts.map(|part| smoothed(&part, self.smooth))
    }

    fn combine(&self, parts: &[Vec<f64>; 3]) -> Vec<f64> {
        let [level, change, residual] = parts;
        let [a, b, c] = self.typical;
        let rows = level.iter().zip(change).zip(residual);
        rows.map(|((x, y), z)| (x / a).ln_1p() + (y / b).ln_1p() + (z / c).ln_1p()).collect()
    }
}

impl RowModel for MultivariateModel {
    const ID: &'static str = "multivariate";

    type Config = MultivariateConfig;

    fn learn(rows: Rows<'_>, config: &MultivariateConfig) -> Result<Self, FitError> {
        let MultivariateOptions { smooth, explained, floor, quantile, margin } = *config.options();
        let size = rows.columns();
        let usable: Vec<&[f64]> = rows.iter().filter(|row| row.iter().all(|v| v.is_finite())).collect();
        let needed = 2 * size.max(8);
        if usable.len() < needed {
            return Err(FitError::TooFew { usable: usable.len(), needed });
        }
        let column = |c: usize| usable.iter().filter_map(|row| row.get(c).copied()).collect();
        let scalings = (0..size).map(|c| Scaling::of(column(c), floor)).collect();
        let mut model = Self {
            smooth,
            scalings,
            level: Square::identity(size),
            change: Square::identity(size),
            components: Vec::new(),
            typical: [1.0; 3],
            limit: 1.0,
        };
        let standard = model.standardise(rows);
        let (levels, changes): (Vec<_>, Vec<_>) = standard.iter().flatten().cloned().unzip();
        model.level = shrunk_factor(&levels, size);
        model.change = shrunk_factor(&changes, size);
        model.components = components(&levels, size, explained);
        let parts = model.parts(&standard);
        let sorted = |values: &[f64]| {
            let mut values: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        for (typical, part) in model.typical.iter_mut().zip(&parts) {
            // Where nothing is left over (one column, or all explained) the smallest number stands for it.
            *typical = quantile_of_sorted(&sorted(part), 0.95).unwrap_or(1.0).max(1e-9);
        }
        let scores = sorted(&model.combine(&parts));
        model.limit = margin * quantile_of_sorted(&scores, quantile).unwrap_or(1.0).max(1e-9);
        Ok(model)
    }

    fn columns(&self) -> usize {
        self.scalings.len()
    }

    fn judge(&self, rows: Rows<'_>) -> Result<Vec<f64>, FitError> {
        rows.expect_columns(self.columns())?;
        let scores = self.combine(&self.parts(&self.standardise(rows)));
        Ok(scores.into_iter().map(|score| score / self.limit).collect())
    }

    /// The share of each column in the two distances and the residual, over the rows that were smoothed together.
    fn contributions(&self, rows: Rows<'_>, _centers: &[f64]) -> Result<Vec<f64>, FitError> {
        rows.expect_columns(self.columns())?;
        let mut shares = vec![0.0; self.columns()];
        let standard = self.standardise(rows);
        for (z, change) in standard.iter().rev().take(self.smooth).flatten() {
            let weighted = |factor: &Square, values: &[f64]| -> Vec<f64> {
                let mut solved = values.to_vec();
                factor.forward(&mut solved);
                factor.backward(&mut solved);
                solved.iter().zip(values).map(|(s, v)| (s * v).max(0.0)).collect()
            };
            let residual = self.residual(z).into_iter().map(|r| r * r).collect();
            let parts = [weighted(&self.level, z), weighted(&self.change, change), residual];
            for (part, typical) in parts.iter().zip(self.typical) {
                shares.iter_mut().zip(part).for_each(|(share, value)| *share += value / typical);
            }
        }
        Ok(shares)
    }
}
