use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::model::{Baseline, MetricSeries, Severity, Shape, TelemetryWindow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signals::{check_names, inside, named, since_start};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::{check, check_count};
use crate::rolling::reread;
use crate::stats::{RiseTest, Trend, latest_rise, mann_kendall, median, robust};

/// What is used of what there is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Metric of what is used. Alone, it is a share between 0 and 1; a series that exceeds 1 is passed over.
    pub used: String,
    /// Metric of how much there is, of the same entity and with the same labels.
    #[serde(default)]
    pub capacity: Option<String>,
}

/// When something is full, or will be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CapacityOptions {
    /// What is looked at. Default: file systems, memory, connection pools, persistent volumes, quotas, file descriptors.
    pub resources: Vec<Resource>,
    /// Share in use from which it is full, more than 0 to 1. Default 0.95.
    pub full: f64,
    /// Share of the last samples that must be beyond `full`, more than 0 to 1. Default 0.8: a burst fills nothing.
    pub persistent: f64,
    /// Samples looked at for that, 4 to 10⁵. Default 20.
    pub recent: usize,
    /// Time in which it will be full to be a finding. Default 24 h.
    #[serde(with = "aiops_core::model::duration")]
    pub horizon: Duration,
    /// Time in which it will be full to be critical, at most `horizon`. Default 2 h.
    #[serde(with = "aiops_core::model::duration")]
    pub critical: Duration,
    /// Level of significance of the trend, more than 0 to 0.5. Default 0.001.
    pub alpha: f64,
    /// Smallest rise over the window, as a share of the capacity; 0 to 1. Default 0.02.
    pub min_rise: f64,
    /// What a step from sample to sample must exceed, in σ of the usual ones, to speak for a rise that began lately; 0 to 10. Default 0.5.
    pub slack: f64,
    /// Where such a step is cut, in σ, more than `slack` to 100: one jump is no rise. Default 3.
    pub cut: f64,
    /// Sum of steps beyond `slack` from which a rise has begun, 1 to 1000. Default 8: a fast one is told after four samples.
    pub decision: f64,
    /// How much longer a rise that began lately is taken to go on than it was seen to, 0 to 100; 0 tells none. Default 3.
    pub reach: f64,
}

impl Default for CapacityOptions {
    fn default() -> Self {
        let share = |used: &str| Resource { used: used.to_owned(), capacity: None };
        let of = |used: &str, capacity: &str| Resource {
            used: used.to_owned(),
            capacity: Some(capacity.to_owned()),
        };
        Self {
            resources: vec![
                share("system.filesystem.utilization"),
                share("system.memory.utilization"),
                share("k8s.pod.memory_limit_utilization"),
                share("db.client.connection.utilization"),
                of("db.client.connection.count", "db.client.connection.max"),
                of("kubelet_volume_stats_used_bytes", "kubelet_volume_stats_capacity_bytes"),
                of("process_open_fds", "process_max_fds"),
                of("container.memory.working_set", "container.memory.limit"),
                of("k8s.resource_quota.used", "k8s.resource_quota.hard_limit"),
            ],
            full: 0.95,
            persistent: 0.8,
            recent: 20,
            horizon: Duration::from_secs(86_400),
            critical: Duration::from_secs(7_200),
            alpha: 0.001,
            min_rise: 0.02,
            slack: 0.5,
            cut: 3.0,
            decision: 8.0,
            reach: 3.0,
        }
    }
}

impl Options for CapacityOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        let used: Vec<String> = self.resources.iter().map(|r| r.used.clone()).collect();
        check_names("resources", &used)?;
        check("full", self.full, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check("persistent", self.persistent, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check_count("recent", self.recent, 4..=100_000, "4 to 100000 samples")?;
        check("alpha", self.alpha, f64::MIN_POSITIVE..=0.5, "more than 0, at most 0.5")?;
        check("min_rise", self.min_rise, 0.0..=1.0, "0 to 1")?;
        check("slack", self.slack, 0.0..=10.0, "0 to 10")?;
        check("cut", self.cut, self.slack.next_up()..=100.0, "more than `slack`, at most 100")?;
        check("decision", self.decision, 1.0..=1000.0, "1 to 1000")?;
        check("reach", self.reach, 0.0..=100.0, "0 to 100")?;
        if self.critical > self.horizon {
            return Err(ConfigError::new("critical", format!("{:?}", self.critical), "at most `horizon`"));
        }
        Ok(())
    }
}

/// One σ of a share is never below a thousandth of the capacity: level use has hardly any noise.
const LEAST_SCALE: f64 = 1e-3;
/// Fewest samples before a rise that began lately: what was usual must have been seen.
const SEEN_BEFORE: usize = 8;

/// What is full, or will be within the horizon if it goes on as it does.
///
/// Full is what stays beyond the threshold. What will be needs a significant trend over the window, and the time left is that of the line of
/// Theil and Sen from the last level on; or it rises since lately, above all that was before, step by step and much faster than it ever moved: then the
/// time left is that of these steps, and not much longer than they were seen. High and level use is no finding, nor is a burst, a jump, or a
/// sawtooth.
#[derive(Debug, Clone, Copy)]
pub struct Capacity;

/// [`Capacity`] behind its seam.
pub type CapacityDetector = UseCaseDetector<Capacity>;

/// Shares in use over time, and the capacity last known: 1 for what is a share already.
fn shares(
    resource: &Resource,
    series: &MetricSeries,
    window: &TelemetryWindow,
) -> Option<(Vec<(Timestamp, f64)>, f64)> {
    let used = inside(series, window);
    let Some(name) = &resource.capacity else {
        // What exceeds 1 is no share: percent, most often.
        return used.iter().all(|(_, share)| *share <= 1.01).then_some((used, 1.0));
    };
    let of = |s: &&MetricSeries| s.entity() == series.entity() && s.key().labels == series.key().labels;
    let capacity = named(window, std::slice::from_ref(name)).into_iter().find(of)?;
    // What a capacity was last said to be; capacities change rarely and are scraped with what is used.
    let known = inside(capacity, window);
    let at = |t: Timestamp| {
        let upto = known.partition_point(|(when, _)| *when <= t);
        known.get(upto.saturating_sub(1)).map(|p| p.1).filter(|c| *c > 0.0)
    };
    let last = at(window.range.end())?;
    Some((used.into_iter().filter_map(|(t, used)| Some((t, used / at(t)?))).collect(), last))
}

/// Whether the last samples still lie on the line, and nobody cleaned up since.
fn goes_on(trend: &Trend, points: &[(f64, f64)]) -> bool {
    let off = |(x, y): &(f64, f64)| y - trend.at(*x);
    let newest = points.get(points.len().saturating_sub(4)..).unwrap_or_default();
    robust(points.iter().map(off)).is_some_and(|usual| {
        median(newest.iter().map(off)) >= usual.center - 4.0 * usual.scale.max(LEAST_SCALE)
    })
}

/// Onset of a rise that began lately and above all that was before, and the seconds until it is full.
fn lately(
    options: &CapacityOptions,
    shares: &[(Timestamp, f64)],
    points: &[(f64, f64)],
) -> Option<(Timestamp, f64)> {
    let test =
        RiseTest { slack: options.slack, cut: options.cut, decision: options.decision, floor: LEAST_SCALE };
    let rise = latest_rise(points, &test)?;
    let before = points.get(..=rise.since).filter(|before| before.len() >= SEEN_BEFORE)?;
    let (began, now) = (before.last()?, points.last()?);
    let highest = before.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let left = ((1.0 - now.1) / rise.slope).max(0.0);
    let told = now.1 - highest >= options.min_rise && left <= options.reach * (now.0 - began.0);
    told.then_some((shares.get(rise.since)?.0, left))
}

/// A time as people say it.
fn told(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn fills(
    options: &CapacityOptions,
    resource: &Resource,
    series: &MetricSeries,
    window: &TelemetryWindow,
) -> Option<Symptom> {
    let (shares, whole) = shares(resource, series, window)?;
    let (first, last) = (shares.first()?, shares.last()?);
    let recent = shares.get(shares.len().saturating_sub(options.recent)..)?;
    let beyond = recent.iter().filter(|(_, share)| *share >= options.full).count();
    let full = recent.len() >= 4 && beyond as f64 >= options.persistent * recent.len() as f64;
    let level = median(recent.iter().map(|p| p.1));
    let points: Vec<(f64, f64)> = shares.iter().map(|(t, share)| (since_start(*t, window), *share)).collect();
    let trend = mann_kendall(&points);
    let span = since_start(last.0, window) - since_start(first.0, window);
    let rises = trend
        .filter(|t| t.p_value <= options.alpha && t.slope > 0.0 && t.slope * span >= options.min_rise)
        .filter(|t| goes_on(t, &points));
    let mut coming = rises.map(|t| (first.0, ((1.0 - level) / t.slope).max(0.0)));
    if coming.is_none_or(|(_, left)| left > options.horizon.as_secs_f64()) {
        coming = lately(options, &shares, &points);
    }
    let (onset, severity, shape, evidence) = if full {
        let onset = recent.iter().find(|(_, share)| *share >= options.full)?.0;
        let evidence = format!("{:.1} % of {} in use", 100.0 * level, series.key());
        (onset, Severity::Critical, Shape::LevelShiftUp, evidence)
    } else {
        let (onset, left) = coming.filter(|(_, left)| *left <= options.horizon.as_secs_f64())?;
        let soon = left <= options.critical.as_secs_f64();
        let severity = if soon { Severity::Critical } else { Severity::Warning };
        let evidence = format!(
            "{:.1} % of {} in use, full in {} at the present rate",
            100.0 * last.1,
            series.key(),
            told(left)
        );
        (onset, severity, Shape::SteadyIncrease, evidence)
    };
    let early = shares.get(..(shares.len() / 4).max(1))?;
    let before = robust(early.iter().map(|p| p.1))?;
    // Whatever lies less than the smallest rise above what it was, within three σ as a verifier asks for, is back.
    let scale = whole * before.scale.max(options.min_rise / 3.0).max(LEAST_SCALE);
    let baseline = Baseline { center: whole * before.center, scale, samples: shares.len() };
    Some(Symptom {
        entity: series.entity().clone(),
        series: series.key().clone(),
        unit: series.unit().clone(),
        shape,
        onset,
        last: last.0,
        ongoing: true,
        value: whole * recent.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max),
        baseline,
        severity,
        reread: reread(window, series),
        evidence,
    })
}

impl UseCase for Capacity {
    const ID: &'static str = "capacity";

    type Options = CapacityOptions;

    fn look(options: &CapacityOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let of = |resource: &Resource| {
            let used = named(window, std::slice::from_ref(&resource.used));
            used.into_iter().filter_map(|s| fills(options, resource, s, window)).collect::<Vec<Symptom>>()
        };
        options.resources.iter().flat_map(of).collect()
    }
}
