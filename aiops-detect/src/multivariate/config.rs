use aiops_compact::ConfigError;
use serde::{Deserialize, Serialize};

use crate::error::{check, check_count};

/// How the relations of metrics are learned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MultivariateOptions {
    /// Rows averaged, 1 to 1000. Default 5.
    pub smooth: usize,
    /// Share of the variance that the principal components must explain, more than 0 to 1. Default 0.9.
    pub explained: f64,
    /// Smallest scale of a column as a share of its range while learning, or of its level when it was constant (of one
    /// unit when that level is 0); more than 0 to 1. Default 0.03.
    pub floor: f64,
    /// Share of the learned rows that were no farther from normal than the limit, 0.5 to 1. Default 0.999.
    pub quantile: f64,
    /// How far beyond that the limit lies, as a factor; 1 to 100. Default 1.1.
    pub margin: f64,
}

impl Default for MultivariateOptions {
    fn default() -> Self {
        Self { smooth: 5, explained: 0.9, floor: 0.03, quantile: 0.999, margin: 1.1 }
    }
}

/// Checked [`MultivariateOptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MultivariateOptions", into = "MultivariateOptions")]
pub struct MultivariateConfig(MultivariateOptions);

impl MultivariateConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &MultivariateOptions {
        &self.0
    }
}

impl From<MultivariateConfig> for MultivariateOptions {
    fn from(config: MultivariateConfig) -> Self {
        config.0
    }
}

impl TryFrom<MultivariateOptions> for MultivariateConfig {
    type Error = ConfigError;

    fn try_from(options: MultivariateOptions) -> Result<Self, ConfigError> {
        check_count("smooth", options.smooth, 1..=1000, "1 to 1000 rows")?;
        check("explained", options.explained, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check("floor", options.floor, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check("quantile", options.quantile, 0.5..=1.0, "0.5 to 1")?;
        check("margin", options.margin, 1.0..=100.0, "1 to 100")?;
        Ok(Self(options))
    }
}
