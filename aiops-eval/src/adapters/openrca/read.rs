//! From the tables of one system to a window, in memory bounded by what lies within.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aiops_core::jiff::tz::Offset;
use aiops_core::jiff::{SignedDuration, Timestamp};
use aiops_core::model::{
    EdgeKind, EntityId, EntityKind, Labels, LogRecord, LogSeverity, MetricKind, MetricSeries, SeriesKey,
    Signal, Span, SpanStatus, TelemetryWindow, TimeAxis, TimeRange, Topology, Unit,
};
use serde::Serialize;

use super::index::{Row, Table, Tables};
use super::schema::{CMDB, Failed, Schema, Shape};
use crate::EvalError;
use crate::incidents::{Ids, calls};

/// What of a reading was left out, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// Samples without a value, or with NaN or ±∞, which are gaps.
    pub gaps: u64,
    /// Samples of a series at a time that it already has a sample of; the first counts.
    pub duplicate_samples: u64,
    /// Spans of one entity whose trace and id were there before; the first counts.
    pub duplicate_spans: u64,
    /// Lines whose text is no UTF-8; bad bytes became U+FFFD.
    pub mended_lines: u64,
}

impl LeftOut {
    /// Adds those of another reading.
    pub fn add(&mut self, other: Self) {
        self.gaps += other.gaps;
        self.duplicate_samples += other.duplicate_samples;
        self.duplicate_spans += other.duplicate_spans;
        self.mended_lines += other.mended_lines;
    }
}

/// One reading.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// What was told in the range.
    pub window: TelemetryWindow,
    /// What was not taken.
    pub left_out: LeftOut,
    /// Days of the range that are not there.
    pub missing_days: Vec<String>,
}

/// Kind of telemetry and folder of a day that holds it.
const PARTS: [(&str, Signal); 3] =
    [("metric", Signal::Metrics), ("trace", Signal::Traces), ("log", Signal::Logs)];

/// What one system told, by day.
#[derive(Debug)]
pub struct Telemetry {
    folder: PathBuf,
    zone: Offset,
    most: usize,
    tables: Tables,
}

impl Telemetry {
    /// That of the system in `folder`. Its days are those of `zone`; no reading keeps more than `most` rows.
    #[must_use]
    pub fn of(folder: &Path, zone: Offset, most: usize) -> Self {
        Self { folder: folder.join("telemetry"), zone, most, tables: Tables::default() }
    }

    /// Reads what was told in `range`, tables in order of their names, a row at a time.
    ///
    /// The first reading that touches a day looks through all of its rows, O(length of the day), and remembers which rows are of which time;
    /// others are O(rows within `range`) where tables are in order of time or of series. Memory O(rows within `range`), and a thousandth of the
    /// length of the days.
    ///
    /// # Errors
    /// [`EvalError::Read`]; [`EvalError::Table`] with file and line for a table of no known kind, a cell that is none, or more rows than
    /// allowed.
    pub fn read(&mut self, range: TimeRange) -> Result<Reading, EvalError> {
        let mut kept = Kept::new(range, self.most);
        let mut missing_days = Vec::new();
        let on = |t: Timestamp| self.zone.to_datetime(t).date();
        // The end is not of the range: one at midnight does not touch the day that it begins.
        let end = range.end().checked_sub(SignedDuration::from_nanos(1)).unwrap_or(range.start());
        let (mut day, last) = (on(range.start()), on(end));
        while day <= last {
            let name = format!("{:04}_{:02}_{:02}", day.year(), day.month(), day.day());
            let folder = self.folder.join(&name);
            if folder.is_dir() {
                for (part, signal) in PARTS {
                    for path in tables(&folder.join(part))? {
                        kept.table(self.tables.at(&path)?, signal)?;
                    }
                }
            } else {
                missing_days.push(name);
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        let (window, left_out) = kept.into_window()?;
        Ok(Reading { window, left_out, missing_days })
    }
}

/// The tables of `folder`, in order; none where it is not there.
fn tables(folder: &Path) -> Result<Vec<PathBuf>, EvalError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |source| EvalError::Read { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let all = entries.map(|e| Ok(e?.path())).collect::<std::io::Result<Vec<PathBuf>>>().map_err(failed)?;
    let mut tables: Vec<PathBuf> =
        all.into_iter().filter(|p| p.extension().is_some_and(|end| end == "csv")).collect();
    tables.sort();
    Ok(tables)
}

type Track = (BTreeMap<Timestamp, f64>, &'static str);

struct Kept {
    range: TimeRange,
    most: usize,
    rows: usize,
    tracks: BTreeMap<(EntityId, SeriesKey), Track>,
    spans: Vec<Span>,
    ids: Option<Ids>,
    known: BTreeSet<(u128, u64, EntityId)>,
    lines: Vec<LogRecord>,
    /// Names in tables of services.
    services: BTreeSet<String>,
    /// Names in tables of nodes.
    nodes: BTreeSet<String>,
    /// Who runs on which node.
    places: BTreeSet<(EntityId, EntityId)>,
    /// Who calls whom, where no span of the callee says so.
    calls: BTreeSet<(EntityId, EntityId)>,
    observed: BTreeSet<Signal>,
    left_out: LeftOut,
}

impl Kept {
    fn new(range: TimeRange, most: usize) -> Self {
        Self {
            range,
            most,
            rows: 0,
            tracks: BTreeMap::new(),
            spans: Vec::new(),
            ids: None,
            known: BTreeSet::new(),
            lines: Vec::new(),
            services: BTreeSet::new(),
            nodes: BTreeSet::new(),
            places: BTreeSet::new(),
            calls: BTreeSet::new(),
            observed: BTreeSet::new(),
            left_out: LeftOut::default(),
        }
    }

    fn table(&mut self, table: &Table, signal: Signal) -> Result<(), EvalError> {
        // The one thing that columns do not say, and the one name that decides: `metric_node.csv` and `metric_container.csv` have the same.
        let nodes = table.stem() == "metric_node";
        self.observed.insert(signal);
        table.rows(self.range, |row, at| {
            self.rows += 1;
            if self.rows > self.most {
                return Err(row.bad(format!("more than {} rows within {}", self.most, self.range)));
            }
            self.take(row, table.schema, at, nodes)
        })
    }

    fn take(&mut self, row: &Row<'_>, schema: &Schema, at: Timestamp, nodes: bool) -> Result<(), EvalError> {
        match schema.shape {
            Shape::Sample { entity, name, value } => {
                let (entity, part) = self.whose(row.given(entity)?, nodes);
                let key = SeriesKey::new(row.given(name)?);
                let key = part.into_iter().fold(key, |key, (label, value)| key.with(label, value));
                self.sample(entity, key, at, row.number(value)?, "");
            }
            Shape::Service { entity, values } => {
                let name = service(row.given(entity)?);
                self.services.insert(name.to_owned());
                for (column, metric, unit) in values {
                    let value = row.number(column)?;
                    self.sample(EntityId::service(name), SeriesKey::new(*metric), at, value, unit);
                }
            }
            Shape::Span { trace, id, parent, took, operation, failed, peer } => {
                let (entity, _) = self.whose(row.given(CMDB)?, false);
                let ids = self.ids.get_or_insert_with(|| Ids::of(0));
                let trace = ids.trace(row.given(trace)?).ok_or_else(|| row.bad("no trace"))?;
                let id = ids.span(row.given(id)?).ok_or_else(|| row.bad("no span"))?;
                let parent = match row.text(parent)? {
                    "None" | "0" => None,
                    text => ids.span(text),
                };
                // The two ends of a call may share an id.
                if !self.known.insert((trace.0, id.0, entity.clone())) {
                    self.left_out.duplicate_spans += 1;
                    return Ok(());
                }
                let length = row.number(took.0)?.and_then(|n| took.1.duration(n));
                let length = length.ok_or_else(|| row.bad(format!("{} is no duration", took.0)))?;
                let operation = operation.map(|column| row.text(column)).transpose()?.unwrap_or_default();
                let mut span = Span::new(trace, id, entity, operation, at, length);
                if let Some(parent) = parent {
                    span = span.with_parent(parent);
                }
                let peer = peer.map(|column| row.text(column)).transpose()?.unwrap_or_default();
                if !peer.is_empty() && peer != span.entity.name() {
                    span.attributes = Labels::new().with("peer.service", peer);
                    self.calls.insert((span.entity.clone(), EntityId::service(peer)));
                }
                let failed = match failed {
                    None => false,
                    Some(Failed::Status(column)) => is_failure(row.text(column)?),
                    Some(Failed::NoSuccess(column)) => row.text(column)?.eq_ignore_ascii_case("false"),
                };
                self.spans.push(if failed { span.with_status(SpanStatus::Error) } else { span });
            }
            Shape::Line { body } => {
                let (entity, _) = self.whose(row.given(CMDB)?, false);
                let text = String::from_utf8_lossy(row.bytes(body));
                self.left_out.mended_lines += u64::from(matches!(text, std::borrow::Cow::Owned(_)));
                let (severity, body) = severity(&text);
                let mut line = LogRecord::new(at, entity, body);
                line.severity = severity;
                self.lines.push(line);
            }
        }
        Ok(())
    }

    fn sample(
        &mut self,
        entity: EntityId,
        key: SeriesKey,
        at: Timestamp,
        value: Option<f64>,
        unit: &'static str,
    ) {
        let Some(value) = value.filter(|v| v.is_finite()) else {
            self.left_out.gaps += 1;
            return;
        };
        let (track, _) = self.tracks.entry((entity, key)).or_insert_with(|| (BTreeMap::new(), unit));
        match track.entry(at) {
            Entry::Vacant(place) => {
                place.insert(value);
            }
            Entry::Occupied(_) => self.left_out.duplicate_samples += 1,
        }
    }

    /// Whom a `cmdb_id` means, a node where its table is one of `nodes`, and which label its series has: `node-6.adservice2-0` runs on a node, `adservice.ts:8088` is a program of a
    /// service, and `cartservice-1.source.cartservice.redis-cart` is what the first saw of calls from the second to the third.
    fn whose<'a>(&mut self, cmdb: &'a str, nodes: bool) -> (EntityId, Option<(&'static str, &'a str)>) {
        let node = |name: &str| EntityId::new(EntityKind::Node, name);
        if nodes {
            self.nodes.insert(cmdb.to_owned());
            return (node(cmdb), None);
        }
        let Some((first, rest)) = cmdb.split_once('.') else { return (EntityId::service(cmdb), None) };
        let named = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric());
        if !rest.is_empty() && first.strip_prefix("node-").is_some_and(named) {
            let entity = EntityId::service(rest);
            self.places.insert((entity.clone(), node(first)));
            return (entity, None);
        }
        let parts: Vec<&str> = rest.splitn(3, '.').collect();
        let label = match parts.as_slice() {
            [side @ ("source" | "destination"), caller, callee] => {
                if caller != callee && ![*caller, *callee].iter().any(|n| ["", "unknown"].contains(n)) {
                    self.calls.insert((EntityId::service(*caller), EntityId::service(*callee)));
                }
                if *side == "source" {
                    ("destination_workload", *callee)
                } else {
                    ("source_workload", *caller)
                }
            }
            _ => ("part", rest),
        };
        (EntityId::service(first), Some(label))
    }

    /// Whoever has a row in a table of nodes is a node wherever it is named: where spans and lines tell of it, too.
    fn name_nodes(&mut self) {
        let nodes = std::mem::take(&mut self.nodes);
        let named = |entity: EntityId| match entity.kind() {
            EntityKind::Service if nodes.contains(entity.name()) => {
                EntityId::new(EntityKind::Node, entity.name())
            }
            _ => entity,
        };
        for ((entity, key), (track, unit)) in std::mem::take(&mut self.tracks) {
            let (known, _) =
                self.tracks.entry((named(entity), key)).or_insert_with(|| (BTreeMap::new(), unit));
            for (at, value) in track {
                match known.entry(at) {
                    Entry::Vacant(place) => {
                        place.insert(value);
                    }
                    Entry::Occupied(_) => self.left_out.duplicate_samples += 1,
                }
            }
        }
        for span in &mut self.spans {
            span.entity = named(span.entity.clone());
        }
        for line in &mut self.lines {
            line.entity = named(line.entity.clone());
        }
        let pair = |(a, b): (EntityId, EntityId)| (named(a), named(b));
        self.places = std::mem::take(&mut self.places).into_iter().map(pair).collect();
        self.calls = std::mem::take(&mut self.calls).into_iter().map(pair).collect();
    }

    fn into_window(mut self) -> Result<(TelemetryWindow, LeftOut), EvalError> {
        self.name_nodes();
        let mut window = TelemetryWindow::new(self.range);
        let services = std::mem::take(&mut self.services);
        // Copies are known by the service that has a table of its own: `adservice-0` of `adservice`.
        let copy_of = |entity: &EntityId| -> Option<EntityId> {
            let (name, number) = entity.name().rsplit_once('-')?;
            let is_copy = entity.kind() == EntityKind::Service
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
                && services.contains(name);
            is_copy.then(|| EntityId::service(name))
        };
        let mut topology = Topology::new();
        let mut placed = |entity: EntityId| match copy_of(&entity) {
            Some(service) => {
                let instance = EntityId::instance(entity.name());
                topology.connect(instance.clone(), service, EdgeKind::PartOf);
                instance
            }
            None => entity,
        };
        for ((entity, key), (track, unit)) in std::mem::take(&mut self.tracks) {
            let (times, values): (Vec<Timestamp>, Vec<f64>) = track.into_iter().unzip();
            let axis = TimeAxis::irregular(times)?;
            let series = MetricSeries::new(key, placed(entity), axis, values.into_iter().map(Some))?;
            window.metrics.push(series.with_kind(MetricKind::Gauge).with_unit(Unit::new(unit)));
        }
        let places: Vec<(EntityId, EntityId)> =
            std::mem::take(&mut self.places).into_iter().map(|(e, node)| (placed(e), node)).collect();
        for (entity, node) in places {
            topology.connect(entity, node, EdgeKind::RunsOn);
        }
        // Who answers a call is the service; which of its copies did is an attribute.
        for span in &mut self.spans {
            if let Some(service) = copy_of(&span.entity) {
                span.attributes = span.attributes.clone().with(COPY, span.entity.name());
                span.entity = service;
            }
        }
        for line in &mut self.lines {
            if let Some(service) = copy_of(&line.entity) {
                line.attributes = line.attributes.clone().with(COPY, line.entity.name());
                line.entity = service;
            }
        }
        topology.merge(calls(self.spans.iter()));
        for (caller, callee) in self.calls {
            let caller = copy_of(&caller).unwrap_or(caller);
            topology.connect(caller, copy_of(&callee).unwrap_or(callee), EdgeKind::Calls);
        }
        if !self.spans.is_empty() || !topology.is_empty() {
            self.observed.insert(Signal::Topology);
        }
        (window.spans, window.logs, window.topology) = (self.spans, self.lines, topology);
        window.observed = self.observed.into_iter().collect();
        window.sort();
        Ok((window, self.left_out))
    }
}

const COPY: &str = "service.instance.id";

/// Severity and text of a line that states them as `severity: info, message: …`; else the whole line.
fn severity(line: &str) -> (Option<LogSeverity>, &str) {
    let stated = line.strip_prefix("severity: ").and_then(|rest| rest.split_once(", message: "));
    let Some((word, body)) = stated else { return (None, line) };
    let severity = match word.to_ascii_lowercase().as_str() {
        "trace" => LogSeverity::Trace,
        "debug" => LogSeverity::Debug,
        "info" | "notice" => LogSeverity::Info,
        "warn" | "warning" => LogSeverity::Warn,
        "error" => LogSeverity::Error,
        "fatal" | "critical" => LogSeverity::Fatal,
        _ => return (None, line),
    };
    (Some(severity), body)
}

/// Name of a service without its protocol: `adservice-grpc`.
fn service(name: &str) -> &str {
    ["-grpc", "-http"].into_iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// Whether a status says failure: a word other than `ok`, of numbers those of HTTP from 400 on and those of gRPC but 0.
fn is_failure(status: &str) -> bool {
    match status.parse::<u32>() {
        Ok(code) => code != 0 && !(100..400).contains(&code),
        Err(_) => !status.is_empty() && !status.eq_ignore_ascii_case("ok"),
    }
}
