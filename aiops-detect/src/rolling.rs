//! Deviation from a robust rolling reference, with persistence and shapes: the first detector. // CMP-01, CMP-02
//!
//! The method is that of [`aiops_compact::deviation`]. Without a fitted state every window is compared with its own
//! earlier part, which needs no learning and follows slow change; with one, the series it knows are compared with what
//! was learned, so a fault that lasts longer than a window stays a finding.

use std::collections::BTreeMap;
use std::time::Duration;

use aiops_compact::deviation::{
    Deviating, DeviationConfig, Finding, Reference, References, Skipped, deviations, learn,
};
use aiops_core::model::{
    Anomaly, Baseline, DetectorId, EntityId, FetchRequest, FittedHash, MatchOp, MetricSeries, Selector,
    SeriesKey, Severity, Signal, TelemetryWindow, TimeAxis, time::elapsed,
};
use aiops_core::seam::Fit;
use aiops_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Version of [`FittedRolling`]'s serialised form.
pub const FITTED_VERSION: u32 = 1;

/// What a [`RollingDetector`] knows: its thresholds, and what is normal for the series it has seen.
///
/// Serialises to a versioned document; a version this crate does not know is refused.
///
/// ```
/// use aiops_detect::FittedRolling;
/// let fitted = FittedRolling::unfitted(Default::default());
/// let stored = serde_json::to_string(&fitted)?;
/// assert_eq!(serde_json::from_str::<FittedRolling>(&stored)?, fitted);
/// assert!(serde_json::from_str::<FittedRolling>(&stored.replace("\"version\":1", "\"version\":2")).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct FittedRolling {
    config: DeviationConfig,
    references: References,
}

/// The serialised form: maps with structured keys do not exist in JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    config: DeviationConfig,
    #[serde(default)]
    references: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    entity: EntityId,
    series: SeriesKey,
    reference: Reference,
}

impl From<FittedRolling> for Document {
    fn from(fitted: FittedRolling) -> Self {
        let references = fitted.references.into_iter();
        Self {
            version: FITTED_VERSION,
            config: fitted.config,
            references: references
                .map(|((entity, series), reference)| Entry { entity, series, reference })
                .collect(),
        }
    }
}

impl TryFrom<Document> for FittedRolling {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        if document.version != FITTED_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "unknown version of a fitted rolling detector")
                .with("version", document.version)
                .with("known", FITTED_VERSION));
        }
        let usable = |r: &Reference| {
            r.center.is_finite()
                && [r.scale, r.reach_up, r.reach_down].iter().all(|value| value.is_finite() && *value >= 0.0)
        };
        let mut references = References::new();
        for Entry { entity, series, reference } in document.references {
            if !usable(&reference) {
                return Err(Error::new(ErrorKind::Invalid, "a stored reference is not finite")
                    .with("series", &series));
            }
            references.insert((entity, series), reference);
        }
        Ok(Self { config: document.config, references })
    }
}

impl FittedRolling {
    /// A state that knows no series: every window is compared with its own earlier part.
    #[must_use]
    pub fn unfitted(config: DeviationConfig) -> Self {
        Self { config, references: References::new() }
    }

    /// Thresholds.
    #[must_use]
    pub fn config(&self) -> &DeviationConfig {
        &self.config
    }

    /// What is normal, by entity and series.
    #[must_use]
    pub fn references(&self) -> &References {
        &self.references
    }

    /// Hash of the serialised state.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the state cannot be serialised.
    pub fn hash(&self) -> Result<FittedHash> {
        crate::state::hash(self)
    }
}

/// Learns what is normal from a window that is known to be healthy.
#[derive(Debug, Clone, Copy, Default)]
pub struct RollingFit {
    config: DeviationConfig,
}

impl RollingFit {
    /// Learns for these thresholds.
    #[must_use]
    pub fn new(config: DeviationConfig) -> Self {
        Self { config }
    }

    /// As [`Fit::fit`], with the series that could not be learned, by reason.
    #[must_use]
    pub fn fit_counting(&self, history: &TelemetryWindow) -> (FittedRolling, BTreeMap<Skipped, usize>) {
        let (references, skipped) = learn(history, &self.config);
        (FittedRolling { config: self.config, references }, skipped)
    }
}

impl Fit for RollingFit {
    type Fitted = FittedRolling;

    fn fit(&self, history: &TelemetryWindow) -> Result<FittedRolling> {
        let (fitted, skipped) = self.fit_counting(history);
        if fitted.references.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "no series has enough samples to learn from")
                .at("Fit::fit")
                .with("series", history.metrics.len())
                .with("skipped", format!("{skipped:?}")));
        }
        Ok(fitted)
    }
}

/// Finds series that left their norm for several samples, with shape, onset and baseline.
///
/// Pure in (fitted state, window). One anomaly per excursion; findings in the order of entity, series, onset.
/// Severity is critical from [`critical_sigma`](aiops_compact::deviation::DeviationOptions::critical_sigma) on,
/// warning below. Series with too few samples, and running totals, yield nothing.
#[derive(Debug, Clone)]
pub struct RollingDetector {
    fitted: FittedRolling,
    hash: FittedHash,
}

impl RollingDetector {
    /// Name of this detector in findings.
    pub const ID: &'static str = "rolling-deviation";

    /// Detects with a learned state.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the state cannot be hashed.
    pub fn new(fitted: FittedRolling) -> Result<Self> {
        let hash = fitted.hash()?;
        Ok(Self { fitted, hash })
    }

    /// Compares every window with its own earlier part.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn unfitted(config: DeviationConfig) -> Result<Self> {
        Self::new(FittedRolling::unfitted(config))
    }

    /// The fitted state.
    #[must_use]
    pub fn state(&self) -> &FittedRolling {
        &self.fitted
    }

    /// The synchronous form of [`Detector::detect`](aiops_core::seam::Detector::detect). O(n log n) in the samples of each series.
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        let report = deviations(window, &self.fitted.references, &self.fitted.config);
        report
            .with_findings()
            .flat_map(|deviating| {
                deviating.deviation.findings.iter().map(move |finding| (deviating, finding))
            })
            .map(|(deviating, finding)| self.anomaly(window, deviating, finding))
            .collect()
    }

    fn anomaly(&self, window: &TelemetryWindow, deviating: &Deviating<'_>, finding: &Finding) -> Anomaly {
        let series = deviating.series;
        let reference = &deviating.deviation.reference;
        let mut anomaly = Anomaly::new(
            DetectorId(Self::ID.to_owned()),
            self.hash.clone(),
            series.entity().clone(),
            series.key().clone(),
            finding.shape,
            finding.onset,
            finding.peak,
            Baseline { center: reference.center, scale: reference.scale, samples: reference.samples },
            reread(window, series),
        );
        let critical = finding.level_sigma >= self.fitted.config.options().critical_sigma;
        anomaly.unit = series.unit().clone();
        anomaly.last = finding.last;
        anomaly.ongoing = finding.cleared.is_none();
        anomaly.severity = if critical { Severity::Critical } else { Severity::Warning };
        anomaly
    }
}

/// The read that shows `series` again: its entity, name and labels, at its own step.
pub(crate) fn reread(window: &TelemetryWindow, series: &MetricSeries) -> FetchRequest {
    let mut selector =
        Selector::all().with_entity(series.entity().clone()).with_metric(series.key().name.clone());
    for (label, value) in series.key().labels.iter() {
        selector = selector.with_matcher(label, MatchOp::Equal, value);
    }
    let request =
        FetchRequest::new(window.range).with_signals(Signal::Metrics.into()).with_selector(selector);
    match typical_step(series.times()) {
        Some(step) => request.with_step(step),
        None => request,
    }
}

/// Distance of two samples; the median one of an irregular axis.
pub(crate) fn typical_step(times: &TimeAxis) -> Option<Duration> {
    match times {
        TimeAxis::Regular { step, .. } => Some(*step),
        irregular => {
            let later = irregular.iter().skip(1);
            let mut steps: Vec<Duration> = irregular.iter().zip(later).map(|(a, b)| elapsed(a, b)).collect();
            steps.sort_unstable();
            steps.get(steps.len() / 2).copied()
        }
    }
}

crate::seam::detector!(RollingDetector);
