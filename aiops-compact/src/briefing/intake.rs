//! Spans and lines as they arrive, held until their trace is complete.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{LogRecord, LogSeverity, Span, SpanStatus, time};

use super::digest::{Digest, Dropped, Lines, Work, earliest};
use super::names::{NONE, Names, OTHER};
use super::{IntakeOptions, WindowConfig};
use crate::logs::TemplateId;
use crate::traces::{NameId, SpanColumns, SpanRecord, TraceCompactor, TraceOptions};

/// One span of an open trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    span: u64,
    start: i64,
    parent: u64,
    duration: u64,
    error: bool,
    operation: u32,
}

/// One line of an open trace.
#[derive(Debug, Clone, Copy)]
struct Written {
    span: u64,
    entity: u32,
    template: TemplateId,
}

/// A trace some of whose spans and lines have arrived.
#[derive(Debug, Default)]
struct Open {
    rows: Vec<Row>,
    lines: Vec<Written>,
    /// Latest instant of its spans and lines.
    touched: Option<Timestamp>,
    /// Which opening of the trace this is: the queue may still hold an earlier one.
    opening: u64,
}

impl Open {
    fn len(&self) -> usize {
        self.rows.len() + self.lines.len()
    }
}

/// First line and highest severity of a template of an entity.
#[derive(Debug, Clone, Copy)]
struct Seen {
    first: Timestamp,
    severity: Option<LogSeverity>,
}

/// Later siblings that are looked at to tell how long a span waited.
const MOST_SIBLINGS: usize = 64;

/// Complete traces wait until there are so many spans: they are assembled at once.
const BATCH: usize = 1 << 16;

/// Takes in the spans and lines of a stretch of time. Memory: the open traces, [`BATCH`] spans, and what the limits allow of
/// entities, operations, call types, paths and templates, however long the stretch is.
#[derive(Debug)]
pub(super) struct Intake {
    limits: IntakeOptions,
    traces: TraceOptions,
    names: Names,
    open: HashMap<u128, Open>,
    queue: VecDeque<(u128, u64)>,
    openings: u64,
    held: usize,
    columns: SpanColumns,
    /// Names of the columns by operation.
    column_names: Vec<(NameId, NameId)>,
    compactor: TraceCompactor,
    work: Vec<Work>,
    with_child: HashMap<(u32, u32), u64>,
    seen: HashMap<(u32, TemplateId), Seen>,
    under: HashMap<(u32, TemplateId), u64>,
    first_span: Option<Timestamp>,
    first_line: Option<Timestamp>,
    dropped: Dropped,
    /// Spans and lines of traces that were closed before they were idle.
    evicted: u64,
    children: Vec<(u32, u32)>,
    /// Parent, start and place of spans.
    siblings: Vec<(u64, i64, u32)>,
}

impl Intake {
    /// With `hold` every trace stays open to the end, however long.
    pub(super) fn new(config: &WindowConfig, hold: bool) -> Self {
        let mut traces = *config.traces.options();
        if hold {
            let most = usize::MAX;
            (traces.max_open_traces, traces.max_open_spans, traces.max_spans_per_trace) = (most, most, most);
        }
        Self {
            limits: *config.intake.options(),
            traces,
            names: Names::default(),
            open: HashMap::new(),
            queue: VecDeque::new(),
            openings: 0,
            held: 0,
            columns: SpanColumns::new(),
            column_names: Vec::new(),
            compactor: TraceCompactor::new(config.traces),
            work: Vec::new(),
            with_child: HashMap::new(),
            seen: HashMap::new(),
            under: HashMap::new(),
            first_span: None,
            first_line: None,
            dropped: Dropped::default(),
            evicted: 0,
            children: Vec::new(),
            siblings: Vec::new(),
        }
    }

    pub(super) fn push_span(&mut self, span: &Span) {
        let limits = self.limits;
        let Some(entity) = self.names.entity(&span.entity, limits.max_entities) else {
            self.dropped.entities += 1;
            return;
        };
        let operation = self.names.operation(entity, &span.operation, self.traces.max_names);
        self.first_span = earliest(self.first_span, Some(span.start));
        let row = Row {
            span: span.span_id.0,
            // Instants outside 1677 to 2262 are clamped to those.
            start: i64::try_from(span.start.as_nanosecond().clamp(i64::MIN.into(), i64::MAX.into()))
                .unwrap_or(0),
            parent: span.parent.map_or(0, |parent| parent.0),
            duration: u64::try_from(span.duration.as_nanos()).unwrap_or(u64::MAX),
            error: span.status == SpanStatus::Error,
            operation,
        };
        let open = self.trace(span.trace_id.0);
        open.rows.push(row);
        let end = time::after(span.start, span.duration);
        open.touched = open.touched.max(Some(end));
        let full = open.rows.len();
        self.held += 1;
        self.keep_bounds(span.trace_id.0, full);
    }

    pub(super) fn push_line(&mut self, line: &LogRecord, template: TemplateId) {
        let limits = self.limits;
        let Some(entity) = self.names.entity(&line.entity, limits.max_entities) else {
            self.dropped.entities += 1;
            return;
        };
        let full = self.seen.len() >= limits.max_line_kinds;
        match self.seen.get_mut(&(entity, template)) {
            Some(seen) => {
                seen.first = seen.first.min(line.time);
                seen.severity = seen.severity.max(line.severity);
            }
            None if full => {
                self.dropped.lines += 1;
                return;
            }
            None => {
                self.seen.insert((entity, template), Seen { first: line.time, severity: line.severity });
            }
        }
        self.first_line = earliest(self.first_line, Some(line.time));
        match (line.trace_id, line.span_id) {
            (Some(trace), Some(span)) => {
                let open = self.trace(trace.0);
                open.lines.push(Written { span: span.0, entity, template });
                open.touched = open.touched.max(Some(line.time));
                let full = open.lines.len();
                self.held += 1;
                self.keep_bounds(trace.0, full);
            }
            _ => self.count_line(entity, NONE, template),
        }
    }

    fn trace(&mut self, id: u128) -> &mut Open {
        let (openings, queue) = (&mut self.openings, &mut self.queue);
        self.open.entry(id).or_insert_with(|| {
            *openings += 1;
            queue.push_back((id, *openings));
            Open { opening: *openings, ..Open::default() }
        })
    }

    fn count_line(&mut self, entity: u32, operation: &str, template: TemplateId) {
        let most = self.traces.max_names;
        let operation = self.names.operation(entity, operation, most);
        if let Some(lines) = self.under.get_mut(&(operation, template)) {
            *lines += 1;
            return;
        }
        // Beyond the limit lines count as of no span, of which there are no more than writers and templates.
        let full = self.under.len() >= self.limits.max_line_kinds.saturating_mul(4);
        let operation = if full { self.names.operation(entity, NONE, most) } else { operation };
        *self.under.entry((operation, template)).or_default() += 1;
    }

    /// Closes `trace` when it holds as many spans or lines as one may, so that what comes later opens it anew; then those opened
    /// first while there are too many.
    fn keep_bounds(&mut self, trace: u128, held: usize) {
        let options = self.traces;
        if held >= options.max_spans_per_trace
            && let Some(open) = self.open.remove(&trace)
        {
            self.evicted += open.len() as u64;
            self.close(trace, open);
        }
        while self.open.len() > options.max_open_traces || self.held > options.max_open_spans {
            let Some((trace, opening)) = self.queue.pop_front() else { break };
            if self.open.get(&trace).is_some_and(|open| open.opening == opening)
                && let Some(open) = self.open.remove(&trace)
            {
                self.evicted += open.len() as u64;
                self.close(trace, open);
            }
        }
    }

    /// Closes the traces whose last span or line is older than `idle`. O(open traces).
    pub(super) fn close_idle(&mut self, now: Timestamp, idle: Duration) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.retain(|(trace, opening)| {
            let Some(open) = self.open.get(trace).filter(|open| open.opening == *opening) else {
                return false;
            };
            if open.touched.is_none_or(|touched| time::elapsed(touched, now) < idle) {
                return true;
            }
            if let Some(open) = self.open.remove(trace) {
                self.close(*trace, open);
            }
            false
        });
        self.queue = queue;
    }

    /// Counts what a complete trace did, and what was written in it.
    fn close(&mut self, trace: u128, open: Open) {
        let Open { mut rows, lines, .. } = open;
        self.held = self.held.saturating_sub(rows.len() + lines.len());
        rows.sort_unstable();
        self.waits(&mut rows);
        for row in &rows {
            let (service, operation) = self.column_name(row.operation);
            self.columns.push(SpanRecord {
                trace,
                span: row.span,
                parent: row.parent,
                start: row.start,
                duration: row.duration,
                service,
                operation,
                error: row.error,
            });
        }
        if self.columns.len() >= BATCH {
            self.assemble();
        }
        // Spans with the id of another one are left out, as the summary leaves them out.
        rows.dedup_by(|later, first| later.span == first.span && first.span != 0);
        self.children.clear();
        for row in &rows {
            if let Some(work) = slot(&mut self.work, row.operation) {
                work.spans += 1;
            }
            if row.parent != 0
                && row.parent != row.span
                && let Ok(parent) = rows.binary_search_by_key(&row.parent, |row| row.span)
            {
                // Rows of one trace fit 32 bits wherever they fit into memory.
                self.children.push((parent as u32, row.operation));
            }
        }
        self.children.sort_unstable();
        for siblings in self.children.chunk_by(|a, b| a.0 == b.0) {
            let Some(parent) = siblings.first().and_then(|(parent, _)| rows.get(*parent as usize)) else {
                continue;
            };
            let n = siblings.len() as u64;
            if let Some(work) = slot(&mut self.work, parent.operation) {
                work.children += n;
                work.squares = work.squares.saturating_add(u128::from(n) * u128::from(n));
            }
            for kind in siblings.chunk_by(|a, b| a.1 == b.1) {
                let Some((_, child)) = kind.first() else { continue };
                let full = self.with_child.len() >= self.traces.max_paths;
                match self.with_child.get_mut(&(parent.operation, *child)) {
                    Some(spans) => *spans += 1,
                    None if full => self.dropped.links += 1,
                    None => {
                        self.with_child.insert((parent.operation, *child), 1);
                    }
                }
            }
        }
        for Written { span, entity, template } in lines {
            let row = rows.binary_search_by_key(&span, |row| row.span).ok().and_then(|at| rows.get(at));
            match row.map(|row| row.operation) {
                Some(operation) => {
                    let name = self.names.numbered(operation).map(|(_, name)| Arc::clone(name));
                    self.count_line(entity, name.as_deref().unwrap_or(NONE), template);
                }
                None => self.count_line(entity, NONE, template),
            }
        }
    }

    /// Takes from spans without children the time during which a sibling of the same entity that began later was under way: a
    /// handler that waits beside the call it made has not worked itself.
    fn waits(&mut self, rows: &mut [Row]) {
        self.siblings.clear();
        for (at, row) in (0_u32..).zip(rows.iter()) {
            if row.parent != 0 {
                self.siblings.push((row.parent, row.start, at));
            }
        }
        self.siblings.sort_unstable();
        let entity = |row: &Row| self.names.numbered(row.operation).map(|(entity, _)| *entity);
        for siblings in self.siblings.chunk_by(|a, b| a.0 == b.0).filter(|siblings| siblings.len() > 1) {
            for (rank, (_, start, at)) in siblings.iter().enumerate() {
                let Some(row) = rows.get(*at as usize).copied() else { continue };
                let is_parent = self.siblings.binary_search_by_key(&row.span, |(parent, ..)| *parent).is_ok();
                if is_parent {
                    continue;
                }
                let end = start.saturating_add_unsigned(row.duration);
                // What later siblings cover, without counting twice.
                let (mut covered, mut upto) = (0_u64, *start);
                let later = siblings.iter().skip(rank + 1).take(MOST_SIBLINGS);
                for (_, from, other) in later.take_while(|(_, from, _)| *from < end) {
                    let Some(other) = rows.get(*other as usize) else { continue };
                    if entity(other) == entity(&row) {
                        let until = from.saturating_add_unsigned(other.duration).min(end);
                        covered += until.saturating_sub((*from).max(upto)).max(0).unsigned_abs();
                        upto = upto.max(until);
                    }
                }
                if let Some(row) = rows.get_mut(*at as usize) {
                    row.duration = row.duration.saturating_sub(covered);
                }
            }
        }
    }

    fn column_name(&mut self, operation: u32) -> (NameId, NameId) {
        while self.column_names.len() <= operation as usize {
            let next = u32::try_from(self.column_names.len()).unwrap_or(u32::MAX);
            let names = match self.names.named(next) {
                Some((entity, name)) => (self.columns.intern(entity.name()), self.columns.intern(&name)),
                None => (self.columns.intern(OTHER), self.columns.intern(OTHER)),
            };
            self.column_names.push(names);
        }
        let last = self.column_names.get(operation as usize).copied();
        last.unwrap_or_else(|| (self.columns.intern(OTHER), self.columns.intern(OTHER)))
    }

    fn assemble(&mut self) {
        self.compactor.push_complete(&self.columns);
        self.columns.clear();
    }

    /// Spans and lines of open traces.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Spans and lines of traces that were closed before they were idle, since too much was open.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Closes every trace; everything taken in.
    pub(super) fn finish(mut self) -> Digest {
        while let Some((trace, opening)) = self.queue.pop_front() {
            if self.open.get(&trace).is_some_and(|open| open.opening == opening)
                && let Some(open) = self.open.remove(&trace)
            {
                self.close(trace, open);
            }
        }
        self.assemble();
        let Self { names, compactor, work, with_child, seen, under, first_span, first_line, dropped, .. } =
            self;
        let mut digest =
            Digest { traces: compactor.finish(), first_span, first_line, dropped, ..Digest::default() };
        for (operation, work) in (0_u32..).zip(work) {
            if work.spans > 0
                && let Some(operation) = names.named(operation)
            {
                digest.work.insert(operation, work);
            }
        }
        for ((parent, child), spans) in with_child {
            if let (Some(parent), Some(child)) = (names.named(parent), names.named(child)) {
                digest.with_child.entry(parent).or_default().insert(child, spans);
            }
        }
        for ((operation, template), lines) in under {
            let Some((entity, operation)) = names.named(operation) else { continue };
            let Some(number) = names.number(&entity) else { continue };
            let Some(seen) = seen.get(&(number, template)) else { continue };
            let under = BTreeMap::from([(operation, lines)]);
            let lines = Lines { first: seen.first, severity: seen.severity, under };
            digest.add_lines((entity, template), lines);
        }
        digest
    }
}

#[cfg(test)]
mod tests;

/// The element at `at`, which comes into being.
fn slot(work: &mut Vec<Work>, at: u32) -> Option<&mut Work> {
    let at = at as usize;
    // Numbers of operations are bounded by their limit; the one that stands for none has no work.
    if at == u32::MAX as usize {
        return None;
    }
    if at >= work.len() {
        work.resize(at + 1, Work::default());
    }
    work.get_mut(at)
}
