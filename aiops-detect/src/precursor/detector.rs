use aiops_core::Result;
use aiops_core::model::{
    Anomaly, Baseline, DetectorId, EntityId, FittedHash, MetricSeries, SeriesKey, Severity, Shape,
    TelemetryWindow, time,
};
use jiff::Timestamp;

use super::features::{Aspect, History, Item};
use super::fitted::{FittedPrecursors, LeaveOneOut, Signature};
use crate::rolling::reread;

/// Metrics named in findings of one match at most.
const NAMED: usize = 3;

/// Signs of an incident to come.
#[derive(Debug, Clone, PartialEq)]
pub struct PrecursorMatch {
    /// Where it will break out, if it does.
    pub entity: EntityId,
    /// Class of the incident.
    pub class: String,
    /// End of the first frame that matched, and of the last one.
    pub since: Timestamp,
    /// End of the last frame that matched.
    pub last: Timestamp,
    /// ln of the odds, and from where on it is a match.
    pub score: f64,
    /// The least score of a match.
    pub threshold: f64,
    /// Aspects of the signature that were seen in the best frame, strongest first, each with its series and value.
    pub seen: Vec<(Item, SeriesKey, f64)>,
    /// How well the signature found incidents it was not learned from: what the match is worth, and how much time there is.
    pub measured: LeaveOneOut,
    ongoing: bool,
}

/// Finds entities that show what preceded labelled incidents.
///
/// Pure in (fitted state, window). A finding for each of up to three metrics of a match, in the order of entity, series, onset;
/// the onset is the end of the first matching frame. Series and entities that were not learned say nothing.
#[derive(Debug, Clone)]
pub struct PrecursorDetector {
    fitted: FittedPrecursors,
    hash: FittedHash,
}

impl PrecursorDetector {
    /// Name of this detector in findings.
    pub const ID: &'static str = "failure-precursor";

    /// Detects with a learned state.
    ///
    /// # Errors
    /// [`Internal`](aiops_core::ErrorKind::Internal) when the state cannot be hashed.
    pub fn new(fitted: FittedPrecursors) -> Result<Self> {
        let hash = fitted.hash()?;
        Ok(Self { fitted, hash })
    }

    /// The fitted state.
    #[must_use]
    pub fn state(&self) -> &FittedPrecursors {
        &self.fitted
    }

    /// What matches in `window`, by entity, class and time. O(entities · frames · series).
    #[must_use]
    pub fn matches(&self, window: &TelemetryWindow) -> Vec<PrecursorMatch> {
        let history = History::of(window);
        let mut found = Vec::new();
        for entity in history.entities() {
            for signature in &self.fitted.signatures {
                found.extend(self.rows(&history, entity, signature, window));
            }
        }
        found.sort_by(|a, b| (&a.entity, &a.class, a.since).cmp(&(&b.entity, &b.class, b.since)));
        found
    }

    /// Each run of matching frames that is long enough.
    fn rows(
        &self,
        history: &History,
        entity: &EntityId,
        signature: &Signature,
        window: &TelemetryWindow,
    ) -> Vec<PrecursorMatch> {
        let options = self.fitted.config.options();
        let mut runs: Vec<(usize, PrecursorMatch)> = Vec::new();
        let mut open = false;
        let mut end = time::after(window.range.start(), options.frame);
        while end <= window.range.end() {
            let items = history.items(entity, end, &self.fitted.usual, options).unwrap_or_default();
            let score = signature.score(|item| items.contains_key(item));
            let matched = score >= signature.threshold && !items.is_empty();
            let seen = || {
                let mut seen: Vec<(f64, Item, SeriesKey, f64)> = signature
                    .weights
                    .iter()
                    .filter_map(|(item, w)| {
                        let (key, value) = items.get(item)?;
                        Some((w.present, item.clone(), key.clone(), *value))
                    })
                    .collect();
                seen.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                seen.into_iter().map(|(_, item, key, value)| (item, key, value)).collect::<Vec<_>>()
            };
            match runs.last_mut().filter(|_| open && matched) {
                Some((frames, run)) => {
                    *frames += 1;
                    run.last = end;
                    if score > run.score {
                        (run.score, run.seen) = (score, seen());
                    }
                }
                None if matched => runs.push((
                    1,
                    PrecursorMatch {
                        entity: entity.clone(),
                        class: signature.class.clone(),
                        since: end,
                        last: end,
                        score,
                        threshold: signature.threshold,
                        seen: seen(),
                        measured: signature.measured.clone(),
                        ongoing: false,
                    },
                )),
                None => {}
            }
            open = matched;
            let next = time::after(end, options.stride);
            if next <= end {
                break;
            }
            end = next;
        }
        if let Some((_, run)) = runs.last_mut() {
            run.ongoing = open;
        }
        runs.into_iter().filter(|(frames, _)| *frames >= options.hits).map(|(_, run)| run).collect()
    }

    /// The synchronous form of [`Detector::detect`](aiops_core::seam::Detector::detect).
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        let mut found: Vec<Anomaly> =
            self.matches(window).iter().flat_map(|matched| self.anomalies(matched, window)).collect();
        found.sort_by(|a, b| (&a.entity, &a.series, a.onset).cmp(&(&b.entity, &b.series, b.onset)));
        // Classes whose signatures share a metric say it once.
        found.dedup_by(|b, a| (&a.entity, &a.series, a.onset) == (&b.entity, &b.series, b.onset));
        found
    }

    fn anomalies(&self, matched: &PrecursorMatch, window: &TelemetryWindow) -> Vec<Anomaly> {
        let options = self.fitted.config.options();
        let proven = matched.measured.precision().is_some_and(|p| p >= options.min_precision);
        let severity = if proven { Severity::Warning } else { Severity::Info };
        let series_of = |key: &SeriesKey| -> Option<&MetricSeries> {
            window.metrics.iter().find(|s| *s.entity() == matched.entity && s.key() == key)
        };
        let mut named: Vec<&SeriesKey> = Vec::new();
        let mut found = Vec::new();
        for (item, key, value) in &matched.seen {
            if named.len() == NAMED || named.contains(&key) {
                continue;
            }
            let usual = self.fitted.usual.get(&(matched.entity.clone(), key.clone()));
            let (Some(series), Some(baseline)) = (series_of(key), usual) else { continue };
            named.push(key);
            let onset =
                matched.since.min(time::before(window.range.end(), std::time::Duration::from_nanos(1)));
            let mut anomaly = Anomaly::new(
                DetectorId(Self::ID.to_owned()),
                self.hash.clone(),
                matched.entity.clone(),
                key.clone(),
                shape(item.aspect, *value, baseline),
                onset,
                *value,
                *baseline,
                reread(window, series),
            );
            anomaly.unit = series.unit().clone();
            anomaly.last = matched.last.max(onset);
            anomaly.ongoing = matched.ongoing;
            anomaly.severity = severity;
            found.push(anomaly);
        }
        found
    }
}

fn shape(aspect: Aspect, value: f64, usual: &Baseline) -> Shape {
    match aspect {
        Aspect::High => Shape::LevelShiftUp,
        Aspect::Low => Shape::LevelShiftDown,
        Aspect::Rising => Shape::SteadyIncrease,
        Aspect::Falling => Shape::SteadyDecrease,
        Aspect::Unsteady if value >= usual.center => Shape::Spike,
        Aspect::Unsteady => Shape::Dip,
    }
}

crate::seam::detector!(PrecursorDetector);
