//! What an excursion looks like: spike, dip, level shift, steady increase or decrease; since when, and how much.
//! // CMP-02
//!
//! # Method
//! [`excursions`] finds the samples concerned. [`classify`] then compares two least-squares models with the same
//! number of parameters over everything up to the excursion's last sample: a step (`0` before onset, a level after)
//! and a hinge (`0` before onset, a line through it after; a "broken stick", Hinkley 1969). For every possible onset
//! the closed-form gain of either model follows from suffix sums, so the search over all onsets is one pass: exact
//! least squares, hence maximum likelihood under normal noise (Hinkley 1970), no iteration, no starting value.
//! The hinge is preferred only with evidence (see [`ShapeConfig::trend_evidence`], [`ShapeConfig::trend_t`]).
//! Times enter as they are: gaps and irregular steps need no filling.

mod excursion;
mod fit;

pub use excursion::{Excursion, Persistence, excursions};
pub use fit::{Line, ShapeFit, classify, fit_line};

use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, check};

/// Thresholds of [`classify`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShapeConfig {
    /// An excursion that ended after at most so many samples is a spike or dip, a longer one a level shift or trend
    /// that ended; 1 to 1000. Default 5.
    pub transient_samples: usize,
    /// How much better, in units of twice the log-likelihood ratio, a trend must explain the samples than a level
    /// shift; ≥ 0. Default 6: odds of 20 to 1, "strong" on the scale of Kass and Raftery (1995).
    pub trend_evidence: f64,
    /// t statistic the slope after the onset must reach; ≥ 0. Default 3.
    pub trend_t: f64,
    /// Fewest samples from the onset on that may be called a trend; 3 to 1000. Default 5.
    pub trend_samples: usize,
}

impl Default for ShapeConfig {
    fn default() -> Self {
        Self { transient_samples: 5, trend_evidence: 6.0, trend_t: 3.0, trend_samples: 5 }
    }
}

impl ShapeConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(1..=1000).contains(&self.transient_samples) {
            return Err(ConfigError::new(
                "shape.transient_samples",
                self.transient_samples,
                "1 to 1000 samples",
            ));
        }
        if !(3..=1000).contains(&self.trend_samples) {
            return Err(ConfigError::new("shape.trend_samples", self.trend_samples, "3 to 1000 samples"));
        }
        check("shape.trend_evidence", self.trend_evidence, 0.0.., "a finite number ≥ 0")?;
        check("shape.trend_t", self.trend_t, 0.0.., "a finite number ≥ 0")
    }
}
