use aiops_compact::order::quantile_of_sorted;
use aiops_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::{RelationConfig, RelationOptions};
use crate::error::FitError;
use crate::group::RowModel;
use crate::multivariate::linear::Square;
use crate::multivariate::{Scaling, shrunk_covariance};
use crate::rows::Rows;

/// How the columns of rows hang together. See the [module](super).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct RelationModel {
    options: RelationOptions,
    scalings: Vec<Scaling>,
    /// Shrunk covariance of the standardised columns.
    covariance: Square,
    /// Its inverse.
    precision: Square,
    /// Which columns the others explain.
    related: Vec<bool>,
    /// Mean square residual that the quantile of the learned rows keeps below, by column.
    typical: Vec<f64>,
    limit: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    config: RelationConfig,
    scalings: Vec<Scaling>,
    covariance: Vec<f64>,
    typical: Vec<f64>,
    limit: f64,
}

impl From<RelationModel> for Stored {
    fn from(model: RelationModel) -> Self {
        Self {
            // INVARIANT: the model was learned with checked options.
            config: RelationConfig::new(model.options).unwrap_or_default(),
            scalings: model.scalings,
            covariance: model.covariance.cells,
            typical: model.typical,
            limit: model.limit,
        }
    }
}

impl TryFrom<Stored> for RelationModel {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let damaged = || Error::new(ErrorKind::Invalid, "stored relations do not fit together");
        let size = stored.scalings.len();
        let positive = |v: &f64| v.is_finite() && *v > 0.0;
        let covariance = Square { size, cells: stored.covariance };
        let symmetric =
            (0..size).all(|i| (0..i).all(|j| covariance.at(i, j).to_bits() == covariance.at(j, i).to_bits()));
        let usable = size > 0
            && covariance.cells.len() == size * size
            && covariance.cells.iter().all(|v| v.is_finite())
            && symmetric
            && stored.scalings.iter().all(|s| s.center.is_finite() && positive(&s.scale))
            && stored.typical.len() == size
            && stored.typical.iter().all(positive)
            && positive(&stored.limit);
        if !usable {
            return Err(damaged());
        }
        let options = stored.config.into_options();
        let mut model = Self::of(options, stored.scalings, covariance).ok_or_else(damaged)?;
        (model.typical, model.limit) = (stored.typical, stored.limit);
        Ok(model)
    }
}

/// One column in one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    /// In standard units.
    pub(super) value: f64,
    /// What the other columns predict, in standard units.
    pub(super) expected: f64,
    /// Deviation from that, in what was usual while learning; NaN where the cell was not seen.
    pub(super) residual: f64,
}

impl RelationModel {
    /// `None` when the covariance has no inverse.
    fn of(options: RelationOptions, scalings: Vec<Scaling>, covariance: Square) -> Option<Self> {
        let size = scalings.len();
        let precision = covariance.cholesky()?.inverse_of_product();
        let related = (0..size)
            .map(|j| 1.0 - 1.0 / (precision.at(j, j) * covariance.at(j, j)) >= options.explained)
            .collect();
        let typical = vec![1.0; size];
        Some(Self { options, scalings, covariance, precision, related, typical, limit: 1.0 })
    }

    /// Options it was learned with.
    #[must_use]
    pub fn options(&self) -> &RelationOptions {
        &self.options
    }

    /// Correlation of two columns while learning; 0 for columns there are not.
    #[must_use]
    pub fn correlation(&self, one: usize, other: usize) -> f64 {
        let scale = self.covariance.at(one, one) * self.covariance.at(other, other);
        if scale > 0.0 { self.covariance.at(one, other) / scale.sqrt() } else { 0.0 }
    }

    /// The columns that `column` normally moves together with, strongest first.
    #[must_use]
    pub fn together_with(&self, column: usize) -> Vec<usize> {
        let mut with: Vec<(f64, usize)> = (0..self.scalings.len())
            .filter(|other| *other != column)
            .map(|other| (self.correlation(column, other).abs(), other))
            .filter(|(strength, _)| *strength >= self.options.strength)
            .collect();
        with.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        with.into_iter().map(|(_, other)| other).collect()
    }

    /// In the unit of `column`, what is `standard` in standard units.
    pub(super) fn in_unit(&self, column: usize, standard: f64) -> f64 {
        self.scalings.get(column).map_or(f64::NAN, |s| s.center + s.scale * standard)
    }

    /// The cells of `row`; `None` when nothing of it was seen.
    pub(super) fn cells(&self, row: &[f64]) -> Option<Vec<Cell>> {
        let mut z: Vec<f64> = row.iter().zip(&self.scalings).map(|(v, s)| (v - s.center) / s.scale).collect();
        let unseen: Vec<usize> =
            z.iter().enumerate().filter(|(_, v)| !v.is_finite()).map(|(i, _)| i).collect();
        if unseen.len() == z.len() {
            return None;
        }
        self.fill(&mut z, &unseen)?;
        let products = self.precision.rows().map(|row| row.iter().zip(&z).map(|(p, v)| p * v).sum::<f64>());
        let cells = z.iter().zip(products).enumerate().map(|(j, (value, product))| {
            let own = self.precision.at(j, j);
            let residual = if unseen.contains(&j) { f64::NAN } else { product / own.sqrt() };
            Cell { value: *value, expected: value - product / own, residual }
        });
        Some(cells.collect())
    }

    /// Gives unseen columns what the seen ones predict: P_uu z_u = −P_us z_s.
    fn fill(&self, z: &mut [f64], unseen: &[usize]) -> Option<()> {
        if unseen.is_empty() {
            return Some(());
        }
        for j in unseen {
            *z.get_mut(*j)? = 0.0;
        }
        let size = unseen.len();
        let cells = unseen.iter().flat_map(|i| unseen.iter().map(|j| self.precision.at(*i, *j))).collect();
        let factor = Square { size, cells }.cholesky()?;
        let mut filled: Vec<f64> = unseen
            .iter()
            .map(|i| -z.iter().enumerate().map(|(j, v)| self.precision.at(*i, j) * v).sum::<f64>())
            .collect();
        factor.forward(&mut filled);
        factor.backward(&mut filled);
        for (j, value) in unseen.iter().zip(filled) {
            *z.get_mut(*j)? = value;
        }
        Some(())
    }

    /// Mean square residuals of all columns over the last rows up to each row, in what is typical of them; empty for a row
    /// of which nothing was seen, NaN for a column that was not, or has no relation.
    fn surprises(&self, rows: Rows<'_>) -> Vec<Vec<f64>> {
        let squares: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| {
                let cells = self.cells(row).unwrap_or_default();
                cells.into_iter().map(|cell| cell.residual * cell.residual).collect()
            })
            .collect();
        let width = self.scalings.len();
        let at = |i: usize| {
            let from = (i + 1).saturating_sub(self.options.smooth);
            let (mut sums, mut counts) = (vec![0.0; width], vec![0.0; width]);
            for row in squares.get(from..=i).unwrap_or_default() {
                for ((sum, count), square) in sums.iter_mut().zip(&mut counts).zip(row) {
                    if !square.is_nan() {
                        *sum += square;
                        *count += 1.0;
                    }
                }
            }
            let parts = sums.into_iter().zip(counts).zip(self.typical.iter().zip(&self.related));
            // Few seen rows are no mean: what is missing counts as quiet.
            let least = (self.options.smooth.min(i + 1)) as f64;
            let mean = |((sum, count), (typical, related)): ((f64, f64), (&f64, &bool))| {
                if *related && count > 0.0 { sum / least / typical } else { f64::NAN }
            };
            parts.map(mean).collect::<Vec<f64>>()
        };
        squares.iter().enumerate().map(|(i, row)| if row.is_empty() { Vec::new() } else { at(i) }).collect()
    }

    fn scores(&self, rows: Rows<'_>) -> Vec<f64> {
        let highest = |row: &Vec<f64>| row.iter().copied().filter(|v| !v.is_nan()).reduce(f64::max);
        // Without any relation nothing breaks: such rows are as normal as can be.
        let of = |row: &Vec<f64>| if row.is_empty() { f64::NAN } else { highest(row).unwrap_or(0.0) };
        self.surprises(rows).iter().map(of).collect()
    }

    /// Mean square residual of each column over the last rows, in what is typical of it; 0 where there is none.
    pub(super) fn last_surprises(&self, rows: Rows<'_>) -> Vec<f64> {
        let last = self.surprises(rows).pop().filter(|row| !row.is_empty());
        let last = last.unwrap_or_else(|| vec![0.0; self.scalings.len()]);
        last.into_iter().map(|v| if v.is_nan() { 0.0 } else { v }).collect()
    }
}

impl RowModel for RelationModel {
    const ID: &'static str = "correlation-break";

    const SEES_GAPS: bool = true;

    type Config = RelationConfig;

    fn learn(rows: Rows<'_>, config: &RelationConfig) -> Result<Self, FitError> {
        let options = *config.options();
        let size = rows.columns();
        let usable: Vec<&[f64]> = rows.iter().filter(|row| row.iter().all(|v| v.is_finite())).collect();
        let too_few = FitError::TooFew { usable: usable.len(), needed: 4 * size.max(8) };
        if usable.len() < 4 * size.max(8) {
            return Err(too_few);
        }
        let column = |c: usize| usable.iter().filter_map(|row| row.get(c).copied()).collect();
        let scalings: Vec<Scaling> = (0..size).map(|c| Scaling::of(column(c), options.floor)).collect();
        let standard = |row: &&[f64]| {
            let z: Vec<f64> = row.iter().zip(&scalings).map(|(v, s)| (v - s.center) / s.scale).collect();
            // Single outliers make correlations of their own.
            z.into_iter().map(|v| v.clamp(-6.0, 6.0)).collect::<Vec<f64>>()
        };
        let standardised: Vec<Vec<f64>> = usable.iter().map(standard).collect();
        let covariance = shrunk_covariance(&standardised, size);
        let mut model = Self::of(options, scalings, covariance).ok_or(too_few)?;
        let surprises = model.surprises(rows);
        let sorted = |values: &mut Vec<f64>| {
            values.retain(|v| !v.is_nan());
            values.sort_unstable_by(f64::total_cmp);
        };
        for (j, typical) in model.typical.iter_mut().enumerate() {
            let mut of_column: Vec<f64> = surprises.iter().filter_map(|row| row.get(j).copied()).collect();
            sorted(&mut of_column);
            // A column that the others explain entirely leaves nothing over; rounding must not become a limit.
            *typical = quantile_of_sorted(&of_column, 0.95).unwrap_or(1.0).max(1e-6);
        }
        let mut scores = model.scores(rows);
        sorted(&mut scores);
        model.limit = options.margin * quantile_of_sorted(&scores, options.quantile).unwrap_or(1.0).max(1e-6);
        Ok(model)
    }

    fn columns(&self) -> usize {
        self.scalings.len()
    }

    fn judge(&self, rows: Rows<'_>) -> Result<Vec<f64>, FitError> {
        rows.expect_columns(self.columns())?;
        Ok(self.scores(rows).into_iter().map(|score| score / self.limit).collect())
    }

    /// A column's surprise counts half for itself and half for the column it parted from, so that the pair is named.
    fn contributions(&self, rows: Rows<'_>, _centers: &[f64]) -> Result<Vec<f64>, FitError> {
        rows.expect_columns(self.columns())?;
        let surprises = self.last_surprises(rows);
        let mut shares: Vec<f64> = surprises.iter().map(|s| s / 2.0).collect();
        for (column, surprise) in surprises.iter().enumerate() {
            let partner = self.together_with(column).into_iter().next();
            if let Some(share) = partner.and_then(|partner| shares.get_mut(partner)) {
                *share += surprise / 2.0;
            }
        }
        Ok(shares)
    }
}
