//! Any bytes as spans: assembly never panics, loses no span without counting it, spends no more than it has, gives the
//! same however the spans are cut into batches, and what it gives survives a file.
#![no_main]

use aiops_compact::traces::{
    CompareConfig, SpanColumns, SpanRecord, TraceCompactor, TraceConfig, TraceOptions, TraceSummary, compare,
};
use libfuzzer_sys::fuzz_target;

/// 12 bytes a span: ids of a few bits, so that they meet; times of any size.
fn columns(data: &[u8]) -> SpanColumns {
    let mut columns = SpanColumns::new();
    let names: Vec<_> = ["a", "b", "c", "", "<other>"].map(|name| columns.intern(name)).to_vec();
    for chunk in data.chunks_exact(12) {
        let [trace, span, parent, who, start @ .., d0, d1, d2, d3] = chunk else { continue };
        let start = start.iter().fold(0_i64, |start, byte| start << 8 | i64::from(*byte));
        let duration = u64::from(u32::from_le_bytes([*d0, *d1, *d2, *d3]));
        let wide = who & 0x40 != 0;
        columns.push(SpanRecord {
            trace: u128::from(trace & 3),
            span: u64::from(*span),
            parent: u64::from(*parent),
            start: if wide { i64::from_le_bytes([*d3, *d2, *d1, *d0, *trace, *span, *parent, *who]) } else { start },
            duration: if wide { duration << 32 } else { duration & 0xffff },
            service: names[usize::from(who & 7) % names.len()],
            operation: names[usize::from(who >> 3 & 7) % names.len()],
            error: who & 0x80 != 0,
        });
    }
    columns
}

fn check(summary: &TraceSummary, spans: usize) {
    let quality = summary.quality();
    assert_eq!(quality.spans, spans as u64);
    let counted: u64 = summary.paths().values().map(|totals| totals.calls).sum();
    assert_eq!(counted + quality.duplicates + quality.conflicting_ids, quality.spans);
    for stats in summary.calls().values() {
        assert!(stats.totals.own <= stats.totals.duration && stats.totals.own_errors <= stats.totals.errors);
        assert!(stats.duration.count() == stats.totals.calls && stats.traces <= stats.totals.calls);
    }
    let written = serde_json::to_string(summary).expect("a summary can be written");
    let read: TraceSummary = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(&read, summary);
}

fuzz_target!(|data: &[u8]| {
    let config = TraceConfig::default();
    let all = columns(data);
    let whole = TraceCompactor::summarize(config, &all);
    check(&whole, all.len());

    let mut streamed = TraceCompactor::new(config);
    data.chunks(12 * 3).for_each(|batch| streamed.push(&columns(batch)));
    assert_eq!(streamed.finish(), whole);

    let tight = TraceOptions {
        max_open_traces: 2,
        max_open_spans: 9,
        max_spans_per_trace: 5,
        max_names: 3,
        max_call_types: 2,
        max_paths: 3,
        max_minutes: 2,
        ..TraceOptions::default()
    };
    let tight = TraceConfig::try_from(tight).expect("within the documented ranges");
    let mut bounded = TraceCompactor::new(tight);
    for batch in data.chunks(12 * 4) {
        bounded.push(&columns(batch));
        assert!(bounded.open_traces() <= 2 && bounded.open_spans() <= 9);
    }
    let bounded = bounded.finish();
    check(&bounded, all.len());

    let findings = compare(&bounded, &whole, &CompareConfig::default());
    assert!(findings.findings.iter().all(|f| f.score.is_finite() && f.sigma.is_finite()));
    assert!(findings.services.iter().all(|s| s.score.is_finite()));
});
