//! What was wrong with the spans.

use serde::{Deserialize, Serialize};

/// What was wrong with the spans of a summary, counted: nothing is dropped or mended in silence. Counts add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TraceQuality {
    /// Spans offered.
    pub spans: u64,
    /// Traces assembled; one that arrived in parts too far apart counts once per part.
    pub traces: u64,
    /// Spans with the id of another span of their trace and the same content: left out.
    pub duplicates: u64,
    /// Spans with the id of another span of their trace and other content: left out, the one that begins first stays.
    pub conflicting_ids: u64,
    /// Spans with the invalid id 0: counted in, though nothing can be their child.
    pub invalid_ids: u64,
    /// Spans whose parent is not there: counted in, as calls of an unknown caller.
    pub orphans: u64,
    /// Links to a parent that lead back to the span itself: cut, the span becomes an orphan.
    pub cycles: u64,
    /// Traces without a root, as far as they arrived.
    pub rootless_traces: u64,
    /// Traces with more than one root.
    pub many_rooted_traces: u64,
    /// Children that begin before their parent by more than the tolerance: placed amid the parent.
    pub leading_children: u64,
    /// Children that end after their parent by more than the tolerance (asynchronous, or a skewed clock): the part
    /// that overlaps counts as the parent's waiting.
    pub outlasting_children: u64,
    /// Spans that last no time: counted in.
    pub zero_durations: u64,
    /// Spans longer than the limit: counted in at the limit.
    pub too_long: u64,
    /// Spans that arrived before an earlier one of their trace did: put in order.
    pub out_of_order: u64,
    /// Traces closed before they were idle, since too many traces or spans were open: their later spans are orphans.
    pub evicted_traces: u64,
    /// Spans of those traces.
    pub evicted_spans: u64,
    /// Spans with a name that was not interned, or beyond the limit of names, call types or paths: counted under
    /// `<other>`.
    pub overflowed: u64,
}

impl TraceQuality {
    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            spans,
            traces,
            duplicates,
            conflicting_ids,
            invalid_ids,
            orphans,
            cycles,
            rootless_traces,
            many_rooted_traces,
            leading_children,
            outlasting_children,
            zero_durations,
            too_long,
            out_of_order,
            evicted_traces,
            evicted_spans,
            overflowed,
        } = other;
        for (mine, theirs) in [
            (&mut self.spans, spans),
            (&mut self.traces, traces),
            (&mut self.duplicates, duplicates),
            (&mut self.conflicting_ids, conflicting_ids),
            (&mut self.invalid_ids, invalid_ids),
            (&mut self.orphans, orphans),
            (&mut self.cycles, cycles),
            (&mut self.rootless_traces, rootless_traces),
            (&mut self.many_rooted_traces, many_rooted_traces),
            (&mut self.leading_children, leading_children),
            (&mut self.outlasting_children, outlasting_children),
            (&mut self.zero_durations, zero_durations),
            (&mut self.too_long, too_long),
            (&mut self.out_of_order, out_of_order),
            (&mut self.evicted_traces, evicted_traces),
            (&mut self.evicted_spans, evicted_spans),
            (&mut self.overflowed, overflowed),
        ] {
            *mine = mine.saturating_add(*theirs);
        }
    }
}
