//! What an engine knows, behind the detector's seam.

use aiops_core::model::{
    Anomaly, Baseline, EntityId, FittedHash, MetricKind, MetricSeries, SeriesKey, Severity, Shape,
    TelemetryWindow,
};
use aiops_core::seam::Fit;
use aiops_core::{Error, ErrorKind, Result};

use super::config::EngineConfig;
use super::core::StreamEngine;
use super::rules::{Place, Rules};
use super::snapshot::{EngineSnapshot, Stored};
use super::verdict::{Refused, Verdict};
use crate::clock::LocalClock;
use crate::events::{Event, Finder, sort};

/// How an engine names the series of windows.
type Key = (EntityId, SeriesKey);

/// Pushes the samples of a window through an engine.
#[derive(Debug, Clone, Default)]
pub struct EngineFit {
    config: EngineConfig,
}

impl EngineFit {
    /// Learns by this configuration.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        Self { config }
    }
}

impl Fit for EngineFit {
    type Fitted = EngineSnapshot<Key>;

    /// Running totals and series without a usable sample are passed over.
    fn fit(&self, history: &TelemetryWindow) -> Result<EngineSnapshot<Key>> {
        let mut engine = StreamEngine::new(self.config.clone());
        for series in history.metrics.iter().filter(|s| s.kind() != MetricKind::Counter) {
            let key = (series.entity().clone(), series.key().clone());
            for (at, value) in series.points().filter(|(_, value)| value.is_finite()) {
                // Any other refused sample is counted by the engine.
                if let Err(full @ Refused::Full { .. }) = engine.push_key(&key, at, value) {
                    return Err(Error::new(ErrorKind::Limit, "too many series to learn").caused_by(full));
                }
            }
        }
        if engine.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "no series has a sample to learn from")
                .at("Fit::fit")
                .with("series", history.metrics.len()));
        }
        Ok(engine.snapshot())
    }
}

/// Finds events and changes of level in the series an engine has followed.
///
/// Pure in (snapshot, window): each window goes on from the snapshot, which stays as it is. One finding for each event, and one
/// for each change of level outside of events. Series the engine did not follow, and running totals, yield none.
#[derive(Debug, Clone)]
pub struct EngineDetector {
    snapshot: EngineSnapshot<Key>,
    hash: FittedHash,
}

impl EngineDetector {
    /// Name of this detector in findings.
    pub const ID: &'static str = "stream-engine";

    /// Goes on from a snapshot.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when it cannot be hashed.
    pub fn new(snapshot: EngineSnapshot<Key>) -> Result<Self> {
        Ok(Self { hash: snapshot.digest()?, snapshot })
    }

    /// The snapshot.
    #[must_use]
    pub fn state(&self) -> &EngineSnapshot<Key> {
        &self.snapshot
    }

    /// The synchronous form of [`Detector::detect`](aiops_core::seam::Detector::detect). O(samples).
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        let finder = Finder { id: Self::ID, fitted: &self.hash, window };
        let options = self.snapshot.config().options();
        let rules = Rules::of(options);
        let mut clock = LocalClock::new(options.baseline.zone());
        let mut found = Vec::new();
        for series in window.metrics.iter().filter(|s| s.kind() != MetricKind::Counter) {
            let all = self.snapshot.series();
            let of =
                |stored: &Stored<Key>| (&stored.key.0, &stored.key.1).cmp(&(series.entity(), series.key()));
            let Some(stored) = all.binary_search_by(of).ok().and_then(|at| all.get(at)) else { continue };
            let events = judge(stored, series, window, &rules, &mut clock);
            found.extend(events.iter().map(|(event, shape)| finder.anomaly(series, event, *shape)));
        }
        sort(&mut found);
        found
    }
}

fn judge(
    stored: &Stored<Key>,
    series: &MetricSeries,
    window: &TelemetryWindow,
    rules: &Rules,
    clock: &mut LocalClock,
) -> Vec<(Event, Shape)> {
    let (mut state, mut cells) = (stored.state.clone(), stored.cells.clone());
    let mut events: Vec<Event> = Vec::new();
    let mut changes: Vec<Event> = Vec::new();
    let mut open = false;
    for (at, value) in series.points().filter(|(at, _)| window.range.contains(*at)) {
        let place = || Place::of(clock.local(at.as_second()), rules.cells);
        let judged = state.push(&mut cells, at.as_microsecond(), value, rules, place);
        let Ok(Verdict { baseline: Some(baseline), severity, in_event, alarm, change, .. }) = judged else {
            continue;
        };
        let event = |onset, severity, value, baseline| Event {
            onset: window.range.start().max(onset),
            last: at,
            ongoing: true,
            samples: 1,
            value,
            baseline,
            severity,
        };
        if let Some(event) = events.last_mut().filter(|_| open && !in_event) {
            event.ongoing = false;
        }
        open &= in_event;
        if let Some(alarm) = alarm {
            events.push(event(alarm.onset, alarm.severity, value, baseline));
            open = true;
        } else if let (Some(severity), Some(event)) = (severity, events.last_mut().filter(|_| open)) {
            event.last = at;
            event.samples += 1;
            event.severity = event.severity.max(severity);
            let sigma = |v: f64, b: &Baseline| ((v - b.center) / b.scale).abs();
            if sigma(value, &baseline) > sigma(event.value, &event.baseline) {
                (event.value, event.baseline) = (value, baseline);
            }
        }
        if let Some(change) = change.filter(|_| !in_event) {
            let after = baseline.center + change.after * baseline.scale;
            let center = baseline.center + change.before * baseline.scale;
            let before = Baseline { center, ..baseline };
            changes.push(event(change.onset, Severity::Warning, after, before));
        }
    }
    let level = |event: &Event| match event.value >= event.baseline.center {
        true => Shape::LevelShiftUp,
        false => Shape::LevelShiftDown,
    };
    // A change of level that became an event is one finding, not two.
    let apart = |change: &Event| !events.iter().any(|e| (e.onset..=e.last).contains(&change.onset));
    let changes: Vec<(Event, Shape)> =
        changes.iter().filter(|change| apart(change)).map(|change| (*change, level(change))).collect();
    events.iter().map(|event| (*event, event.shape())).chain(changes).collect()
}

crate::seam::detector!(EngineDetector);
