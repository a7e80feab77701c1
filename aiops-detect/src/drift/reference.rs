use aiops_compact::ConfigError;
use aiops_compact::order::quantile_of_sorted;
use aiops_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::{KsTest, Psi, PsiOptions, ks_two_sample, psi};
use crate::checked::{Checked, Options};
use crate::error::{FitError, check, check_count};
use crate::stats::{effective_size, hodges_lehmann};

/// Values kept of a reference: its quantiles at even distances.
const KEPT: usize = 512;

/// When a distribution has become another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftOptions {
    /// Bins of the population stability index.
    pub psi: PsiOptions,
    /// Smallest index of a drift, more than 0. Default 0.25.
    pub index: f64,
    /// Level of significance of the Kolmogorov-Smirnov test, after correction for the number of features; more than 0 to
    /// 0.5. Default 0.01.
    pub alpha: f64,
    /// Fewest samples, of the reference as of what is compared, 16 to 10⁶. Default 50.
    pub min_samples: usize,
}

impl Default for DriftOptions {
    fn default() -> Self {
        Self { psi: PsiOptions::default(), index: 0.25, alpha: 0.01, min_samples: 50 }
    }
}

impl Options for DriftOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        self.psi.validate()?;
        check("index", self.index, f64::MIN_POSITIVE.., "a finite number above 0")?;
        check("alpha", self.alpha, f64::MIN_POSITIVE..=0.5, "more than 0, at most 0.5")?;
        check_count("min_samples", self.min_samples, 16..=1_000_000, "16 to 1000000 samples")
    }
}

/// What one input of a model looked like while it was learned: at most 512 quantiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct FeatureReference {
    /// Ascending.
    quantiles: Vec<f64>,
    samples: usize,
    effective: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    quantiles: Vec<f64>,
    samples: usize,
    effective: f64,
}

impl From<FeatureReference> for Stored {
    fn from(r: FeatureReference) -> Self {
        Self { quantiles: r.quantiles, samples: r.samples, effective: r.effective }
    }
}

impl TryFrom<Stored> for FeatureReference {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let Stored { quantiles, samples, effective } = stored;
        let fits = !quantiles.is_empty()
            && quantiles.len() <= KEPT
            && quantiles.iter().all(|q| q.is_finite())
            && quantiles.is_sorted()
            && quantiles.len() <= samples
            && (1.0..=samples as f64).contains(&effective);
        if !fits {
            return Err(Error::new(ErrorKind::Invalid, "a stored reference of a feature is damaged"));
        }
        Ok(Self { quantiles, samples, effective })
    }
}

/// How far a feature is from its reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// Population stability index.
    pub psi: Psi,
    /// Kolmogorov-Smirnov test.
    pub ks: KsTest,
    /// Shift of the level in the feature's unit (Hodges and Lehmann).
    pub shift: f64,
    /// Samples compared.
    pub samples: usize,
}

impl Drift {
    /// Whether this is a drift, when the p-value of the test, corrected for other features, is `adjusted`.
    #[must_use]
    pub fn is_clear(&self, adjusted: f64, options: &DriftOptions) -> bool {
        self.psi.index >= options.index && adjusted <= options.alpha
    }
}

impl FeatureReference {
    /// Learns from `values` in order of time; NaN and ±∞ are left out. O(n log n).
    ///
    /// # Errors
    /// [`FitError::TooFew`] with fewer finite values than `options.min_samples`.
    pub fn learn(values: &[f64], config: &Checked<DriftOptions>) -> Result<Self, FitError> {
        let mut usable: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let needed = config.options().min_samples;
        if usable.len() < needed {
            return Err(FitError::TooFew { usable: usable.len(), needed });
        }
        let effective = effective_size(&usable);
        usable.sort_unstable_by(f64::total_cmp);
        let samples = usable.len();
        let quantiles = if samples <= KEPT {
            usable
        } else {
            let at = |i: usize| quantile_of_sorted(&usable, i as f64 / (KEPT - 1) as f64);
            (0..KEPT).filter_map(at).collect()
        };
        Ok(Self { quantiles, samples, effective })
    }

    /// Samples it was learned from.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Its quantiles at even distances, ascending.
    #[must_use]
    pub fn quantiles(&self) -> &[f64] {
        &self.quantiles
    }

    /// Compares `values` in order of time with it; `None` with fewer finite ones than `min_samples`. O(m log m).
    #[must_use]
    pub fn compare(&self, values: &[f64], config: &Checked<DriftOptions>) -> Option<Drift> {
        let options = config.options();
        let mut usable: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        if usable.len() < options.min_samples {
            return None;
        }
        let effective = (self.effective, effective_size(&usable));
        let shift = hodges_lehmann(&self.quantiles, &usable);
        usable.sort_unstable_by(f64::total_cmp);
        // The quantiles stand for all samples of the reference, so these are no fewer than they are worth.
        let worth = (effective.0.min(self.quantiles.len() as f64), effective.1);
        Some(Drift {
            psi: psi(&self.quantiles, &usable, effective, &options.psi)?,
            ks: ks_two_sample(&self.quantiles, &usable, worth)?,
            shift,
            samples: usable.len(),
        })
    }
}
