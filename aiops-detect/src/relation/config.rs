use aiops_compact::ConfigError;
use serde::{Deserialize, Serialize};

use crate::checked::{Checked, Options};
use crate::error::{check, check_count};

/// How relations are learned, and when one is broken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelationOptions {
    /// Rows over which squares of residuals are averaged, 1 to 1000. Default 8.
    pub smooth: usize,
    /// Share of a metric's variance that the others must explain for it to take part, more than 0 to 1. Default 0.5.
    pub explained: f64,
    /// Smallest correlation with a metric that one is said to move together with, 0 to 1. Default 0.5.
    pub strength: f64,
    /// Smallest scale of a column as a share of its range while learning; more than 0 to 1. Default 0.03.
    pub floor: f64,
    /// Share of the learned rows that were no farther from their relation than the limit, 0.5 to 1. Default 0.999.
    pub quantile: f64,
    /// How far beyond that the limit lies, as a factor; 1 to 100. Default 1.5: means of squares have a long tail, and
    /// the learned rows are those the model fits best.
    pub margin: f64,
    /// A metric within so many σ of its median keeps its own bounds; more than 0. Default 3.
    pub bounds: f64,
}

impl Default for RelationOptions {
    fn default() -> Self {
        Self {
            smooth: 8,
            explained: 0.5,
            strength: 0.5,
            floor: 0.03,
            quantile: 0.999,
            margin: 1.5,
            bounds: 3.0,
        }
    }
}

impl Options for RelationOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        const SHARE: &str = "more than 0, at most 1";
        check_count("smooth", self.smooth, 1..=1000, "1 to 1000 rows")?;
        check("explained", self.explained, f64::MIN_POSITIVE..=1.0, SHARE)?;
        check("strength", self.strength, 0.0..=1.0, "0 to 1")?;
        check("floor", self.floor, f64::MIN_POSITIVE..=1.0, SHARE)?;
        check("quantile", self.quantile, 0.5..=1.0, "0.5 to 1")?;
        check("margin", self.margin, 1.0..=100.0, "1 to 100")?;
        check("bounds", self.bounds, f64::MIN_POSITIVE.., "a finite number above 0")
    }
}

/// Checked [`RelationOptions`].
pub type RelationConfig = Checked<RelationOptions>;
