//! Input and floors of the compaction of traces.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use aiops_compact::traces::{SpanColumns, SpanRecord};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, Span, SpanId, SpanStatus, TraceId, time};

/// FxHash as rustc has it: rotate, xor, multiply.
#[derive(Debug, Clone, Copy, Default)]
pub struct FxHasher(u64);

impl Hasher for FxHasher {
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

/// A map under FxHash.
pub type FxMap<K, V> = HashMap<K, V, BuildHasherDefault<FxHasher>>;

/// How the spans of concurrent traces lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Trace by trace.
    Grouped,
    /// By start; about 64 traces at a time are interleaved.
    Interleaved,
}

/// At least `n` spans of 120 services with 5 operations each, from a fixed seed: traces of about 39 spans, server and
/// client spans in turn, with errors, heavy-tailed times and 0.5 % orphans.
#[must_use]
pub fn spans(n: usize, layout: Layout) -> SpanColumns {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut columns = SpanColumns::new();
    let services: Vec<_> = (0..120).map(|s| columns.intern(&format!("service-{s}"))).collect();
    let operations: Vec<_> = (0..5).map(|o| columns.intern(&format!("GET /resource/{o}"))).collect();
    let client = columns.intern("HTTP GET");
    let mut records: Vec<SpanRecord> = Vec::with_capacity(n + 256);
    let mut trace = 0_u128;
    while records.len() < n {
        trace += 1;
        let first = records.len();
        let begin = trace as i64 * 1_000_000;
        // (parent span id, service, start, duration, depth)
        let mut todo = vec![(0_u64, rng.usize(0..8), begin, rng.u64(20_000_000..80_000_000), 0_u32)];
        let base = rng.u128(..);
        while let Some((parent, service, start, duration, depth)) = todo.pop() {
            let (Some(name), Some(operation)) = (services.get(service), operations.get(rng.usize(0..5)))
            else {
                continue;
            };
            let span = rng.u64(1..);
            let server = SpanRecord {
                trace: base,
                span,
                parent: if rng.u32(0..200) == 0 { rng.u64(1..) } else { parent },
                start,
                duration,
                service: *name,
                operation: *operation,
                error: rng.u32(0..100) == 0,
            };
            records.push(server);
            let calls = if depth >= 4 || records.len() - first > 40 { 0 } else { rng.u64(1..4) };
            let share = duration / (calls + 1);
            for call in 0..calls {
                let id = rng.u64(1..);
                let begin = start + (share / 2 + call * share) as i64;
                let waited = share * rng.u64(50..100) / 100;
                records.push(SpanRecord {
                    span: id,
                    parent: span,
                    start: begin,
                    duration: waited,
                    operation: client,
                    ..server
                });
                // Each service calls a few others.
                let callee = (service * 3 + rng.usize(1..4)) % 120;
                todo.push((id, callee, begin + (waited / 20) as i64, waited * 9 / 10, depth + 1));
            }
        }
        if let Some(own) = records.get_mut(first..) {
            own.sort_by_key(|record| record.start);
        }
    }
    if layout == Layout::Interleaved {
        records.sort_by_key(|record| record.start);
    }
    records.into_iter().for_each(|record| columns.push(record));
    columns
}

/// Floor: one update of a map by callee for each span: calls and their time.
#[must_use]
pub fn by_callee(columns: &SpanColumns) -> u64 {
    let mut map: FxMap<u32, (u64, u64)> = FxMap::default();
    for (service, duration) in columns.services().iter().zip(columns.durations()) {
        let entry = map.entry(*service).or_default();
        entry.0 += 1;
        entry.1 += duration;
    }
    map.values().map(|(calls, time)| calls ^ time).fold(0, u64::wrapping_add)
}

/// Floor of what knows callers: span id to service in one map, then the parent looked up and one update of a map by
/// caller, callee and operation. No self time, no sketch, no path, no duplicates.
#[must_use]
pub fn by_call(columns: &SpanColumns) -> u64 {
    let mut services: FxMap<u64, u32> = FxMap::default();
    services.reserve(columns.len());
    services.extend(columns.spans().iter().copied().zip(columns.services().iter().copied()));
    let mut map: FxMap<(u32, u32, u32), (u64, u64)> = FxMap::default();
    let names = columns.services().iter().zip(columns.operations());
    for ((parent, duration), (service, operation)) in
        columns.parents().iter().zip(columns.durations()).zip(names)
    {
        let caller = services.get(parent).copied().unwrap_or(u32::MAX);
        let entry = map.entry((caller, *service, *operation)).or_default();
        entry.0 += 1;
        entry.1 += duration;
    }
    map.values().map(|(calls, time)| calls ^ time).fold(0, u64::wrapping_add)
}

/// `n` whole traces of the model, of a front end and four other services of 30, from a fixed seed; one in 50 fails.
#[must_use]
pub fn traces(n: u64) -> Vec<Vec<Span>> {
    let mut rng = fastrand::Rng::with_seed(8);
    let mut id = 0;
    let traces = (1..=n).map(|trace| {
        let start = time::after(Timestamp::UNIX_EPOCH, Duration::from_millis(trace));
        let root = id + 1;
        let spans = (0..5).map(|at| {
            id += 1;
            let service = if at == 0 { 0 } else { rng.u32(1..30) };
            let entity = EntityId::service(format!("service-{service}"));
            let took = Duration::from_micros(rng.u64(1_000..50_000));
            let span = Span::new(TraceId(trace.into()), SpanId(id), entity, "GET /", start, took);
            let failed = at > 0 && trace % 50 == 0;
            let span = span.with_status(if failed { SpanStatus::Error } else { SpanStatus::Ok });
            if at > 0 { span.with_parent(SpanId(root)) } else { span }
        });
        spans.collect()
    });
    traces.collect()
}

/// Floor of what reads spans of the model: one update of a map by the name of the entity.
#[must_use]
pub fn by_entity(traces: &[Vec<Span>]) -> u128 {
    let mut map: FxMap<&str, (u64, Duration)> = FxMap::default();
    for span in traces.iter().flatten() {
        let entry = map.entry(span.entity.name()).or_default();
        *entry = (entry.0 + 1, entry.1 + span.duration);
    }
    map.values().map(|(calls, time)| u128::from(*calls) ^ time.as_nanos()).fold(0, u128::wrapping_add)
}

/// What an aggregation of the floor keeps: calls, failures and their time.
type Sums = (u64, u64, u64);

/// Floor of the same question: span id to row in one map, the parent looked up in it, and two updates of a map, by callee
/// and by path of three hops (caller's caller, caller, callee, operation, whether the parent is of the same service), under
/// the very keys of the summary. A parent that comes after its child is not found. No self time, no sketch, no traces per
/// call, no duplicates, no circles, no merge, no names.
#[must_use]
pub fn by_callee_and_path(columns: &SpanColumns) -> (u64, usize) {
    const ROOT: u32 = u32::MAX;
    const UNKNOWN: u32 = u32::MAX - 1;
    let mut rows: FxMap<u64, u32> = FxMap::default();
    rows.reserve(columns.len());
    // Caller's caller and caller of each row.
    let mut hops: Vec<(u32, u32)> = Vec::with_capacity(columns.len());
    let mut callees: FxMap<u32, Sums> = FxMap::default();
    let mut paths: FxMap<(u32, u32, u32, u32, bool), Sums> = FxMap::default();
    let ids = columns.spans().iter().zip(columns.parents());
    let names = columns.services().iter().zip(columns.operations());
    let facts = columns.durations().iter().zip(columns.errors());
    for (row, (((span, parent), (service, operation)), (duration, error))) in
        (0..).zip(ids.zip(names).zip(facts))
    {
        let above = if *parent == 0 { None } else { rows.get(parent).map(|row| *row as usize) };
        let above = above.and_then(|at| Some((*columns.services().get(at)?, *hops.get(at)?)));
        let (internal, hop) = match above {
            Some((caller, hop)) if caller == *service => (true, hop),
            Some((caller, (_, near))) => (false, (near, caller)),
            None => (false, (ROOT, if *parent == 0 { ROOT } else { UNKNOWN })),
        };
        hops.push(hop);
        rows.insert(*span, row);
        let path = paths.entry((hop.0, hop.1, *service, *operation, internal)).or_default();
        for sums in [path, callees.entry(*service).or_default()] {
            *sums = (sums.0 + 1, sums.1 + u64::from(*error), sums.2 + duration);
        }
    }
    let sum = paths.values().chain(callees.values()).map(|(calls, errors, time)| calls ^ errors ^ time);
    (sum.fold(0, u64::wrapping_add), paths.len())
}

#[cfg(test)]
mod tests {
    use aiops_compact::traces::{TraceCompactor, TraceConfig};

    use super::*;

    #[test]
    fn the_floor_has_the_keys_of_the_summary() {
        let columns = spans(20_000, Layout::Grouped);
        let summary = TraceCompactor::summarize(TraceConfig::default(), &columns);
        assert_eq!(by_callee_and_path(&columns).1, summary.paths().len());
        assert!(summary.paths().len() > 2_000);
    }
}
