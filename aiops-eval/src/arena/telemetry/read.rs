//! What was told, read as any source is read.

use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::time::{after, before, elapsed};
use aiops_core::model::{
    CollectorHealth, EdgeKind, Entity, EntityId, EntityKind, FetchRequest, Labels, LogRecord, MetricSeries,
    Signal, Span, SpanId, SpanStatus, TelemetryWindow, TimeAxis, Topology, TraceId, Validity,
};
use aiops_core::{Error, ErrorKind, Result};

use super::{Column, Line, Recorder, SCRAPE, SpanRow};
use crate::arena::sim::spec::Role;
use crate::arena::sim::{Micros, Simulator};

/// How far before the range of a request changes are told.
const CHANGES_BACK: Duration = Duration::from_secs(4 * 3600);

/// A sample speaks for so many scrapes after it, as in Prometheus' look-back.
const STALE: usize = 2;

/// 2026-03-02, a Monday, at `hour`, on a whole scrape.
pub(super) fn begin(hour: f64) -> Timestamp {
    const MONDAY: i64 = 1_772_409_600;
    let seconds = (hour * 3600.0) as i64 / 15 * 15;
    Timestamp::from_second(MONDAY + seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Recorder {
    /// The instant `t` after the start.
    pub(crate) fn stamp(&self, t: Micros) -> Timestamp {
        after(self.base, Duration::from_micros(t))
    }

    /// Time from the start to `t`; 0 for what was before.
    pub(crate) fn since_start(&self, t: Timestamp) -> Micros {
        Micros::try_from(elapsed(self.base, t).as_micros()).unwrap_or(Micros::MAX)
    }

    fn series(&self, column: &Column, request: &FetchRequest) -> Result<Option<MetricSeries>> {
        let axis = TimeAxis::covering(request.range, request.step)?;
        let scrape = Duration::from_micros(SCRAPE);
        // Scrape k was made (k + 1) intervals after the start.
        let held = |t: Timestamp| -> Option<f64> {
            if t < self.base {
                return None;
            }
            let k =
                usize::try_from(elapsed(self.base, t).as_nanos() / scrape.as_nanos()).ok()?.checked_sub(1)?;
            (0..STALE).find_map(|back| {
                let value = *column.values.get(k.checked_sub(back)?.checked_sub(column.first)?)?;
                (!value.is_nan()).then_some(value)
            })
        };
        let mut values = Vec::with_capacity(axis.len());
        let validity: Validity = axis
            .iter()
            .map(|t| {
                let value = held(t);
                values.push(value.unwrap_or(0.0));
                value.is_some()
            })
            .collect();
        if validity.gaps() == axis.len() {
            return Ok(None);
        }
        let series =
            MetricSeries::from_columns(column.key.clone(), column.entity.clone(), axis, values, validity)?;
        Ok(Some(series.with_kind(column.kind).with_unit(column.unit.clone())))
    }

    fn line(&self, line: &Line) -> Option<LogRecord> {
        let entity = self.entities.get(line.service)?.clone();
        let mut record = LogRecord::new(self.stamp(line.time), entity, line.body.clone());
        record.severity = Some(line.severity);
        if line.trace != 0 {
            record.trace_id = Some(TraceId(u128::from(line.trace)));
            record.span_id = Some(SpanId(line.span));
        }
        Some(record)
    }

    fn span(&self, row: &SpanRow) -> Option<Span> {
        let entity = self.entities.get(row.entity)?.clone();
        let skew = self.skew.get(row.entity).copied().unwrap_or(0);
        let start = Timestamp::from_microsecond(self.stamp(row.start).as_microsecond() + skew).ok()?;
        let peer = row.peer.and_then(|p| self.entities.get(p));
        let operation = match peer {
            Some(peer) => format!("POST {}", peer.name()),
            None => self.operations.get(row.entity)?.clone(),
        };
        let took = Duration::from_micros(row.took);
        let id = SpanId(row.span);
        let mut span = Span::new(TraceId(u128::from(row.trace)), id, entity, operation, start, took)
            .with_status(if row.failed { SpanStatus::Error } else { SpanStatus::Unset });
        if row.parent != 0 {
            span = span.with_parent(SpanId(row.parent));
        }
        if let Some(peer) = peer {
            span.attributes = Labels::new().with("peer.service", peer.name()).with("span.kind", "client");
        }
        Some(span)
    }
}

/// Rows with a time from `from` to before `to`; `rows` are nearly in order, off by at most `slack`.
fn between<T>(rows: &[T], time: impl Fn(&T) -> Micros, from: Micros, to: Micros, slack: Micros) -> &[T] {
    let first = rows.partition_point(|r| time(r) + slack < from);
    let last = rows.partition_point(|r| time(r) < to.saturating_add(slack));
    rows.get(first..last).unwrap_or_default()
}

impl Simulator {
    /// Reads what `request` asks for, as far as it was told by now.
    ///
    /// # Errors
    /// [`Limit`](ErrorKind::Limit), [`Unsupported`](ErrorKind::Unsupported), as of any source.
    pub(crate) fn read(&self, request: &FetchRequest) -> Result<TelemetryWindow> {
        if request.signals.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, "no signal was asked for"));
        }
        let told = &self.telemetry;
        let (range, selector) = (request.range, &request.selector);
        let wants = |signal| request.signals.contains(signal);
        let mut window = TelemetryWindow::new(range);
        window.observed = request.signals.clone();
        let (from, to) = (told.since_start(range.start()), told.since_start(range.end()));
        if wants(Signal::Metrics) {
            for column in &told.columns {
                if selector.selects(&column.key.name, &column.entity, &column.key.labels) {
                    window.metrics.extend(told.series(column, request)?);
                }
            }
            for (service, since) in told.dark_since.iter().enumerate() {
                if let (Some(since), Some(entity)) = (since, told.entities.get(service)) {
                    let mut health = CollectorHealth::new(Signal::Metrics);
                    health.entity = Some(entity.clone());
                    health.last_seen = Some(told.stamp(*since));
                    health.note = Some("scrapes of the target fail".to_owned());
                    window.health.push(health);
                }
            }
        }
        if wants(Signal::Logs) {
            // Daily lines are dated back by up to a scrape.
            let lines = between(&told.lines, |l| l.time, from, to, SCRAPE);
            let lines = lines.iter().chain(&told.planted).filter_map(|l| told.line(l));
            window
                .logs
                .extend(lines.filter(|l| range.contains(l.time) && selector.selects_entity(&l.entity)));
        }
        if wants(Signal::Traces) {
            // Spans are written at their end.
            let spans = between(&told.spans, |s| s.start + s.took, from, to, 120_000_000);
            let spans = spans.iter().filter_map(|s| told.span(s));
            window
                .spans
                .extend(spans.filter(|s| range.contains(s.start) && selector.selects_entity(&s.entity)));
        }
        if wants(Signal::Changes) {
            let since = before(range.start(), CHANGES_BACK);
            let there = |t: Timestamp| since <= t && t < range.end();
            let changes = told.changes.iter().filter(|c| there(c.time) && selector.selects_entity(&c.entity));
            window.changes.extend(changes.cloned());
        }
        if wants(Signal::Topology) {
            window.topology = self.topology();
        }
        request.limits.check(&window)?;
        window.sort();
        Ok(window)
    }

    /// Who calls whom, and what runs where.
    pub(crate) fn topology(&self) -> Topology {
        let mut topology = Topology::new();
        for service in &self.services {
            let entity = service.spec.entity();
            let targets = service.spec.steps.iter().flat_map(|s| [Some(s.to), s.cache]).flatten();
            for to in targets {
                if let Some(callee) = self.services.get(to) {
                    topology.connect(entity.clone(), callee.spec.entity(), EdgeKind::Calls);
                }
            }
            for (r, copy) in service.replicas.iter().enumerate() {
                let Some(node) = self.nodes.get(copy.node) else { continue };
                let instance = EntityId::instance(format!("{}-{r}", service.spec.name));
                let node = EntityId::new(EntityKind::Node, &node.spec.name);
                topology.connect(instance.clone(), entity.clone(), EdgeKind::PartOf);
                topology.connect(instance, node, EdgeKind::RunsOn);
            }
        }
        for node in &self.nodes {
            for slot in 0..node.spec.gpus {
                topology.connect(node.spec.gpu(slot), node.spec.entity(), EdgeKind::PartOf);
            }
        }
        let on_gpus = self.services.iter().filter(|s| s.spec.gpus > 0);
        let under =
            |s: &&crate::arena::sim::state::Service| matches!(s.spec.role, Role::Fabric | Role::Driver);
        for service in on_gpus {
            for daemon in self.services.iter().filter(under) {
                topology.connect(service.spec.entity(), daemon.spec.entity(), EdgeKind::DependsOn);
            }
        }
        // Customers are known as such; who of them calls what is not drawn.
        for tenant in &self.spec.tenants {
            topology.insert(Entity::new(EntityId::new(EntityKind::Tenant, &tenant.name)));
        }
        topology
    }
}
