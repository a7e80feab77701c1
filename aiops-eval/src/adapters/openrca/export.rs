//! Episodes of the arena in OpenRCA's layout, so that the way there and back is tested without a download.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::jiff::tz::Offset;
use aiops_core::model::{
    EdgeKind, EntityId, EntityKind, FaultType, FetchRequest, LogSeverity, MetricSeries, Signal, SignalSet,
    SpanStatus, TelemetryWindow, TimeRange, Topology, time,
};
use aiops_core::seam::TelemetrySource;
use serde::Serialize;

use super::answer::FORM;
use super::words::Candidates;
use super::{Asked, OpenRcaConfig, schema};
use crate::EvalError;
use crate::arena::faults::{Fault, catalogue};
use crate::arena::protocol::RunConfig;
use crate::arena::protocol::episode::Layout;
use crate::arena::protocol::run::Plan;

/// Questions are about so much time, begun with it, as those of the benchmark are.
const ASKED: Duration = Duration::from_secs(1800);
/// Before that, so much is told, or all that there was.
const BEFORE: Duration = Duration::from_secs(3600);

/// What was laid out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Exported {
    /// Folders of systems, one an episode.
    pub systems: Vec<PathBuf>,
    /// Episodes passed over: without a fault, with several at fault, or of a fleet of GPUs, whose devices the layout has no tables for.
    pub passed_over: usize,
}

/// Lays episodes of the arena out below `folder` until there are `episodes`, each as a system of its own named by its number: `telemetry/`,
/// `query.csv` with every task, `candidates.json`, and `record.csv`.
///
/// Of several right answers to "what kind" the layout has room for the first. Labels of series become part of their name.
///
/// # Errors
/// [`EvalError::Write`], also where such a system is there already; [`EvalError::Csv`], [`EvalError::Config`]; [`EvalError::Judge`] when an
/// episode cannot be read.
pub fn export(
    folder: &Path,
    episodes: usize,
    run: RunConfig,
    config: &OpenRcaConfig,
    mut progress: impl FnMut(usize, usize),
) -> Result<Exported, EvalError> {
    let zone = config.zone()?;
    let faults: Vec<Box<dyn Fault>> = catalogue()
        .into_iter()
        .filter(|f| f.family() != crate::arena::faults::Family::Gpu)
        .map(|f| Box::new(f) as Box<dyn Fault>)
        .collect();
    let plan = Plan::with(run, faults)?;
    let mut done = Exported::default();
    for index in 0..plan.episodes() {
        if done.systems.len() >= episodes {
            break;
        }
        let layout = plan.layout(index);
        let (roots, types) = layout.culprits();
        let ([root], Some(kind)) = (roots, types.first()) else {
            done.passed_over += 1;
            continue;
        };
        progress(done.systems.len(), episodes);
        let system = folder.join(format!("{index:05}"));
        // Nothing is added to what is there: days of two episodes would be one system's.
        let made = std::fs::create_dir_all(folder).and_then(|()| std::fs::create_dir(&system));
        made.map_err(|source| EvalError::Write { path: system.clone(), source })?;
        episode(&system, &layout, root, *kind, zone)?;
        done.systems.push(system);
    }
    Ok(done)
}

fn episode(
    system: &Path,
    layout: &Layout,
    root: &EntityId,
    kind: FaultType,
    zone: Offset,
) -> Result<(), EvalError> {
    let world = layout.world();
    let (clock, ctx) = (world.clock().clone(), world.context());
    let began = aiops_core::Clock::now(&clock);
    let onset = time::after(began, Duration::from_secs_f64(layout.onset_seconds()));
    let step = i64::try_from(ASKED.as_secs()).unwrap_or(i64::MAX);
    let start = Timestamp::from_second(onset.as_second().div_euclid(step) * step).unwrap_or(onset);
    let end = time::after(start, ASKED);
    let from = time::before(start, BEFORE).max(began);
    let signals = [Signal::Metrics, Signal::Logs, Signal::Traces, Signal::Topology];
    let request = FetchRequest::new(TimeRange::new(from, end)?)
        .with_step(Duration::from_secs(15))
        .with_signals(signals.into_iter().collect::<SignalSet>());
    let window = clock.drive(async {
        aiops_core::Clock::sleep(&clock, time::elapsed(began, end)).await;
        world.source().fetch(&request, &ctx).await
    })?;
    let mut files = Files { folder: system.join("telemetry"), zone, open: BTreeMap::new() };
    samples(&window, &mut files)?;
    services(&window, &mut files)?;
    for span in &window.spans {
        let status = if span.status == SpanStatus::Error { "500" } else { "0" };
        let parent = span.parent.map(|p| p.to_string()).unwrap_or_default();
        let cells = [
            span.start.as_millisecond().to_string(),
            span.entity.name().to_owned(),
            span.span_id.to_string(),
            span.trace_id.to_string(),
            span.duration.as_micros().to_string(),
            "rpc".to_owned(),
            status.to_owned(),
            span.operation.clone(),
            parent,
        ];
        files.row(SPANS, span.start, &cells)?;
    }
    for (i, line) in window.logs.iter().enumerate() {
        let severity = match line.severity {
            Some(LogSeverity::Trace) => "trace",
            Some(LogSeverity::Debug) => "debug",
            Some(LogSeverity::Warn) => "warning",
            Some(LogSeverity::Error) => "error",
            Some(LogSeverity::Fatal) => "critical",
            _ => "info",
        };
        let cells = [
            format!("{i:08}"),
            line.time.as_second().to_string(),
            line.entity.name().to_owned(),
            format!("log_{}-service_application", line.entity.name()),
            format!("severity: {severity}, message: {}", line.body),
        ];
        files.row(LINES, line.time, &cells)?;
    }
    files.finish()?;
    // Somebody outside may be at fault, too.
    let mut everybody = world.inventory();
    everybody.extend(window.topology.edges().flat_map(|e| [e.from.clone(), e.to.clone()]));
    asked(system, (start, end), onset, root, kind, zone, &everybody)
}

/// A kind of table: folder and name, and columns.
type Kind = (&'static str, &'static str, &'static [&'static str]);

const NODES: Kind = ("metric", "metric_node", schema::SAMPLES);
const CONTAINERS: Kind = ("metric", "metric_container", schema::SAMPLES);
const MESH: Kind = ("metric", "metric_mesh", schema::SAMPLES);
const SERVICES: Kind = ("metric", "metric_service", schema::SERVICES);
const SPANS: Kind = ("trace", "trace_span", schema::SPANS);
const LINES: Kind = ("log", "log_service", schema::LINES);

/// Tables by day, opened when the first row comes.
struct Files {
    folder: PathBuf,
    zone: Offset,
    open: BTreeMap<PathBuf, csv::Writer<File>>,
}

impl Files {
    fn row(&mut self, (part, name, columns): Kind, at: Timestamp, cells: &[String]) -> Result<(), EvalError> {
        let day = self.zone.to_datetime(at).strftime("%Y_%m_%d").to_string();
        let path = self.folder.join(day).join(part).join(format!("{name}.csv"));
        let failed = |source| EvalError::Csv { path: path.clone(), source };
        if !self.open.contains_key(&path) {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .map_err(|source| EvalError::Write { path: folder.to_owned(), source })?;
            }
            let mut table = csv::Writer::from_path(&path).map_err(failed)?;
            table.write_record(columns).map_err(failed)?;
            self.open.insert(path.clone(), table);
        }
        match self.open.get_mut(&path) {
            Some(table) => table.write_record(cells).map_err(failed),
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<(), EvalError> {
        for (path, mut table) in self.open {
            table.flush().map_err(|source| EvalError::Write { path, source })?;
        }
        Ok(())
    }
}

/// Label of whom calls go to.
const PEER: &str = "peer_service";
/// Labels that say whom a series is about, which `cmdb_id` does.
const WHOSE: [&str; 5] = ["service", "instance", "node", "pod", PEER];

fn samples(window: &TelemetryWindow, files: &mut Files) -> Result<(), EvalError> {
    for series in &window.metrics {
        let teller = teller(series);
        let (kind, cmdb) = match series.key().labels.get(PEER) {
            _ if teller.kind() == EntityKind::Node => (NODES, teller.name().to_owned()),
            Some(peer) => {
                let caller = window.topology.whole(&teller).name();
                (MESH, format!("{}.source.{caller}.{peer}", teller.name()))
            }
            None => (CONTAINERS, placed(&teller, &window.topology)),
        };
        let name = kpi(series);
        for (at, value) in series.points() {
            let cells = [at.as_second().to_string(), cmdb.clone(), name.clone(), value.to_string()];
            files.row(kind, at, &cells)?;
        }
    }
    Ok(())
}

/// Whose series it is: a copy's, where a label names one.
fn teller(series: &MetricSeries) -> EntityId {
    match series.key().labels.get("instance") {
        Some(name) if series.entity().kind() != EntityKind::Node => EntityId::instance(name),
        _ => series.entity().clone(),
    }
}

/// Name with the node before it, `node-6.orders-0`, where it runs on one.
fn placed(entity: &EntityId, topology: &Topology) -> String {
    let named = |node: &&EntityId| {
        let rest = node.name().strip_prefix("node-").unwrap_or_default();
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    match topology.needs(entity, EdgeKind::RunsOn).next().filter(named) {
        Some(node) => format!("{}.{}", node.name(), entity.name()),
        None => entity.name().to_owned(),
    }
}

fn kpi(series: &MetricSeries) -> String {
    let rest = series.key().labels.iter().filter(|(name, _)| !WHOSE.contains(name));
    rest.fold(series.key().name.clone(), |name, (_, value)| format!("{name}.{value}"))
}

/// Requests of each service by minute, as its spans tell.
fn services(window: &TelemetryWindow, files: &mut Files) -> Result<(), EvalError> {
    let mut minutes: BTreeMap<(i64, &str), (u64, u64, f64)> = BTreeMap::new();
    for span in window.spans.iter().filter(|s| s.attributes.get("peer.service").is_none()) {
        let minute = span.start.as_second().div_euclid(60) * 60;
        let (count, failed, took) = minutes.entry((minute, span.entity.name())).or_default();
        *count += 1;
        *failed += u64::from(span.status == SpanStatus::Error);
        *took += span.duration.as_secs_f64() * 1e3;
    }
    for ((minute, service), (count, failed, took)) in minutes {
        let of = count as f64;
        let at = Timestamp::from_second(minute).unwrap_or(window.range.start());
        let cells = [
            service.to_owned(),
            minute.to_string(),
            "100.0".to_owned(),
            (100.0 * (of - failed as f64) / of).to_string(),
            (took / of).to_string(),
            count.to_string(),
        ];
        files.row(SERVICES, at, &cells)?;
    }
    Ok(())
}

/// What is asked, what may be answered, and what is right.
fn asked(
    system: &Path,
    (start, end): (Timestamp, Timestamp),
    onset: Timestamp,
    root: &EntityId,
    kind: FaultType,
    zone: Offset,
    everybody: &[EntityId],
) -> Result<(), EvalError> {
    let at = |t: Timestamp, form: &str| zone.to_datetime(t).strftime(form).to_string();
    let when =
        format!("On {}, between {} and {}", at(start, "%B %-d, %Y"), at(start, "%H:%M"), at(end, "%H:%M"));
    let stamp = at(onset, FORM);
    let path = system.join("query.csv");
    let failed = |source| EvalError::Csv { path: path.clone(), source };
    let mut table = csv::Writer::from_path(&path).map_err(failed)?;
    table.write_record(["task_index", "instruction", "scoring_points"]).map_err(failed)?;
    for number in 1..=7 {
        let task = format!("task_{number}");
        let Some(asked) = Asked::of(&task) else { continue };
        let mut wanted = Vec::new();
        let mut points = Vec::new();
        if asked.time {
            wanted.push("the datetime at which its root cause occurred");
            let what = "The only root cause occurrence time is within 1 minutes (i.e., <=1min) of";
            points.push(format!("{what} {stamp}"));
        }
        if asked.component {
            wanted.push("its root cause component");
            points.push(format!("The only predicted root cause component is {}", root.name()));
        }
        if asked.reason {
            wanted.push("its root cause reason");
            points.push(format!("The only predicted root cause reason is {kind}"));
        }
        let instruction = format!("{when}, the system had one failure. Name {}.", wanted.join(" and "));
        table.write_record([task, instruction, points.join("\n")]).map_err(failed)?;
    }
    table.flush().map_err(|source| EvalError::Write { path: path.clone(), source })?;

    let path = system.join("record.csv");
    let failed = |source| EvalError::Csv { path: path.clone(), source };
    let mut table = csv::Writer::from_path(&path).map_err(failed)?;
    table.write_record(["level", "component", "timestamp", "datetime", "reason"]).map_err(failed)?;
    let level = if root.kind() == EntityKind::Node { "node" } else { "service" };
    let record =
        [level.to_owned(), root.name().to_owned(), onset.as_second().to_string(), stamp, kind.to_string()];
    table.write_record(record).map_err(failed)?;
    table.flush().map_err(|source| EvalError::Write { path: path.clone(), source })?;

    let reasons = [
        FaultType::Config,
        FaultType::ResourceExhaustion,
        FaultType::Code,
        FaultType::Network,
        FaultType::Hardware,
        FaultType::Dependency,
        FaultType::Load,
        FaultType::Security,
    ];
    let components: BTreeSet<&str> = everybody.iter().map(|e| e.name()).collect();
    let candidates = Candidates {
        reasons: reasons.iter().map(ToString::to_string).collect(),
        components: components.into_iter().map(ToOwned::to_owned).collect(),
    };
    let path = system.join("candidates.json");
    let text = serde_json::to_vec_pretty(&candidates).unwrap_or_default();
    std::fs::write(&path, text).map_err(|source| EvalError::Write { path, source })
}
