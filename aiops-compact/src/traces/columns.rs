//! Spans in columns.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use aiops_core::model::{Span, SpanStatus, TelemetryWindow};

use super::hash::Folded;
use super::row::Row;

/// A name interned by one [`SpanColumns`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameId(pub(super) u32);

/// One span, its names interned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanRecord {
    /// Trace it belongs to.
    pub trace: u128,
    /// Its own id; 0 is invalid (W3C trace context) and counted.
    pub span: u64,
    /// The span that caused it; 0 for none.
    pub parent: u64,
    /// Start, ns since the epoch, by the clock of the service.
    pub start: i64,
    /// Duration, ns.
    pub duration: u64,
    /// Who did the work.
    pub service: NameId,
    /// Name of the operation.
    pub operation: NameId,
    /// Whether it failed.
    pub error: bool,
}

/// Spans in columns, in any order: 61 bytes each, names interned once.
///
/// ```
/// use aiops_compact::traces::{SpanColumns, SpanRecord};
/// let mut columns = SpanColumns::new();
/// let (service, operation) = (columns.intern("cart"), columns.intern("GET /cart"));
/// columns.push(SpanRecord { trace: 1, span: 7, parent: 0, start: 0, duration: 5_000_000, service, operation, error: false });
/// assert_eq!(columns.len(), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct SpanColumns {
    pub(super) names: Vec<Arc<str>>,
    index: HashMap<Arc<str>, u32, Folded>,
    pub(super) trace: Vec<u128>,
    pub(super) span: Vec<u64>,
    pub(super) parent: Vec<u64>,
    pub(super) start: Vec<i64>,
    pub(super) duration: Vec<u64>,
    pub(super) service: Vec<u32>,
    pub(super) operation: Vec<u32>,
    pub(super) error: Vec<bool>,
}

impl SpanColumns {
    /// No spans.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Id of a name, the same for equal names. O(length).
    ///
    /// Past 2³² − 2 names all further ones share an id; memory ends long before.
    pub fn intern(&mut self, name: &str) -> NameId {
        if let Some(id) = self.index.get(name) {
            return NameId(*id);
        }
        let id = u32::try_from(self.names.len()).unwrap_or(u32::MAX - 1);
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.index.insert(name, id);
        NameId(id)
    }

    /// Adds a span. A name of other columns that these do not have is read as `<other>`, and counted.
    pub fn push(&mut self, record: SpanRecord) {
        self.trace.push(record.trace);
        self.span.push(record.span);
        self.parent.push(record.parent);
        self.start.push(record.start);
        self.duration.push(record.duration);
        self.service.push(record.service.0);
        self.operation.push(record.operation.0);
        self.error.push(record.error);
    }

    /// Adds a span of the model; the service is the name of its entity. Instants outside 1677 to 2262 and durations
    /// beyond 584 years are clamped to those.
    pub fn push_span(&mut self, span: &Span) {
        let service = self.intern(span.entity.name());
        let operation = self.intern(&span.operation);
        let nanos = span.start.as_nanosecond().clamp(i64::MIN.into(), i64::MAX.into());
        self.push(SpanRecord {
            trace: span.trace_id.0,
            span: span.span_id.0,
            parent: span.parent.map_or(0, |parent| parent.0),
            start: i64::try_from(nanos).unwrap_or(i64::MAX),
            duration: u64::try_from(span.duration.as_nanos()).unwrap_or(u64::MAX),
            service,
            operation,
            error: span.status == SpanStatus::Error,
        });
    }

    /// Spans held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.trace.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trace.is_empty()
    }

    /// Forgets the spans and keeps names and memory, for the next batch.
    pub fn clear(&mut self) {
        self.trace.clear();
        self.span.clear();
        self.parent.clear();
        self.start.clear();
        self.duration.clear();
        self.service.clear();
        self.operation.clear();
        self.error.clear();
    }

    /// One span, its names by the numbers that these columns gave them.
    #[inline]
    pub(super) fn row(&self, at: usize) -> Option<Row> {
        Some(Row {
            start: *self.start.get(at)?,
            span: *self.span.get(at)?,
            parent: *self.parent.get(at)?,
            duration: *self.duration.get(at)?,
            service: *self.service.get(at)?,
            operation: *self.operation.get(at)?,
            error: *self.error.get(at)?,
        })
    }

    /// The same of many in a row.
    #[inline]
    pub(super) fn rows(&self, range: &Range<usize>) -> impl Iterator<Item = Row> + '_ {
        fn part<'a, T>(column: &'a [T], range: &Range<usize>) -> std::slice::Iter<'a, T> {
            column.get(range.clone()).unwrap_or_default().iter()
        }
        let ids = part(&self.span, range).zip(part(&self.parent, range));
        let times = part(&self.start, range).zip(part(&self.duration, range));
        let names = part(&self.service, range).zip(part(&self.operation, range));
        ids.zip(times).zip(names).zip(part(&self.error, range)).map(
            |((((span, parent), (start, duration)), (service, operation)), error)| Row {
                start: *start,
                span: *span,
                parent: *parent,
                duration: *duration,
                service: *service,
                operation: *operation,
                error: *error,
            },
        )
    }

    /// The column of services: ids of names.
    #[must_use]
    pub fn services(&self) -> &[u32] {
        &self.service
    }

    /// The column of operations: ids of names.
    #[must_use]
    pub fn operations(&self) -> &[u32] {
        &self.operation
    }

    /// The column of durations, ns.
    #[must_use]
    pub fn durations(&self) -> &[u64] {
        &self.duration
    }

    /// The column of failures.
    #[must_use]
    pub fn errors(&self) -> &[bool] {
        &self.error
    }

    /// The column of span ids.
    #[must_use]
    pub fn spans(&self) -> &[u64] {
        &self.span
    }

    /// The column of parents' ids; 0 for none.
    #[must_use]
    pub fn parents(&self) -> &[u64] {
        &self.parent
    }
}

impl<'a> FromIterator<&'a Span> for SpanColumns {
    fn from_iter<I: IntoIterator<Item = &'a Span>>(spans: I) -> Self {
        let mut columns = Self::new();
        spans.into_iter().for_each(|span| columns.push_span(span));
        columns
    }
}

impl From<&TelemetryWindow> for SpanColumns {
    fn from(window: &TelemetryWindow) -> Self {
        window.spans.iter().collect()
    }
}
