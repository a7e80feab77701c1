//! Generated incidents of any size for the localisers.

use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    EntityId, MetricKind, MetricSeries, SeriesKey, Span, SpanId, TelemetryWindow, TimeAxis, TimeRange,
    TraceId, Unit,
};

/// What is normal, and what came since the fault.
#[derive(Debug)]
pub struct Incident {
    /// Normal.
    pub reference: TelemetryWindow,
    /// Since the fault: every call of the entity in the middle takes 50 ms more and its processor is busy.
    pub fault: TelemetryWindow,
    /// Who is at fault.
    pub root: EntityId,
}

/// Samples of a series, a minute apart.
const SAMPLES: usize = 20;
/// Whom each entity may call: so many of those after it.
const CALLEES: usize = 4;
/// Longest chain of calls.
const DEPTH: usize = 6;

/// At least `spans` spans in both windows together, of `entities` services (3 or more) that call those a few places on, from a
/// fixed seed: traces of about 13 spans, server and client spans in turn, and two metrics of each service.
#[must_use]
pub fn incident(entities: usize, spans: usize) -> Incident {
    let names: Vec<EntityId> =
        (0..entities.max(3)).map(|i| EntityId::service(format!("service-{i:05}"))).collect();
    let root = names.len() / 2;
    let begin = Timestamp::from_second(1_750_000_000).unwrap_or_default();
    let length = Duration::from_secs(60 * SAMPLES as u64);
    let reference = window(&names, spans / 2, begin, length, None);
    let fault = window(&names, spans / 2, begin + length, length, Some(root));
    let root = names.get(root).cloned().unwrap_or_else(|| EntityId::service("none"));
    Incident { reference, fault, root }
}

fn window(
    names: &[EntityId],
    spans: usize,
    begin: Timestamp,
    length: Duration,
    root: Option<usize>,
) -> TelemetryWindow {
    let mut rng = fastrand::Rng::with_seed(11 + u64::from(root.is_some()));
    let range = TimeRange::new(begin, begin + length).unwrap_or_else(|_| TimeRange::ending_at(begin, length));
    let mut window = TelemetryWindow::new(range);
    if let Ok(axis) = TimeAxis::regular(begin, Duration::from_secs(60), SAMPLES) {
        for (i, entity) in names.iter().enumerate() {
            for (name, level, unit) in [("cpu_pct", 20.0, "%"), ("memory_bytes", 1e8, "By")] {
                let level = if root == Some(i) && name == "cpu_pct" { 90.0 } else { level };
                let values = (0..SAMPLES).map(|_| Some(level * (0.95 + 0.1 * rng.f64()))).collect::<Vec<_>>();
                let series = MetricSeries::new(SeriesKey::new(name), entity.clone(), axis.clone(), values);
                let series = series.map(|s| s.with_kind(MetricKind::Gauge).with_unit(Unit::new(unit)));
                window.metrics.extend(series);
            }
        }
    }
    window.spans.reserve(spans + 64);
    let mut trace = 0_u64;
    while window.spans.len() < spans {
        trace += 1;
        // Entry anywhere, so that everybody is called.
        let first = rng.usize(0..names.len());
        let share = trace as f64 * 13.0 / spans.max(1) as f64;
        let start = begin + length.mul_f64(share.min(0.999));
        call(
            &mut window.spans,
            names,
            &mut rng,
            Call { trace, parent: None, to: first, start, depth: 0 },
            root,
        );
    }
    window
}

struct Call {
    trace: u64,
    parent: Option<SpanId>,
    to: usize,
    start: Timestamp,
    depth: usize,
}

/// One call and those it makes; how long it took.
fn call(
    spans: &mut Vec<Span>,
    names: &[EntityId],
    rng: &mut fastrand::Rng,
    call: Call,
    root: Option<usize>,
) -> Duration {
    let Some(entity) = names.get(call.to) else { return Duration::ZERO };
    let (trace, id) = (TraceId(u128::from(call.trace)), SpanId(spans.len() as u64 + 1));
    let at = spans.len();
    let server = Span::new(trace, id, entity.clone(), "GET /resource", call.start, Duration::ZERO);
    spans.push(match call.parent {
        Some(parent) => server.with_parent(parent),
        None => server,
    });
    let mut took = Duration::from_micros(rng.u64(900..1100));
    let calls = if call.depth >= DEPTH { 0 } else { rng.usize(0..3) };
    for _ in 0..calls {
        let to = call.to + rng.usize(1..=CALLEES);
        if to >= names.len() {
            continue;
        }
        let (client, place) = (SpanId(spans.len() as u64 + 1), spans.len());
        let start = call.start + took;
        spans.push(
            Span::new(trace, client, entity.clone(), "HTTP GET", start, Duration::ZERO).with_parent(id),
        );
        let next = Call { trace: call.trace, parent: Some(client), to, start, depth: call.depth + 1 };
        let waited = self::call(spans, names, rng, next, root) + Duration::from_micros(rng.u64(180..220));
        if let Some(span) = spans.get_mut(place) {
            span.duration = waited;
        }
        took += waited;
    }
    if root == Some(call.to) {
        took += Duration::from_millis(50);
    }
    if let Some(span) = spans.get_mut(at) {
        span.duration = took;
    }
    took
}

/// Floor: one pass over every number and every name of both windows.
#[must_use]
pub fn one_pass(incident: &Incident) -> u64 {
    let mut sum = 0_u64;
    for window in [&incident.reference, &incident.fault] {
        for span in &window.spans {
            let times = span.start.as_microsecond().cast_unsigned() ^ u64::from(span.duration.subsec_nanos());
            let ids = span.span_id.0 ^ span.parent.map_or(0, |p| p.0);
            let names = span.entity.name().bytes().chain(span.operation.bytes());
            sum = names.fold(sum.wrapping_add(times ^ ids), |sum, byte| sum.wrapping_add(byte.into()));
        }
        for series in &window.metrics {
            sum = series.values().iter().fold(sum, |sum, value| sum.wrapping_add(value.to_bits()));
        }
    }
    sum
}
