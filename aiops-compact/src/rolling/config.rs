use serde::{Deserialize, Serialize};

use super::MAX_WINDOW;
use crate::error::{ConfigError, check};

/// Configuration of a rolling statistic, valid by construction.
///
/// ```
/// use aiops_compact::rolling::RollingConfig;
/// let config = RollingConfig::new(288)?.with_warm_up(24)?.with_relative_floor(0.01)?;
/// assert_eq!(config.window(), 288);
/// assert!(RollingConfig::new(1).is_err());
/// # Ok::<(), aiops_compact::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct RollingConfig {
    window: usize,
    warm_up: usize,
    absolute_floor: f64,
    relative_floor: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    window: usize,
    #[serde(default)]
    warm_up: Option<usize>,
    #[serde(default)]
    absolute_floor: f64,
    #[serde(default)]
    relative_floor: f64,
}

impl TryFrom<Raw> for RollingConfig {
    type Error = ConfigError;
    fn try_from(raw: Raw) -> Result<Self, ConfigError> {
        let mut config = Self::new(raw.window)?
            .with_absolute_floor(raw.absolute_floor)?
            .with_relative_floor(raw.relative_floor)?;
        if let Some(warm_up) = raw.warm_up {
            config = config.with_warm_up(warm_up)?;
        }
        Ok(config)
    }
}

impl From<RollingConfig> for Raw {
    fn from(config: RollingConfig) -> Self {
        Self {
            window: config.window,
            warm_up: Some(config.warm_up),
            absolute_floor: config.absolute_floor,
            relative_floor: config.relative_floor,
        }
    }
}

impl RollingConfig {
    /// A window of `window` slots, 2 to [`MAX_WINDOW`]. Warm-up is half of it (at least 2 samples), floors are 0.
    pub fn new(window: usize) -> Result<Self, ConfigError> {
        if !(2..=MAX_WINDOW).contains(&window) {
            return Err(ConfigError::new("window", window, "2 to 16777216 slots"));
        }
        Ok(Self { window, warm_up: (window / 2).max(2), absolute_floor: 0.0, relative_floor: 0.0 })
    }

    /// Samples the window must hold before anything is scored, 2 to `window`.
    pub fn with_warm_up(mut self, samples: usize) -> Result<Self, ConfigError> {
        if !(2..=self.window).contains(&samples) {
            return Err(ConfigError::new("warm_up", samples, "2 to `window` samples"));
        }
        self.warm_up = samples;
        Ok(self)
    }

    /// Smallest scale in the series' unit, ≥ 0: what a change must be measured against when the window is constant.
    pub fn with_absolute_floor(mut self, scale: f64) -> Result<Self, ConfigError> {
        check("absolute_floor", scale, 0.0.., "a finite number ≥ 0")?;
        self.absolute_floor = scale;
        Ok(self)
    }

    /// Smallest scale as a share of the location's magnitude, 0 to 1.
    pub fn with_relative_floor(mut self, share: f64) -> Result<Self, ConfigError> {
        check("relative_floor", share, 0.0..=1.0, "0 to 1")?;
        self.relative_floor = share;
        Ok(self)
    }

    /// Slots in the window.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window
    }

    /// Samples needed before anything is scored.
    #[must_use]
    pub fn warm_up(&self) -> usize {
        self.warm_up
    }

    /// Whether a scale is ever raised.
    #[inline(always)]
    pub(super) fn has_floors(&self) -> bool {
        self.absolute_floor != 0.0 || self.relative_floor != 0.0
    }

    /// `scale` raised to the floors that hold at `location`. Floors of 0 change no bit of it.
    #[inline(always)]
    pub(super) fn raised(&self, scale: f64, location: f64) -> f64 {
        larger(larger(scale, self.absolute_floor), self.relative_floor * location.abs())
    }
}

/// The larger of two numbers that are not NaN: one instruction, where `f64::max` asks for NaN.
#[inline(always)]
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}
