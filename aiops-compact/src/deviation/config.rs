use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, check};
use crate::shape::{Persistence, ShapeConfig};

/// Thresholds of the comparison of a window's recent part with its reference part.
///
/// Plain fields with the defaults that are documented on each; [`DeviationConfig`] holds a checked set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviationOptions {
    /// The recent part, as a share of the window's range; 0.01 to 0.5. Default 0.25.
    pub recent_share: f64,
    /// Fewest usable samples of the reference part; 5 to 10⁶. With fewer a series is skipped and counted. Default 12.
    pub min_reference: usize,
    /// When samples beyond kσ make an excursion. Default 3 of 5 beyond 3 σ.
    pub persistence: Persistence,
    /// Deviation that the excursion's persistent level (see [`Persistence`]: `hits` of `of` samples) must reach to be
    /// a finding, in σ; ≥ `persistence.sigma`. Default 4.5.
    pub finding_sigma: f64,
    /// How far beyond the persistent level that the reference itself reached a finding must lie, as a factor; ≥ 1.
    /// Keeps bursts, periodic jobs and sawtooths that are normal for a series quiet. Default 2.
    pub novelty: f64,
    /// Deviation from which a finding is critical, in σ; ≥ `finding_sigma`. Default 10.
    pub critical_sigma: f64,
    /// Smallest scale as a share of the reference level; 0 to 1. At 3 σ the default 0.05 asks for a change of 15 %,
    /// less is not worth anybody's time however quiet the series was.
    pub relative_floor: f64,
    /// The same when the reference is constant or hardly varies (variance below a quarter of a Poisson count's):
    /// nothing then says how much it may vary; 0 to 1. With the default 0.07 the step from 3 replicas to 2 is a finding
    /// and that from 4 to 5 is not.
    pub constant_floor: f64,
    /// Smallest scale of a [`Ratio`](aiops_core::model::MetricKind::Ratio), in the ratio's unit; 0 to 1.
    /// Default 0.01: one percentage point.
    pub ratio_floor: f64,
    /// Smallest scale of any series in its own unit; ≥ 0. Default 0.
    pub absolute_floor: f64,
    /// Deviation in σ that the largest recent sample gets when nothing at all gives a scale: a continuous series
    /// that was zero throughout the reference; ≥ `finding_sigma`. Default 6.
    pub novel_sigma: f64,
    /// Shapes.
    pub shape: ShapeConfig,
}

impl Default for DeviationOptions {
    fn default() -> Self {
        Self {
            recent_share: 0.25,
            min_reference: 12,
            persistence: Persistence::default(),
            finding_sigma: 4.5,
            novelty: 2.0,
            critical_sigma: 10.0,
            relative_floor: 0.05,
            constant_floor: 0.07,
            ratio_floor: 0.01,
            absolute_floor: 0.0,
            novel_sigma: 6.0,
            shape: ShapeConfig::default(),
        }
    }
}

/// Checked [`DeviationOptions`].
///
/// ```
/// use aiops_compact::deviation::{DeviationConfig, DeviationOptions};
/// let config = DeviationConfig::try_from(DeviationOptions { recent_share: 0.2, ..Default::default() })?;
/// assert_eq!(config.options().recent_share, 0.2);
/// let error = DeviationConfig::try_from(DeviationOptions { novelty: 0.5, ..Default::default() }).unwrap_err();
/// assert_eq!(error.field(), "novelty");
/// # Ok::<(), aiops_compact::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "DeviationOptions", into = "DeviationOptions")]
pub struct DeviationConfig(DeviationOptions);

impl DeviationConfig {
    /// The thresholds.
    #[must_use]
    pub fn options(&self) -> &DeviationOptions {
        &self.0
    }
}

impl From<DeviationConfig> for DeviationOptions {
    fn from(config: DeviationConfig) -> Self {
        config.0
    }
}

impl TryFrom<DeviationOptions> for DeviationConfig {
    type Error = ConfigError;

    fn try_from(options: DeviationOptions) -> Result<Self, ConfigError> {
        let o = &options;
        o.persistence.validate()?;
        o.shape.validate()?;
        check("recent_share", o.recent_share, 0.01..=0.5, "0.01 to 0.5")?;
        if !(5..=1_000_000).contains(&o.min_reference) {
            return Err(ConfigError::new("min_reference", o.min_reference, "5 to 1000000 samples"));
        }
        check("finding_sigma", o.finding_sigma, o.persistence.sigma.., "at least `persistence.sigma`")?;
        check("novelty", o.novelty, 1.0.., "a finite number ≥ 1")?;
        check("critical_sigma", o.critical_sigma, o.finding_sigma.., "at least `finding_sigma`")?;
        check("relative_floor", o.relative_floor, 0.0..=1.0, "0 to 1")?;
        check("constant_floor", o.constant_floor, 0.0..=1.0, "0 to 1")?;
        check("ratio_floor", o.ratio_floor, 0.0..=1.0, "0 to 1")?;
        check("absolute_floor", o.absolute_floor, 0.0.., "a finite number ≥ 0")?;
        check("novel_sigma", o.novel_sigma, o.finding_sigma.., "at least `finding_sigma`")?;
        Ok(Self(options))
    }
}
