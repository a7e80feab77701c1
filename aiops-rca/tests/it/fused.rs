//! The fused localiser and the named baselines on a made-up shop.

use std::time::Duration;

use aiops_core::Context;
use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    EdgeKind, EntityId, FaultType, LogRecord, LogSeverity, MetricKind, MetricSeries, SeriesKey, Span, SpanId,
    TelemetryWindow, TimeAxis, TimeRange, TraceId, Unit, time,
};
use aiops_core::seam::Localizer;
use aiops_rca::{Baseline, FindingKind, FusedLocalizer, FusedRanking, FusionConfig};
use futures_lite::future::block_on;

pub(crate) const NORMAL: i64 = 1_750_000_000;
pub(crate) const FAULT: i64 = NORMAL + 3600;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn service(name: &str) -> EntityId {
    EntityId::service(name)
}

/// Between −1 and 1, the same for the same numbers.
pub(crate) fn noise(a: u64, b: u64) -> f64 {
    let mut z = (a << 32 | b).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    f64::from(u32::try_from(z >> 40).unwrap()) / f64::from(1 << 23) - 1.0
}

/// What differs since the fault.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fault {
    /// Processor, in percent, of this service.
    pub(crate) cpu: Option<(String, f64)>,
    /// Milliseconds more between this service and whoever calls it.
    pub(crate) delay: Option<(String, u64)>,
    /// No longer writes its second line.
    pub(crate) silent: Option<String>,
}

/// A chain of services, each calling the next; `names` from the front on.
pub(crate) fn windows(names: &[&str], fault: &Fault) -> (TelemetryWindow, TelemetryWindow) {
    (window(names, NORMAL, 60, &Fault::default()), window(names, FAULT, 10, fault))
}

pub(crate) fn window(names: &[&str], from: i64, minutes: i64, fault: &Fault) -> TelemetryWindow {
    let range = TimeRange::new(at(from), at(from + minutes * 60)).unwrap();
    let mut window = TelemetryWindow::new(range);
    let axis =
        TimeAxis::regular(at(from), Duration::from_secs(60), usize::try_from(minutes).unwrap()).unwrap();
    for (i, name) in (0_u64..).zip(names) {
        let cpu = match &fault.cpu {
            Some((who, percent)) if who == name => *percent,
            _ => 10.0,
        };
        let samples = |level: f64, seed: u64| -> Vec<Option<f64>> {
            (0..minutes)
                .map(|m| Some(level * (1.0 + 0.05 * noise(seed, u64::try_from(m).unwrap()))))
                .collect()
        };
        for (metric, level, seed) in [("cpu_pct", cpu, 2 * i), ("memory_bytes", 1e8, 2 * i + 1)] {
            let key = SeriesKey::new(metric);
            let series = MetricSeries::new(key, service(name), axis.clone(), samples(level, seed)).unwrap();
            let unit = Unit::new(if metric == "cpu_pct" { "%" } else { "By" });
            window.metrics.push(series.with_kind(MetricKind::Gauge).with_unit(unit));
        }
    }
    for pair in names.windows(2) {
        window.topology.connect(service(pair[0]), service(pair[1]), EdgeKind::Calls);
    }
    for request in 0..u64::try_from(minutes).unwrap() * 5 {
        spans(&mut window, names, from, request, fault);
    }
    window
}

/// One request along the chain: each has a span of its own and, but for the last, one around its call.
fn spans(window: &mut TelemetryWindow, names: &[&str], from: i64, request: u64, fault: &Fault) {
    let start = at(from + i64::try_from(request).unwrap() * 12);
    let (trace, base) = (TraceId(u128::from(request) + 1), (request + 1) * 100);
    let mut took = Duration::ZERO;
    for (i, name) in names.iter().enumerate().rev() {
        let i = u64::try_from(i).unwrap();
        let own = Duration::from_micros(2000 + (noise(i, request) * 200.0).abs() as u64);
        took += own;
        let id = SpanId(base + 2 * i);
        let span = Span::new(trace, id, service(name), "serve", start, took);
        window.spans.push(if i == 0 { span } else { span.with_parent(SpanId(base + 2 * i - 1)) });
        let mut line = |text: &str| {
            let mut line = LogRecord::new(time::after(start, took), service(name), text);
            line.severity = Some(LogSeverity::Info);
            line.span_id = Some(id);
            window.logs.push(line);
        };
        line("Service.rs:10 begins");
        if fault.silent.as_deref() != Some(*name) {
            line("Service.rs:20 done");
        }
        if i > 0 {
            let slow = fault.delay.as_ref().filter(|d| d.0 == **name).map_or(0, |d| d.1);
            took += Duration::from_micros(500 + (noise(i + 50, request) * 50.0).abs() as u64);
            took += Duration::from_millis(slow);
            let caller = service(names[usize::try_from(i).unwrap() - 1]);
            let call = Span::new(trace, SpanId(base + 2 * i - 1), caller, "call", start, took);
            window.spans.push(call.with_parent(SpanId(base + 2 * i - 2)));
        }
    }
}

pub(crate) const NAMES: [&str; 5] = ["front", "cart", "order", "stock", "store"];

pub(crate) fn rank(names: &[&str], fault: &Fault) -> FusedRanking {
    let (reference, fault) = windows(names, fault);
    FusedLocalizer::default().rank(&reference, &fault)
}

pub(crate) fn busy(name: &str) -> Fault {
    Fault { cpu: Some((name.to_owned(), 90.0)), ..Fault::default() }
}

pub(crate) fn delayed(name: &str) -> Fault {
    Fault { delay: Some((name.to_owned(), 200)), ..Fault::default() }
}

pub(crate) fn silent(name: &str) -> Fault {
    Fault { silent: Some(name.to_owned()), ..Fault::default() }
}

#[test]
fn a_busy_processor_is_exhaustion_where_it_is() {
    let first = rank(&NAMES, &busy("order")).suspects.remove(0);
    assert_eq!((first.entity, first.fault), (service("order"), FaultType::ResourceExhaustion));
    assert_eq!(first.decided_by, Some(FindingKind::Cpu));
}

#[test]
fn time_between_caller_and_callee_is_the_network_of_the_callee() {
    let first = rank(&NAMES, &delayed("stock")).suspects.remove(0);
    assert_eq!((first.entity, first.fault), (service("stock"), FaultType::Network));
    let path = [service("stock"), service("order")];
    assert_eq!(first.path[..2], path);
}

#[test]
fn lines_that_always_stood_there_and_do_not_are_code() {
    let first = rank(&NAMES, &silent("cart")).suspects.remove(0);
    assert_eq!((first.entity, first.fault), (service("cart"), FaultType::Code));
    assert_eq!(first.findings[0].kind, FindingKind::LogMissing);
    assert!(first.findings[0].statement.contains("Service.rs:20"));
}

#[test]
fn without_the_modality_that_shows_it_there_is_less_and_it_is_said() {
    let (mut reference, mut fault) = windows(&NAMES, &silent("cart"));
    let score = |r: &FusedRanking| r.suspects.iter().find(|s| s.entity == service("cart")).unwrap().score;
    let whole = FusedLocalizer::default().rank(&reference, &fault);
    reference.logs.clear();
    fault.logs.clear();
    let blind = FusedLocalizer::default().rank(&reference, &fault);
    assert!(score(&blind) < score(&whole));
    assert!(blind.margin < whole.margin);
    assert!(blind.unseen.iter().any(|u| u.starts_with("logs")) && whole.unseen.is_empty());
}

#[test]
fn nothing_seen_is_no_suspicion() {
    let empty = || TelemetryWindow::new(TimeRange::new(at(FAULT), at(FAULT)).unwrap());
    let answer = FusedLocalizer::default().rank(&empty(), &empty());
    assert!(answer.suspects.is_empty());
    assert_eq!(answer.unseen.len(), 4);
    for baseline in Baseline::ALL {
        assert!(baseline.rank(&empty(), &empty()).suspects.is_empty(), "{}", baseline.name());
    }
}

#[test]
fn gaps_and_what_is_no_number_do_no_harm() {
    let (reference, mut fault) = windows(&NAMES, &busy("order"));
    let axis = TimeAxis::regular(at(FAULT), Duration::from_secs(60), 4).unwrap();
    for (name, values) in [
        ("front", [Some(f64::NAN), None, Some(f64::INFINITY), Some(f64::NEG_INFINITY)]),
        ("stock", [None, None, None, None]),
    ] {
        fault.metrics.retain(|s| *s.entity() != service(name));
        let key = SeriesKey::new("cpu_pct");
        fault.metrics.push(MetricSeries::new(key, service(name), axis.clone(), values).unwrap());
    }
    let answer = FusedLocalizer::default().rank(&reference, &fault);
    assert_eq!(answer.suspects[0].entity, service("order"));
    assert!(answer.suspects.iter().all(|s| s.score.is_finite()));
    for baseline in Baseline::ALL {
        let ranking = baseline.rank(&reference, &fault);
        assert!(ranking.suspects.iter().all(|s| s.score.is_finite()), "{}", baseline.name());
    }
}

#[test]
fn baselines_find_what_they_are_made_for() {
    let (reference, fault) = windows(&NAMES, &busy("order"));
    for baseline in [Baseline::NSigma, Baseline::RobustScorer, Baseline::Correlation] {
        let ranking = baseline.rank(&reference, &fault);
        assert_eq!(ranking.suspects[0].entity, service("order"), "{}", baseline.name());
    }
    let visits = Baseline::RandomWalk.rank(&reference, &fault);
    let sum: f64 = visits.suspects.iter().map(|s| s.score).sum();
    assert!((sum - 1.0).abs() < 1e-9, "shares of visits add up, not to {sum}");
}

#[test]
fn baro_counts_what_rose_and_varied_before() {
    let (mut reference, mut now) = windows(&NAMES, &busy("order"));
    let constant = |window: &TelemetryWindow, level: f64| {
        let axis = window.metrics[0].times().clone();
        let values = vec![Some(level); axis.len()];
        MetricSeries::new(SeriesKey::new("queue"), service("cart"), axis, values).unwrap()
    };
    let (a, b) = (constant(&reference, 0.0), constant(&now, 1e6));
    reference.metrics.push(a);
    now.metrics.push(b);
    let first = |baseline: Baseline| baseline.rank(&reference, &now).suspects[0].entity.clone();
    assert_eq!(first(Baseline::Baro), service("order"));
    assert_eq!(first(Baseline::RobustScorer), service("cart"), "a constant series keeps its unit");
    // Turned round, the processor fell: the distance is the same, the value is below.
    let fell = Baseline::Baro.rank(&now, &reference);
    assert!(fell.suspects.iter().find(|s| s.entity == service("order")).unwrap().score < 1.0);
}

#[test]
fn a_time_that_is_wrong_by_a_minute_does_no_harm() {
    let (reference, fault) = windows(&NAMES, &delayed("stock"));
    let mut recording = reference;
    recording.merge(fault);
    for error in [-50, 0, 50] {
        let answer = FusedLocalizer::default().rank_near(None, &recording, at(FAULT + error), None);
        assert_eq!(answer.suspects[0].entity, service("stock"), "stated {error} s off");
        let moved = answer.onset.unwrap().duration_since(at(FAULT + error)).as_secs().abs();
        assert!(moved <= 60, "moved by {moved} s, beyond its reach");
    }
}

#[test]
fn at_the_seam_nothing_found_suspects_nobody() {
    let (window, _) = windows(&NAMES, &Fault::default());
    let context = Context::system();
    let ranking = block_on(FusedLocalizer::default().localize(&window, &[], &context)).unwrap();
    assert!(ranking.suspects.is_empty());
}

#[test]
fn a_setting_out_of_range_is_refused_by_name() {
    let mut config = FusionConfig::default();
    config.reach = 2.0;
    let error = FusedLocalizer::default().with_config(config).unwrap_err();
    assert!(error.to_string().contains("reach"), "{error}");
}

/// A caller that gets as much as before and no longer calls on.
#[test]
fn calls_that_are_no_longer_made_are_held_against_the_only_caller() {
    let traffic = |window: &mut TelemetryWindow, share: f64| {
        let axis = window.metrics[0].times().clone();
        // The whole load varies, and a third less comes since.
        let load = |i: u64| (10.0 + 3.0 * noise(99, i)) * if share < 1.0 { 0.66 } else { 1.0 };
        for (n, name) in (0_u64..).zip(NAMES) {
            let of = |i: u64| {
                let stopped = if n > 2 { share } else { 1.0 };
                load(i) * stopped * (1.0 + 0.1 * noise(n, i))
            };
            let values: Vec<Option<f64>> = (0..axis.len() as u64).map(|i| Some(of(i))).collect();
            let key = SeriesKey::new("workload_ops");
            window.metrics.push(MetricSeries::new(key, service(name), axis.clone(), values).unwrap());
        }
        (window.spans, window.logs) = (Vec::new(), Vec::new());
    };
    let (mut reference, mut now) = windows(&NAMES, &Fault::default());
    traffic(&mut reference, 1.0);
    traffic(&mut now, 0.2);
    let answer = FusedLocalizer::default().rank(&reference, &now);
    let first = &answer.suspects[0];
    assert_eq!((&first.entity, first.fault), (&service("order"), FaultType::Code), "{answer:#?}");
    assert_eq!(first.findings[0].kind, FindingKind::CallsMissing);
    assert!(first.findings[0].statement.contains("of service/stock fell"), "{:?}", first.findings[0]);

    // Whom somebody else calls too gets less from whomever.
    for window in [&mut reference, &mut now] {
        window.topology.connect(service("cart"), service("stock"), EdgeKind::Calls);
    }
    let answer = FusedLocalizer::default().rank(&reference, &now);
    let found = answer.suspects.iter().flat_map(|s| &s.findings);
    assert!(found.into_iter().all(|f| f.kind != FindingKind::CallsMissing), "{answer:#?}");
}
