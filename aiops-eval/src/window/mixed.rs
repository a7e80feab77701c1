//! A mixed stream of samples, spans and lines, made up second by second.

use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    EntityId, LogRecord, LogSeverity, MetricKind, MetricSeries, SeriesKey, Span, SpanId, SpanStatus,
    TimeAxis, TimeRange, TraceId, Unit, time,
};

use crate::EvalError;

/// Services.
const SERVICES: usize = 40;
/// Kinds of requests, each a tree of calls.
const REQUESTS: usize = 24;
/// Requests that begin in a second.
const PER_SECOND: usize = 100;
/// Seconds between two batches of a series, which is sampled once a second.
const BATCH: u64 = 10;
/// From which part of the window on the fault is there.
const FAULT_FROM: f64 = 0.8;
/// Mean own time of a span at the service at fault, in milliseconds, beside some 5 elsewhere.
const SLOW: f64 = 150.0;

/// What is measured of every service, with its usual level and unit.
const METRICS: [(&str, f64, &str); 8] = [
    ("process.cpu.utilization", 20.0, "%"),
    ("process.memory.usage", 4e8, "By"),
    ("http.server.request.rate", 50.0, "1/s"),
    ("http.server.request.duration", 0.02, "s"),
    ("jvm.gc.duration", 0.004, "s"),
    ("db.client.connection.pool.used", 6.0, "{connection}"),
    ("process.open_file_descriptor.count", 220.0, "{file}"),
    ("system.network.io", 3e6, "By/s"),
];

/// Texts of lines; `#` stands for a number, `@` for a word of few, `%` for an id.
const LINES: [&str; 12] = [
    "request % of tenant @ accepted",
    "handled request % in # ms, # rows",
    "cache lookup for key user:# returned @",
    "GET /api/v2/items/# HTTP/1.1 200 # bytes",
    "acquired connection # from pool @ after # us",
    "published event % to partition # at offset #",
    "token of session % refreshed, ttl=#s",
    "retrying upstream 10.1.#.# attempt #",
    "wrote # bytes to /var/lib/data/segment-#.log",
    "user # moved from group @ to group @",
    "scheduled job @ finished in # ms",
    "feature @ evaluated for account # as true",
];
const FAILURE: &str = "cannot lease a worker: pool of # exhausted after # ms";
const WORDS: [&str; 6] = ["alpha", "beta", "gamma", "delta", "eu-west", "us-east"];

/// One span of a kind of request: who, and which earlier span of the request calls it.
#[derive(Debug, Clone, Copy)]
struct Step {
    service: usize,
    caller: Option<usize>,
}

/// A second of the stream, in the order in which it arrives.
#[derive(Debug, Clone, Default)]
pub struct Second {
    /// Batches of samples, one per series when they are due.
    pub metrics: Vec<MetricSeries>,
    /// Spans in the order of their ends, and lines in the order of their instants.
    pub spans: Vec<Span>,
    /// Lines.
    pub lines: Vec<LogRecord>,
}

impl Second {
    /// Size of the records' content in bytes: ids, instants, durations and values at their width, texts and names at their
    /// length, names once in every record.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let samples: usize = self.metrics.iter().map(|series| series.len() * 16).sum();
        let span = |span: &Span| 49 + span.entity.name().len() + span.operation.len();
        let line = |line: &LogRecord| 33 + line.entity.name().len() + line.body.len();
        let spans: usize = self.spans.iter().map(span).sum();
        let lines: usize = self.lines.iter().map(line).sum();
        (samples + spans + lines) as u64
    }
}

/// Telemetry of made-up services over a window: 40 services that call each other for 24 kinds of requests, 100 requests a
/// second, some two lines per span, eight series per service sampled once a second. One service becomes slow, busy and
/// writes errors in the last fifth of the window. Deterministic by seed; nothing of it is kept.
#[derive(Debug)]
pub struct MixedStream {
    random: fastrand::Rng,
    kinds: Vec<Vec<Step>>,
    start: Timestamp,
    seconds: u64,
    at: u64,
    next_id: u64,
    culprit: usize,
}

impl MixedStream {
    /// A stream over `seconds` seconds.
    ///
    /// # Errors
    /// [`EvalError::Config`] for fewer than 60 seconds or more than 10⁶.
    pub fn new(seconds: u64, seed: u64) -> Result<Self, EvalError> {
        if !(60..=1_000_000).contains(&seconds) {
            let value = seconds.to_string();
            return Err(EvalError::Config { field: "seconds", value, allowed: "60 to 10^6" });
        }
        let mut random = fastrand::Rng::with_seed(seed);
        let kinds = (0..REQUESTS).map(|_| kind(&mut random)).collect();
        let start = Timestamp::from_second(1_767_225_600).unwrap_or_default();
        // The services at the edge are called by nobody; everybody else may be at fault.
        let culprit = random.usize(SERVICES / 4..SERVICES);
        let mut stream = Self { random, kinds, start, seconds, at: 0, next_id: 1, culprit };
        // Whoever is at fault takes part in some requests at least.
        for steps in stream.kinds.iter_mut().take(3) {
            steps.push(Step { service: culprit, caller: Some(0) });
        }
        Ok(stream)
    }

    /// The window it is about.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        let length = Duration::from_secs(self.seconds);
        TimeRange::ending_at(time::after(self.start, length), length)
    }

    /// The service at fault.
    #[must_use]
    pub fn culprit(&self) -> EntityId {
        service(self.culprit)
    }

    /// When the fault begins.
    #[must_use]
    pub fn onset(&self) -> Timestamp {
        self.instant((self.seconds as f64 * FAULT_FROM) as u64, 0)
    }

    fn instant(&self, second: u64, micros: u64) -> Timestamp {
        time::after(self.start, Duration::from_secs(second) + Duration::from_micros(micros))
    }

    fn sick(&self, service: usize) -> bool {
        service == self.culprit && self.at as f64 >= self.seconds as f64 * FAULT_FROM
    }

    /// The next second; `None` at the end of the window.
    ///
    /// # Errors
    /// Those of [`MetricSeries::new`]; none for a stream that was made.
    pub fn next_second(&mut self) -> Result<Option<Second>, EvalError> {
        if self.at >= self.seconds {
            return Ok(None);
        }
        let mut second = Second::default();
        if self.at % BATCH == BATCH - 1 || self.at + 1 == self.seconds {
            self.samples(&mut second)?;
        }
        for _ in 0..PER_SECOND {
            let micros = self.random.u64(0..1_000_000);
            self.request(micros, &mut second);
        }
        second.spans.sort_by_key(|span| time::after(span.start, span.duration));
        second.lines.sort_by_key(|line| line.time);
        self.at += 1;
        Ok(Some(second))
    }

    /// The samples since the last batch.
    fn samples(&mut self, second: &mut Second) -> Result<(), EvalError> {
        let from = self.at - self.at % BATCH;
        for number in 0..SERVICES {
            let sick = self.sick(number);
            for (name, level, unit) in METRICS {
                let busy = sick && name.contains("cpu");
                let level = if busy { 4.0 * level } else { level };
                let values: Vec<Option<f64>> =
                    (from..=self.at).map(|_| Some(level * (0.9 + 0.2 * self.random.f64()))).collect();
                let axis = TimeAxis::regular(self.instant(from, 0), Duration::from_secs(1), values.len())?;
                let series = MetricSeries::new(SeriesKey::new(name), service(number), axis, values)?;
                let kind = if unit == "1/s" || unit == "By/s" { MetricKind::Rate } else { MetricKind::Gauge };
                second.metrics.push(series.with_kind(kind).with_unit(Unit::new(unit)));
            }
        }
        Ok(())
    }

    /// One request: its spans, callees within their callers, and two lines for each.
    fn request(&mut self, micros: u64, second: &mut Second) {
        let kind = self.random.usize(0..self.kinds.len());
        let Some(steps) = self.kinds.get(kind).cloned() else { return };
        let trace = TraceId(u128::from(self.random.u64(1..)) << 64 | u128::from(self.next_id));
        let first = self.next_id;
        self.next_id += steps.len() as u64;
        // Own time of each, then of each with those it calls, from the last to the first: callers stand before callees.
        let own: Vec<u64> = steps.iter().map(|step| self.own(step.service)).collect();
        let mut whole = own.clone();
        for (at, step) in steps.iter().enumerate().rev() {
            let took = whole.get(at).copied().unwrap_or(0);
            if let Some(caller) = step.caller.and_then(|caller| whole.get_mut(caller)) {
                *caller += took + 200;
            }
        }
        // Each begins when its caller has done a part of its own work and its earlier callees have ended.
        let mut begins = vec![micros; steps.len()];
        let mut busy: Vec<u64> = own.iter().map(|own| own / 2).collect();
        for (at, step) in steps.iter().enumerate() {
            let Some(caller) = step.caller else { continue };
            let from =
                begins.get(caller).copied().unwrap_or(0) + busy.get(caller).copied().unwrap_or(0) + 100;
            if let Some(begin) = begins.get_mut(at) {
                *begin = from;
            }
            if let Some(busy) = busy.get_mut(caller) {
                *busy += whole.get(at).copied().unwrap_or(0) + 200;
            }
        }
        for ((at, step), (begin, took)) in (0_u64..).zip(&steps).zip(begins.iter().zip(&whole)) {
            let entity = service(step.service);
            let id = SpanId(first + at);
            let start = self.instant(self.at, *begin);
            let operation = format!("POST /v1/service-{}/do-{kind}", step.service);
            let mut span = Span::new(trace, id, entity, operation, start, Duration::from_micros(*took));
            let failed = self.sick(step.service) && self.random.u8(0..10) < 4;
            span.status = if failed { SpanStatus::Error } else { SpanStatus::Ok };
            if let Some(caller) = step.caller {
                span = span.with_parent(SpanId(first + caller as u64));
            }
            for n in 0..2 {
                let text =
                    LINES.get((step.service * 3 + n * 5 + kind) % LINES.len()).copied().unwrap_or_default();
                self.line(&span, begin + n as u64 * 50, text, LogSeverity::Info, second);
            }
            if failed {
                self.line(&span, begin + took, FAILURE, LogSeverity::Error, second);
            }
            second.spans.push(span);
        }
    }

    /// Own time of a span in µs: exponential.
    fn own(&mut self, service: usize) -> u64 {
        let mean = if self.sick(service) { SLOW } else { 5.0 };
        (-mean * 1000.0 * (1.0 - self.random.f64()).ln()) as u64 + 50
    }

    fn line(&mut self, span: &Span, micros: u64, text: &str, severity: LogSeverity, second: &mut Second) {
        let mut body = String::with_capacity(text.len() + 24);
        for c in text.chars() {
            match c {
                '#' => body.push_str(&self.random.u32(0..100_000).to_string()),
                '%' => body.push_str(&format!("{:016x}", self.random.u64(..))),
                '@' => {
                    body.push_str(WORDS.get(self.random.usize(0..WORDS.len())).copied().unwrap_or_default())
                }
                c => body.push(c),
            }
        }
        let time = self.instant(self.at, micros);
        let mut line = LogRecord::new(time, span.entity.clone(), body).with_severity(severity);
        line.trace_id = Some(span.trace_id);
        line.span_id = Some(span.span_id);
        second.lines.push(line);
    }
}

fn service(number: usize) -> EntityId {
    EntityId::service(format!("service-{number}"))
}

/// A tree of six to ten calls from a service at the edge downwards.
fn kind(random: &mut fastrand::Rng) -> Vec<Step> {
    let edge = SERVICES / 4;
    let mut steps = vec![Step { service: random.usize(0..edge), caller: None }];
    for _ in 0..random.usize(5..10) {
        // Who calls has a smaller number, so that nobody calls themselves by way of others.
        let caller = random.usize(0..steps.len());
        let above = steps.get(caller).map_or(0, |step| step.service);
        if above + 1 < SERVICES {
            let service = random.usize((above + 1).max(edge)..SERVICES);
            steps.push(Step { service, caller: Some(caller) });
        }
    }
    steps
}
