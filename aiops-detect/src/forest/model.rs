use aiops_compact::ConfigError;
use aiops_compact::order::quantile_of_sorted;
use aiops_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::{ForestConfig, IsolationForest};
use crate::error::{FitError, check};
use crate::group::{FittedGroups, GroupDetector, GroupFit, RowModel};
use crate::rows::Rows;

/// An isolation forest over the metrics of each entity, behind the [`Detector`](aiops_core::seam::Detector) seam.
pub type ForestDetector = GroupDetector<ForestModel>;
/// Learns what a [`ForestDetector`] knows.
pub type ForestFit = GroupFit<ForestModel>;
/// What a [`ForestDetector`] knows.
pub type FittedForest = FittedGroups<ForestModel>;

/// How rows of metrics are judged by a forest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForestModelOptions {
    /// Forest.
    pub forest: ForestConfig,
    /// Smallest score s of the paper that is beyond normal, 0.5 to 1. Default 0.6: clearly more than the 0.5 of rows
    /// like any other (Liu et al. 2008, §3).
    pub least: f64,
    /// Share of the learned rows that were no farther from normal than the limit, 0.5 to 1. Default 0.99. The larger
    /// one of this and `least` is the limit.
    pub quantile: f64,
}

impl Default for ForestModelOptions {
    fn default() -> Self {
        Self { forest: ForestConfig::default(), least: 0.6, quantile: 0.99 }
    }
}

/// Checked [`ForestModelOptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ForestModelOptions", into = "ForestModelOptions")]
pub struct ForestModelConfig(ForestModelOptions);

impl ForestModelConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &ForestModelOptions {
        &self.0
    }
}

impl From<ForestModelConfig> for ForestModelOptions {
    fn from(config: ForestModelConfig) -> Self {
        config.0
    }
}

impl TryFrom<ForestModelOptions> for ForestModelConfig {
    type Error = ConfigError;

    fn try_from(options: ForestModelOptions) -> Result<Self, ConfigError> {
        check("least", options.least, 0.5..=1.0, "0.5 to 1")?;
        check("quantile", options.quantile, 0.5..=1.0, "0.5 to 1")?;
        Ok(Self(options))
    }
}

/// A forest and the score its own rows keep below.
///
/// A forest cannot extrapolate: one column far beyond all that was learned scores no worse than the edge of what was.
/// It finds rows that several columns make unlike the learned ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct ForestModel {
    forest: IsolationForest,
    limit: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    forest: IsolationForest,
    limit: f64,
}

impl From<ForestModel> for Stored {
    fn from(model: ForestModel) -> Self {
        Self { forest: model.forest, limit: model.limit }
    }
}

impl TryFrom<Stored> for ForestModel {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        if !(0.5..=1.0).contains(&stored.limit) {
            return Err(Error::new(ErrorKind::Invalid, "a stored limit is not within 0.5 to 1"));
        }
        Ok(Self { forest: stored.forest, limit: stored.limit })
    }
}

impl RowModel for ForestModel {
    const ID: &'static str = "isolation-forest";

    type Config = ForestModelConfig;

    fn learn(rows: Rows<'_>, config: &ForestModelConfig) -> Result<Self, FitError> {
        let options = config.options();
        let forest = IsolationForest::fit(rows, options.forest)?;
        let mut scores: Vec<f64> =
            forest.score_samples(rows)?.into_iter().map(|s| -s).filter(|s| !s.is_nan()).collect();
        scores.sort_unstable_by(f64::total_cmp);
        let learned = quantile_of_sorted(&scores, options.quantile).unwrap_or(1.0);
        Ok(Self { forest, limit: learned.clamp(options.least, 1.0) })
    }

    fn columns(&self) -> usize {
        self.forest.columns()
    }

    fn judge(&self, rows: Rows<'_>) -> Result<Vec<f64>, FitError> {
        let scores = self.forest.score_samples(rows)?;
        Ok(scores.into_iter().map(|score| -score / self.limit).collect())
    }

    /// How much less anomalous the row were if the column had its normal value.
    fn contributions(&self, rows: Rows<'_>, centers: &[f64]) -> Result<Vec<f64>, FitError> {
        rows.expect_columns(self.columns())?;
        let Some(row) = rows.iter().next_back() else { return Ok(vec![0.0; self.columns()]) };
        // The row itself, then the row with one column after the other made normal.
        let mut variants = row.to_vec();
        for (column, center) in centers.iter().enumerate() {
            let normal = row.iter().enumerate().map(|(i, v)| if i == column { *center } else { *v });
            variants.extend(normal);
        }
        let judged = self.judge(Rows::new(&variants, self.columns())?)?;
        let Some((whole, without)) = judged.split_first() else { return Ok(Vec::new()) };
        Ok(without.iter().map(|rest| (whole - rest).max(0.0)).collect())
    }
}
