//! Faults whose time nobody states. // LOC-02
//!
//! A look judges the last minutes against what precedes them and what is known to be normal, with the fused localiser itself:
//! what it would suspect somebody for is what is worth an alarm. Its scale of evidence is the same for every system, so that
//! one limit holds for all. An alarm lasts until a look without one.

use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{MetricSeries, TelemetryWindow, TimeAxis, TimeRange, duration, time};
use aiops_rca::FusedLocalizer;
use serde::{Deserialize, Serialize};

use super::Share;
use crate::EvalError;
use crate::incidents::{IncidentSet, Layout, Recording};

/// How faults are looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct WatchConfig {
    /// Time between two looks; default 60 s, more than 0 s.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// What a look judges; default 3 min, more than 0 s.
    #[serde(with = "duration")]
    pub length: Duration,
    /// How far a look reaches back to compare; default 1 h, more than `length`.
    #[serde(with = "duration")]
    pub history: Duration,
    /// Score of the first suspect from which there is an alarm; default 2, more than 0.
    pub limit: f64,
    /// How long after the alarm the suspect is told, from what was recorded by then; default 60 s (a pipeline confirms at its next
    /// look), 0 s or more.
    #[serde(with = "duration")]
    pub wait: Duration,
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            length: Duration::from_secs(180),
            history: Duration::from_secs(3600),
            limit: 2.0,
            wait: Duration::from_secs(60),
        }
    }
}

impl WatchConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`EvalError::Config`] names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), EvalError> {
        let bad = |field, value: String, allowed| Err(EvalError::Config { field, value, allowed });
        for (field, value) in [("interval", self.interval), ("length", self.length)] {
            if value.is_zero() {
                return bad(field, "0 s".to_owned(), "more than 0 s");
            }
        }
        if self.history <= self.length {
            return bad("history", format!("{:?}", self.history), "more than `length`");
        }
        if !(self.limit.is_finite() && self.limit > 0.0) {
            return bad("limit", self.limit.to_string(), "more than 0");
        }
        Ok(())
    }
}

/// The part of `window` from `from` up to `to`. Its topology stays.
pub(crate) fn part(
    window: &TelemetryWindow,
    from: Timestamp,
    to: Timestamp,
) -> Result<TelemetryWindow, EvalError> {
    let inside = |t: Timestamp| from <= t && t < to;
    let mut part = TelemetryWindow::new(TimeRange::new(from, to.max(from))?);
    for series in &window.metrics {
        let samples = series.times().iter().zip(series.samples()).filter(|(t, _)| inside(*t));
        let (times, values): (Vec<Timestamp>, Vec<Option<f64>>) = samples.unzip();
        if !times.is_empty() {
            let (key, entity) = (series.key().clone(), series.entity().clone());
            let cut = MetricSeries::new(key, entity, TimeAxis::irregular(times)?, values)?;
            part.metrics.push(cut.with_kind(series.kind()).with_unit(series.unit().clone()));
        }
    }
    part.spans = window.spans.iter().filter(|s| inside(s.start)).cloned().collect();
    part.logs = window.logs.iter().filter(|l| inside(l.time)).cloned().collect();
    part.topology = window.topology.clone();
    part.observed = window.observed.clone();
    Ok(part)
}

/// One who watches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch<'a> {
    pub(super) localizer: &'a FusedLocalizer,
    pub(super) config: &'a WatchConfig,
}

impl Watch<'_> {
    /// Whether there is an alarm at `now`, from what was recorded by then.
    fn look(
        &self,
        normal: &TelemetryWindow,
        window: &TelemetryWindow,
        now: Timestamp,
    ) -> Result<bool, EvalError> {
        let from = time::before(now, self.config.length);
        let judged = part(window, from, now)?;
        let before = time::before(from, self.localizer.config().guard);
        let mut reference = part(window, time::before(now, self.config.history), before)?;
        reference.merge(normal.clone());
        let answer = self.localizer.rank(&reference, &judged);
        Ok(answer.suspects.first().is_some_and(|first| first.score >= self.config.limit))
    }

    /// The looks from `from` to `to` that raised an alarm.
    fn looks(
        &self,
        normal: &TelemetryWindow,
        window: &TelemetryWindow,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Looks, EvalError> {
        let (mut looks, mut now) = (Looks::default(), from);
        while now <= to {
            looks.taken += 1;
            if self.look(normal, window, now)? {
                looks.alarmed.push(now);
            }
            now = time::after(now, self.config.interval);
        }
        Ok(looks)
    }

    /// The first alarm from a minute before `injected` up to four minutes after it. It is looked at from two minutes before, so that an alarm
    /// that was under way already is no detection.
    pub(super) fn detect(
        &self,
        normal: &TelemetryWindow,
        window: &TelemetryWindow,
        injected: Timestamp,
    ) -> Result<Option<Alarm>, EvalError> {
        let earliest = time::before(injected, BEFORE);
        let from = time::before(earliest, self.config.interval);
        let looks = self.looks(normal, window, (from, time::after(injected, AFTER)))?;
        let under_way = looks.alarmed.first() == Some(&from);
        let first = looks.alarmed.iter().find(|at| **at >= earliest).filter(|_| !under_way);
        Ok(first.map(|at| Alarm {
            at: *at,
            stated: time::before(*at, self.config.length / 2),
            delay: at.duration_since(injected).as_secs_f64(),
        }))
    }

    /// What was recorded when the suspect is told.
    pub(super) fn until_told(&self, recording: &Recording, alarm: &Alarm) -> Result<Recording, EvalError> {
        let end = time::after(alarm.at, self.config.wait);
        let mut told = recording.clone();
        told.window = part(&recording.window, recording.window.range.start(), end)?;
        Ok(told)
    }
}

/// A fault that was noticed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Alarm {
    /// When it was raised.
    pub(super) at: Timestamp,
    /// When the fault is then said to have begun.
    pub(super) stated: Timestamp,
    /// Seconds from the injection to the alarm.
    pub(super) delay: f64,
}

/// An alarm that begins so long before the injection …
const BEFORE: Duration = Duration::from_secs(60);
/// … up to so long after it is a detection.
const AFTER: Duration = Duration::from_secs(240);

/// Looks and those of them that raised an alarm.
#[derive(Debug, Default)]
struct Looks {
    taken: usize,
    alarmed: Vec<Timestamp>,
}

impl Looks {
    /// Alarms, a run of looks being one.
    fn alarms(&self, interval: Duration) -> usize {
        let joined = self.alarmed.windows(2).filter(|w| match w {
            [a, b] => time::elapsed(*a, *b) <= interval,
            _ => false,
        });
        self.alarmed.len() - joined.count()
    }
}

/// Alarms where nothing is at fault.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QuietReport {
    /// Hours that were looked at.
    pub hours: f64,
    /// Alarms in them, a run of looks that raise one being one.
    pub alarms: usize,
    /// Alarms an hour.
    pub alarms_per_hour: f64,
    /// Looks that raised one, of all.
    pub looks: Share,
    /// What was there to be seen.
    pub signals: Vec<String>,
}

/// False alarms over the quiet recordings of a set. Those hold metrics only. `None` where it has none.
pub(super) fn quiet(set: &IncidentSet, watch: &Watch<'_>) -> Result<Option<QuietReport>, EvalError> {
    if set.layout() != Layout::Nezha {
        return Ok(None);
    }
    let mut report = QuietReport { signals: vec!["metrics".to_owned()], ..QuietReport::default() };
    for window in set.quiet()? {
        let day = |t: Timestamp| t.as_second().div_euclid(86_400);
        // What is normal is known of the same day.
        let same = set.cases().iter().find(|c| day(c.onset) == day(window.range.start()));
        let Some(case) = same else { continue };
        let normal = set.recording(case)?.normal;
        // History to compare with comes first.
        let from = time::after(window.range.start(), watch.config.history / 2);
        let looks = watch.looks(&normal, &window, (from, window.range.end()))?;
        report.hours += time::elapsed(from, window.range.end()).as_secs_f64() / 3600.0;
        report.alarms += looks.alarms(watch.config.interval);
        report.looks.right += looks.alarmed.len();
        report.looks.of += looks.taken;
    }
    #[allow(clippy::cast_precision_loss, reason = "counts of alarms")]
    let alarms = report.alarms as f64;
    report.alarms_per_hour = alarms / report.hours.max(f64::MIN_POSITIVE);
    Ok((report.hours > 0.0).then_some(report))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aiops_core::jiff::Timestamp;
    use aiops_core::model::{EntityId, LogRecord, TelemetryWindow, TimeRange};
    use aiops_rca::FusedLocalizer;

    use super::{Alarm, Watch, WatchConfig};
    use crate::incidents::Recording;

    #[test]
    fn the_suspect_is_told_from_what_was_recorded_by_then() {
        let at = |second: i64| Timestamp::from_second(1_750_000_000 + second).unwrap();
        let mut window = TelemetryWindow::new(TimeRange::new(at(0), at(300)).unwrap());
        window.logs =
            (0..300).map(|i| LogRecord::new(at(i), EntityId::service("a"), format!("line {i}"))).collect();
        let recording = Recording { window, ..Recording::default() };
        let (localizer, config) = (FusedLocalizer::default(), WatchConfig::default());
        let watch = Watch { localizer: &localizer, config: &config };
        let alarm = Alarm { at: at(120), stated: at(30), delay: 20.0 };
        let told = watch.until_told(&recording, &alarm).unwrap();
        assert_eq!(config.wait, Duration::from_secs(60));
        assert_eq!((told.window.logs.len(), told.window.range.end()), (180, at(180)));
    }
}
