//! What one window's spans add up to.

use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::model::{EntityId, SpanStatus, time};
use jiff::Timestamp;

use super::spans::{Item, Operation, Operations, Spans, index};
use crate::robust::{count, decile_mean, location_and_scale, quantile, sorted};

/// Where time was spent: within an entity under an operation, or between two entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Own(Operation),
    Between { caller: Operation, callee: Operation },
}

/// Times of one kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) n: usize,
    /// Seconds, without what a few outliers add.
    pub(super) mean: f64,
    pub(super) spread: f64,
    /// Middles of the tenths, ascending.
    pub(super) tenths: [f64; 10],
}

impl Times {
    /// Of values in order.
    fn of(sorted: &[f64]) -> Option<Self> {
        let (_, spread) = location_and_scale(sorted)?;
        let mut tenths = [0.0; 10];
        for (i, tenth) in tenths.iter_mut().enumerate() {
            *tenth = quantile(sorted, (count(i) + 0.5) / 10.0)?;
        }
        Some(Self { n: sorted.len(), mean: decile_mean(sorted)?, spread, tenths })
    }

    /// Whether, since `before`, one of `copies` that share the requests evenly is slow and the others are as they were: of so many requests a
    /// share takes longer than hardly any did, and the rest as long as all did. What slows all copies leaves none as they were. A share is
    /// told to a tenth, more or less.
    pub(super) fn of_one_copy(&self, before: &Self, copies: usize) -> bool {
        let [.., most] = before.tenths;
        let slow = self.tenths.iter().filter(|t| **t > SEPARATE * most).count();
        let (share, of_one) = (count(slow) / 10.0, 1.0 / count(copies.max(1)));
        if copies < 2 || slow == 0 || (share - of_one).abs() > TOLD {
            return false;
        }
        // The middle of the rest, which is one of tenths from the first to the last that is not slow.
        let middle =
            |t: &[f64; 10], n: usize| t.get(n.saturating_sub(1) / 2).copied().unwrap_or(f64::INFINITY);
        middle(&self.tenths, 10 - slow) <= (1.0 + AS_EVER) * middle(&before.tenths, 10)
    }
}

/// How many times as long as hardly any request took before a slow one takes.
const SEPARATE: f64 = 2.0;
/// How far off a share of requests is that is told by tenths, with as many requests as a few minutes hold.
const TOLD: f64 = 0.2;
/// How much longer than before the rest may take, who wait for the same processors and callees.
const AS_EVER: f64 = 0.5;

/// What is counted of an operation's spans.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) spans: u64,
    pub(super) failed: u64,
    /// Children of its spans, and the sum of their squares.
    pub(super) children: f64,
    pub(super) squares: f64,
}

/// O(spans · log spans).
#[derive(Debug)]
pub(super) struct Summary {
    /// By operation.
    seen: Vec<Seen>,
    pub(super) times: BTreeMap<Place, Times>,
    /// By operation and kind of child: spans with at least one such child.
    pub(super) with_child: BTreeMap<(Operation, Operation), u64>,
    /// Seconds by place between entities, kept for pools.
    between: Vec<(Place, f64)>,
}

impl Summary {
    pub(super) fn of(spans: &Spans<'_>, operations: &Operations<'_>) -> Self {
        let overlapped = overlapped(spans);
        let mut seen = vec![Seen::default(); operations.len()];
        let mut times: Vec<(Place, f64)> = Vec::new();
        let mut with_child: Vec<(Operation, Operation)> = Vec::new();
        let mut kinds: Vec<Operation> = Vec::new();
        for item in spans.iter() {
            kinds.clear();
            let mut covered = overlapped.get(item.place()).copied().unwrap_or(0);
            let (mut children, mut remote) = (0_usize, None);
            for child in spans.children(&item) {
                covered += child.span.duration.as_nanos();
                children += 1;
                kinds.push(child.operation);
                if child.span.entity != item.span.entity {
                    remote = Some(child.operation);
                }
            }
            kinds.sort_unstable();
            kinds.dedup();
            with_child.extend(kinds.iter().map(|kind| (item.operation, *kind)));
            if let Some(of) = seen.get_mut(index(item.operation)) {
                let n = count(children);
                of.spans += 1;
                of.failed += u64::from(item.span.status == SpanStatus::Error);
                of.children += n;
                of.squares += n * n;
            }
            let own = item.span.duration.as_nanos().saturating_sub(covered);
            let seconds = Duration::from_nanos(u64::try_from(own).unwrap_or(u64::MAX)).as_secs_f64();
            // A span around one call to another entity waits for the network and the other's queue.
            let place = match remote {
                Some(callee) if children == 1 => Place::Between { caller: item.operation, callee },
                _ => Place::Own(item.operation),
            };
            times.push((place, seconds));
        }
        times.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut by_place = BTreeMap::new();
        let mut values = Vec::new();
        for group in times.chunk_by(|a, b| a.0 == b.0) {
            values.clear();
            values.extend(group.iter().map(|t| t.1));
            if let (Some((place, _)), Some(times)) = (group.first(), Times::of(&values)) {
                by_place.insert(*place, times);
            }
        }
        with_child.sort_unstable();
        let pairs = with_child.chunk_by(|a, b| a == b);
        let with_child = pairs.filter_map(|g| Some((*g.first()?, g.len() as u64))).collect();
        times.retain(|t| matches!(t.0, Place::Between { .. }));
        Self { seen, times: by_place, with_child, between: times }
    }

    pub(super) fn seen(&self, operation: Operation) -> Seen {
        self.seen.get(index(operation)).copied().unwrap_or_default()
    }

    pub(super) fn spans_of(&self, operation: Operation) -> f64 {
        as_f64(self.seen(operation).spans)
    }

    /// Times between entities, pooled.
    pub(super) fn pools<'a>(&self, operations: &Operations<'a>) -> Pools<'a> {
        let entity = |o: Operation| operations.get(o).map(|o| o.0);
        let end = |callee: bool| {
            let of = |(place, seconds): &(Place, f64)| match place {
                Place::Between { caller, callee: to } => {
                    Some((entity(if callee { *to } else { *caller })?, *seconds))
                }
                Place::Own(_) => None,
            };
            let mut all: Vec<(&EntityId, f64)> = self.between.iter().filter_map(of).collect();
            all.sort_unstable_by(|a, b| a.0.cmp(b.0).then(a.1.total_cmp(&b.1)));
            let groups = all.chunk_by(|a, b| a.0 == b.0);
            let pooled = |group: &[(&'a EntityId, f64)]| {
                let values: Vec<f64> = group.iter().map(|v| v.1).collect();
                Some((group.first()?.0, Times::of(&values)?))
            };
            groups.filter_map(pooled).collect()
        };
        Pools { to: end(true), from: end(false), all: Times::of(&sorted(self.between.iter().map(|b| b.1))) }
    }
}

/// Times between entities, whatever the operations.
#[derive(Debug)]
pub(super) struct Pools<'a> {
    pub(super) to: BTreeMap<&'a EntityId, Times>,
    pub(super) from: BTreeMap<&'a EntityId, Times>,
    pub(super) all: Option<Times>,
}

/// By place of a span without children: nanoseconds during which a sibling of the same entity that began later was under
/// way. A handler that waits beside the call it made has not worked itself. O(spans · log siblings).
fn overlapped(spans: &Spans<'_>) -> Vec<u128> {
    let mut overlapped = Vec::new();
    let mut group: Vec<Item<'_>> = Vec::new();
    for siblings in spans.siblings() {
        group.clear();
        group.extend(siblings);
        if group.len() < 2 {
            continue;
        }
        group.sort_unstable_by_key(|item| (&item.span.entity, item.span.start, item.span.span_id));
        for same in group.chunk_by(|a, b| a.span.entity == b.span.entity).filter(|g| g.len() > 1) {
            // From the last to the first: what later siblings cover, apart, the earliest on top.
            let mut later: Vec<(Timestamp, Timestamp)> = Vec::new();
            for item in same.iter().rev() {
                let start = item.span.start;
                let end = time::after(start, item.span.duration);
                let (mut covered, mut reaches) = (0, end);
                while let Some((from, to)) = later.pop_if(|top| top.0 < end) {
                    covered += time::elapsed(from, to.min(end)).as_nanos();
                    reaches = reaches.max(to);
                }
                later.push((start, reaches));
                if covered > 0 && spans.children(item).next().is_none() {
                    if overlapped.len() <= item.place() {
                        overlapped.resize(item.place() + 1, 0);
                    }
                    if let Some(cell) = overlapped.get_mut(item.place()) {
                        *cell = covered;
                    }
                }
            }
        }
    }
    overlapped
}

pub(super) fn as_f64(n: u64) -> f64 {
    count(usize::try_from(n).unwrap_or(usize::MAX))
}
