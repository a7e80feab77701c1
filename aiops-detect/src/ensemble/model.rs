use aiops_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::{Calibration, EnsembleConfig, fisher_statistic};
use crate::error::FitError;
use crate::forest::ForestModel;
use crate::group::RowModel;
use crate::multivariate::MultivariateModel;
use crate::relation::RelationModel;
use crate::rows::Rows;

/// Members and their calibrations. See the [module](super).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct EnsembleModel {
    config: EnsembleConfig,
    multivariate: MultivariateModel,
    forest: ForestModel,
    relation: RelationModel,
    calibrations: [Calibration; 3],
    combined: Calibration,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    config: EnsembleConfig,
    multivariate: MultivariateModel,
    forest: ForestModel,
    relation: RelationModel,
    calibrations: [Calibration; 3],
    combined: Calibration,
}

impl From<EnsembleModel> for Stored {
    fn from(model: EnsembleModel) -> Self {
        let EnsembleModel { config, multivariate, forest, relation, calibrations, combined } = model;
        Self { config, multivariate, forest, relation, calibrations, combined }
    }
}

impl TryFrom<Stored> for EnsembleModel {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let Stored { config, multivariate, forest, relation, calibrations, combined } = stored;
        let width = multivariate.columns();
        if forest.columns() != width || relation.columns() != width {
            return Err(Error::new(ErrorKind::Invalid, "the members of a stored ensemble differ in width"));
        }
        Ok(Self { config, multivariate, forest, relation, calibrations, combined })
    }
}

/// The p-values of each row.
fn p_of(heights: &[Vec<f64>; 3], calibrations: &[Calibration; 3]) -> Vec<[f64; 3]> {
    let [first, second, third] = heights;
    let [a, b, c] = calibrations;
    let rows = first.iter().zip(second).zip(third);
    rows.map(|((x, y), z)| [a.p_value(*x), b.p_value(*y), c.p_value(*z)]).collect()
}

impl EnsembleModel {
    /// Names of the members, in the order of their p-values.
    pub const MEMBERS: [&'static str; 3] = [MultivariateModel::ID, ForestModel::ID, RelationModel::ID];

    fn heights(&self, rows: Rows<'_>) -> Result<[Vec<f64>; 3], FitError> {
        Ok([self.multivariate.judge(rows)?, self.forest.judge(rows)?, self.relation.judge(rows)?])
    }

    /// The p-values of the members for each row; NaN where a member cannot tell.
    ///
    /// # Errors
    /// [`FitError::Columns`] when the rows are of another width.
    pub fn member_p_values(&self, rows: Rows<'_>) -> Result<Vec<[f64; 3]>, FitError> {
        Ok(p_of(&self.heights(rows)?, &self.calibrations))
    }

    /// The combined p-value of each row; NaN where no member can tell.
    ///
    /// # Errors
    /// As [`member_p_values`](Self::member_p_values).
    pub fn p_values(&self, rows: Rows<'_>) -> Result<Vec<f64>, FitError> {
        let members = self.member_p_values(rows)?;
        Ok(members.into_iter().map(|p| self.combined.p_value(fisher_statistic(p.into_iter()))).collect())
    }
}

impl RowModel for EnsembleModel {
    const ID: &'static str = "ensemble";

    type Config = EnsembleConfig;

    fn learn(rows: Rows<'_>, config: &EnsembleConfig) -> Result<Self, FitError> {
        let options = config.options();
        let width = rows.columns();
        let learned = rows.len() - (rows.len() as f64 * options.calibration).round() as usize;
        let values: Vec<f64> = rows.iter().take(learned).flatten().copied().collect();
        let first = Rows::new(&values, width)?;
        let multivariate = MultivariateModel::learn(first, &options.multivariate)?;
        let forest = ForestModel::learn(first, &options.forest)?;
        let relation = RelationModel::learn(first, &options.relation)?;
        // All rows are judged, so that means over the last rows are whole where the calibration begins.
        let heights = [multivariate.judge(rows)?, forest.judge(rows)?, relation.judge(rows)?];
        let calibrate = |scores: &[f64]| Calibration::learn(scores.get(learned..).unwrap_or_default());
        let [a, b, c] = &heights;
        let calibrations = [calibrate(a)?, calibrate(b)?, calibrate(c)?];
        let statistics: Vec<f64> =
            p_of(&heights, &calibrations).into_iter().map(|p| fisher_statistic(p.into_iter())).collect();
        let combined = calibrate(&statistics)?;
        Ok(Self { config: config.clone(), multivariate, forest, relation, calibrations, combined })
    }

    fn columns(&self) -> usize {
        self.multivariate.columns()
    }

    /// ln p of the combined p-value, in ln α.
    fn judge(&self, rows: Rows<'_>) -> Result<Vec<f64>, FitError> {
        let unit = self.config.options().alpha.ln();
        Ok(self.p_values(rows)?.into_iter().map(|p| p.ln() / unit).collect())
    }

    /// Each member's shares, weighted by how sure it is of the last row.
    fn contributions(&self, rows: Rows<'_>, centers: &[f64]) -> Result<Vec<f64>, FitError> {
        let p_values = self.member_p_values(rows)?.pop().unwrap_or([f64::NAN; 3]);
        let parts = [
            self.multivariate.contributions(rows, centers)?,
            self.forest.contributions(rows, centers)?,
            self.relation.contributions(rows, centers)?,
        ];
        let mut shares = vec![0.0; self.columns()];
        for (part, p) in parts.iter().zip(p_values) {
            let total: f64 = part.iter().sum();
            if p.is_nan() || total.is_nan() || total <= 0.0 {
                continue;
            }
            shares.iter_mut().zip(part).for_each(|(share, own)| *share += -p.ln() * own / total);
        }
        Ok(shares)
    }
}
