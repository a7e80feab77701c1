//! What telemetry can tell of a fault, by a test and not by opinion. // EVA-03
//!
//! The episode is simulated without any pipeline, and two questions are put to what it emitted, with the truth known:
//!
//! - *felt*: did an error share or a 95th percentile at the entry leave its norm, or the time a step of training takes, or the wait of
//!   jobs for GPUs?
//! - *own*: did anything that a root itself emits leave its norm (its series, those of its parts, its error lines), or was a
//!   change of it told shortly before? For what cannot speak (somebody else's service, a tenant), what others measure of it.
//!
//! A series left its norm when in some four scrapes in a row it lies beyond 6 robust standard deviations (median and MAD of the
//! 35 minutes before; at least 5 % of the median) on one side. *Broken outright* is a root of which, for at least half of
//! the ten minutes after the first, no copy is ready, the machine is not up, or half of its answers are errors.
//!
//! | felt | own | broken outright | class |
//! |---|---|---|---|
//! | yes | yes | no | genuine-diagnosable |
//! | yes | yes | yes | trivial-direct-break |
//! | yes | no | – | observability-dark |
//! | no | no | – | oracle-only |
//! | no | yes | – | latent: seen, and nobody is harmed; reported apart |

use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::time::{after, before};
use aiops_core::model::{
    EntityId, EntityKind, FetchRequest, LogSeverity, MetricKind, MetricSeries, TelemetryWindow, TimeRange,
};
use serde::{Deserialize, Serialize};

use crate::arena::sim::Simulator;

/// Gold-signal class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gold {
    /// Telemetry tells, and it takes a diagnosis.
    GenuineDiagnosable,
    /// The root is plainly broken.
    TrivialDirectBreak,
    /// Users suffer, and the root tells nothing.
    ObservabilityDark,
    /// Nothing tells; only who broke it knows.
    OracleOnly,
    /// Telemetry tells, and no user is harmed.
    Latent,
}

impl std::fmt::Display for Gold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::GenuineDiagnosable => "genuine-diagnosable",
            Self::TrivialDirectBreak => "trivial-direct-break",
            Self::ObservabilityDark => "observability-dark",
            Self::OracleOnly => "oracle-only",
            Self::Latent => "latent",
        })
    }
}

/// What a norm is taken from.
const BEFORE: Duration = Duration::from_secs(35 * 60);
/// Scrapes in a row that must lie beyond it.
const IN_A_ROW: usize = 4;
/// Robust standard deviations from it.
const SIGMA: f64 = 6.0;
/// Least standard deviation: as a share of the norm, and by kind of series: ratios, rates, quantiles, and levels, of which one copy
/// or machine more or less is beyond the norm of one that never varied.
const LEAST_SHARE: f64 = 0.05;
const LEAST: [f64; 4] = [0.02, 0.02, 0.002, 0.1];
/// How near to the onset a change must be to tell of it.
const NEAR: Duration = Duration::from_secs(60);
/// Error lines after the onset that tell: more than so many, and so many for each one before.
const LINES: (usize, usize) = (10, 5);
/// When after the onset, and for how long, it is looked whether a root is broken outright.
const BROKEN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(600));

/// Every threshold by which a class is decided, for the hash of the arena.
pub(crate) fn thresholds() -> String {
    format!("{BEFORE:?} {IN_A_ROW} {SIGMA} {LEAST_SHARE} {LEAST:?} {NEAR:?} {LINES:?} {BROKEN:?}")
}

/// The class of a fault of `roots` that began at `onset`, from everything `sim` has told by now.
pub(crate) fn classify(sim: &Simulator, entry: &str, roots: &[EntityId], onset: Timestamp) -> Gold {
    let now = sim.telemetry.stamp(sim.now());
    let range = TimeRange::new(before(onset, BEFORE), now).unwrap_or(TimeRange::ending_at(now, BEFORE));
    let Ok(window) = sim.read(&FetchRequest::new(range)) else { return Gold::OracleOnly };
    let entry = EntityId::service(entry);
    let beside = sim.felt_beside_requests();
    let felt = window.metrics.iter().any(|s| {
        let failing = s.key().labels.get("code").is_some_and(|c| c.starts_with('5'));
        let requests = *s.entity() == entry
            && (s.key().name.starts_with("p95(http_server")
                || (s.key().name.contains("http_server_requests") && failing));
        let others = beside.iter().any(|(who, name)| s.entity() == who && s.key().name == *name);
        (requests || others) && left_its_norm(s, onset, true)
    });
    let own = roots.iter().any(|root| tells(&window, root, onset));
    let broken = roots.iter().any(|root| broken_outright(&window, root, onset));
    match (felt, own, broken) {
        (true, true, true) => Gold::TrivialDirectBreak,
        (true, true, false) => Gold::GenuineDiagnosable,
        (true, false, _) => Gold::ObservabilityDark,
        (false, true, _) => Gold::Latent,
        (false, false, _) => Gold::OracleOnly,
    }
}

fn is_of(window: &TelemetryWindow, series: &MetricSeries, root: &EntityId) -> bool {
    let labels = &series.key().labels;
    match root.kind() {
        EntityKind::External => labels.get("peer_service") == Some(root.name()),
        EntityKind::Tenant => labels.get("tenant") == Some(root.name()),
        _ => series.entity() == root || window.topology.whole(series.entity()) == root,
    }
}

/// Whether what Kubernetes tells of everybody counts as telling of oneself: it does, it is about the root alone.
fn tells(window: &TelemetryWindow, root: &EntityId, onset: Timestamp) -> bool {
    let series = window.metrics.iter().filter(|s| is_of(window, s, root));
    let deviates = series.into_iter().any(|s| left_its_norm(s, onset, false));
    let near = TimeRange::new(before(onset, NEAR), after(onset, NEAR));
    let changed =
        near.is_ok_and(|near| window.changes.iter().any(|c| c.entity == *root && near.contains(c.time)));
    let severe =
        |l: &&aiops_core::model::LogRecord| l.entity == *root && l.severity >= Some(LogSeverity::Error);
    let lines = window.logs.iter().filter(severe);
    let (old, new): (Vec<_>, Vec<_>) = lines.partition(|l| l.time < onset);
    deviates || changed || new.len() > LINES.0 + LINES.1 * old.len()
}

fn broken_outright(window: &TelemetryWindow, root: &EntityId, onset: Timestamp) -> bool {
    let from = after(onset, BROKEN.0);
    let to = after(from, BROKEN.1);
    let share = |series: &MetricSeries, bad: &dyn Fn(f64) -> bool| {
        let points: Vec<f64> =
            series.points().filter(|(t, _)| *t >= from && *t < to).map(|(_, v)| v).collect();
        !points.is_empty() && points.iter().filter(|v| bad(**v)).count() * 2 >= points.len()
    };
    let named = |name: &'static str| {
        window.metrics.iter().filter(move |s| s.key().name == name && s.entity() == root)
    };
    let gone = named("kube_deployment_status_replicas_ready").any(|s| share(s, &|v| v < 1.0))
        || named("up").any(|s| share(s, &|v| v < 1.0));
    let mean = |series: &MetricSeries| {
        let points: Vec<f64> =
            series.points().filter(|(t, _)| *t >= from && *t < to).map(|(_, v)| v).collect();
        points.iter().sum::<f64>() / points.len().max(1) as f64
    };
    let (mut good, mut bad) = (0.0, 0.0);
    for s in named("rate(http_server_requests_total)").chain(named("rate(db_server_operations_total)")) {
        let labels = &s.key().labels;
        let fine =
            labels.get("code").is_some_and(|c| c.starts_with('2')) || labels.get("outcome") == Some("ok");
        if fine { good += mean(s) } else { bad += mean(s) }
    }
    gone || (bad > 0.0 && bad >= good)
}

/// Whether `series` left its norm after `onset`; to above alone where `only_up`.
fn left_its_norm(series: &MetricSeries, onset: Timestamp, only_up: bool) -> bool {
    let (old, new): (Vec<_>, Vec<_>) = series.points().partition(|(t, _)| *t < onset);
    let mut old: Vec<f64> = old.into_iter().map(|p| p.1).collect();
    // What appears only then, as the first errors of a kind do, was zero before.
    let norm = if old.len() < 8 {
        if series.kind() != MetricKind::Rate {
            return false;
        }
        0.0
    } else {
        median(&mut old)
    };
    let mut off: Vec<f64> = old.iter().map(|v| (v - norm).abs()).collect();
    let [ratio, rate, quantile, level] = LEAST;
    let floor = match series.kind() {
        MetricKind::Ratio => ratio,
        MetricKind::Rate => rate,
        MetricKind::Quantile => quantile,
        _ => level,
    };
    let scale = (1.4826 * median(&mut off)).max(LEAST_SHARE * norm.abs()).max(floor);
    let (mut up, mut down) = (0, 0);
    for (_, v) in new {
        up = if v > norm + SIGMA * scale { up + 1 } else { 0 };
        down = if v < norm - SIGMA * scale { down + 1 } else { 0 };
        if up >= IN_A_ROW || (down >= IN_A_ROW && !only_up) {
            return true;
        }
    }
    false
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
