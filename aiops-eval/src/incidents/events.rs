//! Spans and log lines.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EdgeKind, EntityId, LogRecord, LogSeverity, Span, SpanId, Topology, TraceId};

use super::table::Table;
use crate::EvalError;

/// Numbers for ids that are only unique within the files of one recording: the recording's number in the upper bits, the
/// order of first occurrence in the lower.
pub(crate) struct Ids {
    recording: u64,
    known: HashMap<String, u64>,
}

impl Ids {
    pub(crate) fn of(recording: u64) -> Self {
        Self { recording, known: HashMap::new() }
    }

    fn number(&mut self, text: &str) -> u64 {
        if let Some(number) = self.known.get(text) {
            return *number;
        }
        // Zero is no valid id.
        let number = self.recording << 48 | (self.known.len() as u64 + 1);
        self.known.insert(text.to_owned(), number);
        number
    }

    pub(crate) fn trace(&mut self, text: &str) -> Option<TraceId> {
        (!text.is_empty()).then(|| TraceId(u128::from(self.number(text))))
    }

    pub(crate) fn span(&mut self, text: &str) -> Option<SpanId> {
        (!text.is_empty()).then(|| SpanId(self.number(text)))
    }
}

/// The spans of `path`, in the order of the file.
pub(super) fn spans(path: &Path, ids: &mut Ids) -> Result<Vec<Span>, EvalError> {
    let mut spans = Vec::new();
    Table::open(path)?.rows(|row| {
        let trace = ids.trace(row.text("trace")?).ok_or_else(|| row.bad("no trace"))?;
        let span = ids.span(row.text("span")?).ok_or_else(|| row.bad("no span"))?;
        let entity = EntityId::service(row.text("service")?);
        let (start, length) = (row.micros("start_us")?, row.duration("dur_us")?);
        let span = Span::new(trace, span, entity, row.optional("operation"), start, length);
        spans.push(match ids.span(row.optional("parent")) {
            Some(parent) => span.with_parent(parent),
            None => span,
        });
        Ok(())
    })?;
    Ok(spans)
}

/// The lines of `path`, in the order of the file.
pub(super) fn logs(path: &Path, ids: &mut Ids) -> Result<Vec<LogRecord>, EvalError> {
    let mut lines = Vec::new();
    Table::open(path)?.rows(|row| {
        let entity = EntityId::service(row.text("service")?);
        let mut line = LogRecord::new(row.micros("unix_us")?, entity, row.optional("message"));
        line.severity = severity(row.optional("level"));
        line.trace_id = ids.trace(row.optional("trace"));
        line.span_id = ids.span(row.optional("span"));
        lines.push(line);
        Ok(())
    })?;
    Ok(lines)
}

fn severity(level: &str) -> Option<LogSeverity> {
    Some(match level.to_ascii_uppercase().as_str() {
        "TRACE" => LogSeverity::Trace,
        "DEBUG" => LogSeverity::Debug,
        "INFO" => LogSeverity::Info,
        "WARN" | "WARNING" => LogSeverity::Warn,
        "ERROR" => LogSeverity::Error,
        "FATAL" | "CRITICAL" => LogSeverity::Fatal,
        _ => return None,
    })
}

/// Who called whom: an edge for each parent of another entity.
pub(crate) fn calls<'a>(spans: impl Iterator<Item = &'a Span> + Clone) -> Topology {
    let owners: BTreeMap<SpanId, &EntityId> = spans.clone().map(|s| (s.span_id, &s.entity)).collect();
    let mut topology = Topology::new();
    for span in spans {
        if let Some(caller) = span.parent.and_then(|parent| owners.get(&parent))
            && **caller != span.entity
        {
            topology.connect((*caller).clone(), span.entity.clone(), EdgeKind::Calls);
        }
    }
    topology
}

/// Splits by time at `before` and `from`: earlier than the one, between them, from the other on.
pub(super) fn split<T>(
    items: Vec<T>,
    time: impl Fn(&T) -> Timestamp,
    (before, from): (Timestamp, Timestamp),
) -> [Vec<T>; 3] {
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    let [early, between, late] = &mut parts;
    for item in items {
        let at = time(&item);
        let part = if at < before {
            &mut *early
        } else if at < from {
            &mut *between
        } else {
            &mut *late
        };
        part.push(item);
    }
    parts
}
