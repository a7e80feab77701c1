use aiops_compact::ConfigError;
use aiops_core::model::{Baseline, MetricSeries, Severity, Shape, TelemetryWindow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dcgm::{ClockReasons, Field, growth};
use crate::checked::Options;
use crate::error::{check, check_count};
use crate::rolling::reread;
use crate::stats::median;
use crate::usecase::signals::inside;
use crate::usecase::{Symptom, UseCase, UseCaseDetector};

/// When a GPU is throttled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThermalThrottleOptions {
    /// Samples looked at, the latest, 4 to 10⁵. Default 20.
    pub recent: usize,
    /// Share of them in which a reason must hold, more than 0 to 1. Default 0.5: a second of heat now and then is in order.
    pub persistent: f64,
    /// Share of its former clock that a GPU must have lost for a power cap to be a finding, 0 to 1: a busy GPU at its limit
    /// is in order. Default 0.25.
    pub power_loss: f64,
    /// Share of the time that the violation counters must say, more than 0 to 1. Default 0.2.
    pub violation: f64,
}

impl Default for ThermalThrottleOptions {
    fn default() -> Self {
        Self { recent: 20, persistent: 0.5, power_loss: 0.25, violation: 0.2 }
    }
}

impl Options for ThermalThrottleOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check_count("recent", self.recent, 4..=100_000, "4 to 100000 samples")?;
        check("persistent", self.persistent, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check("power_loss", self.power_loss, 0.0..=1.0, "0 to 1")?;
        check("violation", self.violation, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")
    }
}

/// A GPU that is slowed down by heat, by its hardware, or much by its power limit, for a good part of the time.
///
/// The clock event reasons decide; where they are not exported, the violation counters do. Idle clocks, clocks set by a user,
/// sync boost, and a busy GPU at its power limit with its usual clock are none.
#[derive(Debug, Clone, Copy)]
pub struct ThermalThrottle;

/// [`ThermalThrottle`] behind its seam.
pub type ThermalThrottleDetector = UseCaseDetector<ThermalThrottle>;

/// Share of the former clock that is lost in the recent samples; 0 without a clock.
fn lost_clock(series: &MetricSeries, since: Timestamp, window: &TelemetryWindow) -> f64 {
    let clocks = Field::SmClock.series(window);
    let of = clocks.into_iter().find(|s| s.entity() == series.entity());
    let points = of.map(|s| inside(s, window)).unwrap_or_default();
    let level = |late: bool| median(points.iter().filter(|(t, _)| (*t >= since) == late).map(|p| p.1));
    let lost = 1.0 - level(true) / level(false);
    if lost.is_finite() { lost.clamp(0.0, 1.0) } else { 0.0 }
}

fn from_reasons(
    options: &ThermalThrottleOptions,
    series: &MetricSeries,
    window: &TelemetryWindow,
) -> Option<Symptom> {
    let points = inside(series, window);
    let recent = points.get(points.len().saturating_sub(options.recent)..)?;
    let lasting = |holds: fn(ClockReasons) -> bool| {
        let count = recent.iter().filter(|(_, v)| holds(ClockReasons::of(*v))).count();
        recent.len() >= 4 && count as f64 >= options.persistent * recent.len() as f64
    };
    let (since, _) = recent.first()?;
    let lost = lost_clock(series, *since, window);
    let (holds, severity): (fn(ClockReasons) -> bool, Severity) = if lasting(ClockReasons::is_hardware) {
        (ClockReasons::is_hardware, Severity::Critical)
    } else if lasting(ClockReasons::is_thermal) {
        (ClockReasons::is_thermal, Severity::Warning)
    } else if lasting(ClockReasons::is_power) && lost >= options.power_loss {
        (ClockReasons::is_power, Severity::Warning)
    } else {
        return None;
    };
    let hit = |p: &&(Timestamp, f64)| holds(ClockReasons::of(p.1));
    let (last, value) = *recent.iter().rfind(hit)?;
    let onset = points.iter().find(hit)?.0;
    let reasons = ClockReasons::of(value).names().join(", ");
    let count = points.iter().filter(hit).count();
    Some(Symptom {
        entity: series.entity().clone(),
        series: series.key().clone(),
        unit: series.unit().clone(),
        shape: Shape::LevelShiftUp,
        onset,
        last,
        ongoing: recent.last().is_some_and(|p| holds(ClockReasons::of(p.1))),
        value,
        baseline: Baseline { center: 0.0, scale: 1.0, samples: points.len() },
        severity,
        reread: reread(window, series),
        evidence: format!(
            "{}: {reasons}, in {count} of {} samples; {:.0} % of the clock lost; usually: check cooling and power",
            series.entity().name(),
            points.len(),
            100.0 * lost
        ),
    })
}

fn from_violations(
    options: &ThermalThrottleOptions,
    series: &MetricSeries,
    window: &TelemetryWindow,
) -> Option<Symptom> {
    let grown = growth(series, window);
    let points = inside(series, window);
    let (first, last) = (grown.first()?.0, grown.last()?.0);
    let seconds = points.last()?.0.duration_since(points.first()?.0).as_secs_f64();
    let throttled = grown.iter().map(|p| p.1).sum::<f64>() / 1e6;
    if seconds <= 0.0 || throttled < options.violation * seconds {
        return None;
    }
    let start = points.first()?.1;
    Some(Symptom {
        entity: series.entity().clone(),
        series: series.key().clone(),
        unit: series.unit().clone(),
        shape: Shape::SteadyIncrease,
        onset: first,
        last,
        ongoing: true,
        value: points.last()?.1,
        // One σ is what the tolerated share of the time would add.
        baseline: Baseline { center: start, scale: options.violation * seconds * 1e6, samples: points.len() },
        severity: Severity::Warning,
        reread: reread(window, series),
        evidence: format!(
            "{}: throttled for {throttled:.0} of {seconds:.0} s by {}; usually: check cooling",
            series.entity().name(),
            series.key().name
        ),
    })
}

impl UseCase for ThermalThrottle {
    const ID: &'static str = "gpu-thermal-throttle";

    type Options = ThermalThrottleOptions;

    fn look(options: &ThermalThrottleOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let reasons = Field::ClockReasons.series(window);
        let told = |s: &&MetricSeries| reasons.iter().all(|r| r.entity() != s.entity());
        let violations = Field::ThermalViolation.series(window);
        let mut found: Vec<Symptom> =
            reasons.iter().filter_map(|s| from_reasons(options, s, window)).collect();
        found.extend(violations.into_iter().filter(told).filter_map(|s| from_violations(options, s, window)));
        found
    }
}
