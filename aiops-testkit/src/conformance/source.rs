use aiops_core::model::{FetchLimits, FetchRequest, MatchOp, Selector, Signal, SignalSet, TelemetryWindow, TimeRange};
use aiops_core::seam::TelemetrySource;
use aiops_core::{Context, ErrorKind};

use super::report::{Fault, Outcome, Report, alike, cancelled, ensure, late, refused};

/// What [`source`] asks for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SourceFixture {
    /// Context of all calls.
    pub ctx: Context,
    /// A closed range with telemetry of at least two entities.
    pub busy: TimeRange,
    /// A closed range in which nothing was sampled, logged or traced.
    pub quiet: TimeRange,
    /// Distance of metric samples in `busy`; default 15 s.
    pub step: std::time::Duration,
}

impl SourceFixture {
    /// A fixture at steps of 15 s.
    #[must_use]
    pub fn new(ctx: Context, busy: TimeRange, quiet: TimeRange) -> Self {
        Self { ctx, busy, quiet, step: std::time::Duration::from_secs(15) }
    }

    fn request(&self) -> FetchRequest {
        FetchRequest::new(self.busy).with_step(self.step)
    }
}

/// The contract of [`TelemetrySource`]: 19 clauses.
pub async fn source(source: &dyn TelemetrySource, fx: &SourceFixture) -> Report {
    let mut report = Report::of("TelemetrySource");
    report.clause("capability", capability(source)).await;
    report.clause("answers", answers(source, fx)).await;
    report.clause("range", range(source, fx)).await;
    report.clause("within_range", within_range(source, fx)).await;
    report.clause("order", order(source, fx)).await;
    report.clause("observed", observed(source, fx)).await;
    report.clause("only_asked", only_asked(source, fx)).await;
    report.clause("nothing_asked", nothing_asked(source, fx)).await;
    report.clause("unsupported_signals", unsupported_signals(source, fx)).await;
    report.clause("limit_series", limit_series(source, fx)).await;
    report.clause("limit_samples", limit_samples(source, fx)).await;
    report.clause("limit_records", limit_records(source, fx)).await;
    report.clause("limit_inclusive", limit_inclusive(source, fx)).await;
    report.clause("select_entity", select_entity(source, fx)).await;
    report.clause("select_metric", select_metric(source, fx)).await;
    report.clause("select_label", select_label(source, fx)).await;
    report.clause("quiet", quiet(source, fx)).await;
    report.clause("cancelled", async { refused(source.fetch(&fx.request(), &cancelled(&fx.ctx)).await, ErrorKind::Cancelled) }).await;
    report.clause("deadline", async { refused(source.fetch(&fx.request(), &late(&fx.ctx)).await, ErrorKind::Timeout) }).await;
    report
}

fn records(window: &TelemetryWindow) -> usize {
    window.logs.len().max(window.spans.len()).max(window.changes.len()).max(window.alerts.len())
}

async fn capability(source: &dyn TelemetrySource) -> Outcome {
    ensure!(!source.capability().signals.is_empty(), "a source of nothing");
    alike(&source.capability(), &source.capability())
}

/// Something of everything it says it has; and the same the second time.
async fn answers(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let window = source.fetch(&fx.request(), &fx.ctx).await?;
    for signal in source.capability().signals.iter() {
        let found = match signal {
            Signal::Metrics => window.sample_count(),
            Signal::Logs => window.logs.len(),
            Signal::Traces => window.spans.len(),
            Signal::Changes => window.changes.len(),
            Signal::Alerts => window.alerts.len(),
            Signal::Topology => window.topology.entities().count(),
            _ => 1,
        };
        ensure!(found > 0, "no {signal} in the busy range");
    }
    alike(&window, &source.fetch(&fx.request(), &fx.ctx).await?)
}

async fn range(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    for range in [fx.busy, fx.quiet] {
        let window = source.fetch(&fx.request().over(range), &fx.ctx).await?;
        ensure!(window.range == range, "asked for {range}, got {}", window.range);
    }
    Ok(())
}

/// The later half of the busy range, so that there is something before it that must be left out.
async fn within_range(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let half = TimeRange::ending_at(fx.busy.end(), fx.busy.length() / 2);
    for range in [half, TimeRange::new(fx.busy.start(), half.start())?] {
        let window = source.fetch(&fx.request().over(range), &fx.ctx).await?;
        for series in &window.metrics {
            let stray = series.times().iter().find(|t| !range.contains(*t));
            ensure!(stray.is_none(), "a sample of {} at {stray:?}, outside {range}", series.key());
        }
        ensure!(window.logs.iter().all(|l| range.contains(l.time)), "a log line outside {range}");
        ensure!(window.spans.iter().all(|s| range.contains(s.start)), "a span outside {range}");
        ensure!(window.changes.iter().all(|c| c.time < range.end()), "a change after {range}");
        ensure!(window.alerts.iter().all(|a| a.started_at < range.end()), "an alert after {range}");
    }
    Ok(())
}

async fn order(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let window = source.fetch(&fx.request(), &fx.ctx).await?;
    let keys: Vec<_> = window.metrics.iter().map(|m| (m.entity(), m.key())).collect();
    ensure!(keys.is_sorted(), "series are not in the order of entity and key");
    ensure!(window.logs.is_sorted_by_key(|l| l.time), "log lines are not in order of time");
    ensure!(window.spans.is_sorted_by_key(|s| s.start), "spans are not in order of start");
    ensure!(window.changes.is_sorted_by_key(|c| c.time), "changes are not in order of time");
    ensure!(window.alerts.is_sorted_by_key(|a| a.started_at), "alerts are not in order of start");
    Ok(())
}

async fn observed(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let window = source.fetch(&fx.request(), &fx.ctx).await?;
    let has = source.capability().signals;
    ensure!(window.observed == has, "has {has:?}, observed {:?}", window.observed);
    Ok(())
}

async fn only_asked(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    for signal in source.capability().signals.iter() {
        let request = fx.request().with_signals(signal.into());
        let window = source.fetch(&request, &fx.ctx).await?;
        ensure!(!window.observed.iter().any(|s| s != signal), "asked for {signal}, observed {:?}", window.observed);
        let unasked = [
            (Signal::Metrics, window.metrics.is_empty()),
            (Signal::Logs, window.logs.is_empty()),
            (Signal::Traces, window.spans.is_empty()),
            (Signal::Changes, window.changes.is_empty()),
            (Signal::Alerts, window.alerts.is_empty()),
        ];
        let extra = unasked.iter().find(|(other, empty)| *other != signal && !empty);
        ensure!(extra.is_none(), "asked for {signal}, got {extra:?} too");
    }
    Ok(())
}

async fn nothing_asked(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let request = fx.request().with_signals(SignalSet::none());
    refused(source.fetch(&request, &fx.ctx).await, ErrorKind::Unsupported)
}

/// Signals it does not have: alone they are refused, beside others they are left out.
async fn unsupported_signals(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let has = source.capability().signals;
    let lacks: SignalSet = Signal::ALL.into_iter().filter(|s| !has.contains(*s)).collect();
    if lacks.is_empty() {
        return Err(Fault::Skip("it has every signal".to_owned()));
    }
    let request = fx.request().with_signals(lacks);
    refused(source.fetch(&request, &fx.ctx).await, ErrorKind::Unsupported)
}

/// The busy range once more, with one bound set to `bound`.
async fn limited(source: &dyn TelemetrySource, fx: &SourceFixture, set: impl FnOnce(&mut FetchLimits)) -> aiops_core::Result<TelemetryWindow> {
    let mut limits = FetchLimits::default();
    set(&mut limits);
    source.fetch(&fx.request().with_limits(limits), &fx.ctx).await
}

fn too_few(found: usize, what: &str) -> Outcome {
    if found == 0 { Err(Fault::Skip(format!("there are no {what}"))) } else { Ok(()) }
}

async fn limit_series(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let found = source.fetch(&fx.request(), &fx.ctx).await?.metrics.len();
    too_few(found, "series")?;
    refused(limited(source, fx, |l| l.series = found - 1).await, ErrorKind::Limit)
}

async fn limit_samples(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let found = source.fetch(&fx.request(), &fx.ctx).await?.sample_count();
    too_few(found, "samples")?;
    refused(limited(source, fx, |l| l.samples = found - 1).await, ErrorKind::Limit)
}

async fn limit_records(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let found = records(&source.fetch(&fx.request(), &fx.ctx).await?);
    too_few(found, "records")?;
    refused(limited(source, fx, |l| l.records = found - 1).await, ErrorKind::Limit)
}

async fn limit_inclusive(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let window = source.fetch(&fx.request(), &fx.ctx).await?;
    let bounded = limited(source, fx, |l| {
        (l.series, l.samples, l.records) = (window.metrics.len(), window.sample_count(), records(&window));
    });
    alike(&window, &bounded.await?)
}

async fn select_entity(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let all = source.fetch(&fx.request(), &fx.ctx).await?;
    let entities = all.metrics.iter().map(|m| m.entity()).chain(all.logs.iter().map(|l| &l.entity));
    let entities = entities.chain(all.spans.iter().map(|s| &s.entity)).chain(all.changes.iter().map(|c| &c.entity));
    let Some(wanted) = entities.min().cloned() else {
        return Err(Fault::Skip("nothing is about an entity".to_owned()));
    };
    let request = fx.request().with_selector(Selector::all().with_entity(wanted.clone()));
    let part = source.fetch(&request, &fx.ctx).await?;
    let kept = |w: &TelemetryWindow| {
        let metrics: Vec<_> = w.metrics.iter().filter(|m| *m.entity() == wanted).cloned().collect();
        let logs: Vec<_> = w.logs.iter().filter(|l| l.entity == wanted).cloned().collect();
        let spans: Vec<_> = w.spans.iter().filter(|s| s.entity == wanted).cloned().collect();
        let changes: Vec<_> = w.changes.iter().filter(|c| c.entity == wanted).cloned().collect();
        (metrics, logs, spans, changes)
    };
    alike(&kept(&all), &(part.metrics, part.logs, part.spans, part.changes))
}

async fn select_metric(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let all = source.fetch(&fx.request(), &fx.ctx).await?;
    let Some(name) = all.metrics.first().map(|m| m.key().name.clone()) else {
        return Err(Fault::Skip("there are no series".to_owned()));
    };
    let request = fx.request().with_selector(Selector::all().with_metric(name.clone()));
    let part = source.fetch(&request, &fx.ctx).await?.metrics;
    let kept: Vec<_> = all.metrics.into_iter().filter(|m| m.key().name == name).collect();
    alike(&kept, &part)
}

async fn select_label(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let all = source.fetch(&fx.request(), &fx.ctx).await?;
    let labels = all.metrics.iter().flat_map(|m| m.key().labels.iter());
    let Some((label, value)) = labels.map(|(l, v)| (l.to_owned(), v.to_owned())).next() else {
        return Err(Fault::Skip("no series has a label".to_owned()));
    };
    for op in [MatchOp::Equal, MatchOp::NotEqual] {
        let selector = Selector::all().with_matcher(label.clone(), op, value.clone());
        let wanted = |m: &&aiops_core::model::MetricSeries| selector.matchers.iter().all(|x| x.matches(&m.key().labels));
        let kept: Vec<_> = all.metrics.iter().filter(wanted).cloned().collect();
        let request = fx.request().with_signals(Signal::Metrics.into()).with_selector(selector.clone());
        alike(&kept, &source.fetch(&request, &fx.ctx).await?.metrics)?;
    }
    Ok(())
}

/// Nothing there differs from not looked at: the window is empty and yet observed.
async fn quiet(source: &dyn TelemetrySource, fx: &SourceFixture) -> Outcome {
    let empty = TimeRange::new(fx.busy.start(), fx.busy.start())?;
    for range in [fx.quiet, empty] {
        let window = source.fetch(&fx.request().over(range), &fx.ctx).await?;
        ensure!(window.sample_count() == 0, "{} samples in {range}", window.sample_count());
        ensure!(window.logs.is_empty() && window.spans.is_empty(), "records in {range}");
    }
    Ok(())
}
