use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::model::{Baseline, EntityId, FittedHash, SeriesKey};
use aiops_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::PrecursorOptions;
use super::features::{Item, Usual};
use crate::checked::Checked;

/// Version of a stored [`FittedPrecursors`].
const FITTED_VERSION: u32 = 1;

/// What an aspect says when it is there, and when it is not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Weight {
    /// ln of how many times as common it is before incidents as in health.
    pub(super) present: f64,
    /// The same of its absence.
    pub(super) absent: f64,
}

/// How well incidents were found that the signature had not been learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaveOneOut {
    /// Incidents left out, one after the other.
    pub incidents: usize,
    /// Those that were announced in time.
    pub announced: usize,
    /// Alarms that no incident followed in time.
    pub false_alarms: usize,
    /// Days that were looked at.
    pub days: f64,
    /// Time from the alarm to the incident, of those announced; ascending.
    pub lead_times: Vec<Duration>,
}

impl LeaveOneOut {
    /// Share of alarms that an incident followed; `None` without an alarm.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        let alarms = self.announced + self.false_alarms;
        (alarms > 0).then(|| self.announced as f64 / alarms as f64)
    }

    /// Share of incidents that were announced.
    #[must_use]
    pub fn recall(&self) -> f64 {
        self.announced as f64 / self.incidents.max(1) as f64
    }

    /// False alarms a day.
    #[must_use]
    pub fn false_alarms_per_day(&self) -> f64 {
        if self.days > 0.0 { self.false_alarms as f64 / self.days } else { 0.0 }
    }

    /// Median time from alarm to incident; `None` when none was announced.
    #[must_use]
    pub fn lead_time(&self) -> Option<Duration> {
        self.lead_times.get(self.lead_times.len() / 2).copied()
    }
}

/// What precedes the incidents of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredSignature", into = "StoredSignature")]
pub struct Signature {
    pub(super) class: String,
    pub(super) weights: BTreeMap<Item, Weight>,
    pub(super) threshold: f64,
    pub(super) measured: LeaveOneOut,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSignature {
    class: String,
    weights: Vec<(Item, Weight)>,
    threshold: f64,
    measured: LeaveOneOut,
}

impl From<Signature> for StoredSignature {
    fn from(s: Signature) -> Self {
        let weights = s.weights.into_iter().collect();
        Self { class: s.class, weights, threshold: s.threshold, measured: s.measured }
    }
}

impl TryFrom<StoredSignature> for Signature {
    type Error = Error;

    fn try_from(stored: StoredSignature) -> Result<Self> {
        let count = stored.weights.len();
        let finite = stored.weights.iter().all(|(_, w)| w.present.is_finite() && w.absent.is_finite());
        let weights: BTreeMap<Item, Weight> = stored.weights.into_iter().collect();
        let measured = stored.measured;
        let fits = finite
            && count > 0
            && weights.len() == count
            && stored.threshold.is_finite()
            && measured.announced <= measured.incidents
            && measured.lead_times.len() == measured.announced
            && measured.days >= 0.0;
        if !fits {
            return Err(Error::new(ErrorKind::Invalid, "a stored signature is damaged"));
        }
        Ok(Self { class: stored.class, weights, threshold: stored.threshold, measured })
    }
}

impl Signature {
    /// Class of the incidents.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The aspects it looks for, in order.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.weights.keys()
    }

    /// How well it found incidents it was not learned from.
    #[must_use]
    pub fn measured(&self) -> &LeaveOneOut {
        &self.measured
    }

    /// ln of the odds that what is `there` precedes an incident, up to a constant.
    pub(super) fn score<'i>(&self, there: impl Fn(&Item) -> bool + 'i) -> f64 {
        self.weights.iter().map(|(item, w)| if there(item) { w.present } else { w.absent }).sum()
    }
}

/// What a [`PrecursorDetector`](super::PrecursorDetector) knows: signatures, and what is usual for each series. Serialises to a
/// versioned document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct FittedPrecursors {
    pub(super) config: Checked<PrecursorOptions>,
    pub(super) signatures: Vec<Signature>,
    pub(super) usual: Usual,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    config: Checked<PrecursorOptions>,
    signatures: Vec<Signature>,
    usual: Vec<(EntityId, SeriesKey, Baseline)>,
}

impl From<FittedPrecursors> for Document {
    fn from(fitted: FittedPrecursors) -> Self {
        let usual = fitted.usual.into_iter().map(|((entity, key), b)| (entity, key, b)).collect();
        Self { version: FITTED_VERSION, config: fitted.config, signatures: fitted.signatures, usual }
    }
}

impl TryFrom<Document> for FittedPrecursors {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        if document.version != FITTED_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "unknown version of fitted precursors")
                .with("version", document.version)
                .with("known", FITTED_VERSION));
        }
        let classes: BTreeSet<&String> = document.signatures.iter().map(|s| &s.class).collect();
        let sound = |b: &Baseline| b.center.is_finite() && b.scale.is_finite() && b.scale > 0.0;
        if classes.len() != document.signatures.len() || !document.usual.iter().all(|(_, _, b)| sound(b)) {
            return Err(Error::new(ErrorKind::Invalid, "stored precursors are damaged"));
        }
        let usual = document.usual.into_iter().map(|(entity, key, b)| ((entity, key), b)).collect();
        Ok(Self { config: document.config, signatures: document.signatures, usual })
    }
}

impl FittedPrecursors {
    /// Knows no signature: matches nothing.
    #[must_use]
    pub fn unfitted(config: Checked<PrecursorOptions>) -> Self {
        Self { config, signatures: Vec::new(), usual: Usual::new() }
    }

    /// Signatures, by class.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Hash of the serialised state.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the state cannot be serialised.
    pub fn hash(&self) -> Result<FittedHash> {
        crate::state::hash(self)
    }
}
