use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::model::{DetectorId, FittedHash, time};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Adwin, AdwinOptions, Drift, DriftOptions, FeatureReference, MeanShift};
use crate::checked::{Checked, Options};
use crate::error::check_count;
use crate::stats::{Correction, adjust};

/// How a model is watched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftWatchOptions {
    /// When an input has drifted.
    pub drift: DriftOptions,
    /// When the share of false alarms has risen.
    pub outcomes: AdwinOptions,
    /// Latest samples of each input that are compared, `drift.min_samples` to 10⁵. Default 1000.
    pub window: usize,
    /// Time after a request in which none is made, while the model was not renewed. Default 24 h.
    #[serde(with = "aiops_core::model::duration")]
    pub hold_off: Duration,
}

impl Default for DriftWatchOptions {
    fn default() -> Self {
        Self {
            drift: DriftOptions::default(),
            outcomes: AdwinOptions { every: 1, ..AdwinOptions::default() },
            window: 1000,
            hold_off: Duration::from_secs(86_400),
        }
    }
}

impl Options for DriftWatchOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        self.drift.validate()?;
        self.outcomes.validate()?;
        check_count(
            "window",
            self.window,
            self.drift.min_samples..=100_000,
            "`min_samples` to 100000 samples",
        )
    }
}

/// Why a model should be learned anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DriftReason {
    /// An input is no longer distributed as it was.
    Distribution {
        /// Name of the input.
        feature: String,
        /// Evidence.
        drift: Drift,
        /// p-value of the Kolmogorov-Smirnov test, corrected for the number of inputs.
        adjusted: f64,
    },
    /// The share of alarms that people call false has risen.
    FalsePositives {
        /// From what to what.
        shift: MeanShift,
    },
}

/// A model should be learned anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrainRequest {
    /// Which model.
    pub model: DetectorId,
    /// The fitted state that is out of date.
    pub fitted: FittedHash,
    /// When this was noticed.
    pub at: Timestamp,
    /// Why; inputs in the order of names, false positives last. Never empty.
    pub reasons: Vec<DriftReason>,
}

/// Watches what goes into one fitted model, and what comes of its alarms.
///
/// Memory: `window` samples and at most 512 quantiles an input. It is told the time and reads no clock; a clock that jumps
/// back leaves the hold-off as it is.
#[derive(Debug, Clone)]
pub struct DriftWatch {
    model: DetectorId,
    fitted: FittedHash,
    config: Checked<DriftWatchOptions>,
    drift: Checked<DriftOptions>,
    features: BTreeMap<String, (FeatureReference, VecDeque<f64>)>,
    outcomes: Adwin,
    rise: Option<MeanShift>,
    unknown: u64,
    last_request: Option<Timestamp>,
}

impl DriftWatch {
    /// Watches the fitted state `fitted` of `model`, whose inputs looked like `references` while it was learned.
    #[must_use]
    pub fn new(
        model: DetectorId,
        fitted: FittedHash,
        references: BTreeMap<String, FeatureReference>,
        config: Checked<DriftWatchOptions>,
    ) -> Self {
        // INVARIANT: parts of checked options are within their ranges, so neither default is ever taken.
        let drift = Checked::new(config.options().drift).unwrap_or_default();
        let outcomes = Adwin::new(Checked::new(config.options().outcomes).unwrap_or_default());
        let features = references.into_iter().map(|(name, r)| (name, (r, VecDeque::new()))).collect();
        Self { model, fitted, config, drift, features, outcomes, rise: None, unknown: 0, last_request: None }
    }

    /// Takes in a value of an input. Values of inputs the model was not learned with are counted, see
    /// [`unknown`](Self::unknown); NaN and ±∞ are passed over.
    pub fn observe(&mut self, feature: &str, value: f64) {
        let window = self.config.options().window;
        let Some((_, recent)) = self.features.get_mut(feature) else {
            self.unknown += 1;
            return;
        };
        if value.is_finite() {
            if recent.len() == window {
                recent.pop_front();
            }
            recent.push_back(value);
        }
    }

    /// Takes in what a person said of an alarm: whether it was false.
    pub fn outcome(&mut self, false_alarm: bool) {
        let shift = self.outcomes.push(f64::from(u8::from(false_alarm)));
        // A falling share needs no new model.
        if let Some(shift) = shift.filter(|s| s.after > s.before) {
            self.rise = Some(shift);
        }
    }

    /// Share of false alarms since it last changed; `None` before the first outcome.
    #[must_use]
    pub fn false_positive_rate(&self) -> Option<f64> {
        self.outcomes.mean()
    }

    /// Values offered for inputs that have no reference: a sign that the schema changed.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Looks whether the model should be learned anew. O(inputs · window · log window).
    pub fn check(&mut self, at: Timestamp) -> Option<RetrainRequest> {
        let options = self.config.options();
        let held = |last: Timestamp| at < time::after(last, options.hold_off);
        if self.last_request.is_some_and(held) {
            return None;
        }
        let compared: Vec<(&String, Option<Drift>)> = self
            .features
            .iter_mut()
            .map(|(name, (reference, recent))| {
                (name, reference.compare(recent.make_contiguous(), &self.drift))
            })
            .collect();
        let p_values: Vec<f64> =
            compared.iter().map(|(_, drift)| drift.map_or(f64::NAN, |d| d.ks.p_value)).collect();
        let adjusted = adjust(&p_values, Correction::Holm);
        let drifted = compared.into_iter().zip(adjusted).filter_map(|((name, drift), adjusted)| {
            let drift = drift.filter(|d| d.is_clear(adjusted, &options.drift))?;
            Some(DriftReason::Distribution { feature: name.clone(), drift, adjusted })
        });
        let mut reasons: Vec<DriftReason> = drifted.collect();
        reasons.extend(self.rise.take().map(|shift| DriftReason::FalsePositives { shift }));
        if reasons.is_empty() {
            return None;
        }
        self.last_request = Some(at);
        Some(RetrainRequest { model: self.model.clone(), fitted: self.fitted.clone(), at, reasons })
    }

    /// The model was learned anew: watches the new state, from nothing.
    pub fn renew(&mut self, fitted: FittedHash, references: BTreeMap<String, FeatureReference>) {
        *self = Self::new(self.model.clone(), fitted, references, self.config);
    }
}
