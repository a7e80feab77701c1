use std::collections::BTreeMap;

use aiops_core::model::{
    Anomaly, DetectorId, EntityId, FittedHash, MetricKind, MetricSeries, SeriesKey, Severity, Shape,
    TelemetryWindow,
};
use aiops_core::seam::Fit;
use aiops_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::{Drift, DriftOptions, FeatureReference};
use crate::checked::Checked;
use crate::rolling::reread;
use crate::stats::{Correction, adjust, robust};

/// Version of a stored [`FittedDrift`].
const FITTED_VERSION: u32 = 1;

/// What series looked like, by entity and key. Serialises to a versioned document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct FittedDrift {
    config: Checked<DriftOptions>,
    references: BTreeMap<(EntityId, SeriesKey), FeatureReference>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    config: Checked<DriftOptions>,
    references: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    entity: EntityId,
    series: SeriesKey,
    reference: FeatureReference,
}

impl From<FittedDrift> for Document {
    fn from(fitted: FittedDrift) -> Self {
        let entry = |((entity, series), reference)| Entry { entity, series, reference };
        let references = fitted.references.into_iter().map(entry).collect();
        Self { version: FITTED_VERSION, config: fitted.config, references }
    }
}

impl TryFrom<Document> for FittedDrift {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        if document.version != FITTED_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "unknown version of fitted distributions")
                .with("version", document.version)
                .with("known", FITTED_VERSION));
        }
        let entries = document.references.into_iter();
        let references = entries.map(|e| ((e.entity, e.series), e.reference)).collect();
        Ok(Self { config: document.config, references })
    }
}

impl FittedDrift {
    /// Knows no series: finds nothing.
    #[must_use]
    pub fn unfitted(config: Checked<DriftOptions>) -> Self {
        Self { config, references: BTreeMap::new() }
    }

    /// What series looked like.
    #[must_use]
    pub fn references(&self) -> &BTreeMap<(EntityId, SeriesKey), FeatureReference> {
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

/// Learns what series look like from a healthy window; running totals are passed over.
#[derive(Debug, Clone, Default)]
pub struct DriftFit {
    config: Checked<DriftOptions>,
}

impl DriftFit {
    /// Learns by this configuration.
    #[must_use]
    pub fn new(config: Checked<DriftOptions>) -> Self {
        Self { config }
    }
}

fn values(series: &MetricSeries) -> Vec<f64> {
    series.points().map(|(_, value)| value).collect()
}

impl Fit for DriftFit {
    type Fitted = FittedDrift;

    fn fit(&self, history: &TelemetryWindow) -> Result<FittedDrift> {
        let mut fitted = FittedDrift::unfitted(self.config);
        for series in history.metrics.iter().filter(|s| s.kind() != MetricKind::Counter) {
            if let Ok(reference) = FeatureReference::learn(&values(series), &self.config) {
                fitted.references.insert((series.entity().clone(), series.key().clone()), reference);
            }
        }
        if fitted.references.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "no series has enough samples to learn from")
                .at("Fit::fit")
                .with("series", history.metrics.len()));
        }
        Ok(fitted)
    }
}

/// Finds series whose distribution over the whole window is not what it was: data drift (DET-11).
///
/// Pure in (fitted state, window). One finding a series, from the window's first sample to its last, in the order of entity,
/// series, onset. p-values are corrected for the number of series (Holm). It asks for windows as long as what was
/// learned from at least in season: half a day against whole days is another distribution, rightly.
#[derive(Debug, Clone)]
pub struct DriftDetector {
    fitted: FittedDrift,
    hash: FittedHash,
}

impl DriftDetector {
    /// Name of this detector in findings.
    pub const ID: &'static str = "data-drift";

    /// Detects with a learned state.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the state cannot be hashed.
    pub fn new(fitted: FittedDrift) -> Result<Self> {
        let hash = fitted.hash()?;
        Ok(Self { fitted, hash })
    }

    /// The fitted state.
    #[must_use]
    pub fn state(&self) -> &FittedDrift {
        &self.fitted
    }

    /// The synchronous form of [`Detector::detect`](aiops_core::seam::Detector::detect). O(n log n) in the samples of each series.
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        let mut known: Vec<(&MetricSeries, &FeatureReference)> = window
            .metrics
            .iter()
            .filter_map(|s| Some((s, self.fitted.references.get(&(s.entity().clone(), s.key().clone()))?)))
            .collect();
        known.sort_by(|a, b| (a.0.entity(), a.0.key()).cmp(&(b.0.entity(), b.0.key())));
        let drifts: Vec<Option<Drift>> =
            known.iter().map(|(s, r)| r.compare(&values(s), &self.fitted.config)).collect();
        let p_values: Vec<f64> = drifts.iter().map(|d| d.map_or(f64::NAN, |d| d.ks.p_value)).collect();
        let adjusted = adjust(&p_values, Correction::Holm);
        let judged = known.into_iter().zip(drifts).zip(adjusted);
        judged
            .filter_map(|(((series, reference), drift), adjusted)| {
                let drift = drift.filter(|d| d.is_clear(adjusted, self.fitted.config.options()))?;
                self.anomaly(series, reference, &drift, window)
            })
            .collect()
    }

    fn anomaly(
        &self,
        series: &MetricSeries,
        reference: &FeatureReference,
        drift: &Drift,
        window: &TelemetryWindow,
    ) -> Option<Anomaly> {
        let mut baseline = robust(reference.quantiles().iter().copied())?;
        baseline.samples = reference.samples();
        let inside = || series.points().filter(|(t, v)| window.range.contains(*t) && v.is_finite());
        let up = drift.shift >= 0.0;
        let sign = if up { 1.0 } else { -1.0 };
        let onset = inside().next()?.0;
        let last = inside().next_back()?.0;
        let (_, value) = inside().max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)))?;
        let mut anomaly = Anomaly::new(
            DetectorId(Self::ID.to_owned()),
            self.hash.clone(),
            series.entity().clone(),
            series.key().clone(),
            if up { Shape::LevelShiftUp } else { Shape::LevelShiftDown },
            onset,
            value,
            baseline,
            reread(window, series),
        );
        anomaly.unit = series.unit().clone();
        anomaly.last = last;
        // Another population is a reason to look and to learn anew, not to act.
        anomaly.severity = Severity::Warning;
        Some(anomaly)
    }
}

crate::seam::detector!(DriftDetector);
