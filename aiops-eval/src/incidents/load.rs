//! From the files of one incident to its windows.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    EdgeKind, EntityId, LogRecord, MetricSeries, Signal, Span, TelemetryWindow, TimeRange, Topology, time,
};

use super::events::{Ids, calls, logs, spans, split};
use super::metrics::Tracks;
use super::table::Table;
use super::{Incident, IncidentCase, Layout, Recording};
use crate::EvalError;

/// How long before the injection nobody knows what is normal (Nezha's clocks of injection are that good).
pub(super) const UNSURE: Duration = Duration::from_secs(60);

pub(super) fn incident(folder: &Path, layout: Layout, case: &IncidentCase) -> Result<Incident, EvalError> {
    match layout {
        Layout::Nezha => nezha(folder, case),
        Layout::PetShop => petshop(folder, case),
        Layout::SockShop => sockshop(folder, case),
    }
}

fn zipped(folder: &Path, part: &str, name: &str) -> PathBuf {
    folder.join(part).join(format!("{name}.csv.gz"))
}

fn metrics(
    files: &[PathBuf],
    layout: Layout,
    keep: impl Fn(Timestamp) -> bool,
) -> Result<Vec<MetricSeries>, EvalError> {
    let mut tracks = Tracks::default();
    for path in files.iter().filter(|path| path.exists()) {
        tracks.read(path, layout, &keep)?;
    }
    tracks.into_series()
}

pub(super) fn recording(folder: &Path, layout: Layout, case: &IncidentCase) -> Result<Recording, EvalError> {
    if layout == Layout::Nezha {
        let of_case = |part: &str| zipped(folder, part, &case.id);
        let of_day = |part: &str| zipped(folder, "ref", &format!("{}_{part}", case.reference));
        // The reference is free of faults whenever it was recorded.
        return Ok(Recording { normal: whole(of_day, 1)?, window: whole(of_case, 0)? });
    }
    let Incident { reference, fault, .. } = incident(folder, layout, case)?;
    Ok(Recording { normal: reference, window: fault })
}

/// All that Nezha recorded in one place.
fn whole(path: impl Fn(&str) -> PathBuf, recording: u64) -> Result<TelemetryWindow, EvalError> {
    let (traces, lines) = (path("traces"), path("logs"));
    let mut ids = Ids::of(recording);
    let mut seen = BTreeSet::from([Signal::Metrics]);
    let series = metrics(&[path("metrics")], Layout::Nezha, |_| true)?;
    let spans = if traces.exists() { spans(&traces, &mut ids)? } else { Vec::new() };
    let logs = if lines.exists() { logs(&lines, &mut ids)? } else { Vec::new() };
    if traces.exists() {
        seen.extend([Signal::Traces, Signal::Topology]);
    }
    seen.extend(lines.exists().then_some(Signal::Logs));
    let topology = calls(spans.iter());
    Ok(window(series, spans, logs, topology, &seen))
}

fn nezha(folder: &Path, case: &IncidentCase) -> Result<Incident, EvalError> {
    let (from, before) = (case.onset, time::before(case.onset, UNSURE));
    let own = zipped(folder, "metrics", &case.id);
    let day = |part: &str| zipped(folder, "ref", &format!("{}_{part}", case.reference));
    let layout = Layout::Nezha;
    let mut normal = Tracks::default();
    normal.read(&own, layout, |t| t < before)?;
    if day("metrics").exists() {
        // The reference is free of faults whenever it was recorded.
        normal.read(&day("metrics"), layout, |_| true)?;
    }
    let own = [own];
    let between = metrics(&own, layout, |t| before <= t && t < from)?;
    let after = metrics(&own, layout, |t| from <= t)?;

    let (mut ids, mut day_ids) = (Ids::of(0), Ids::of(1));
    let mut seen = BTreeSet::from([Signal::Metrics]);
    let mut all_spans: [Vec<Span>; 3] = Default::default();
    let mut all_logs: [Vec<LogRecord>; 3] = Default::default();
    let traces = zipped(folder, "traces", &case.id);
    if traces.exists() {
        seen.extend([Signal::Traces, Signal::Topology]);
        all_spans = split(spans(&traces, &mut ids)?, |span| span.start, (before, from));
    }
    let lines = zipped(folder, "logs", &case.id);
    if lines.exists() {
        seen.insert(Signal::Logs);
        all_logs = split(logs(&lines, &mut ids)?, |line| line.time, (before, from));
    }
    let ([mut early_spans, mid_spans, late_spans], [mut early_logs, mid_logs, late_logs]) =
        (all_spans, all_logs);
    if day("traces").exists() {
        early_spans.extend(spans(&day("traces"), &mut day_ids)?);
    }
    if day("logs").exists() {
        early_logs.extend(logs(&day("logs"), &mut day_ids)?);
    }
    // Calls within all that was recorded: a span of one part may have its parent in another.
    let topology = calls(early_spans.iter().chain(&mid_spans).chain(&late_spans));
    let mut fault = window(after, late_spans, late_logs, topology, &seen);
    fault.range = TimeRange::new(from, fault.range.end().max(from))?;
    let mut between = window(between, mid_spans, mid_logs, Topology::new(), &seen);
    between.range = TimeRange::new(before, from)?;
    let reference = window(normal.into_series()?, early_spans, early_logs, Topology::new(), &seen);
    Ok(Incident { reference, before: between, fault })
}

fn petshop(folder: &Path, case: &IncidentCase) -> Result<Incident, EvalError> {
    let layout = Layout::PetShop;
    let seen = BTreeSet::from([Signal::Metrics, Signal::Topology]);
    let read = |part: &str, name: &str| metrics(&[zipped(folder, part, name)], layout, |_| true);
    let mut topology = Topology::new();
    let graph = folder.join("graph").join(format!("{}.csv", case.reference));
    Table::open(&graph)?.rows(|row| {
        let (caller, callee) = (row.text("caller")?, row.text("callee")?);
        topology.connect(EntityId::service(caller), EntityId::service(callee), EdgeKind::Calls);
        Ok(())
    })?;
    let normal = if case.comparable { read("normal", &case.reference)? } else { Vec::new() };
    let fault = window(read("cases", &case.id)?, Vec::new(), Vec::new(), topology, &seen);
    let before = empty(fault.range.start(), &seen);
    let reference = window(normal, Vec::new(), Vec::new(), Topology::new(), &seen);
    Ok(Incident { reference, before, fault })
}

fn sockshop(folder: &Path, case: &IncidentCase) -> Result<Incident, EvalError> {
    let seen = BTreeSet::from([Signal::Metrics]);
    let file = [zipped(folder, "cases", &case.id)];
    let read = |keep: &dyn Fn(Timestamp) -> bool| -> Result<TelemetryWindow, EvalError> {
        let series = metrics(&file, Layout::SockShop, keep)?;
        Ok(window(series, Vec::new(), Vec::new(), Topology::new(), &seen))
    };
    let rows = case.normal_rows.unwrap_or(0);
    let row = Cell::new(0_usize);
    let is_normal = |_: Timestamp| row.replace(row.get() + 1) < rows;
    let reference = read(&is_normal)?;
    row.set(0);
    let fault = read(&|t| !is_normal(t))?;
    Ok(Incident { reference, before: empty(case.onset, &seen), fault })
}

fn empty(at: Timestamp, seen: &BTreeSet<Signal>) -> TelemetryWindow {
    let mut window = TelemetryWindow::new(TimeRange::ending_at(at, Duration::ZERO));
    window.observed = seen.iter().copied().collect();
    window
}

/// A window over everything given, in order.
fn window(
    metrics: Vec<MetricSeries>,
    spans: Vec<Span>,
    logs: Vec<LogRecord>,
    topology: Topology,
    seen: &BTreeSet<Signal>,
) -> TelemetryWindow {
    let ends = metrics.iter().flat_map(|series| [series.times().get(0), series.times().last()]).flatten();
    let times = ends.chain(spans.iter().map(|s| s.start)).chain(logs.iter().map(|l| l.time));
    let (first, last) = times
        .fold(None, |range: Option<(Timestamp, Timestamp)>, t| {
            Some(range.map_or((t, t), |(first, last)| (first.min(t), last.max(t))))
        })
        .unwrap_or_default();
    // A range excludes its end.
    let end = time::after(last, Duration::from_micros(1));
    let mut window = TelemetryWindow::new(TimeRange::ending_at(end, time::elapsed(first, end)));
    (window.metrics, window.spans, window.logs, window.topology) = (metrics, spans, logs, topology);
    window.observed = seen.iter().copied().collect();
    window.sort();
    window
}

/// Every table of metrics in `folder`, in order of name; files of one day (what stands before the first `_`) become
/// one window.
pub(super) fn recordings(folder: &Path, layout: Layout) -> Result<Vec<TelemetryWindow>, EvalError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let failed = |source| EvalError::Read { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut files: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>().map_err(failed)?;
    files.sort();
    let day = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.split('_').next().unwrap_or_default().to_owned()
    };
    let seen = BTreeSet::from([Signal::Metrics]);
    files
        .chunk_by(|a, b| day(a) == day(b))
        .map(|files| {
            let series = metrics(files, layout, |_| true)?;
            Ok(window(series, Vec::new(), Vec::new(), Topology::new(), &seen))
        })
        .collect()
}
