//! A window read as a stream: the same briefing as of the whole, in bounded memory, whatever arrives.

use std::time::Duration;

use aiops_compact::briefing::{
    Baseline, BriefingBuilder, CountTokens, EstimatedTokens, IntakeConfig, IntakeOptions, WeightConfig,
    WeightOptions, WindowCompactor, WindowConfig, WindowStream,
};
use aiops_compact::mask::{MaskConfig, MaskKey, Masker};
use aiops_compact::traces::{TraceConfig, TraceOptions};
use aiops_core::ErrorKind;
use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    Alert, Briefing, Change, ChangeKind, EdgeKind, EntityId, LogRecord, LogSeverity, MetricSeries, SeriesKey,
    Severity, Span, SpanId, SpanStatus, TelemetryWindow, TimeAxis, TimeRange, TokenBudget, TraceId, Unit,
};
use proptest::prelude::*;

const SECONDS: u64 = 300;

fn at(millis: u64) -> Timestamp {
    "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + Duration::from_millis(millis)
}

fn range() -> TimeRange {
    TimeRange::new(at(0), at(SECONDS * 1000)).unwrap()
}

/// Requests of four services, most lines written in spans, one series each; one service is slow and writes errors in the end.
fn window(seed: u64) -> TelemetryWindow {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut window = TelemetryWindow::new(range());
    let names = ["shop", "cart", "stock", "database"];
    let sick = random.usize(1..4);
    for request in 0..SECONDS * 2 {
        let start = request * 500 + random.u64(0..200);
        let trouble = start > SECONDS * 900;
        let (mut begin, trace) = (start, TraceId(u128::from(seed) << 64 | u128::from(request + 1)));
        for (depth, name) in (0_u64..).zip(names).take(random.usize(2..5)) {
            let own = random.u64(2..9) + if trouble && names[sick] == name { 120 } else { 0 };
            let id = SpanId(request * 10 + depth + 1);
            let mut span = Span::new(
                trace,
                id,
                EntityId::service(name),
                format!("POST /{name}"),
                at(begin),
                Duration::from_millis(own + 30 * (4 - depth)),
            );
            if depth > 0 {
                span = span.with_parent(SpanId(id.0 - 1));
            }
            let mut line =
                LogRecord::new(at(begin + 1), span.entity.clone(), format!("{name} took item {request} in"))
                    .with_severity(LogSeverity::Info);
            if random.u8(0..4) > 0 {
                (line.trace_id, line.span_id) = (Some(trace), Some(id));
            }
            window.logs.push(line.clone());
            if trouble && names[sick] == name {
                span.status = SpanStatus::Error;
                line.body = format!("lock on row {request} not granted");
                window.logs.push(line.with_severity(LogSeverity::Error));
            }
            window.spans.push(span);
            begin += 5;
        }
    }
    for name in names {
        let axis = TimeAxis::regular(at(0), Duration::from_secs(1), SECONDS as usize).unwrap();
        let values = (0..SECONDS).map(|second| match second {
            17 => None,
            _ if second > SECONDS * 9 / 10 && name == names[sick] => Some(90.0),
            _ => Some(20.0 + random.f64()),
        });
        let series = MetricSeries::new(SeriesKey::new("cpu"), EntityId::service(name), axis, values).unwrap();
        window.metrics.push(series.with_unit(Unit::new("%")));
    }
    let cart = EntityId::service("cart");
    window.changes.push(Change::new("c", at(200_000), ChangeKind::Deployment, cart.clone(), "cart 2"));
    window.alerts.push(Alert::new("Slow", cart.clone(), at(280_000), Severity::Warning));
    window.topology.connect(EntityId::service("shop"), cart, EdgeKind::Calls);
    window.sort();
    window
}

/// A piece of a window on its way.
#[derive(Clone)]
enum Piece {
    Metrics(MetricSeries),
    Span(Span),
    Line(LogRecord),
    Change(Change),
    Alert(Alert),
}

fn push(stream: &mut WindowStream, piece: &Piece) {
    match piece {
        Piece::Metrics(series) => stream.push_metrics(series),
        Piece::Span(span) => stream.push_span(span),
        Piece::Line(line) => stream.push_line(line),
        Piece::Change(change) => stream.push_change(change),
        Piece::Alert(alert) => stream.push_alert(alert),
    }
}

/// The pieces of a window, metrics in batches of `batch` samples, each up to `late` ms later than its time.
fn pieces(window: &TelemetryWindow, batch: usize, late: u64, seed: u64) -> Vec<Piece> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut timed: Vec<(Timestamp, Piece)> = Vec::new();
    for series in &window.metrics {
        let samples: Vec<(Timestamp, Option<f64>)> = series.times().iter().zip(series.samples()).collect();
        for part in samples.chunks(batch) {
            let axis = TimeAxis::irregular(part.iter().map(|sample| sample.0).collect()).unwrap();
            let values = part.iter().map(|sample| sample.1);
            let batch =
                MetricSeries::new(series.key().clone(), series.entity().clone(), axis, values).unwrap();
            timed.push((part.last().unwrap().0, Piece::Metrics(batch.with_unit(series.unit().clone()))));
        }
    }
    timed.extend(window.spans.iter().map(|s| (s.start + s.duration, Piece::Span(s.clone()))));
    timed.extend(window.logs.iter().map(|l| (l.time, Piece::Line(l.clone()))));
    timed.extend(window.changes.iter().map(|c| (c.time, Piece::Change(c.clone()))));
    timed.extend(window.alerts.iter().map(|a| (a.started_at, Piece::Alert(a.clone()))));
    let mut timed: Vec<(Timestamp, Piece)> = timed
        .into_iter()
        .map(|(time, piece)| (time + Duration::from_millis(random.u64(0..late + 1)), piece))
        .collect();
    timed.sort_by_key(|(time, _)| *time);
    timed.into_iter().map(|(_, piece)| piece).collect()
}

fn streamed(compactor: &WindowCompactor, window: &TelemetryWindow, pieces: &[Piece]) -> WindowStream {
    let mut stream = compactor.stream(window.range);
    stream.push_topology(&window.topology);
    pieces.iter().for_each(|piece| push(&mut stream, piece));
    stream
}

const BUDGET: TokenBudget = TokenBudget(4000);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_stream_gives_what_its_window_gives(
        seed in any::<u64>(),
        batch in 1_usize..80,
        late in 0_u64..5000,
        learned in any::<bool>(),
    ) {
        let window = window(seed);
        let mut compactor = WindowCompactor::default();
        if learned {
            compactor = compactor.with_baseline(Baseline::learn(&window, &WindowConfig::default()));
        }
        let whole = compactor.briefing(&window, Vec::new(), BUDGET).unwrap();
        let stream = streamed(&compactor, &window, &pieces(&window, batch, late, seed));
        prop_assert_eq!(stream.finish(Vec::new(), BUDGET).unwrap(), whole);
    }

    #[test]
    fn shards_join_to_the_whole_in_any_order(seed in any::<u64>(), shards in 2_usize..5) {
        let window = window(seed);
        let compactor = WindowCompactor::default();
        let whole = compactor.briefing(&window, Vec::new(), BUDGET).unwrap();
        // Cut between traces and between series; loose lines go anywhere.
        let mut random = fastrand::Rng::with_seed(seed);
        let mut parts: Vec<Vec<Piece>> = vec![Vec::new(); shards];
        for piece in pieces(&window, 7, 0, seed) {
            let shard = match &piece {
                Piece::Span(span) => span.trace_id.0 as usize,
                Piece::Line(LogRecord { trace_id: Some(trace), .. }) => trace.0 as usize,
                _ => random.usize(..),
            };
            parts[shard % shards].push(piece);
        }
        let streams = |order: &mut dyn Iterator<Item = usize>| -> Vec<WindowStream> {
            order.map(|shard| streamed(&compactor, &window, &parts[shard])).collect()
        };
        // From the left, and from the right in reverse.
        let mut left = streams(&mut (0..shards)).into_iter();
        let mut first = left.next().unwrap();
        left.for_each(|shard| first.merge(shard).unwrap());
        let mut right = streams(&mut (0..shards)).into_iter();
        let mut last = right.next().unwrap();
        for mut shard in right {
            shard.merge(last).unwrap();
            last = shard;
        }
        prop_assert_eq!(&first.finish(Vec::new(), BUDGET).unwrap(), &whole);
        prop_assert_eq!(&last.finish(Vec::new(), BUDGET).unwrap(), &whole);
    }

    #[test]
    fn no_budget_is_exceeded_and_no_secret_leaves(seed in any::<u64>(), budget in 150_usize..3000) {
        let mut window = window(seed);
        for (i, line) in window.logs.iter_mut().enumerate() {
            line.body = format!("{} of ann{}@example.com password=hunter2", line.body, i % 3);
        }
        for span in &mut window.spans {
            span.operation = format!("{} by bob@example.com", span.operation);
        }
        let check = |counter: &dyn CountTokens, builder: BriefingBuilder| {
            let masker = Masker::new(&MaskConfig::default(), MaskKey::new([7; 32])).unwrap();
            let compactor = WindowCompactor::new(builder.with_mask(masker), WindowConfig::default());
            let briefing = match compactor.briefing(&window, Vec::new(), TokenBudget(budget)) {
                Ok(briefing) => briefing,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Limit);
                    return;
                }
            };
            let text = briefing.to_markdown();
            assert!(counter.count(&text) <= budget, "{text}");
            assert!(!text.contains("@example.com") && !text.contains("hunter2"), "{text}");
            assert!(!briefing.lines.is_empty() || briefing.cuts.iter().any(|cut| cut.what.ends_with("findings")));
        };
        check(&EstimatedTokens, BriefingBuilder::default());
        #[cfg(feature = "tokenizer")]
        {
            use aiops_compact::briefing::Tokenizer;
            check(&Tokenizer::O200kBase, BriefingBuilder::default().with_counter(Tokenizer::O200kBase));
        }
    }
}

#[test]
fn the_fault_is_told_and_memory_stays() {
    let mut window = window(3);
    // What others say of cart is not what is looked for.
    window.alerts.clear();
    window.changes.clear();
    let compactor = WindowCompactor::default();
    let mut stream = compactor.stream(window.range);
    let mut most = 0;
    for piece in pieces(&window, 10, 0, 3) {
        push(&mut stream, &piece);
        most = most.max(stream.held());
    }
    // Samples of four series and 38 s of traces, of some 2,000 spans and as many lines.
    let spans_and_lines = window.spans.len() + window.logs.len();
    assert!(most < 4 * SECONDS as usize + spans_and_lines / 5, "{most} of {spans_and_lines}");
    let briefing = stream.finish(Vec::new(), BUDGET).unwrap();
    let text = briefing.to_markdown();
    assert!(text.contains("lock on row <*> not granted") && text.contains("own time of POST /"), "{text}");
    let first = &briefing.lines[0].entity;
    assert!(
        window.logs.iter().any(|line| line.entity == *first && line.severity == Some(LogSeverity::Error))
    );
}

fn cut(briefing: &Briefing, what: &str, why: &str) -> usize {
    let found = |cut: &&aiops_core::model::Cut| cut.what == what && cut.why.contains(why);
    briefing.cuts.iter().filter(found).map(|cut| cut.count).sum()
}

#[test]
fn what_the_limits_cost_is_said() {
    let window = window(5);
    let intake = IntakeOptions {
        max_entities: 3,
        max_line_kinds: 2,
        max_series: 2,
        max_samples: 16,
        max_events: 1,
        max_edges: 1,
    };
    let traces = TraceOptions { max_open_traces: 4, max_open_spans: 16, ..TraceOptions::default() };
    let config = WindowConfig {
        intake: IntakeConfig::try_from(intake).unwrap(),
        traces: TraceConfig::try_from(traces).unwrap(),
        ..WindowConfig::default()
    };
    let compactor = WindowCompactor::new(BriefingBuilder::default(), config);
    let mut stream = compactor.stream(window.range);
    for piece in pieces(&window, 10, 0, 5) {
        push(&mut stream, &piece);
        // 16 samples each of two series, and 16 spans and lines in either part.
        assert!(stream.held() <= 2 * 17 + 2 * 16, "{}", stream.held());
    }
    let mut topology = window.topology.clone();
    topology.connect(EntityId::service("shop"), EntityId::service("stock"), EdgeKind::Calls);
    stream.push_topology(&topology);
    stream.push_alert(&Alert::new("Older", EntityId::service("cart"), at(0), Severity::Info));
    let briefing = stream.finish(Vec::new(), BUDGET).unwrap();
    for (what, why) in [
        ("samples", "beyond the limits"),
        ("spans and lines", "beyond the limits"),
        ("lines", "beyond the limits"),
        ("spans and lines", "cut short"),
        ("changes and alerts", "beyond the limits"),
        ("calls told by topologies", "beyond the limits"),
    ] {
        assert!(cut(&briefing, what, why) > 0, "{what} {why}: {:?}", briefing.cuts);
    }
    assert_eq!(cut(&briefing, "samples", "beyond the limits"), 2 * SECONDS as usize);
}

#[test]
fn bad_input_is_counted_or_harmless() {
    let compactor = WindowCompactor::default();
    let mut stream = compactor.stream(range());
    let a = EntityId::service("a");
    let series = |times: Vec<Timestamp>, values: Vec<Option<f64>>| {
        let axis = TimeAxis::irregular(times).unwrap();
        MetricSeries::new(SeriesKey::new("cpu"), a.clone(), axis, values).unwrap()
    };
    // Twice the same instant, one outside, and what is no number.
    stream.push_metrics(&series(vec![at(0), at(1000)], vec![Some(1.0), Some(f64::NAN)]));
    stream.push_metrics(&series(vec![at(0), at(SECONDS * 1000)], vec![Some(2.0), None]));
    stream.push_metrics(&series(Vec::new(), Vec::new()));
    // Beyond the range, an endless span, a span that is its own parent, ids of zero.
    let span = |id: u64, begin: u64, length: u64| {
        let length = Duration::from_millis(length);
        Span::new(TraceId(1), SpanId(id), a.clone(), "", at(begin), length)
    };
    stream.push_span(&span(1, SECONDS * 1000, 1));
    stream.push_span(&span(2, 0, u64::MAX));
    stream.push_span(&span(3, 0, 5).with_parent(SpanId(3)));
    stream.push_span(&span(0, 0, 5).with_parent(SpanId(0)));
    stream.push_span(&span(0, 0, 5));
    let far = "9999-12-30T00:00:00Z".parse::<Timestamp>().unwrap();
    stream.push_line(&LogRecord::new(far, a.clone(), "x"));
    stream.push_line(&LogRecord::new(at(5), a.clone(), ""));
    stream.push_line(&LogRecord::new(at(1), a.clone(), "\u{0}\u{fffd}\n".repeat(10_000)));
    let briefing = stream.finish(Vec::new(), BUDGET).unwrap();
    assert_eq!(briefing.lines, []);
    assert_eq!(cut(&briefing, "samples", "of an instant"), 1);
    assert_eq!(cut(&briefing, "samples", "outside"), 1);
    assert_eq!(cut(&briefing, "samples", "not a number"), 1);
    assert_eq!(cut(&briefing, "spans", "outside"), 1);
    assert_eq!(cut(&briefing, "lines", "outside"), 1);
    // An empty range, and ranges that differ.
    let empty = compactor.stream(TimeRange::new(at(0), at(0)).unwrap());
    let mut stream = compactor.stream(range());
    assert_eq!(stream.merge(empty).unwrap_err().kind(), ErrorKind::Invalid);
    let empty = compactor.stream(TimeRange::new(at(0), at(0)).unwrap());
    assert_eq!(empty.finish(Vec::new(), BUDGET).unwrap().lines, []);
}

#[test]
fn long_series_are_averaged_by_slot() {
    let stream_of = |batches: &mut dyn Iterator<Item = (u64, u64)>| {
        let mut stream = WindowCompactor::default().stream(range());
        for (from, to) in batches {
            let axis =
                TimeAxis::regular(at(from * 50), Duration::from_millis(50), (to - from) as usize).unwrap();
            let values = (from..to).map(|i| Some(if i < 5000 { 10.0 } else { 50.0 } + (i % 4) as f64));
            let series =
                MetricSeries::new(SeriesKey::new("cpu"), EntityId::service("a"), axis, values).unwrap();
            stream.push_metrics(&series);
        }
        stream
    };
    // 6,000 samples, 20 a second; in one batch, in reverse order, and in two shards.
    let whole = stream_of(&mut [(0, 6000)].into_iter());
    assert!(whole.held() <= 512);
    let whole = whole.finish(Vec::new(), BUDGET).unwrap();
    assert!(whole.lines[0].text.starts_with("cpu: level shift up since 00:04:"), "{}", whole.lines[0].text);
    assert_eq!(cut(&whole, "series", "averaged"), 1);
    let reverse = stream_of(&mut (0..60).rev().map(|i| (i * 100, i * 100 + 100)));
    assert_eq!(reverse.finish(Vec::new(), BUDGET).unwrap(), whole);
    let mut left = stream_of(&mut [(0, 3000)].into_iter());
    left.merge(stream_of(&mut [(3000, 3100), (3100, 6000)].into_iter())).unwrap();
    assert_eq!(left.finish(Vec::new(), BUDGET).unwrap(), whole);
}

#[test]
fn thresholds_outside_their_range_are_named() {
    for (field, change) in [
        ("min_calls", (|o| o.min_calls = 1) as fn(&mut WeightOptions)),
        ("min_sigma", |o| o.min_sigma = 0.5),
        ("explained", |o| o.explained = -0.1),
        ("same_statement", |o| o.same_statement = f64::NAN),
        ("failure_floor", |o| o.failure_floor = 2.0),
        ("busy", |o| o.busy = 0.0),
    ] {
        let mut options = WeightOptions::default();
        change(&mut options);
        assert_eq!(WeightConfig::try_from(options).unwrap_err().field(), field);
    }
    for (field, change) in [
        ("max_entities", (|o| o.max_entities = 0) as fn(&mut IntakeOptions)),
        ("max_line_kinds", |o| o.max_line_kinds = 0),
        ("max_series", |o| o.max_series = 0),
        ("max_samples", |o| o.max_samples = 15),
        ("max_events", |o| o.max_events = 0),
    ] {
        let mut options = IntakeOptions::default();
        change(&mut options);
        assert_eq!(IntakeConfig::try_from(options).unwrap_err().field(), field);
    }
}
