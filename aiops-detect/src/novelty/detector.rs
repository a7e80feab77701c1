//! Newness behind the seams.

use std::collections::BTreeMap;

use aiops_compact::order::{MAD_TO_SIGMA, mad_of_sorted, median_of_sorted};
use aiops_core::model::{
    Anomaly, Baseline, EntityId, FittedHash, MetricKind, MetricSeries, SeriesKey, Severity, TelemetryWindow,
};
use aiops_core::seam::Fit;
use aiops_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::{NoveltyConfig, NoveltyDetector};
use crate::events::{Event, Finder, positive, sort};

/// Version of stored novelty: of one series, and of a [`FittedNovelty`].
pub const NOVELTY_VERSION: u32 = 1;

/// What a [`NoveltySeriesDetector`] knows: the recent past of each series.
///
/// Serialises to a versioned document; a version this crate does not know is refused, as is a damaged one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct FittedNovelty {
    config: NoveltyConfig,
    series: BTreeMap<(EntityId, SeriesKey), NoveltyDetector>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    config: NoveltyConfig,
    series: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    entity: EntityId,
    series: SeriesKey,
    past: NoveltyDetector,
}

impl From<FittedNovelty> for Document {
    fn from(fitted: FittedNovelty) -> Self {
        let entry = |((entity, series), past)| Entry { entity, series, past };
        Self {
            version: NOVELTY_VERSION,
            config: fitted.config,
            series: fitted.series.into_iter().map(entry).collect(),
        }
    }
}

impl TryFrom<Document> for FittedNovelty {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        if document.version != NOVELTY_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "unknown version of fitted novelty")
                .with("version", document.version)
                .with("known", NOVELTY_VERSION));
        }
        if let Some(entry) = document.series.iter().find(|entry| entry.past.config() != &document.config) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "a stored series was learned by another configuration",
            )
            .with("series", &entry.series));
        }
        let entry = |Entry { entity, series, past }| ((entity, series), past);
        Ok(Self { config: document.config, series: document.series.into_iter().map(entry).collect() })
    }
}

impl FittedNovelty {
    /// Knows no series: each is compared with the earlier part of its window.
    #[must_use]
    pub fn unfitted(config: NoveltyConfig) -> Self {
        Self { config, series: BTreeMap::new() }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &NoveltyConfig {
        &self.config
    }

    /// Series it knows.
    pub fn series(&self) -> impl Iterator<Item = &(EntityId, SeriesKey)> {
        self.series.keys()
    }

    /// Hash of the serialised state.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the state cannot be serialised.
    pub fn hash(&self) -> Result<FittedHash> {
        crate::state::hash(self)
    }
}

/// Learns the past of series, so that a window needs no past of its own.
#[derive(Debug, Clone, Default)]
pub struct NoveltyFit {
    config: NoveltyConfig,
}

impl NoveltyFit {
    /// Learns by this configuration.
    #[must_use]
    pub fn new(config: NoveltyConfig) -> Self {
        Self { config }
    }
}

impl Fit for NoveltyFit {
    type Fitted = FittedNovelty;

    /// Running totals, and series with fewer samples than the warm-up asks for, are passed over.
    fn fit(&self, history: &TelemetryWindow) -> Result<FittedNovelty> {
        let mut fitted = FittedNovelty::unfitted(self.config.clone());
        for series in history.metrics.iter().filter(|s| s.kind() != MetricKind::Counter) {
            let mut past = NoveltyDetector::new(self.config.clone());
            series.points().for_each(|(_, value)| {
                past.push(value);
            });
            if past.seen() > self.config.options().warm_up as u64 {
                past.last_alarm = None;
                fitted.series.insert((series.entity().clone(), series.key().clone()), past);
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

/// Finds stretches of series unlike any before.
///
/// Pure in (fitted state, window): it does not learn. A series it knows is compared with its learned past and the earlier
/// part of the window, one it does not know with the latter alone. One finding for each alarm; running totals yield none.
/// The value of a finding is the one that raised it, and may well be usual by itself.
#[derive(Debug, Clone)]
pub struct NoveltySeriesDetector {
    fitted: FittedNovelty,
    hash: FittedHash,
}

impl NoveltySeriesDetector {
    /// Name of this detector in findings.
    pub const ID: &'static str = "novelty";

    /// Detects with a learned state.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the state cannot be hashed.
    pub fn new(fitted: FittedNovelty) -> Result<Self> {
        Ok(Self { hash: fitted.hash()?, fitted })
    }

    /// Compares every series with the earlier part of its window.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn unfitted(config: NoveltyConfig) -> Result<Self> {
        Self::new(FittedNovelty::unfitted(config))
    }

    /// The fitted state.
    #[must_use]
    pub fn state(&self) -> &FittedNovelty {
        &self.fitted
    }

    /// The synchronous form of [`Detector::detect`](aiops_core::seam::Detector::detect). Cost: that of [`NoveltyDetector::push`] a sample.
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        let finder = Finder { id: Self::ID, fitted: &self.hash, window };
        let mut found = Vec::new();
        for series in window.metrics.iter().filter(|s| s.kind() != MetricKind::Counter) {
            let events = self.judge(series, window);
            found.extend(events.iter().map(|event| finder.anomaly(series, event, event.shape())));
        }
        sort(&mut found);
        found
    }

    fn judge(&self, series: &MetricSeries, window: &TelemetryWindow) -> Vec<Event> {
        let key = (series.entity().clone(), series.key().clone());
        let options = self.fitted.config.options();
        let mut past = match self.fitted.series.get(&key) {
            Some(past) => past.clone(),
            None => NoveltyDetector::new(self.fitted.config.clone()),
        };
        let mut events: Vec<Event> = Vec::new();
        let mut open = false;
        for (at, value) in series.points().filter(|(at, _)| window.range.contains(*at)) {
            if !value.is_finite() {
                continue;
            }
            let novel = past.push(value);
            let severity =
                if novel.score >= options.critical { Severity::Critical } else { Severity::Warning };
            if novel.alarm {
                let baseline = usual(&past.values);
                events.push(Event {
                    onset: at,
                    last: at,
                    ongoing: true,
                    samples: 1,
                    value,
                    baseline,
                    severity,
                });
                open = true;
                continue;
            }
            let Some(event) = events.last_mut().filter(|_| open) else { continue };
            if novel.score >= options.threshold {
                event.last = at;
                event.samples += 1;
                event.severity = event.severity.max(severity);
                let away = |v: f64| (v - event.baseline.center).abs();
                if away(value) > away(event.value) {
                    event.value = value;
                }
            } else {
                event.ongoing = false;
                open = false;
            }
        }
        events
    }
}

/// Location and scale of all that is remembered but the newest sample, which raised the alarm.
fn usual(values: &[f64]) -> Baseline {
    let mut sorted = values.split_last().map(|(_, before)| before.to_vec()).unwrap_or_default();
    sorted.sort_unstable_by(f64::total_cmp);
    let center = median_of_sorted(&sorted).unwrap_or(0.0);
    let mad = MAD_TO_SIGMA * mad_of_sorted(&sorted, center).unwrap_or(0.0);
    let range = sorted.last().zip(sorted.first()).map_or(0.0, |(high, low)| (high / 8.0 - low / 8.0).abs());
    let scale = if mad > 0.0 && mad.is_finite() { mad } else { positive(&[range], center) };
    Baseline { center, scale, samples: sorted.len() }
}

crate::seam::detector!(NoveltySeriesDetector);
