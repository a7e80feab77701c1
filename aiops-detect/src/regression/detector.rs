use aiops_core::Result;
use aiops_core::model::{
    Anomaly, Change, ChangeId, ChangeKind, DetectorId, Direction, EntityId, FittedHash, MetricKind,
    MetricSeries, SeriesKey, Severity, Shape, TelemetryWindow, time,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::compare::{judge_all, raw_samples};
use super::scope::touched;
use super::{CompareOptions, Comparison, RegressionOptions, Verdict};
use crate::checked::Checked;
use crate::rolling::reread;
use crate::stats::median;

/// What became of one series after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesVerdict {
    /// Whose series.
    pub entity: EntityId,
    /// Which series.
    pub series: SeriesKey,
    /// Calls between the change and `entity`.
    pub distance: usize,
    /// Evidence and verdict.
    pub comparison: Comparison,
}

/// What became of everything near a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeAssessment {
    /// The change.
    pub change: ChangeId,
    /// Sort of change.
    pub kind: ChangeKind,
    /// What was changed.
    pub entity: EntityId,
    /// When.
    pub time: Timestamp,
    /// Worst of `series`: regressed before changed before improved before unchanged; inconclusive where no series had
    /// enough samples.
    pub verdict: Verdict,
    /// By distance, entity and series.
    pub series: Vec<SeriesVerdict>,
    /// Series left out because there were too many.
    pub left_out: usize,
}

/// Finds series that got worse with a change of the window.
///
/// Pure in (configuration, window). One finding for each regressed series of a change, in the order of entity, series,
/// onset; the onset is the time of the change. [`assess`](Self::assess) tells which change each belongs to, and what
/// did not get worse. Running totals are not compared.
#[derive(Debug, Clone)]
pub struct RegressionDetector {
    config: Checked<RegressionOptions>,
    hash: FittedHash,
}

/// Samples on either side of a change, in order of time.
struct Sides {
    before: Vec<f64>,
    after: Vec<f64>,
    last: Timestamp,
    /// No later change cut the comparison short.
    open: bool,
}

impl RegressionDetector {
    /// Name of this detector in findings.
    pub const ID: &'static str = "post-change-regression";

    /// Compares by this configuration.
    ///
    /// # Errors
    /// [`Internal`](aiops_core::ErrorKind::Internal) when the configuration cannot be hashed.
    pub fn new(config: Checked<RegressionOptions>) -> Result<Self> {
        let hash = crate::state::hash(&config)?;
        Ok(Self { config, hash })
    }

    /// What became of everything near each change that lies in the window's range, by time of the change.
    /// O(changes · series · n log n).
    #[must_use]
    pub fn assess(&self, window: &TelemetryWindow) -> Vec<ChangeAssessment> {
        self.compare(window).into_iter().map(|(assessment, _)| assessment).collect()
    }

    /// The synchronous form of [`Detector::detect`](aiops_core::seam::Detector::detect).
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        let mut found: Vec<Anomaly> =
            self.compare(window).into_iter().flat_map(|(_, anomalies)| anomalies).collect();
        found.sort_by(|a, b| (&a.entity, &a.series, a.onset).cmp(&(&b.entity, &b.series, b.onset)));
        // Two changes at one instant are one to the series.
        found.dedup_by(|a, b| (&a.entity, &a.series, a.onset) == (&b.entity, &b.series, b.onset));
        found
    }

    fn compare(&self, window: &TelemetryWindow) -> Vec<(ChangeAssessment, Vec<Anomaly>)> {
        let options = self.config.options();
        let mut changes: Vec<&Change> =
            window.changes.iter().filter(|c| window.range.contains(c.time)).collect();
        changes.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        changes.dedup_by(|a, b| a.id == b.id && a.time == b.time && a.entity == b.entity);
        let scopes: Vec<_> = changes.iter().map(|c| touched(c, &window.topology, options.callers)).collect();
        let mut assessed = Vec::new();
        for (change, near) in changes.iter().zip(&scopes) {
            let mut series: Vec<(usize, &MetricSeries)> = window
                .metrics
                .iter()
                .filter(|s| s.kind() != MetricKind::Counter)
                .filter_map(|s| Some((*near.get(s.entity())?, s)))
                .collect();
            series.sort_by(|a, b| (a.0, a.1.entity(), a.1.key()).cmp(&(b.0, b.1.entity(), b.1.key())));
            series.dedup_by(|a, b| a.1.entity() == b.1.entity() && a.1.key() == b.1.key());
            let left_out = series.len().saturating_sub(options.max_series);
            series.truncate(options.max_series);
            let other_times = |entity: &EntityId| -> Vec<Timestamp> {
                let others = changes.iter().zip(&scopes).filter(|(c, _)| c.time != change.time);
                others.filter(|(_, scope)| scope.contains_key(entity)).map(|(c, _)| c.time).collect()
            };
            let sides: Vec<Sides> = series
                .iter()
                .map(|(_, s)| sides(s, change.time, &other_times(s.entity()), window, options))
                .collect();
            let mut compared: Vec<(Comparison, Option<Direction>)> = series
                .iter()
                .zip(&sides)
                .map(|((_, s), sides)| {
                    let worse = options.compare.worse(&s.key().name);
                    (raw_samples(&sides.before, &sides.after), worse)
                })
                .collect();
            judge_all(&mut compared, &options.compare);
            let mut anomalies = Vec::new();
            let mut verdicts = Vec::new();
            for (((distance, s), sides), (comparison, _)) in series.iter().zip(&sides).zip(compared) {
                anomalies.extend(self.anomaly(change, s, sides, &comparison, window));
                verdicts.push(SeriesVerdict {
                    entity: s.entity().clone(),
                    series: s.key().clone(),
                    distance: *distance,
                    comparison,
                });
            }
            let assessment = ChangeAssessment {
                change: change.id.clone(),
                kind: change.kind,
                entity: change.entity.clone(),
                time: change.time,
                verdict: worst(verdicts.iter().map(|v| v.comparison.verdict)),
                series: verdicts,
                left_out,
            };
            assessed.push((assessment, anomalies));
        }
        assessed
    }

    fn anomaly(
        &self,
        change: &Change,
        series: &MetricSeries,
        sides: &Sides,
        comparison: &Comparison,
        window: &TelemetryWindow,
    ) -> Option<Anomaly> {
        let mut anomaly = finding(
            Self::ID,
            &self.hash,
            series,
            comparison,
            &sides.after,
            &self.config.options().compare,
            window,
        )?;
        anomaly.onset = change.time;
        anomaly.last = sides.last.max(change.time);
        // Back at the old level in the last quarter of the time after: it was worse, and is over.
        let late = median(sides.after.iter().copied().skip(sides.after.len() * 3 / 4));
        let (old, new) = (comparison.before.level?.center, comparison.after.level?.center);
        anomaly.ongoing = sides.open && (late - new).abs() <= (late - old).abs();
        Some(anomaly)
    }
}

/// Worst verdict of many.
pub(super) fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Inconclusive => 0,
        Verdict::Unchanged => 1,
        Verdict::Improved => 2,
        Verdict::Changed => 3,
        Verdict::Regressed => 4,
    };
    verdicts.max_by_key(rank).unwrap_or(Verdict::Inconclusive)
}

/// The finding of a comparison that regressed, or changed where that is one; from the first to the last instant of the
/// window, for the caller to narrow.
pub(super) fn finding(
    id: &str,
    hash: &FittedHash,
    series: &MetricSeries,
    comparison: &Comparison,
    after: &[f64],
    options: &CompareOptions,
    window: &TelemetryWindow,
) -> Option<Anomaly> {
    let counts = match comparison.verdict {
        Verdict::Regressed => true,
        Verdict::Changed => options.report_changed,
        Verdict::Improved | Verdict::Unchanged | Verdict::Inconclusive => false,
    };
    let baseline = comparison.before.level.filter(|_| counts)?;
    let finite = after.iter().copied().filter(|v| v.is_finite());
    let (shape, value) = match comparison.direction()? {
        Direction::Up => (Shape::LevelShiftUp, finite.fold(f64::NEG_INFINITY, f64::max)),
        Direction::Down => (Shape::LevelShiftDown, finite.fold(f64::INFINITY, f64::min)),
    };
    let mut anomaly = Anomaly::new(
        DetectorId(id.to_owned()),
        hash.clone(),
        series.entity().clone(),
        series.key().clone(),
        shape,
        window.range.start(),
        value,
        baseline,
        reread(window, series),
    );
    anomaly.unit = series.unit().clone();
    let critical = comparison.sigma.abs() >= options.critical_sigma;
    anomaly.severity = if critical { Severity::Critical } else { Severity::Warning };
    Some(anomaly)
}

/// Samples of `series` before and after `at`, up to the nearest of `others`.
fn sides(
    series: &MetricSeries,
    at: Timestamp,
    others: &[Timestamp],
    window: &TelemetryWindow,
    options: &RegressionOptions,
) -> Sides {
    let previous = others.iter().copied().filter(|t| *t < at).max().map(|t| time::after(t, options.settle));
    let next = others.iter().copied().filter(|t| *t > at).min();
    let from = time::before(at, options.before).max(previous.unwrap_or(Timestamp::MIN));
    let settled = time::after(at, options.settle);
    let until = time::after(settled, options.after).min(next.unwrap_or(Timestamp::MAX));
    let inside = |t: &Timestamp| window.range.contains(*t);
    let (mut before, mut after, mut last) = (Vec::new(), Vec::new(), at);
    for (t, value) in series.points().filter(|(t, v)| inside(t) && v.is_finite()) {
        if from <= t && t < at {
            before.push(value);
        } else if settled <= t && t < until {
            after.push(value);
            last = t;
        }
    }
    Sides { before, after, last, open: next.is_none_or(|next| next > window.range.end()) }
}

crate::seam::detector!(RegressionDetector);
