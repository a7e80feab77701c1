use std::collections::BTreeMap;

use aiops_compact::ConfigError;
use aiops_core::model::{
    Baseline, EntityId, SeriesKey, Severity, Shape, Signal, Span, TelemetryWindow, Unit,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signals::{check_names, increments, named, names, reread_records};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::{check, check_count};
use crate::rolling::reread;
use crate::stats::median;

/// When starting is what takes the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColdStartOptions {
    /// Metrics of cold starts, a running total, rate or count a sample.
    pub cold_starts: Vec<String>,
    /// Metrics of invocations, of the same kind.
    pub invocations: Vec<String>,
    /// Attribute of spans that is `true` on a cold start.
    pub span_attribute: String,
    /// Share of invocations from which cold starts are a finding, more than 0 to 1. Default 0.1.
    pub share: f64,
    /// Share from which they are critical, at least `share`. Default 0.3.
    pub critical: f64,
    /// Fewest invocations to judge by, 10 to 10⁹: seldom called functions start cold, and that is as it should be. Default 100.
    pub min_invocations: usize,
    /// Of so many equal parts of the window at least half must be beyond `share`, 2 to 100: scaling up once is no
    /// problem. Default 6.
    pub parts: usize,
    /// How much longer a cold invocation must take than a warm one, as a factor, where spans tell; ≥ 1. Default 1.5.
    pub slowdown: f64,
}

impl Default for ColdStartOptions {
    fn default() -> Self {
        Self {
            cold_starts: names(&["faas.coldstarts", "faas_coldstarts_total", "aws.lambda.init_count"]),
            invocations: names(&["faas.invocations", "faas_invocations_total", "aws.lambda.invocations"]),
            span_attribute: "faas.coldstart".to_owned(),
            share: 0.1,
            critical: 0.3,
            min_invocations: 100,
            parts: 6,
            slowdown: 1.5,
        }
    }
}

impl Options for ColdStartOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check_names("cold_starts", &self.cold_starts)?;
        check_names("invocations", &self.invocations)?;
        check("share", self.share, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check("critical", self.critical, self.share..=1.0, "`share` to 1")?;
        check_count("min_invocations", self.min_invocations, 10..=1_000_000_000, "10 to 10⁹ invocations")?;
        check_count("parts", self.parts, 2..=100, "2 to 100 parts")?;
        check("slowdown", self.slowdown, 1.0.., "a finite number ≥ 1")
    }
}

/// A function of whose invocations a large share starts cold, throughout the window; from its metrics, or from its spans, and
/// then only where cold invocations are slower.
///
/// A burst of cold starts while scaling up is none, nor are those of a function that is hardly called.
#[derive(Debug, Clone, Copy)]
pub struct ColdStart;

/// [`ColdStart`] behind its seam.
pub type ColdStartDetector = UseCaseDetector<ColdStart>;

/// Cold and all invocations in each part of the window.
type Parts = Vec<(f64, f64)>;

/// Overall share and the first part beyond the threshold, when it is one that lasts.
fn lasting(options: &ColdStartOptions, parts: &Parts) -> Option<(f64, usize)> {
    let sum = |of: fn(&(f64, f64)) -> f64| parts.iter().map(of).sum::<f64>();
    let (cold, all) = (sum(|p| p.0), sum(|p| p.1));
    let beyond = |p: &(f64, f64)| p.1 > 0.0 && p.0 / p.1 >= options.share;
    let busy = parts.iter().filter(|p| p.1 > 0.0).count();
    let high = parts.iter().filter(|p| beyond(p)).count();
    let lasts = 2 * high >= options.parts && 2 * high > busy && beyond(parts.last()?);
    let enough = all >= options.min_invocations as f64 && cold / all >= options.share;
    (lasts && enough).then_some((cold / all, parts.iter().position(beyond)?))
}

fn part_of(t: Timestamp, window: &TelemetryWindow, parts: usize) -> usize {
    let share = super::signals::since_start(t, window) / window.range.length().as_secs_f64();
    ((share * parts as f64) as usize).min(parts - 1)
}

fn begin_of(part: usize, window: &TelemetryWindow, parts: usize) -> Timestamp {
    let step = window.range.length() / u32::try_from(parts).unwrap_or(u32::MAX);
    aiops_core::model::time::after(
        window.range.start(),
        step.saturating_mul(u32::try_from(part).unwrap_or(u32::MAX)),
    )
}

fn severity(options: &ColdStartOptions, share: f64) -> Severity {
    if share >= options.critical { Severity::Critical } else { Severity::Warning }
}

/// One σ of a share of so many.
fn baseline(options: &ColdStartOptions, all: f64) -> Baseline {
    let half = options.share / 2.0;
    let scale = (half * (1.0 - half) / all.max(1.0)).sqrt().max(0.01);
    Baseline { center: half, scale, samples: all as usize }
}

fn from_metrics(options: &ColdStartOptions, window: &TelemetryWindow) -> Vec<Symptom> {
    let mut found = Vec::new();
    let invocations = named(window, &options.invocations);
    for cold in named(window, &options.cold_starts) {
        let same = |s: &&&aiops_core::model::MetricSeries| {
            s.entity() == cold.entity() && s.key().labels == cold.key().labels && s.kind() == cold.kind()
        };
        let Some(all) = invocations.iter().find(same) else { continue };
        let mut parts = vec![(0.0, 0.0); options.parts];
        // Rates are summed over the time they stand for, so that both are counts.
        let step = crate::rolling::typical_step(cold.times()).map_or(1.0, |step| step.as_secs_f64());
        let weight = if cold.kind() == aiops_core::model::MetricKind::Rate { step } else { 1.0 };
        for (series, is_cold) in [(cold, true), (*all, false)] {
            for (t, count) in increments(series, window) {
                if let Some((c, a)) = parts.get_mut(part_of(t, window, options.parts)) {
                    *if is_cold { c } else { a } += weight * count.max(0.0);
                }
            }
        }
        let Some((share, first)) = lasting(options, &parts) else { continue };
        let all: f64 = parts.iter().map(|p| p.1).sum();
        found.push(Symptom {
            entity: cold.entity().clone(),
            series: cold.key().clone(),
            unit: Unit::new("1"),
            shape: Shape::LevelShiftUp,
            onset: begin_of(first, window, options.parts),
            last: cold.times().last().unwrap_or(window.range.start()),
            ongoing: true,
            value: share,
            baseline: baseline(options, all),
            severity: severity(options, share),
            reread: reread(window, cold),
            evidence: format!("{:.0} % of {all:.0} invocations started cold", 100.0 * share),
        });
    }
    found
}

fn from_spans(options: &ColdStartOptions, window: &TelemetryWindow) -> Vec<Symptom> {
    let mut by_function: BTreeMap<(&EntityId, &str), Vec<(&Span, bool)>> = BTreeMap::new();
    for span in window.spans.iter().filter(|s| window.range.contains(s.start)) {
        // Functions say of each invocation whether it was cold; other spans do not carry the attribute.
        if let Some(value) = span.attributes.get(&options.span_attribute) {
            let calls = by_function.entry((&span.entity, &span.operation)).or_default();
            calls.push((span, value == "true"));
        }
    }
    let mut found = Vec::new();
    for ((entity, operation), calls) in by_function {
        let mut parts = vec![(0.0, 0.0); options.parts];
        for (span, cold) in &calls {
            if let Some((c, a)) = parts.get_mut(part_of(span.start, window, options.parts)) {
                *c += f64::from(u8::from(*cold));
                *a += 1.0;
            }
        }
        let Some((share, first)) = lasting(options, &parts) else { continue };
        let time = |of: bool| {
            median(calls.iter().filter(|(_, cold)| *cold == of).map(|(s, _)| s.duration.as_secs_f64()))
        };
        let (cold, warm) = (time(true), time(false));
        // When all start cold there is nothing to compare with, and nothing to doubt.
        if cold < options.slowdown * warm {
            continue;
        }
        found.push(Symptom {
            entity: entity.clone(),
            series: SeriesKey::new("faas.coldstart_share").with("operation", operation),
            unit: Unit::new("1"),
            shape: Shape::LevelShiftUp,
            onset: begin_of(first, window, options.parts),
            last: calls.iter().map(|(s, _)| s.start).max().unwrap_or(window.range.start()),
            ongoing: true,
            value: share,
            baseline: baseline(options, calls.len() as f64),
            severity: severity(options, share),
            reread: reread_records(window, entity, Signal::Traces),
            evidence: format!(
                "{:.0} % of {} invocations started cold and took {cold:.3} s where warm ones take {warm:.3} s",
                100.0 * share,
                calls.len()
            ),
        });
    }
    found
}

impl UseCase for ColdStart {
    const ID: &'static str = "cold-start";

    type Options = ColdStartOptions;

    fn look(options: &ColdStartOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let mut found = from_metrics(options, window);
        found.extend(from_spans(options, window));
        found
    }
}
