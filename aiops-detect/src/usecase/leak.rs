use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::model::{Baseline, MetricSeries, Severity, Shape, TelemetryWindow};
use serde::{Deserialize, Serialize};

use super::signals::{check_names, inside, named, names, since_start};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::{check, check_count};
use crate::rolling::reread;
use crate::stats::{mann_kendall, median, robust};

/// When memory leaks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryLeakOptions {
    /// Metrics of memory in use.
    pub memory: Vec<String>,
    /// Metrics of the limit it has, for the time left.
    pub limit: Vec<String>,
    /// Level of significance of the trend, more than 0 to 0.5. Default 0.001.
    pub alpha: f64,
    /// Smallest growth over the window as a share of its beginning, more than 0. Default 0.1.
    pub min_growth: f64,
    /// Smallest ratio of the slope of the later half to that of the whole, 0 to 1: what fills a cache or warms up grows
    /// ever slower. Default 0.5.
    pub sustained: f64,
    /// Fewest samples, 24 to 10⁶. Default 40.
    pub min_samples: usize,
    /// Stretches the window is cut into to take the lowest value of each: what is left after garbage was collected; 8 to
    /// 240. Default 20.
    pub stretches: usize,
    /// Time to the limit from which a leak is critical. Default 1 h.
    #[serde(with = "aiops_core::model::duration")]
    pub critical: Duration,
}

impl Default for MemoryLeakOptions {
    fn default() -> Self {
        Self {
            memory: names(&[
                "process.memory.usage",
                "container.memory.working_set",
                "container_memory_working_set_bytes",
                "process_resident_memory_bytes",
                "jvm.memory.used_after_last_gc",
                "jvm.memory.used",
                "go_memstats_heap_inuse_bytes",
                "k8s.pod.memory.working_set",
            ]),
            limit: names(&[
                "container.memory.limit",
                "container_spec_memory_limit_bytes",
                "jvm.memory.limit",
                "k8s.pod.memory.limit",
            ]),
            alpha: 0.001,
            min_growth: 0.1,
            sustained: 0.5,
            min_samples: 40,
            stretches: 20,
            critical: Duration::from_secs(3600),
        }
    }
}

impl Options for MemoryLeakOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check_names("memory", &self.memory)?;
        check("alpha", self.alpha, f64::MIN_POSITIVE..=0.5, "more than 0, at most 0.5")?;
        check("min_growth", self.min_growth, f64::MIN_POSITIVE.., "a finite number above 0")?;
        check("sustained", self.sustained, 0.0..=1.0, "0 to 1")?;
        check_count("min_samples", self.min_samples, 24..=1_000_000, "24 to 1000000 samples")?;
        check_count("stretches", self.stretches, 8..=240, "8 to 240 stretches")
    }
}

/// Memory that only grows: the floor under its ups and downs rises, significantly, and no slower in the end.
///
/// The floor, the lowest value of each stretch, is what garbage collection leaves; a sawtooth over a level floor is none,
/// nor is a warm-up that levels off. Where a limit is known the finding tells the time left.
#[derive(Debug, Clone, Copy)]
pub struct MemoryLeak;

/// [`MemoryLeak`] behind its seam.
pub type MemoryLeakDetector = UseCaseDetector<MemoryLeak>;

fn leak(options: &MemoryLeakOptions, series: &MetricSeries, window: &TelemetryWindow) -> Option<Symptom> {
    let points = inside(series, window);
    if points.len() < options.min_samples {
        return None;
    }
    let length = points.len().div_ceil(options.stretches).max(1);
    let floor: Vec<(f64, f64)> = points
        .chunks(length)
        .filter_map(|stretch| {
            let (t, low) = stretch.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
            Some((since_start(*t, window), *low))
        })
        .collect();
    let trend = mann_kendall(&floor)?;
    let late = floor.get(floor.len() / 2..).unwrap_or_default();
    let quarter = |part: &[(f64, f64)]| median(part.iter().map(|p| p.1));
    let fourth = (floor.len() / 4).max(1);
    let (begun, ended) = (quarter(floor.get(..fourth)?), quarter(floor.get(floor.len() - fourth..)?));
    // Eight points are needed for a test; for a slope the ends of the later half are enough.
    let half = (late.len() / 2).max(1);
    let late_x = |part: &[(f64, f64)]| median(part.iter().map(|p| p.0));
    let (left, right) = (late.get(..half)?, late.get(late.len() - half..)?);
    let late_slope = (quarter(right) - quarter(left)) / (late_x(right) - late_x(left)).max(f64::MIN_POSITIVE);
    let grew = trend.p_value <= options.alpha
        && trend.slope > 0.0
        && begun > 0.0
        && (ended - begun) / begun >= options.min_growth
        && late_slope >= options.sustained * trend.slope;
    if !grew {
        return None;
    }
    let rest = floor.iter().map(|(x, y)| y - trend.at(*x));
    let baseline = Baseline { center: begun, samples: points.len(), ..robust(rest)? };
    let (onset, last) = (points.first()?.0, points.last()?);
    let limit = named(window, &options.limit)
        .into_iter()
        .filter(|limit| limit.entity() == series.entity())
        .filter_map(|limit| inside(limit, window).last().map(|p| p.1))
        .filter(|limit| *limit > last.1)
        .reduce(f64::min);
    let left = limit.map(|limit| (limit - last.1) / trend.slope);
    let soon = left.is_some_and(|seconds| seconds <= options.critical.as_secs_f64());
    let left =
        left.map_or_else(String::new, |seconds| format!(", at its limit in {:.0} min", seconds / 60.0));
    Some(Symptom {
        entity: series.entity().clone(),
        series: series.key().clone(),
        unit: series.unit().clone(),
        shape: Shape::SteadyIncrease,
        onset,
        last: last.0,
        ongoing: true,
        value: last.1,
        baseline,
        severity: if soon { Severity::Critical } else { Severity::Warning },
        reread: reread(window, series),
        evidence: format!(
            "the floor of {} rose from {begun:.4e} to {ended:.4e}, {:.3e} an hour (p {:.1e}){left}",
            series.key(),
            trend.slope * 3600.0,
            trend.p_value,
        ),
    })
}

impl UseCase for MemoryLeak {
    const ID: &'static str = "memory-leak";

    type Options = MemoryLeakOptions;

    fn look(options: &MemoryLeakOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        named(window, &options.memory).into_iter().filter_map(|s| leak(options, s, window)).collect()
    }
}
