use aiops_compact::ConfigError;
use serde::{Deserialize, Serialize};

use crate::checked::{Checked, Options};
use crate::error::check;
use crate::forest::ForestModelConfig;
use crate::multivariate::MultivariateConfig;
use crate::relation::RelationConfig;

/// How the members are learned and combined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnsembleOptions {
    /// Distances and residuals.
    pub multivariate: MultivariateConfig,
    /// Isolation forest.
    pub forest: ForestModelConfig,
    /// Relations.
    pub relation: RelationConfig,
    /// Share of the rows, the last ones, that members are calibrated on instead of learned from; 0.1 to 0.5. Default 0.3.
    pub calibration: f64,
    /// Combined p-value that is a height of 1, more than 0 to 0.5. Default 0.0001.
    pub alpha: f64,
}

impl Default for EnsembleOptions {
    fn default() -> Self {
        Self {
            multivariate: MultivariateConfig::default(),
            forest: ForestModelConfig::default(),
            relation: RelationConfig::default(),
            calibration: 0.3,
            alpha: 1e-4,
        }
    }
}

impl Options for EnsembleOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check("calibration", self.calibration, 0.1..=0.5, "0.1 to 0.5")?;
        check("alpha", self.alpha, f64::MIN_POSITIVE..=0.5, "more than 0, at most 0.5")
    }
}

/// Checked [`EnsembleOptions`].
pub type EnsembleConfig = Checked<EnsembleOptions>;
