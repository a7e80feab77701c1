//! The contextual baseline behind the seams.

use std::collections::BTreeMap;

use aiops_core::model::{
    Anomaly, Baseline, DetectorId, EntityId, FittedHash, MetricKind, MetricSeries, SeriesKey, Severity,
    Shape, TelemetryWindow,
};
use aiops_core::seam::Fit;
use aiops_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::config::BaselineConfig;
use super::series::{ContextualBaseline, Judged, Watch};
use super::state::SeriesBaseline;
use crate::rolling::reread;

/// Version of a stored [`FittedBaselines`].
pub const FITTED_VERSION: u32 = 1;

/// An event of at most so many deviating samples that is over is a spike or dip.
const TRANSIENT: usize = 5;

/// What a [`BaselineDetector`] knows: what is usual for each series it has seen.
///
/// Serialises to a versioned document; a version this crate does not know is refused, as is a damaged one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct FittedBaselines {
    config: BaselineConfig,
    series: BTreeMap<(EntityId, SeriesKey), SeriesBaseline>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    config: BaselineConfig,
    series: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    entity: EntityId,
    series: SeriesKey,
    usual: SeriesBaseline,
}

impl From<FittedBaselines> for Document {
    fn from(fitted: FittedBaselines) -> Self {
        let entry = |((entity, series), usual)| Entry { entity, series, usual };
        Self {
            version: FITTED_VERSION,
            config: fitted.config,
            series: fitted.series.into_iter().map(entry).collect(),
        }
    }
}

impl TryFrom<Document> for FittedBaselines {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        if document.version != FITTED_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "unknown version of fitted baselines")
                .with("version", document.version)
                .with("known", FITTED_VERSION));
        }
        let mut series = BTreeMap::new();
        for Entry { entity, series: key, usual } in document.series {
            if !usual.fits(&document.config) {
                return Err(
                    Error::new(ErrorKind::Invalid, "a stored baseline is damaged").with("series", &key)
                );
            }
            series.insert((entity, key), usual);
        }
        Ok(Self { config: document.config, series })
    }
}

impl FittedBaselines {
    /// Knows no series yet.
    #[must_use]
    pub fn unfitted(config: BaselineConfig) -> Self {
        Self { config, series: BTreeMap::new() }
    }

    /// Adds what was learned elsewhere, sample by sample for instance; what was known of the series is replaced.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when `usual` was learned with cells of another length.
    pub fn with(mut self, entity: EntityId, series: SeriesKey, usual: SeriesBaseline) -> Result<Self> {
        if !usual.fits(&self.config) {
            return Err(
                Error::new(ErrorKind::Invalid, "learned with another configuration").with("series", &series)
            );
        }
        self.series.insert((entity, series), usual);
        Ok(self)
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &BaselineConfig {
        &self.config
    }

    /// What is usual, by entity and series.
    #[must_use]
    pub fn series(&self) -> &BTreeMap<(EntityId, SeriesKey), SeriesBaseline> {
        &self.series
    }

    /// Hash of the serialised state.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the state cannot be serialised.
    pub fn hash(&self) -> Result<FittedHash> {
        crate::state::hash(self)
    }
}

/// Learns what is usual from history: two weeks and more; with less, thresholds stay conservative.
#[derive(Debug, Clone, Default)]
pub struct BaselineFit {
    config: BaselineConfig,
}

impl BaselineFit {
    /// Learns by this configuration.
    #[must_use]
    pub fn new(config: BaselineConfig) -> Self {
        Self { config }
    }
}

impl Fit for BaselineFit {
    type Fitted = FittedBaselines;

    /// Running totals and series with too few samples are passed over.
    fn fit(&self, history: &TelemetryWindow) -> Result<FittedBaselines> {
        let contextual = ContextualBaseline::new(self.config.clone());
        let mut fitted = FittedBaselines::unfitted(self.config.clone());
        for series in history.metrics.iter().filter(|s| s.kind() != MetricKind::Counter) {
            if let Ok(usual) = contextual.fit(series.points()) {
                fitted.series.insert((series.entity().clone(), series.key().clone()), usual);
            }
        }
        if fitted.series.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "no series has enough samples to learn from")
                .at("Fit::fit")
                .with("series", history.metrics.len()));
        }
        Ok(fitted)
    }
}

/// Finds series that are not what is usual at their time of day.
///
/// Pure in (fitted state, window): it does not learn. One finding for each event, in the order of entity, series, onset;
/// running totals, and series it does not know, yield none.
#[derive(Debug, Clone)]
pub struct BaselineDetector {
    fitted: FittedBaselines,
    contextual: ContextualBaseline,
    hash: FittedHash,
}

impl BaselineDetector {
    /// Name of this detector in findings.
    pub const ID: &'static str = "contextual-baseline";

    /// Detects with a learned state.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the state cannot be hashed.
    pub fn new(fitted: FittedBaselines) -> Result<Self> {
        let hash = fitted.hash()?;
        Ok(Self { contextual: ContextualBaseline::new(fitted.config.clone()), fitted, hash })
    }

    /// The fitted state.
    #[must_use]
    pub fn state(&self) -> &FittedBaselines {
        &self.fitted
    }

    /// The synchronous form of [`Detector::detect`](aiops_core::seam::Detector::detect). O(n) in the samples.
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        let mut found = Vec::new();
        for series in window.metrics.iter().filter(|s| s.kind() != MetricKind::Counter) {
            let key = (series.entity().clone(), series.key().clone());
            if let Some(usual) = self.fitted.series.get(&key) {
                found.extend(self.judge(usual, series, window));
            }
        }
        found.sort_by(|a, b| (&a.entity, &a.series, a.onset).cmp(&(&b.entity, &b.series, b.onset)));
        found
    }

    fn judge(&self, usual: &SeriesBaseline, series: &MetricSeries, window: &TelemetryWindow) -> Vec<Anomaly> {
        let mut watch = Watch::default();
        let mut events: Vec<Event> = Vec::new();
        // Deviating samples before an alarm belong to the event if it comes.
        let mut pending: Vec<Deviating> = Vec::new();
        let mut open = false;
        for (at, value) in series.points() {
            let Ok(judged) = self.contextual.judge(usual, &mut watch, at, value) else { continue };
            open &= judged.in_event;
            let deviating = Deviating::of(at, value, &judged);
            if let Some(alarm) = judged.alarm {
                pending.retain(|earlier| earlier.at >= alarm.onset);
                pending.extend(deviating);
                events.push(Event::of(alarm.onset, &pending));
                pending.clear();
                open = true;
            } else if let Some(deviating) = deviating {
                match events.last_mut().filter(|_| open) {
                    Some(event) => event.add(&deviating),
                    None => pending.push(deviating),
                }
            }
        }
        let last = events.len().saturating_sub(1);
        events
            .into_iter()
            .enumerate()
            .filter_map(|(i, event)| self.anomaly(series, window, event, open && i == last))
            .collect()
    }

    fn anomaly(
        &self,
        series: &MetricSeries,
        window: &TelemetryWindow,
        event: Event,
        ongoing: bool,
    ) -> Option<Anomaly> {
        let peak = event.peak?;
        let brief = !ongoing && event.samples <= TRANSIENT;
        let shape = match (peak.sigma >= 0.0, brief) {
            (true, true) => Shape::Spike,
            (false, true) => Shape::Dip,
            (true, false) => Shape::LevelShiftUp,
            (false, false) => Shape::LevelShiftDown,
        };
        let mut anomaly = Anomaly::new(
            DetectorId(Self::ID.to_owned()),
            self.hash.clone(),
            series.entity().clone(),
            series.key().clone(),
            shape,
            event.onset,
            peak.value,
            peak.baseline,
            reread(window, series),
        );
        anomaly.unit = series.unit().clone();
        anomaly.last = event.last;
        anomaly.ongoing = ongoing;
        anomaly.severity = event.severity;
        Some(anomaly)
    }
}

#[derive(Debug, Clone, Copy)]
struct Deviating {
    at: Timestamp,
    value: f64,
    sigma: f64,
    baseline: Baseline,
    severity: Severity,
}

impl Deviating {
    fn of(at: Timestamp, value: f64, judged: &Judged) -> Option<Self> {
        let (sigma, baseline, severity) = (judged.sigma?, judged.baseline?, judged.severity?);
        Some(Self { at, value, sigma, baseline, severity })
    }
}

#[derive(Debug)]
struct Event {
    onset: Timestamp,
    last: Timestamp,
    peak: Option<Deviating>,
    severity: Severity,
    samples: usize,
}

impl Event {
    fn of(onset: Timestamp, samples: &[Deviating]) -> Self {
        let mut event = Self { onset, last: onset, peak: None, severity: Severity::Warning, samples: 0 };
        samples.iter().for_each(|deviating| event.add(deviating));
        event
    }

    fn add(&mut self, deviating: &Deviating) {
        self.last = deviating.at;
        self.samples += 1;
        self.severity = self.severity.max(deviating.severity);
        if self.peak.is_none_or(|peak| deviating.sigma.abs() > peak.sigma.abs()) {
            self.peak = Some(*deviating);
        }
    }
}

crate::seam::detector!(BaselineDetector);
