use std::collections::BTreeMap;

use aiops_compact::ConfigError;
use aiops_core::model::{
    Baseline, EntityId, MetricSeries, SeriesKey, Severity, Shape, Signal, TelemetryWindow,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dcgm::Field;
use super::signature::{Sign, rank_of, recognise};
use crate::checked::Options;
use crate::error::{check, check_count};
use crate::rolling::reread;
use crate::stats::{median, robust};
use crate::usecase::signals::{Counted, inside, lines, names, places};
use crate::usecase::{Symptom, UseCase, UseCaseDetector};

/// When a collective hangs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NcclHangOptions {
    /// Labels that say which job a GPU works for, beside the node it is in; GPUs of one job hang together.
    pub job_labels: Vec<String>,
    /// Samples looked at, the latest, 4 to 10⁵. Default 16.
    pub recent: usize,
    /// Utilisation in % from which a GPU claims to be busy, 0 to 100. Default 90: a kernel that spins in a collective
    /// counts as running.
    pub busy: f64,
    /// Share of its former power that a spinning GPU draws at most, more than 0 to 1. Default 0.6: spinning moves no data
    /// and multiplies nothing.
    pub power: f64,
    /// Share of its former SM or tensor activity at most, more than 0 to 1. Default 0.2.
    pub activity: f64,
    /// Share of a job's GPUs that must spin, more than 0 to 1. Default 0.5.
    pub together: f64,
    /// Fewest spinning GPUs, 2 to 10⁶. Default 2: a collective has at least two ranks.
    pub min_gpus: usize,
    /// Lines of lost peers within the window that are a finding without a timeout, 1 to 10⁶. Default 3.
    pub lines: usize,
}

impl Default for NcclHangOptions {
    fn default() -> Self {
        Self {
            job_labels: names(&["job.name", "k8s.job.name", "hpc_job", "k8s.pod.name", "exported_pod"]),
            recent: 16,
            busy: 90.0,
            power: 0.6,
            activity: 0.2,
            together: 0.5,
            min_gpus: 2,
            lines: 3,
        }
    }
}

impl Options for NcclHangOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check_count("recent", self.recent, 4..=100_000, "4 to 100000 samples")?;
        check("busy", self.busy, 0.0..=100.0, "0 to 100 %")?;
        check("power", self.power, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check("activity", self.activity, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check("together", self.together, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check_count("min_gpus", self.min_gpus, 2..=1_000_000, "2 to 1000000 GPUs")?;
        check_count("lines", self.lines, 1..=1_000_000, "1 to 1000000 lines")
    }
}

/// A collective that no rank leaves: watchdog lines, or, long before the watchdog, GPUs of one job that claim to be busy at
/// little power and without activity, all at once.
///
/// The GPU of the job that is *not* spinning, when there is one, is the rank the others wait for: it is named in the
/// evidence, and of lines the rank that spoke first. GPUs that idle, or one that waits for its input, are none.
#[derive(Debug, Clone, Copy)]
pub struct NcclHang;

/// [`NcclHang`] behind its seam.
pub type NcclHangDetector = UseCaseDetector<NcclHang>;

fn from_lines(options: &NcclHangOptions, window: &TelemetryWindow) -> Vec<Symptom> {
    let mut writers: BTreeMap<&EntityId, (Vec<Timestamp>, bool, Option<u32>)> = BTreeMap::new();
    for line in lines(window) {
        let Some(signature) = recognise(&line.body) else { continue };
        let timeout = matches!(signature.sign, Sign::CollectiveTimeout | Sign::Desynchronised);
        if !timeout && signature.sign != Sign::PeerLost {
            continue;
        }
        let told = writers.entry(&line.entity).or_default();
        told.0.push(line.time);
        told.1 |= timeout;
        told.2 = told.2.or_else(|| rank_of(&line.body));
    }
    let mut found = Vec::new();
    for (writer, (times, timeout, rank)) in writers {
        let (Some(first), Some(last)) = (times.first(), times.last()) else { continue };
        if !timeout && times.len() < options.lines {
            continue;
        }
        let rank = rank.map_or_else(String::new, |rank| format!(", rank {rank} first"));
        let counted = Counted {
            entity: writer,
            series: SeriesKey::new("nccl.errors"),
            times: (*first, *last),
            count: times.len() as f64,
            usual: 0.0,
            samples: times.len(),
            severity: if timeout { Severity::Critical } else { Severity::Warning },
            signal: Signal::Logs,
            evidence: format!(
                "{}: {} lines of collectives that {}{rank}; usually: find the rank that diverged, restart the job from its checkpoint",
                writer.name(),
                times.len(),
                if timeout { "timed out" } else { "lost a peer" },
            ),
        };
        found.push(counted.symptom(window));
    }
    found
}

/// How a GPU was and is.
struct Gpu<'w> {
    power: &'w MetricSeries,
    before: f64,
    now: f64,
    spins: bool,
    since: Timestamp,
}

/// Median of a field of `entity` before `since` and from then on.
fn levels(field: Field, entity: &EntityId, since: Timestamp, window: &TelemetryWindow) -> Option<(f64, f64)> {
    let series = field.series(window).into_iter().find(|s| s.entity() == entity)?;
    let points = inside(series, window);
    let level = |late: bool| median(points.iter().filter(|(t, _)| (*t >= since) == late).map(|p| p.1));
    let both = (level(false), level(true));
    (both.0.is_finite() && both.1.is_finite()).then_some(both)
}

fn state<'w>(
    options: &NcclHangOptions,
    power: &'w MetricSeries,
    window: &TelemetryWindow,
) -> Option<Gpu<'w>> {
    let points = inside(power, window);
    if points.len() < 2 * options.recent {
        return None;
    }
    let since = points.get(points.len() - options.recent)?.0;
    let entity = power.entity();
    let (before, now) = levels(Field::PowerUsage, entity, since, window)?;
    let busy = levels(Field::GpuUtilization, entity, since, window)
        .is_some_and(|(was, is)| was >= options.busy && is >= options.busy);
    let activity = [Field::SmActive, Field::TensorActive].into_iter();
    // A spinning kernel holds its SMs: the tensor pipes tell, where they are exported; what was idle before tells nothing.
    let quiet = activity
        .filter_map(|field| levels(field, entity, since, window))
        .any(|(was, is)| was > 0.05 && is <= options.activity * was);
    let drop = now <= options.power * before;
    Some(Gpu { power, before, now, spins: busy && drop || busy && quiet && now < before, since })
}

fn from_metrics(options: &NcclHangOptions, window: &TelemetryWindow) -> Vec<Symptom> {
    let nodes = places(window, &names(&["Hostname", "k8s.node.name", "host.name", "node"]));
    let mut jobs: BTreeMap<String, Vec<Gpu<'_>>> = BTreeMap::new();
    for power in Field::PowerUsage.series(window) {
        let label = options.job_labels.iter().find_map(|label| power.key().labels.get(label));
        let job = label.filter(|job| !job.is_empty()).map(str::to_owned);
        let node = || nodes.get(power.entity()).map(|node| node.name().to_owned());
        let Some(job) = job.or_else(node) else { continue };
        if let Some(gpu) = state(options, power, window) {
            jobs.entry(job).or_default().push(gpu);
        }
    }
    let mut found = Vec::new();
    for (job, gpus) in jobs {
        let spinning: Vec<&Gpu<'_>> = gpus.iter().filter(|gpu| gpu.spins).collect();
        let enough = options.together * gpus.len() as f64;
        if spinning.len() < options.min_gpus || (spinning.len() as f64) < enough {
            continue;
        }
        let waited_for: Vec<&str> =
            gpus.iter().filter(|gpu| !gpu.spins).map(|gpu| gpu.power.entity().name()).take(3).collect();
        let hint = if waited_for.is_empty() {
            String::new()
        } else {
            format!("; not spinning, so waited for: {}", waited_for.join(", "))
        };
        for gpu in &spinning {
            let points = inside(gpu.power, window);
            let earlier = points.iter().filter(|(t, _)| *t < gpu.since).map(|p| p.1);
            let Some(usual) = robust(earlier) else { continue };
            let line = (gpu.before + gpu.now) / 2.0;
            let onset = points.iter().rev().take_while(|(_, v)| *v <= line).last().map_or(gpu.since, |p| p.0);
            let Some(last) = points.last() else { continue };
            let lowest =
                points.iter().filter(|(t, _)| *t >= gpu.since).map(|p| p.1).fold(f64::INFINITY, f64::min);
            found.push(Symptom {
                entity: gpu.power.entity().clone(),
                series: gpu.power.key().clone(),
                unit: gpu.power.unit().clone(),
                shape: Shape::LevelShiftDown,
                onset,
                last: last.0,
                ongoing: true,
                value: lowest,
                baseline: Baseline { scale: usual.scale.max(0.01 * usual.center.abs()), ..usual },
                severity: Severity::Critical,
                reread: reread(window, gpu.power),
                evidence: format!(
                    "{job}: {} of {} GPUs spin, busy at {:.0} of {:.0} W{hint}",
                    spinning.len(),
                    gpus.len(),
                    gpu.now,
                    gpu.before,
                ),
            });
        }
    }
    found
}

impl UseCase for NcclHang {
    const ID: &'static str = "gpu-nccl-hang";

    type Options = NcclHangOptions;

    fn look(options: &NcclHangOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let mut found = from_lines(options, window);
        found.extend(from_metrics(options, window));
        found
    }
}
