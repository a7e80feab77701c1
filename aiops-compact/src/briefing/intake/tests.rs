#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::traces::TraceConfig;
use aiops_core::model::{EntityId, SpanId, TraceId};

fn span(trace: u128, id: u64, operation: &str) -> Span {
    let start = Timestamp::UNIX_EPOCH + Duration::from_millis(id);
    let took = Duration::from_millis(1);
    Span::new(TraceId(trace), SpanId(id), EntityId::service("shop"), operation, start, took)
}

fn intake(options: TraceOptions, hold: bool) -> Intake {
    let config = WindowConfig { traces: TraceConfig::try_from(options).unwrap(), ..WindowConfig::default() };
    Intake::new(&config, hold)
}

#[test]
fn call_types_and_paths_are_bounded_over_the_whole_window() {
    let options =
        TraceOptions { max_call_types: 8, max_paths: 8, max_open_traces: 1, ..TraceOptions::default() };
    let mut intake = intake(options, false);
    let spans = 2 * BATCH as u64 + 9;
    for id in 1..=spans {
        // Other operations in each batch.
        intake.push_span(&span(id.into(), id, &format!("GET /{}", id / 10_000)));
    }
    let digest = intake.finish();
    // Those told apart, as many again under the operation of all others, and the one of all other services.
    assert!(digest.traces.calls().len() <= 2 * 8 + 1, "{}", digest.traces.calls().len());
    assert!(digest.traces.paths().len() <= 2 * 8 + 1, "{}", digest.traces.paths().len());
    assert_eq!(digest.traces.calls().values().map(|call| call.totals.calls).sum::<u64>(), spans);
}

#[test]
fn a_trace_longer_than_is_held_is_closed_in_parts() {
    let options = TraceOptions { max_spans_per_trace: 100, ..TraceOptions::default() };
    for (hold, most, evicted) in [(false, 100, 900), (true, 999, 0)] {
        let mut intake = intake(options, hold);
        let mut held = 0;
        for id in 1..1000 {
            intake.push_span(&span(1, id, "GET"));
            held = held.max(intake.held());
        }
        assert_eq!((held.min(most), intake.evicted()), (held, evicted));
        assert_eq!(intake.finish().work.values().map(|work| work.spans).sum::<u64>(), 999);
    }
}
