use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Change, FetchRequest, MetricSeries, Signal, SignalSet, TelemetryWindow, TimeAxis, TimeRange, Validity,
};
use crate::seam::{ChangeFeed, SourceCapability, TelemetrySource};

/// Telemetry in memory that answers requests as a real source does: cut to the range, selected, within limits.
///
/// Clones share the telemetry, so a test can go on feeding it. Metric samples keep their own instants; the step of a request is
/// not applied.
#[derive(Debug, Clone, Default)]
pub struct InMemorySource(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    window: Option<TelemetryWindow>,
    outage: Option<String>,
}

impl InMemorySource {
    /// A source that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A source that holds `window`.
    #[must_use]
    pub fn holding(window: TelemetryWindow) -> Self {
        let source = Self::new();
        source.set(window);
        source
    }

    /// Replaces everything it holds.
    pub fn set(&self, window: TelemetryWindow) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).window = Some(window);
    }

    /// Makes every fetch fail as unavailable, or work again.
    pub fn set_outage(&self, reason: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).outage = reason;
    }
}

/// The part of `series` within `range`.
fn cut(series: &MetricSeries, range: TimeRange) -> Result<Option<MetricSeries>> {
    let from = series.times().index_at_or_after(range.start());
    let to = series.times().index_at_or_after(range.end());
    if from >= to {
        return Ok(None);
    }
    let times = match series.times() {
        TimeAxis::Regular { step, .. } => {
            TimeAxis::regular(series.times().get(from).unwrap_or(range.start()), *step, to - from)?
        }
        TimeAxis::Irregular(times) => TimeAxis::irregular(times.get(from..to).unwrap_or_default().to_vec())?,
    };
    let values = series.values().get(from..to).unwrap_or_default().to_vec();
    let validity: Validity = (from..to).map(|i| series.validity().get(i)).collect();
    let part =
        MetricSeries::from_columns(series.key().clone(), series.entity().clone(), times, values, validity)?;
    Ok(Some(part.with_kind(series.kind()).with_unit(series.unit().clone())))
}

#[async_trait]
impl TelemetrySource for InMemorySource {
    fn capability(&self) -> SourceCapability {
        SourceCapability::of(SignalSet::all())
    }

    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        ctx.check()?;
        if request.signals.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, "no signal was asked for"));
        }
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &held.outage {
            return Err(Error::new(ErrorKind::Unavailable, reason.clone()));
        }
        let mut window = TelemetryWindow::new(request.range);
        window.observed = request.signals.clone();
        let Some(all) = &held.window else { return Ok(window) };
        let (range, selector, wants) = (request.range, &request.selector, |s| request.signals.contains(s));
        if wants(Signal::Metrics) {
            for series in &all.metrics {
                if selector.selects(&series.key().name, series.entity(), &series.key().labels) {
                    window.metrics.extend(cut(series, range)?);
                }
            }
        }
        if wants(Signal::Logs) {
            let selected =
                all.logs.iter().filter(|l| range.contains(l.time) && selector.selects_entity(&l.entity));
            window.logs = selected.cloned().collect();
        }
        if wants(Signal::Traces) {
            let selected =
                all.spans.iter().filter(|s| range.contains(s.start) && selector.selects_entity(&s.entity));
            window.spans = selected.cloned().collect();
        }
        if wants(Signal::Changes) {
            let selected =
                all.changes.iter().filter(|c| c.time < range.end() && selector.selects_entity(&c.entity));
            window.changes = selected.cloned().collect();
        }
        if wants(Signal::Alerts) {
            let selected = all
                .alerts
                .iter()
                .filter(|a| a.started_at < range.end() && selector.selects_entity(&a.entity));
            window.alerts = selected.cloned().collect();
        }
        if wants(Signal::Topology) {
            window.topology = all.topology.clone();
        }
        request.limits.check(&window)?;
        window.sort();
        Ok(window)
    }
}

/// A change feed that tells what it was given.
#[derive(Debug, Clone, Default)]
pub struct StaticChangeFeed(pub Vec<Change>);

#[async_trait]
impl ChangeFeed for StaticChangeFeed {
    async fn changes(&self, range: TimeRange, ctx: &Context) -> Result<Vec<Change>> {
        ctx.check()?;
        let mut changes: Vec<Change> = self.0.iter().filter(|c| range.contains(c.time)).cloned().collect();
        changes.sort_by_key(|c| c.time);
        Ok(changes)
    }
}
