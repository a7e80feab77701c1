//! Input and floors of the compaction of traces.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use aiops_compact::traces::{SpanColumns, SpanRecord};

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
