//! Spans of one trace, and their order.

use std::cmp::Ordering;
use std::sync::Arc;

use super::quality::TraceQuality;

/// Limits of assembly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub tolerance: u64,
    pub max_duration: u64,
}

/// One span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub start: i64,
    pub span: u64,
    pub parent: u64,
    pub duration: u64,
    pub service: u32,
    pub operation: u32,
    pub error: bool,
}

impl Row {
    pub(super) fn end(&self) -> i64 {
        self.start.saturating_add_unsigned(self.duration)
    }

    /// The order within a trace: by start, ties by everything else, so that the order of arrival decides nothing. Names
    /// count as text, since their numbers are given in order of arrival.
    #[inline]
    fn order(&self, other: &Self, names: &[Arc<str>]) -> Ordering {
        let times = |row: &Self| (row.start, row.span, row.parent, row.duration);
        times(self).cmp(&times(other)).then_with(|| {
            let texts = |row: &Self| (names.get(row.service as usize), names.get(row.operation as usize));
            texts(self).cmp(&texts(other)).then(self.error.cmp(&other.error))
        })
    }
}

/// Prepares the rows of one trace: counts what is wrong with their times, cuts durations, and sorts. O(n) when they are
/// sorted already, else O(n log n).
pub(super) fn arrange(rows: &mut [Row], names: &[Arc<str>], limits: Limits, quality: &mut TraceQuality) {
    let mut before = i64::MIN;
    let mut late = 0;
    for row in rows.iter_mut() {
        late += u64::from(row.start < before);
        before = before.max(row.start);
        quality.zero_durations += u64::from(row.duration == 0);
        if row.duration > limits.max_duration {
            quality.too_long += 1;
            row.duration = limits.max_duration;
        }
    }
    quality.out_of_order += late;
    if late > 0 || !rows.is_sorted_by(|a, b| a.order(b, names).is_le()) {
        rows.sort_unstable_by(|a, b| a.order(b, names));
    }
}
