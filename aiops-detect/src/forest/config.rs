use aiops_compact::ConfigError;
use serde::{Deserialize, Serialize};

use crate::error::check_count;

/// How a forest is grown.
///
/// Plain fields with the defaults of the paper; [`ForestConfig`] holds a checked set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForestOptions {
    /// Number of trees, 1 to 10 000. Default 100: path lengths have converged well before (Liu et al. 2008, §5.3).
    pub trees: usize,
    /// Rows each tree is grown from, drawn without replacement, 2 to 65 536. Default 256: few rows keep anomalies from
    /// hiding each other (masking) and being joined by normal rows (swamping).
    pub sample_size: usize,
    /// Seed of all draws. The same rows, options and seed give the same forest.
    pub seed: u64,
}

impl Default for ForestOptions {
    fn default() -> Self {
        Self { trees: 100, sample_size: 256, seed: 0 }
    }
}

/// Checked [`ForestOptions`].
///
/// ```
/// use aiops_detect::forest::{ForestConfig, ForestOptions};
/// let config = ForestConfig::try_from(ForestOptions { trees: 50, ..Default::default() })?;
/// assert_eq!(config.options().trees, 50);
/// let error = ForestConfig::try_from(ForestOptions { trees: 0, ..Default::default() }).unwrap_err();
/// assert_eq!(error.field(), "trees");
/// # Ok::<(), aiops_compact::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ForestOptions", into = "ForestOptions")]
pub struct ForestConfig(ForestOptions);

impl ForestConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &ForestOptions {
        &self.0
    }
}

impl From<ForestConfig> for ForestOptions {
    fn from(config: ForestConfig) -> Self {
        config.0
    }
}

impl TryFrom<ForestOptions> for ForestConfig {
    type Error = ConfigError;

    fn try_from(options: ForestOptions) -> Result<Self, ConfigError> {
        check_count("trees", options.trees, 1..=10_000, "1 to 10000")?;
        check_count("sample_size", options.sample_size, 2..=65_536, "2 to 65536 rows")?;
        Ok(Self(options))
    }
}
