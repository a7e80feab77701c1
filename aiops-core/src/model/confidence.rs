//! How sure a diagnosis is, and whether that number has been checked.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// Whether a confidence has been held against outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    /// Nobody checked; autonomy is capped at suggesting.
    Uncalibrated,
    /// Fitted on recorded cases; the id names the fit.
    Fitted(String),
}

/// A probability in 0..=1 with its standing.
///
/// ```
/// use aiops_core::model::Confidence;
/// let guess = Confidence::uncalibrated(0.9)?;
/// assert!(!guess.is_calibrated());
/// assert!(Confidence::uncalibrated(f64::NAN).is_err());
/// # Ok::<(), aiops_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ConfidenceParts", into = "ConfidenceParts")]
pub struct Confidence {
    probability: f64,
    calibration: Calibration,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfidenceParts {
    probability: f64,
    calibration: Calibration,
}

impl TryFrom<ConfidenceParts> for Confidence {
    type Error = Error;
    fn try_from(p: ConfidenceParts) -> Result<Self> {
        Self::new(p.probability, p.calibration)
    }
}

impl From<Confidence> for ConfidenceParts {
    fn from(c: Confidence) -> Self {
        Self { probability: c.probability, calibration: c.calibration }
    }
}

impl Confidence {
    fn new(probability: f64, calibration: Calibration) -> Result<Self> {
        if (0.0..=1.0).contains(&probability) {
            return Ok(Self { probability, calibration });
        }
        Err(Error::new(ErrorKind::Invalid, "a confidence lies in 0..=1").with("probability", probability))
    }

    /// A score nobody held against outcomes.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] outside 0..=1 or for NaN.
    pub fn uncalibrated(probability: f64) -> Result<Self> {
        Self::new(probability, Calibration::Uncalibrated)
    }

    /// A probability that the fit `fit` maps to observed frequency.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] outside 0..=1 or for NaN.
    pub fn calibrated(probability: f64, fit: impl Into<String>) -> Result<Self> {
        Self::new(probability, Calibration::Fitted(fit.into()))
    }

    /// The number, 0..=1.
    #[must_use]
    pub fn probability(&self) -> f64 {
        self.probability
    }

    /// Whether the number was fitted on outcomes.
    #[must_use]
    pub fn is_calibrated(&self) -> bool {
        matches!(self.calibration, Calibration::Fitted(_))
    }

    /// Its standing.
    #[must_use]
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }
}

impl std::fmt::Display for Confidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.is_calibrated() { "" } else { " (uncalibrated)" };
        write!(f, "{:.0} %{mark}", self.probability * 100.0)
    }
}
