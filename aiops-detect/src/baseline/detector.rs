//! The contextual baseline behind the seams.

use std::collections::BTreeMap;

use aiops_core::model::{
    Anomaly, Baseline, Calendar, DetectorId, EntityId, FittedHash, MetricKind, MetricSeries, SeriesKey,
    Severity, Shape, TelemetryWindow,
};
use aiops_core::seam::Fit;
use aiops_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::config::BaselineConfig;
use super::series::{ContextualBaseline, Judged, Watch};
use super::state::SeriesBaseline;
use crate::rolling::reread;

/// Version of a stored [`FittedBaselines`] with a calendar.
pub const FITTED_VERSION: u32 = 2;

/// Version of one without: as it was before there were calendars, byte for byte.
pub const PLAIN_VERSION: u32 = 1;

/// An event of at most so many deviating samples that is over is a spike or dip.
const TRANSIENT: usize = 5;

/// What a [`BaselineDetector`] knows: what is usual for each series it has seen.
///
/// Serialises to a versioned document; a version this crate does not know is refused, as is a damaged one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct FittedBaselines {
    config: BaselineConfig,
    calendar: Calendar,
    series: BTreeMap<(EntityId, SeriesKey), SeriesBaseline>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    config: BaselineConfig,
    #[serde(default, skip_serializing_if = "Calendar::is_empty")]
    calendar: Calendar,
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
            version: if fitted.is_plain() { PLAIN_VERSION } else { FITTED_VERSION },
            config: fitted.config,
            calendar: fitted.calendar,
            series: fitted.series.into_iter().map(entry).collect(),
        }
    }
}

impl TryFrom<Document> for FittedBaselines {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        if !(PLAIN_VERSION..=FITTED_VERSION).contains(&document.version) {
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
        let fitted = Self { config: document.config, calendar: document.calendar, series };
        if (document.version == PLAIN_VERSION) != fitted.is_plain() {
            let why = "stored baselines with a calendar are of another version";
            return Err(Error::new(ErrorKind::Invalid, why).with("version", document.version));
        }
        Ok(fitted)
    }
}

impl FittedBaselines {
    /// Knows no series yet.
    #[must_use]
    pub fn unfitted(config: BaselineConfig) -> Self {
        Self { config, calendar: Calendar::default(), series: BTreeMap::new() }
    }

    /// Whether it has nothing to do with a calendar.
    fn is_plain(&self) -> bool {
        self.calendar.is_empty() && self.series.values().all(|usual| usual.events.is_empty())
    }

    /// The same with what is known beforehand, in place of what was; what was learned of events that are no longer in it is
    /// forgotten. New maintenance needs no new fit; an event that was not there is unknown until it is learned.
    #[must_use]
    pub fn with_calendar(mut self, calendar: Calendar) -> Self {
        for usual in self.series.values_mut() {
            usual.events.retain(|id, _| calendar.events().iter().any(|event| *event.id == **id));
        }
        self.calendar = calendar;
        self
    }

    /// What is known beforehand.
    #[must_use]
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
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
    calendar: Calendar,
}

impl BaselineFit {
    /// Learns by this configuration.
    #[must_use]
    pub fn new(config: BaselineConfig) -> Self {
        Self { config, calendar: Calendar::default() }
    }

    /// Learns events of `calendar` apart, and nothing from maintenance. It becomes part of what is learned.
    #[must_use]
    pub fn with_calendar(mut self, calendar: Calendar) -> Self {
        self.calendar = calendar;
        self
    }
}

impl Fit for BaselineFit {
    type Fitted = FittedBaselines;

    /// Running totals and series with too few samples are passed over.
    fn fit(&self, history: &TelemetryWindow) -> Result<FittedBaselines> {
        let contextual = ContextualBaseline::new(self.config.clone()).with_calendar(self.calendar.clone());
        let mut fitted = FittedBaselines::unfitted(self.config.clone()).with_calendar(self.calendar.clone());
        for series in history.metrics.iter().filter(|s| s.kind() != MetricKind::Counter) {
            if let Ok(usual) = contextual.about(series.entity()).fit(series.points()) {
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
        let contextual =
            ContextualBaseline::new(fitted.config.clone()).with_calendar(fitted.calendar.clone());
        Ok(Self { contextual, fitted, hash })
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
        let contextual = self.contextual.about(series.entity());
        let mut watch = Watch::default();
        let mut events: Vec<Event> = Vec::new();
        // Deviating samples before an alarm belong to the event if it comes.
        let mut pending: Vec<Deviating> = Vec::new();
        let mut open = false;
        for (at, value) in series.points() {
            let Ok(judged) = contextual.judge(usual, &mut watch, at, value) else { continue };
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
