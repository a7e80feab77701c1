//! Any bytes as samples, spans, lines, changes and alerts of a window: the stream never panics, holds no more than its limits
//! allow, keeps its token budget, and gives the same bytes again for the same pieces.
#![no_main]

use std::time::Duration;

use aiops_compact::briefing::{
    BriefingBuilder, CountTokens, EstimatedTokens, IntakeConfig, IntakeOptions, WindowCompactor, WindowConfig,
};
use aiops_compact::traces::{TraceConfig, TraceOptions};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    Alert, Change, ChangeKind, EntityId, LogRecord, MetricSeries, SeriesKey, Severity, Span, SpanId, SpanStatus,
    TimeAxis, TimeRange, TokenBudget, TraceId,
};
use libfuzzer_sys::fuzz_target;

const BUDGET: TokenBudget = TokenBudget(400);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap_or(Timestamp::MAX)
}

fn briefing(data: &[u8], config: &WindowConfig) -> Option<String> {
    let range = TimeRange::new(at(0), at(600)).ok()?;
    let intake = *config.intake.options();
    let traces = *config.traces.options();
    let mut stream = WindowCompactor::new(BriefingBuilder::default(), config.clone()).stream(range);
    for piece in data.chunks_exact(10) {
        let [kind, who, trace, span, parent, t0, t1, d0, d1, text] = *piece else { continue };
        let entity = EntityId::service(["a", "b", "", "日"][usize::from(who & 3)]);
        // Mostly within the range, at times far beyond it.
        let second = i64::from(u16::from_le_bytes([t0, t1]) & 0x3ff) - 100;
        let time = if text == 255 { Timestamp::MAX } else { at(second) };
        let number = f64::from_bits(u64::from_le_bytes([t0, t1, d0, d1, text, trace, span, parent]));
        match kind % 5 {
            0 => {
                let axis = TimeAxis::irregular(vec![time]).ok()?;
                let value = (d1 & 1 == 0).then_some(if d0 & 1 == 0 { f64::from(text) } else { number });
                let name = ["cpu", "latency", "x"][usize::from(who >> 2) % 3];
                stream.push_metrics(&MetricSeries::new(SeriesKey::new(name), entity, axis, [value]).ok()?);
            }
            1 | 2 => {
                let length = u64::from(u16::from_le_bytes([d0, d1])) << if text & 0x80 == 0 { 0 } else { 40 };
                let length = Duration::from_millis(length);
                let id = TraceId(u128::from(trace & 7));
                let operation = ["GET", "PUT", "", "<other>"][usize::from(text & 3)];
                let mut record = Span::new(id, SpanId(span.into()), entity, operation, time, length);
                if parent & 1 == 1 {
                    record = record.with_parent(SpanId(u64::from(parent >> 1)));
                }
                if text & 0x40 != 0 {
                    record.status = SpanStatus::Error;
                }
                stream.push_span(&record);
            }
            3 => {
                let body = ["done in 5 ms", "row 7 locked", "\u{0}", ""][usize::from(text & 3)];
                let mut line = LogRecord::new(time, entity, body);
                if parent & 1 == 1 {
                    line.trace_id = Some(TraceId(u128::from(trace & 7)));
                    line.span_id = Some(SpanId(span.into()));
                }
                stream.push_line(&line);
            }
            _ if parent & 1 == 1 => {
                stream.push_alert(&Alert::new("Slow", entity, time, Severity::Warning));
            }
            _ => {
                let kind = ChangeKind::Deployment;
                stream.push_change(&Change::new(span.to_string(), time, kind, entity, "roll-out"));
            }
        }
        // Samples and slots of series, then spans and lines of both parts.
        let most = intake.max_series * (intake.max_samples + 1) + 2 * traces.max_open_spans;
        assert!(stream.held() <= most, "{} of {most}", stream.held());
    }
    let text = stream.finish(Vec::new(), BUDGET).ok()?.to_markdown();
    assert!(EstimatedTokens.count(&text) <= BUDGET.0, "{text}");
    Some(text)
}

fuzz_target!(|data: &[u8]| {
    let wide = WindowConfig::default();
    assert_eq!(briefing(data, &wide), briefing(data, &wide));
    let intake = IntakeOptions {
        max_entities: 2,
        max_line_kinds: 2,
        max_series: 2,
        max_samples: 16,
        max_events: 2,
        max_edges: 1,
    };
    let traces = TraceOptions {
        max_open_traces: 3,
        max_open_spans: 16,
        max_spans_per_trace: 5,
        max_names: 3,
        max_call_types: 2,
        max_paths: 2,
        ..TraceOptions::default()
    };
    let tight = WindowConfig {
        intake: IntakeConfig::try_from(intake).expect("checked by hand"),
        traces: TraceConfig::try_from(traces).expect("checked by hand"),
        ..WindowConfig::default()
    };
    briefing(data, &tight);
});
