use std::collections::VecDeque;

/// The NaN by which Prometheus marks the end of a series; no arithmetic produces these bits.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// A sample of a stored series, or the mark that the series ended (a stale marker).
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Value; the stale marker is a NaN with [`STALE_NAN_BITS`].
    pub value: f64,
}

impl Point {
    /// A sample.
    #[must_use]
    pub fn new(at_ms: i64, value: f64) -> Self {
        Self { at_ms, value }
    }

    /// The end of a series: from here on there is a gap, until the next sample.
    #[must_use]
    pub fn stale(at_ms: i64) -> Self {
        Self { at_ms, value: f64::from_bits(STALE_NAN_BITS) }
    }

    /// Whether this is the end of the series and not a value.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.value.to_bits() == STALE_NAN_BITS
    }
}

impl PartialEq for Point {
    /// Bitwise, so that NaN equals itself and a stale marker equals no other NaN.
    fn eq(&self, other: &Self) -> bool {
        self.at_ms == other.at_ms && self.value.to_bits() == other.value.to_bits()
    }
}

/// What became of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appended {
    Stored,
    Duplicate,
    Conflict,
    OutOfOrder,
}

/// Points of one series in strictly increasing time, at most `capacity`.
#[derive(Debug, Default)]
pub(super) struct Ring {
    points: VecDeque<Point>,
}

impl Ring {
    /// Appends, and drops the oldest point beyond `capacity`; returns also how many were dropped.
    pub(super) fn append(&mut self, point: Point, capacity: usize) -> (Appended, u64) {
        match self.points.back() {
            Some(last) if point.at_ms < last.at_ms => return (Appended::OutOfOrder, 0),
            Some(last) if point.at_ms == last.at_ms => {
                let outcome = if *last == point { Appended::Duplicate } else { Appended::Conflict };
                return (outcome, 0);
            }
            _ => {}
        }
        let mut dropped = 0;
        while self.points.len() >= capacity && self.points.pop_front().is_some() {
            dropped += 1;
        }
        self.points.push_back(point);
        (Appended::Stored, dropped)
    }

    pub(super) fn drop_before(&mut self, cutoff_ms: i64) -> u64 {
        let mut dropped = 0;
        while self.points.front().is_some_and(|point| point.at_ms < cutoff_ms) {
            self.points.pop_front();
            dropped += 1;
        }
        dropped
    }

    pub(super) fn drop_after(&mut self, limit_ms: i64) -> u64 {
        let mut dropped = 0;
        while self.points.back().is_some_and(|point| point.at_ms > limit_ms) {
            self.points.pop_back();
            dropped += 1;
        }
        dropped
    }

    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    pub(super) fn last(&self) -> Option<Point> {
        self.points.back().copied()
    }

    /// Points in `(after, upto]`, in time order.
    pub(super) fn between(&self, after_ms: i64, upto_ms: i64) -> Vec<Point> {
        let from = self.points.partition_point(|point| point.at_ms <= after_ms);
        let upto = self.points.partition_point(|point| point.at_ms <= upto_ms);
        self.points.iter().skip(from).take(upto.saturating_sub(from)).copied().collect()
    }
}
