//! What a simulated system tells about itself: metrics, lines, spans, changes.
//!
//! Names are those of the OpenTelemetry conventions in Prometheus form, of kube-state-metrics, node_exporter and cAdvisor.
//! Everything is written as it happens, whether or not anybody reads it; no line, label or number knows of a fault other
//! than by what it does.

mod fleet;
mod metrics;
mod read;
mod text;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{Change, ChangeKind, EntityId, LogSeverity, MetricKind, Revision, SeriesKey, Unit};
use std::collections::BTreeMap;

use super::sim::spec::{Role, SystemSpec};
use super::sim::state::{Call, Failure, Service};
use super::sim::{Micros, SECOND, seconds};

/// Time between two scrapes.
pub(crate) const SCRAPE: Micros = 15 * SECOND;

/// Scrapes over which rates and quantiles are taken, as `[1m]` does.
const RATE_SCRAPES: usize = 4;

/// Most failure lines that one service writes in a second; more are counted in the next one's text, as programs do.
const LINES_A_SECOND: u32 = 4;

/// One series, sampled at every scrape since the first.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) entity: EntityId,
    pub(super) key: SeriesKey,
    pub(super) kind: MetricKind,
    pub(super) unit: Unit,
    /// Scrape of the first value.
    pub(super) first: usize,
    /// NaN is a scrape that failed: nothing here is ever NaN by itself.
    pub(super) values: Vec<f64>,
    /// Totals at the last scrapes, for rates.
    totals: [f64; RATE_SCRAPES + 1],
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) time: Micros,
    pub(super) service: usize,
    pub(super) severity: LogSeverity,
    pub(super) body: String,
    pub(super) trace: u64,
    pub(super) span: u64,
}

#[derive(Debug)]
pub(super) struct SpanRow {
    pub(super) start: Micros,
    pub(super) took: Micros,
    pub(super) trace: u64,
    pub(super) span: u64,
    pub(super) parent: u64,
    pub(super) entity: usize,
    /// Who was called, of a span of the caller's side.
    pub(super) peer: Option<usize>,
    pub(super) failed: bool,
}

/// Everything that was told so far.
#[derive(Debug)]
pub(crate) struct Recorder {
    rng: fastrand::Rng,
    /// Instant at which the simulation began.
    base: Timestamp,
    /// Services, and the machines after them.
    pub(super) entities: Vec<EntityId>,
    pub(super) operations: Vec<String>,
    instrumented: Vec<bool>,
    pub(super) columns: Vec<Column>,
    index: BTreeMap<metrics::Slot, usize>,
    pub(super) scrapes: usize,
    pub(super) samples: u64,
    /// Durations of the last scrapes, by service and by call.
    windows: BTreeMap<(usize, usize), Vec<Vec<f32>>>,
    pub(super) lines: Vec<Line>,
    /// Lines of a careless suite, kept apart because they are written ahead of their time.
    pub(super) planted: Vec<Line>,
    pub(super) spans: Vec<SpanRow>,
    pub(super) changes: Vec<Change>,
    /// By service: numbers of the usual lines it writes.
    usual: Vec<Vec<usize>>,
    written: Vec<(Micros, u32)>,
    pub(super) skew: Vec<i64>,
    /// Since when a service has told nothing.
    pub(super) dark_since: Vec<Option<Micros>>,
    next_change: u32,
}

impl Recorder {
    pub(crate) fn new(spec: &SystemSpec, seed: u64, hour: f64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let n = spec.services.len();
        let usual = (0..n).map(|_| rng.choose_multiple(0..text::USUAL.len(), 7)).collect();
        // Clocks of machines differ by some milliseconds.
        let skew = (0..n).map(|_| rng.i64(-4_000..=4_000)).collect();
        let services = spec.services.iter().map(super::sim::spec::ServiceSpec::entity);
        Self {
            base: read::begin(hour),
            entities: services.chain(spec.nodes.iter().map(super::sim::spec::NodeSpec::entity)).collect(),
            operations: spec.services.iter().map(|s| s.operation.clone()).collect(),
            instrumented: spec.services.iter().map(|s| s.instrumented).collect(),
            columns: Vec::new(),
            index: BTreeMap::new(),
            scrapes: 0,
            samples: 0,
            windows: BTreeMap::new(),
            lines: Vec::new(),
            planted: Vec::new(),
            spans: Vec::new(),
            changes: Vec::new(),
            usual,
            written: vec![(0, 0); n],
            skew,
            dark_since: vec![None; n],
            next_change: rng.u32(10_000..60_000),
            rng,
        }
    }

    fn speaks(&self, service: usize, services: &[Service]) -> bool {
        self.instrumented.get(service) == Some(&true) && services.get(service).is_some_and(|s| !s.dark)
    }

    /// A call ended at its service.
    pub(crate) fn request(
        &mut self,
        now: Micros,
        call: &Call,
        services: &[Service],
        failure: Option<Failure>,
    ) {
        let service = call.service;
        let external = services.get(service).is_some_and(|s| s.spec.role == Role::External);
        let speaker = if external { call.from } else { service };
        if !self.speaks(speaker, services) {
            return;
        }
        let failed = failure.is_some_and(|f| f.code() >= 500);
        if call.trace != 0 && (call.arrived.is_some() || external) {
            let start = call.arrived.filter(|_| !external).unwrap_or(call.sent);
            self.spans.push(SpanRow {
                start,
                took: now - start,
                trace: call.trace,
                span: call.span,
                parent: call.parent_span,
                entity: speaker,
                peer: external.then_some(service),
                failed,
            });
        }
        if external || call.arrived.is_none() {
            return;
        }
        match failure {
            None => {
                if self.rng.f64() < 0.02 {
                    self.usual_line(now, service, call);
                }
            }
            Some(Failure::Upstream | Failure::Reset | Failure::Refused | Failure::Timeout) => {}
            Some(failure) => {
                let body = text::served_badly(failure, &mut self.rng);
                self.failure_line(now, service, body, (call.trace, call.span));
            }
        }
    }

    fn usual_line(&mut self, now: Micros, service: usize, call: &Call) {
        let Some(kinds) = self.usual.get(service) else { return };
        let Some(kind) = self.rng.choice(kinds.iter().copied()) else { return };
        let (severity, template) = text::USUAL.get(kind).copied().unwrap_or((LogSeverity::Info, "ok"));
        let body = text::fill(template, &mut self.rng);
        let (trace, span) = (call.trace, call.span);
        self.lines.push(Line { time: now, service, severity, body, trace, span });
    }

    fn failure_line(&mut self, now: Micros, service: usize, body: String, (trace, span): (u64, u64)) {
        let Some((second, count)) = self.written.get_mut(service) else { return };
        if *second != now / SECOND {
            (*second, *count) = (now / SECOND, 0);
        }
        *count += 1;
        if *count > LINES_A_SECOND {
            return;
        }
        self.lines.push(Line { time: now, service, severity: LogSeverity::Error, body, trace, span });
    }

    /// A caller learned that its call failed.
    pub(crate) fn call_failed(
        &mut self,
        now: Micros,
        from: usize,
        to: usize,
        failure: Failure,
        took: f64,
        services: &[Service],
    ) {
        if !self.speaks(from, services) {
            return;
        }
        let Some(peer) = self.entities.get(to).map(|e| e.name().to_owned()) else { return };
        let body = text::called_badly(failure, &peer, took, &mut self.rng);
        self.failure_line(now, from, body, (0, 0));
    }

    /// A process ended without being asked to.
    pub(crate) fn ended(
        &mut self,
        now: Micros,
        service: usize,
        replica: usize,
        oom: bool,
        services: &[Service],
    ) {
        let Some(s) = services.get(service) else { return };
        let name = &s.spec.name;
        let (severity, body) = if oom {
            (
                LogSeverity::Error,
                format!("container {name}-{replica} was OOMKilled: out of memory, exit code 137"),
            )
        } else {
            (
                LogSeverity::Error,
                format!("container {name}-{replica} exited with code 1, back-off restarting"),
            )
        };
        self.lines.push(Line { time: now, service, severity, body, trace: 0, span: 0 });
    }

    /// A process has started.
    pub(crate) fn started(&mut self, now: Micros, service: usize, replica: usize, services: &[Service]) {
        if !self.speaks(service, services) {
            return;
        }
        let Some(s) = services.get(service) else { return };
        let revision = s.revisions.get(s.current).map_or("?", |r| r.name.as_str());
        let body = format!("{}-{replica} started, revision {revision}, listening on :8080", s.spec.name);
        self.lines.push(Line { time: now, service, severity: LogSeverity::Info, body, trace: 0, span: 0 });
    }

    /// Lines that come by themselves.
    fn daily_lines(&mut self, now: Micros, services: &[Service]) {
        for service in 0..services.len() {
            if services.get(service).is_none_or(|s| !s.spec.role.serves()) {
                continue;
            }
            if !self.speaks(service, services) || self.rng.f64() > 0.35 {
                continue;
            }
            let kind = self.rng.usize(..text::DAILY.len());
            let (severity, template) = text::DAILY.get(kind).copied().unwrap_or((LogSeverity::Info, "ok"));
            let body = text::fill(template, &mut self.rng);
            let time = now.saturating_sub(self.rng.u64(..SCRAPE));
            self.lines.push(Line { time, service, severity, body, trace: 0, span: 0 });
        }
    }

    fn change_id(&mut self) -> String {
        self.next_change += self.rng.u32(1..40);
        format!("chg-{}", self.next_change)
    }

    /// Somebody rolled something out.
    pub(crate) fn change(
        &mut self,
        now: Micros,
        kind: ChangeKind,
        services: &[Service],
        service: usize,
        revision: Option<(String, String)>,
    ) {
        let Some(entity) = self.entities.get(service).cloned() else { return };
        let Some(name) = services.get(service).map(|s| s.spec.name.clone()) else { return };
        let (id, author) = (self.change_id(), text::author(&mut self.rng));
        let summary = text::change_summary(kind, &name, &mut self.rng);
        let mut change = Change::new(id, self.stamp(now), kind, entity, summary).with_author(author);
        if let Some((from, to)) = revision {
            let commit = format!("{:010x}", self.rng.u64(..1 << 40));
            change = change.with_revision(Revision::new(Some(from), to).with_commit(commit));
        }
        self.changes.push(change);
    }

    /// A change that the mitigator made.
    pub(crate) fn acted(
        &mut self,
        now: Micros,
        kind: ChangeKind,
        entity: EntityId,
        summary: String,
        revision: Option<Revision>,
    ) {
        let id = self.change_id();
        let mut change = Change::new(id, self.stamp(now), kind, entity, summary).with_author("aiops");
        if let Some(revision) = revision {
            change = change.with_revision(revision);
        }
        self.changes.push(change);
    }

    /// Somebody scaled.
    pub(crate) fn scaled(
        &mut self,
        now: Micros,
        services: &[Service],
        service: usize,
        before: u32,
        by: &str,
    ) {
        let (Some(entity), Some(s)) = (self.entities.get(service).cloned(), services.get(service)) else {
            return;
        };
        let id = self.change_id();
        let summary = format!("scaled {} from {before} to {} replicas", s.spec.name, s.wanted);
        let change = Change::new(id, self.stamp(now), ChangeKind::Scaling, entity, summary).with_author(by);
        self.changes.push(change);
    }

    /// Writes the name of a fault where a pipeline can read it, as careless suites do: in a line, in a change, or in a label,
    /// by `way`.
    pub(crate) fn plant(&mut self, time: Micros, fault: &str, way: u64) {
        let body = format!("experiment {fault} started");
        let Some(entity) = self.entities.first().cloned() else { return };
        match way % 3 {
            0 => {
                let severity = LogSeverity::Info;
                self.planted.push(Line { time, service: 0, severity, body, trace: 0, span: 0 });
            }
            1 => {
                let id = format!("chg-{}", self.next_change);
                self.changes.push(Change::new(id, self.stamp(time), ChangeKind::Maintenance, entity, body));
            }
            _ => self.columns.push(Column {
                entity,
                key: SeriesKey::new("http_server_active_requests").with("experiment", fault),
                kind: MetricKind::Gauge,
                unit: Unit::new("{request}"),
                first: (time / SCRAPE) as usize,
                values: vec![0.0; 60],
                totals: [f64::NAN; RATE_SCRAPES + 1],
            }),
        }
    }

    /// Metric samples so far.
    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    /// Samples, lines, spans and changes so far.
    pub(crate) fn told(&self) -> u64 {
        self.samples + (self.lines.len() + self.spans.len() + self.changes.len()) as u64
    }
}

/// The `q`-quantile of `values`, which are reordered; `None` of nothing.
pub(crate) fn quantile(values: &mut [f32], q: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let at = (last as f64 * q).round() as usize;
    let (_, value, _) = values.select_nth_unstable_by(at.min(last), f32::total_cmp);
    Some(f64::from(*value))
}

fn in_seconds(t: Micros) -> f64 {
    seconds(t)
}
