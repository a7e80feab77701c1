use aiops_compact::ConfigError;
use aiops_core::model::{MetricSeries, Severity, Shape, TelemetryWindow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dcgm::Field;
use crate::checked::Options;
use crate::error::{check, check_count};
use crate::rolling::reread;
use crate::stats::{median, robust};
use crate::usecase::signals::{check_names, inside, named, names};
use crate::usecase::{Symptom, UseCase, UseCaseDetector};

/// When jobs starve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SchedulerStarvationOptions {
    /// Metrics of jobs or pods that wait for GPUs.
    pub pending: Vec<String>,
    /// Samples looked at, the latest, 4 to 10⁵. Default 20.
    pub recent: usize,
    /// Waiting jobs from which somebody starves, more than 0. Default 1.
    pub min_pending: f64,
    /// Share of the recent samples in which they must wait, more than 0 to 1. Default 0.9.
    pub persistent: f64,
    /// Utilisation in % below which a GPU is idle, 0 to 100. Default 5.
    pub idle: f64,
    /// Share of GPUs that must idle, more than 0 to 1. Default 0.2: with fewer the cluster is full, and waiting is in order.
    pub min_idle: f64,
    /// Share from which it is critical, at least `min_idle`. Default 0.5.
    pub critical: f64,
}

impl Default for SchedulerStarvationOptions {
    fn default() -> Self {
        Self {
            pending: names(&[
                "scheduler_pending_pods",
                "kueue_pending_workloads",
                "slurm_jobs_pending",
                "gpu.scheduler.pending_jobs",
                "volcano_queue_pod_group_pending_count",
            ]),
            recent: 20,
            min_pending: 1.0,
            persistent: 0.9,
            idle: 5.0,
            min_idle: 0.2,
            critical: 0.5,
        }
    }
}

impl Options for SchedulerStarvationOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check_names("pending", &self.pending)?;
        check_count("recent", self.recent, 4..=100_000, "4 to 100000 samples")?;
        check("min_pending", self.min_pending, f64::MIN_POSITIVE.., "a finite number above 0")?;
        check("persistent", self.persistent, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check("idle", self.idle, 0.0..=100.0, "0 to 100 %")?;
        check("min_idle", self.min_idle, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check("critical", self.critical, self.min_idle..=1.0, "`min_idle` to 1")
    }
}

/// Jobs that wait without end while GPUs idle: fragmentation, a stuck scheduler, a quota nobody can use.
///
/// A full cluster with a queue is none, nor are idle GPUs with an empty one, nor a queue that drains.
#[derive(Debug, Clone, Copy)]
pub struct SchedulerStarvation;

/// [`SchedulerStarvation`] behind its seam.
pub type SchedulerStarvationDetector = UseCaseDetector<SchedulerStarvation>;

fn starves(
    options: &SchedulerStarvationOptions,
    queue: &MetricSeries,
    idle: usize,
    all: usize,
    window: &TelemetryWindow,
) -> Option<Symptom> {
    let points = inside(queue, window);
    let recent = points.get(points.len().saturating_sub(options.recent)..)?;
    let waits = |p: &&(Timestamp, f64)| p.1 >= options.min_pending;
    let waiting = recent.iter().filter(waits).count();
    let half = |late: bool| {
        let middle = recent.len() / 2;
        median(recent.iter().enumerate().filter(|(i, _)| (*i >= middle) == late).map(|(_, p)| p.1))
    };
    let drains = half(true) < 0.5 * half(false);
    if recent.len() < 4 || (waiting as f64) < options.persistent * recent.len() as f64 || drains {
        return None;
    }
    let onset = points.iter().rev().take_while(waits).last()?.0;
    let last = recent.last()?.0;
    let share = idle as f64 / all as f64;
    let before = robust(points.iter().filter(|(t, _)| *t < onset).map(|p| p.1));
    let mut baseline =
        before.unwrap_or(aiops_core::model::Baseline { center: 0.0, scale: 1.0, samples: points.len() });
    baseline.scale = baseline.scale.max(options.min_pending);
    Some(Symptom {
        entity: queue.entity().clone(),
        series: queue.key().clone(),
        unit: queue.unit().clone(),
        shape: Shape::LevelShiftUp,
        onset,
        last,
        ongoing: true,
        value: recent.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max),
        baseline,
        severity: if share >= options.critical { Severity::Critical } else { Severity::Warning },
        reread: reread(window, queue),
        evidence: format!(
            "{:.0} wait in {} while {idle} of {all} GPUs idle; usually: look at quotas, fragmentation and the scheduler",
            half(true),
            queue.entity().name(),
        ),
    })
}

impl UseCase for SchedulerStarvation {
    const ID: &'static str = "gpu-scheduler-starvation";

    type Options = SchedulerStarvationOptions;

    fn look(options: &SchedulerStarvationOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let levels: Vec<f64> = Field::GpuUtilization
            .series(window)
            .into_iter()
            .map(|gpu| {
                let points = inside(gpu, window);
                median(points.iter().rev().take(options.recent).map(|p| p.1))
            })
            .filter(|level| !level.is_nan())
            .collect();
        let idle = levels.iter().filter(|level| **level < options.idle).count();
        if levels.is_empty() || (idle as f64) < options.min_idle * levels.len() as f64 {
            return Vec::new();
        }
        let queues = named(window, &options.pending);
        queues.into_iter().filter_map(|queue| starves(options, queue, idle, levels.len(), window)).collect()
    }
}
