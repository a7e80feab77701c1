//! Assembly of traces against the naive oracle, streaming against batch, merging, limits.

use std::time::Duration;

use aiops_compact::traces::{
    DurationSketch, SpanColumns, TraceCompactor, TraceConfig, TraceOptions, TraceSummary,
};
use aiops_core::model::{EntityId, Span, SpanId, SpanStatus, TelemetryWindow, TimeRange, TraceId};
use jiff::Timestamp;
use proptest::prelude::*;

use crate::trace_oracle::{Plain, agree, assemble, columns};

/// Small numbers meet often: duplicates, orphans, cycles, children before their parents all occur.
fn span() -> impl Strategy<Value = Plain> {
    (0..4_u128, 0..12_u64, 0..14_u64, 0..60_i64, 0..40_u64, 0..4_u32, 0..3_u32, any::<bool>()).prop_map(
        |(trace, span, parent, start, duration, service, operation, error)| Plain {
            trace,
            span,
            parent,
            start,
            duration,
            service,
            operation,
            error,
        },
    )
}

fn exact_clocks() -> TraceConfig {
    TraceConfig::try_from(TraceOptions { clock_tolerance_us: 0, ..TraceOptions::default() }).unwrap()
}

fn summarize(spans: &[Plain]) -> TraceSummary {
    TraceCompactor::summarize(exact_clocks(), &columns(spans))
}

/// The stored form without the one count that tells how spans arrived.
fn unordered(summary: &TraceSummary) -> serde_json::Value {
    let mut value = serde_json::to_value(summary).unwrap();
    value["quality"]["out_of_order"] = 0.into();
    value
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn assembly_agrees_with_the_oracle(spans in prop::collection::vec(span(), 0..60)) {
        agree(&summarize(&spans), &assemble(&spans));
    }

    #[test]
    fn streaming_is_batch(
        spans in prop::collection::vec(span(), 0..60).prop_shuffle(),
        cuts in prop::collection::vec(1..9_usize, 60),
    ) {
        let mut compactor = TraceCompactor::new(exact_clocks());
        let mut rest = spans.as_slice();
        for cut in cuts {
            let (batch, later) = rest.split_at(cut.min(rest.len()));
            compactor.push(&columns(batch));
            rest = later;
        }
        compactor.push(&columns(rest));
        let streamed = compactor.finish();
        let mut ordered = spans.clone();
        ordered.sort();
        prop_assert_eq!(unordered(&streamed), unordered(&summarize(&ordered)));
        prop_assert_eq!(summarize(&ordered).quality().out_of_order, 0);
    }

    #[test]
    fn merging_does_not_care_how(spans in prop::collection::vec(span(), 0..60)) {
        let shard = |n: u128| {
            let of: Vec<Plain> = spans.iter().copied().filter(|s| s.trace % 3 == n).collect();
            summarize(&of)
        };
        let [a, b, c] = [shard(0), shard(1), shard(2)];
        let merged = |parts: [&TraceSummary; 2]| {
            let mut sum = parts[0].clone();
            sum.merge(parts[1]);
            sum
        };
        let left = merged([&merged([&a, &b]), &c]);
        prop_assert_eq!(&left, &merged([&a, &merged([&b, &c])]));
        prop_assert_eq!(&left, &merged([&c, &merged([&b, &a])]));
        prop_assert_eq!(&left, &merged([&TraceSummary::new(), &left]));
        prop_assert_eq!(unordered(&left), unordered(&summarize(&spans)));
        let again: TraceSummary = serde_json::from_str(&serde_json::to_string(&left).unwrap()).unwrap();
        prop_assert_eq!(again, left);
    }

    #[test]
    fn quantiles_keep_their_error(
        mut samples in prop::collection::vec(prop_oneof![0..300_u64, any::<u64>(), 0..10_000_000_000_u64], 1..200),
        q in 0.0..=1.0_f64,
        split in 0..200_usize,
    ) {
        let (left, right) = samples.split_at(split.min(samples.len()));
        let [mut sketch, other] = [left, right].map(|part| part.iter().copied().collect::<DurationSketch>());
        sketch.merge(&other);
        prop_assert_eq!(&sketch, &samples.iter().copied().collect());
        samples.sort_unstable();
        let rank = ((q * samples.len() as f64).ceil() as usize).max(1) - 1;
        let (exact, estimate) = (samples[rank], sketch.quantile(q).unwrap());
        prop_assert!(exact.abs_diff(estimate) as f64 <= exact as f64 * DurationSketch::RELATIVE_ERROR);
        prop_assert!(exact >= 128 || exact == estimate);
    }

    #[test]
    fn any_times_are_survived(
        times in prop::collection::vec((any::<i64>(), any::<u64>(), 0..6_u64, 0..6_u64), 1..30),
    ) {
        let spans: Vec<Plain> = times
            .into_iter()
            .map(|(start, duration, span, parent)| Plain {
                trace: 1, start, span, parent, duration, service: (span % 3) as u32, operation: 0, error: false,
            })
            .collect();
        let summary = TraceCompactor::summarize(TraceConfig::default(), &columns(&spans));
        let day = u128::from(TraceOptions::default().max_duration_ms) * 1_000_000;
        for totals in summary.paths().values() {
            prop_assert!(totals.own <= totals.duration && totals.duration <= day * u128::from(totals.calls));
        }
        prop_assert_eq!(summary.quality().spans, spans.len() as u64);
    }
}

fn chain(trace: u128, start: i64) -> [Plain; 3] {
    let root =
        Plain { trace, start, span: 1, parent: 0, duration: 100, service: 0, operation: 0, error: false };
    let middle = Plain { start: start + 10, span: 2, parent: 1, duration: 70, service: 1, ..root };
    [root, middle, Plain { start: start + 20, span: 3, parent: 2, duration: 30, service: 2, ..root }]
}

#[test]
fn memory_is_bounded_and_the_loss_is_said() {
    let options = TraceOptions { max_open_traces: 10, max_open_spans: 24, ..TraceOptions::default() };
    let mut compactor = TraceCompactor::new(options.try_into().unwrap());
    let traces: Vec<[Plain; 3]> = (0..1000).map(|n| chain(n, n as i64)).collect();
    for pass in 0..3 {
        for trace in &traces {
            compactor.push(&columns(&trace[pass..=pass]));
            assert!(compactor.open_traces() <= 10 && compactor.open_spans() <= 24);
        }
    }
    let quality = *compactor.finish().quality();
    assert_eq!((quality.spans, quality.orphans), (3000, 2000));
    assert!(quality.evicted_traces >= 2980 && quality.evicted_spans == quality.evicted_traces);
}

#[test]
fn one_endless_trace_is_closed_in_parts() {
    let options = TraceOptions { max_spans_per_trace: 8, ..TraceOptions::default() };
    let spans: Vec<Plain> =
        (1..=100).map(|n| Plain { span: n, parent: n - 1, start: n as i64, ..chain(1, 0)[0] }).collect();
    let mut compactor = TraceCompactor::new(options.try_into().unwrap());
    compactor.push(&columns(&spans));
    assert!(compactor.open_spans() < 8);
    let streamed = compactor.finish();
    assert_eq!(streamed, TraceCompactor::summarize(options.try_into().unwrap(), &columns(&spans)));
    let quality = streamed.quality();
    assert_eq!((quality.spans, quality.evicted_spans, quality.traces), (100, 96, 13));
}

#[test]
fn idle_traces_are_closed_and_a_clock_that_jumps_back_closes_nothing() {
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    let mut compactor = TraceCompactor::new(TraceConfig::default());
    compactor.push(&columns(&chain(1, 0)));
    compactor.close_idle(at(1000));
    assert_eq!(compactor.open_traces(), 1, "nobody knows yet how long it has been open");
    compactor.close_idle(at(1029));
    compactor.push(&columns(&chain(2, 0)));
    assert_eq!(compactor.open_traces(), 2);
    compactor.close_idle(at(1031));
    assert_eq!(compactor.open_traces(), 1);
    compactor.close_idle(at(0));
    assert_eq!(compactor.open_traces(), 1);
    assert_eq!(compactor.summary().quality().traces, 1);
    let quality = *compactor.finish().quality();
    assert_eq!((quality.traces, quality.evicted_traces, quality.orphans), (2, 0, 0));
}

#[test]
fn names_and_paths_without_end_become_other() {
    let options =
        TraceOptions { max_paths: 20, max_call_types: 10, max_names: 500, ..TraceOptions::default() };
    let spans: Vec<Plain> = (0..2000_u32)
        .map(|n| Plain { trace: n.into(), service: n % 7, operation: n, ..chain(0, 0)[0] })
        .collect();
    let summary = TraceCompactor::summarize(options.try_into().unwrap(), &columns(&spans));
    assert!(summary.paths().len() <= 41 && summary.calls().len() <= 21);
    let calls: u64 = summary.paths().values().map(|totals| totals.calls).sum();
    assert_eq!(calls, 2000, "nothing is lost but its name");
    assert_eq!(summary.services()["s1"].totals.calls, 286);
    assert!(summary.quality().overflowed >= 1900);
}

#[test]
fn a_slow_clock_is_estimated() {
    // 5 ms behind, on a call that takes 1 ms there and 1 ms back.
    let [root, middle, _] = chain(1, 0);
    let root = Plain { duration: 10_000_000, ..root };
    let middle = Plain { start: 1_000_000 - 5_000_000, duration: 8_000_000, ..middle };
    let summary = TraceCompactor::summarize(TraceConfig::default(), &columns(&[middle, root]));
    let (pair, skew) = summary.skews().first_key_value().unwrap();
    assert_eq!((&*pair.0, &*pair.1), ("s0", "s1"));
    assert_eq!((skew.leading, skew.largest_lead, skew.estimate()), (1, 4_000_000, Some(-5_000_000.0)));
    assert_eq!(summary.services()["s0"].totals.own, 2_000_000, "self time survives the skew");
}

#[test]
fn spans_of_the_model_are_read() {
    let id = |name| EntityId::service(name);
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let root = Span::new(TraceId(1), SpanId(1), id("shop"), "GET /", start, Duration::from_millis(10));
    let child = Span::new(TraceId(1), SpanId(2), id("cart"), "get", start, Duration::from_millis(4))
        .with_parent(SpanId(1))
        .with_status(SpanStatus::Error);
    let mut window = TelemetryWindow::new(TimeRange::new(start, start + Duration::from_secs(60)).unwrap());
    window.spans = vec![root, child];
    let columns = SpanColumns::from(&window);
    let summary = TraceCompactor::summarize(TraceConfig::default(), &columns);
    assert_eq!(summary.services()["shop"].totals.own, 6_000_000);
    assert_eq!(summary.services()["cart"].totals.own_errors, 1);
    let paths: Vec<String> = summary.paths().keys().map(ToString::to_string).collect();
    assert_eq!(paths, ["(root) > (root) > shop: GET /", "(root) > shop > cart: get"]);
}

#[test]
fn hostile_stored_forms_are_refused() {
    for stored in [
        r#"{"offset":18446744073709551615,"bins":[1,2]}"#,
        r#"{"offset":3776,"bins":[1]}"#,
        r#"{"offset":0,"bins":[1],"more":1}"#,
    ] {
        assert!(serde_json::from_str::<DurationSketch>(stored).is_err(), "{stored}");
    }
    let summary = serde_json::to_string(&summarize(&chain(1, 0))).unwrap();
    let newer = summary.replacen(r#""version":1"#, r#""version":2"#, 1);
    assert!(serde_json::from_str::<TraceSummary>(&newer).unwrap_err().to_string().contains("version 2"));
    assert!(serde_json::from_str::<TraceOptions>(r#"{"max_path":1}"#).is_err());
}

/// Two spans of one id that differ in nothing but a name: which one stays may not depend on which name came first.
#[test]
fn conflicting_ids_are_settled_by_the_name_not_its_number() {
    let span = |span, parent, service| Plain {
        trace: 0,
        span,
        parent,
        start: 1,
        duration: 14,
        service,
        operation: 0,
        error: false,
    };
    for spans in
        [[span(0, 0, 1), span(5, 3, 1), span(5, 3, 0)], [span(0, 0, 1), span(5, 3, 0), span(5, 3, 1)]]
    {
        let summary = summarize(&spans);
        agree(&summary, &assemble(&spans));
        assert_eq!(summary.services()["s0"].totals.calls, 1);
    }
}
