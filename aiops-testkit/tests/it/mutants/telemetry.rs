use std::time::Duration;

use aiops_core::fake::{InMemorySource, StaticChangeFeed};
use aiops_core::model::*;
use aiops_core::seam::{ChangeFeed, Compactor, Detector, SourceCapability, TelemetrySource};
use aiops_core::{Context, Error, ErrorKind, Result};
use aiops_testkit::{conformance, sample};
use async_trait::async_trait;
use futures_lite::future::block_on;

use super::{Fault, hunt, with};
use crate::fixtures as fx;
use crate::reference::{Lines, Partial, Threshold};

#[derive(Debug)]
struct Source(Fault, Partial<InMemorySource>);

#[async_trait]
impl TelemetrySource for Source {
    fn capability(&self) -> SourceCapability {
        // The clause is the first to ask.
        if self.0.is("capability") && self.0.count() == 0 {
            return SourceCapability::of(SignalSet::none());
        }
        self.1.capability()
    }

    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        let Self(fault, inner) = self;
        let (asked, defaults) = (request.signals.clone(), FetchLimits::default());
        let ctx = &fault.heed(ctx);
        let mut request = request.clone();
        let none_there = asked.intersection(&self.1.1).is_empty();
        match fault.clause {
            "nothing_asked" if asked.is_empty() => return Ok(TelemetryWindow::new(request.range)),
            "unsupported_signals" if !asked.is_empty() && none_there => {
                return Ok(TelemetryWindow::new(request.range));
            }
            "limit_series" => request.limits.series = defaults.series,
            "limit_samples" => request.limits.samples = defaults.samples,
            "limit_records" => request.limits.records = defaults.records,
            "limit_inclusive" if request.limits.series < defaults.series => request.limits.series -= 1,
            "select_entity" => request.selector.entities.clear(),
            "select_metric" => request.selector.metrics.clear(),
            "select_label" => request.selector.matchers.clear(),
            "only_asked" if asked == Signal::Logs.into() => request.signals = SignalSet::all(),
            _ => {}
        }
        let later_half = request.range.start() > sample::range().start();
        with(inner.fetch(&request, ctx).await, |window| match fault.clause {
            "answers" => window.topology = Topology::new(),
            "range" => window.range = window.range.hull(&sample::quiet_range()),
            "within_range" if later_half => {
                let before = time::before(request.range.start(), Duration::from_nanos(1));
                window.logs.insert(0, LogRecord::new(before, sample::store(), "too early"));
            }
            "order" => window.logs.reverse(),
            "observed" if asked.iter().count() > 1 => {
                window.observed = window.observed.iter().filter(|s| *s != Signal::Topology).collect();
            }
            "only_asked" => window.observed = window.observed.intersection(&asked),
            "quiet" if request.range == sample::quiet_range() => {
                window.logs.push(LogRecord::new(request.range.start(), sample::store(), "made up"));
            }
            _ => {}
        })
    }
}

#[test]
fn source() {
    let has: SignalSet = Signal::ALL.into_iter().filter(|s| *s != Signal::Alerts).collect();
    hunt(19, |clause| {
        let inner = Partial(InMemorySource::holding(sample::window()), has.clone());
        block_on(conformance::source(&Source(Fault::in_clause(clause), inner), &fx::source()))
    });
}

#[derive(Debug)]
struct Feed(Fault, StaticChangeFeed);

#[async_trait]
impl ChangeFeed for Feed {
    async fn changes(&self, range: TimeRange, ctx: &Context) -> Result<Vec<Change>> {
        let Self(fault, inner) = self;
        let one_more = Duration::from_nanos(1);
        let asked = match fault.clause {
            "ends_exclusive" => TimeRange::new(range.start(), time::after(range.end(), one_more))?,
            "quiet" if range == sample::quiet_range() => sample::range(),
            _ => range,
        };
        with(inner.changes(asked, &fault.heed(ctx)).await, |changes| match fault.clause {
            "answers" if range == sample::range() => drop(changes.drain(..changes.len() - 1)),
            "order" => changes.reverse(),
            "starts_inclusive" => changes.retain(|c| c.time != range.start()),
            "deterministic" => {
                let last = changes.len().saturating_sub(1);
                changes.iter_mut().take(last).for_each(|c| c.author = Some(fault.count().to_string()));
            }
            _ => {}
        })
    }
}

#[test]
fn change_feed() {
    hunt(8, |clause| {
        // Without the change that lies just after the range, so that the mutants meet the edges of the others.
        let feed = Feed(Fault::in_clause(clause), StaticChangeFeed(sample::window().changes));
        block_on(conformance::change_feed(&feed, &fx::change_feed()))
    });
}

#[derive(Debug)]
struct Finder(Fault);

#[async_trait]
impl Detector for Finder {
    fn id(&self) -> DetectorId {
        // The clause is the first to ask, and it asks twice.
        if self.0.is("identity") && self.0.count() == 0 {
            return DetectorId("somebody".to_owned());
        }
        Threshold.id()
    }
    fn fitted(&self) -> FittedHash {
        Threshold.fitted()
    }
    async fn detect(&self, window: &TelemetryWindow, ctx: &Context) -> Result<Vec<Anomaly>> {
        let fault = &self.0;
        let shortest = window.metrics.iter().map(MetricSeries::len).min().unwrap_or(0);
        with(Threshold.detect(window, &fault.heed(ctx)).await, |found| match fault.clause {
            "finds" => found.truncate(1),
            "normal" if found.is_empty() && shortest >= 5 => found.extend(sample::anomalies()),
            "thin" if shortest < 5 => found.extend(sample::anomalies()),
            "deterministic" => found.iter_mut().for_each(|a| a.value += fault.count() as f64),
            "order" => found.reverse(),
            "stamped" => found.iter_mut().for_each(|a| a.detector = DetectorId("somebody".to_owned())),
            "well_formed" => found.iter_mut().for_each(|a| a.baseline.scale = f64::NAN),
            "reread" => found.iter_mut().for_each(|a| a.reread.selector.metrics = vec!["another".to_owned()]),
            _ => {}
        })
    }
}

#[test]
fn detector() {
    hunt(11, |clause| block_on(conformance::detector(&Finder(Fault::in_clause(clause)), &fx::detector())));
}

#[derive(Debug)]
struct Writer(Fault);

#[async_trait]
impl Compactor for Writer {
    async fn compact(
        &self,
        window: &TelemetryWindow,
        budget: TokenBudget,
        ctx: &Context,
    ) -> Result<Briefing> {
        let fault = &self.0;
        let asked = match fault.clause {
            "budget" if budget.0 > 0 => TokenBudget::default(),
            "no_budget" if budget.0 == 0 => return Ok(Briefing::new(window.range)),
            _ => budget,
        };
        let roomy = budget == TokenBudget::default();
        with(Lines.compact(window, asked, &fault.heed(ctx)).await, |briefing| match fault.clause {
            "answers" if roomy => briefing.lines.clear(),
            "range" => briefing.range = sample::quiet_range(),
            "order" => briefing.lines.reverse(),
            "references" => briefing.lines.iter_mut().for_each(|l| l.reference = "m1".to_owned()),
            "budget" => briefing.lines.iter_mut().for_each(|l| l.text = "many words ".repeat(9)),
            "stated_loss" => briefing.cuts.clear(),
            "deterministic" => briefing.lines.iter_mut().for_each(|l| l.text = fault.count().to_string()),
            _ => {}
        })
    }
}

#[test]
fn compactor() {
    hunt(10, |clause| block_on(conformance::compactor(&Writer(Fault::in_clause(clause)), &fx::compactor())));
}

/// A source that answers, but with an error of the wrong kind, is caught too.
#[test]
fn an_error_of_another_kind_is_not_enough() {
    #[derive(Debug)]
    struct Grumpy;

    #[async_trait]
    impl ChangeFeed for Grumpy {
        async fn changes(&self, _: TimeRange, _: &Context) -> Result<Vec<Change>> {
            Err(Error::new(ErrorKind::Internal, "always"))
        }
    }

    let report = block_on(conformance::change_feed(&Grumpy, &fx::change_feed()));
    assert_eq!(report.passed, Vec::<&str>::new());
    assert_eq!(report.failed.len(), 8);
}
