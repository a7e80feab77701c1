//! What is kept of the spans and lines of a stretch of time.

use std::collections::BTreeMap;
use std::sync::Arc;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, LogSeverity};

use crate::logs::TemplateId;
use crate::traces::TraceSummary;

/// An operation of an entity; the empty name stands for lines of no span.
pub(super) type Operation = (Arc<EntityId>, Arc<str>);

/// The spans of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) spans: u64,
    /// Children of all of them, and the sum of the squares of each one's.
    pub(super) children: u64,
    pub(super) squares: u128,
}

/// The lines of one template of one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) first: Timestamp,
    pub(super) severity: Option<LogSeverity>,
    /// By the operation under which they were written.
    pub(super) under: BTreeMap<Arc<str>, u64>,
}

impl Lines {
    pub(super) fn count(&self) -> u64 {
        self.under.values().sum()
    }

    fn merge(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.severity = self.severity.max(other.severity);
        for (operation, lines) in other.under {
            *self.under.entry(operation).or_default() += lines;
        }
    }
}

/// What could not be kept or read, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    /// Spans and lines of entities beyond the limit.
    pub(super) entities: u64,
    /// Lines of writers and templates beyond the limit.
    pub(super) lines: u64,
    /// Spans whose children of some kind were not counted, beyond the limit of kinds.
    pub(super) links: u64,
}

/// What is kept of the spans and lines of a stretch of time: counts, sums and sketches by operation and by template, however
/// long the stretch was. Merging adds: exact, associative, commutative. It keeps all that either of the two holds, so that
/// `n` shards hold at most `n` times what the limits allow one of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Digest {
    pub(super) traces: TraceSummary,
    pub(super) work: BTreeMap<Operation, Work>,
    /// Spans of the first operation with at least one child of the second.
    pub(super) with_child: BTreeMap<Operation, BTreeMap<Operation, u64>>,
    pub(super) lines: BTreeMap<(Arc<EntityId>, TemplateId), Lines>,
    /// First span and first line.
    pub(super) first_span: Option<Timestamp>,
    pub(super) first_line: Option<Timestamp>,
    pub(super) dropped: Dropped,
}

/// The earlier of two instants, where there are any.
pub(super) fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    [a, b].into_iter().flatten().min()
}

impl Digest {
    /// Adds what `other` has seen, whose templates have the same ids.
    pub(super) fn merge(&mut self, other: Self) {
        self.traces.merge(&other.traces);
        for (operation, work) in other.work {
            let own = self.work.entry(operation).or_default();
            own.spans += work.spans;
            own.children += work.children;
            own.squares = own.squares.saturating_add(work.squares);
        }
        for (operation, children) in other.with_child {
            let own = self.with_child.entry(operation).or_default();
            for (child, spans) in children {
                *own.entry(child).or_default() += spans;
            }
        }
        for (key, lines) in other.lines {
            self.add_lines(key, lines);
        }
        self.first_span = earliest(self.first_span, other.first_span);
        self.first_line = earliest(self.first_line, other.first_line);
        self.dropped.entities += other.dropped.entities;
        self.dropped.lines += other.dropped.lines;
        self.dropped.links += other.dropped.links;
    }

    pub(super) fn add_lines(&mut self, key: (Arc<EntityId>, TemplateId), lines: Lines) {
        match self.lines.get_mut(&key) {
            Some(own) => own.merge(lines),
            None => {
                self.lines.insert(key, lines);
            }
        }
    }

    /// The same with each template's id replaced, after templates were joined or miners were.
    pub(super) fn resolved(mut self, resolve: impl Fn(TemplateId) -> TemplateId) -> Self {
        for ((entity, id), lines) in std::mem::take(&mut self.lines) {
            self.add_lines((entity, resolve(id)), lines);
        }
        self
    }

    /// Spans of an operation.
    pub(super) fn spans_of(&self, operation: &Operation) -> u64 {
        self.work.get(operation).map_or(0, |work| work.spans)
    }

    /// Who a service named in the traces is: the first of its name.
    pub(super) fn named(&self) -> BTreeMap<&str, &EntityId> {
        let mut names = BTreeMap::new();
        for (entity, _) in self.work.keys() {
            names.entry(entity.name()).or_insert(&**entity);
        }
        names
    }
}
