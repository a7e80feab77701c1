//! Telemetry that goes on while a verifier watches.

use std::sync::{Arc, Mutex};

use aiops_act::{TelemetryVerifier, VerifierConfig};
use aiops_core::action::ReceiptRecord;
use aiops_core::model::{
    Anomaly, Baseline, DetectorId, EntityId, FetchRequest, FittedHash, MetricKind, MetricSeries, Recovery,
    RecoveryReport, Selector, SeriesKey, Shape, Signal, SignalSet, TelemetryWindow, TimeAxis, TimeRange,
};
use aiops_core::seam::{SourceCapability, TelemetrySource, Verifier};
use aiops_core::{Context, Error, ErrorKind, ManualClock, Result};
use async_trait::async_trait;
use futures_lite::future::block_on;
use serde_json::json;

use crate::support::{action, at, orders, restart, secs, start};

/// What a series shows at `t`, when read at `now`, both in seconds after the action ended; `None` is a gap.
type Level = Arc<dyn Fn(i64, i64) -> Option<f64> + Send + Sync>;
type Hook = Arc<dyn Fn(i64, &Context) -> Result<()> + Send + Sync>;

/// A source whose data depend on the time.
#[derive(Clone)]
pub(crate) struct Feed {
    series: Vec<(SeriesKey, EntityId, MetricKind, Level)>,
    before_fetch: Hook,
    blind: bool,
    hangs: bool,
    fetched: Arc<Mutex<Vec<FetchRequest>>>,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

impl Feed {
    pub(crate) fn new() -> Self {
        let before_fetch: Hook = Arc::new(|_, _| Ok(()));
        Self { series: Vec::new(), before_fetch, blind: false, hangs: false, fetched: Arc::default() }
    }

    pub(crate) fn with(
        mut self,
        key: SeriesKey,
        entity: EntityId,
        level: impl Fn(i64, i64) -> Option<f64> + Send + Sync + 'static,
    ) -> Self {
        self.series.push((key, entity, MetricKind::Gauge, Arc::new(level)));
        self
    }

    /// The series added last is of this kind.
    pub(crate) fn of_kind(mut self, kind: MetricKind) -> Self {
        self.series.last_mut().expect("a series").2 = kind;
        self
    }

    /// The latency of orders: bad from two minutes before the action to its end, and then at this level.
    pub(crate) fn latency(level: impl Fn(i64, i64) -> Option<f64> + Send + Sync + 'static) -> Self {
        Self::new().with(
            latency(),
            orders(),
            move |t, now| {
                if (-120..0).contains(&t) { BAD } else { level(t, now) }
            },
        )
    }

    /// Does this, with the seconds since the action, before each answer.
    pub(crate) fn first(
        mut self,
        hook: impl Fn(i64, &Context) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.before_fetch = Arc::new(hook);
        self
    }

    /// Answers, but without having looked at metrics.
    pub(crate) fn blind(mut self) -> Self {
        self.blind = true;
        self
    }

    /// Never answers.
    pub(crate) fn hanging(mut self) -> Self {
        self.hangs = true;
        self
    }

    pub(crate) fn fetched(&self) -> Vec<FetchRequest> {
        self.fetched.lock().unwrap().clone()
    }
}

pub(crate) fn down() -> Error {
    Error::new(ErrorKind::Unavailable, "the source is down")
}

/// Seconds after the action ended.
pub(crate) fn since_action(t: jiff::Timestamp) -> i64 {
    t.as_second() - start().as_second()
}

#[async_trait]
impl TelemetrySource for Feed {
    fn capability(&self) -> SourceCapability {
        SourceCapability::of(Signal::Metrics)
    }

    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        self.fetched.lock().unwrap().push(request.clone());
        let now = since_action(ctx.now());
        (self.before_fetch)(now, ctx)?;
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let mut window = TelemetryWindow::new(request.range);
        window.observed = if self.blind { SignalSet::none() } else { Signal::Metrics.into() };
        for (key, entity, kind, level) in &self.series {
            if !request.selector.selects(&key.name, entity, &key.labels) {
                continue;
            }
            let times = TimeAxis::covering(request.range, request.step)?;
            let samples: Vec<_> = times.iter().map(|t| level(since_action(t), now)).collect();
            if samples.iter().any(Option::is_some) {
                let series = MetricSeries::new(key.clone(), entity.clone(), times, samples)?;
                window.metrics.push(series.with_kind(*kind));
            }
        }
        window.sort();
        Ok(window)
    }
}

pub(crate) const GOOD: Option<f64> = Some(0.05);
pub(crate) const BAD: Option<f64> = Some(0.9);

pub(crate) fn latency() -> SeriesKey {
    SeriesKey::new("latency").with("service", "orders")
}

/// What detected the incident: 50 ms ± 10 ms before, 900 ms since two minutes before the action ended.
pub(crate) fn slow() -> Anomaly {
    slow_on(latency(), orders())
}

pub(crate) fn slow_on(series: SeriesKey, entity: EntityId) -> Anomaly {
    let selector = Selector::all().with_metric(series.name.clone()).with_entity(entity.clone());
    let reread = FetchRequest::new(TimeRange::ending_at(start(), secs(600)))
        .with_signals(Signal::Metrics.into())
        .with_selector(selector);
    Anomaly::new(
        DetectorId("test".into()),
        FittedHash::of(b"test"),
        entity,
        series,
        Shape::LevelShiftUp,
        at(-120),
        0.9,
        Baseline { center: 0.05, scale: 0.01, samples: 40 },
        reread,
    )
}

/// A restart of orders that ended at the start.
pub(crate) fn receipt() -> ReceiptRecord {
    serde_json::from_value(json!({
        "key": "k", "fence": 1, "action": action(restart(), orders()),
        "started_at": at(-5), "finished_at": at(0), "outcome": "completed",
    }))
    .unwrap()
}

/// A context whose time leaps.
pub(crate) fn context() -> Context {
    Context::new(Arc::new(ManualClock::leaping(start())))
}

pub(crate) fn verify_in(
    feed: &Feed,
    config: VerifierConfig,
    detected: &[Anomaly],
    ctx: &Context,
) -> Result<RecoveryReport> {
    let verifier = TelemetryVerifier::new(feed.clone(), config).unwrap();
    block_on(verifier.verify(&receipt(), detected, ctx))
}

pub(crate) fn verify(feed: &Feed, detected: &[Anomaly]) -> RecoveryReport {
    verify_in(feed, VerifierConfig::default(), detected, &context()).unwrap()
}

/// The verdict and when it was reached, in seconds after the action.
pub(crate) fn verdict(report: &RecoveryReport) -> (Recovery, i64) {
    (report.recovery, since_action(report.at))
}
