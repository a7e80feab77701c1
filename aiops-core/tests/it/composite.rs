//! Several sources as one, when some of them fail.

use std::sync::Arc;

use aiops_core::fake::{InMemorySource, StaticChangeFeed};
use aiops_core::model::*;
use aiops_core::seam::{SourceCapability, TelemetrySource};
use aiops_core::{CompositeSource, Context, ErrorKind, ManualClock, Result};
use async_trait::async_trait;
use futures_lite::future::block_on;

use crate::world::{seconds, start};

/// One signal of another source.
#[derive(Debug, Clone)]
struct Only(Signal, InMemorySource);

#[async_trait]
impl TelemetrySource for Only {
    fn capability(&self) -> SourceCapability {
        SourceCapability::of(self.0)
    }
    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        self.1.fetch(&request.clone().with_signals(self.0.into()), ctx).await
    }
}

fn range() -> TimeRange {
    TimeRange::ending_at(start(), seconds(60))
}

fn holding(name: &str) -> InMemorySource {
    let mut window = TelemetryWindow::new(range());
    let axis = TimeAxis::covering(range(), seconds(15)).unwrap();
    let (key, entity) = (SeriesKey::new(name), EntityId::service("a"));
    window.metrics.push(MetricSeries::new(key, entity.clone(), axis, [Some(1.0); 4]).unwrap());
    window.logs.push(LogRecord::new(range().start(), entity, name));
    InMemorySource::holding(window)
}

fn fetch(source: &CompositeSource, request: &FetchRequest) -> Result<TelemetryWindow> {
    block_on(source.fetch(request, &Context::new(Arc::new(ManualClock::at(start())))))
}

#[test]
fn one_that_is_down_is_a_blind_spot() {
    let (metrics, logs) = (holding("m"), holding("l"));
    let both =
        CompositeSource::new().with(Only(Signal::Metrics, metrics)).with(Only(Signal::Logs, logs.clone()));
    let request = FetchRequest::new(range());
    assert_eq!(
        fetch(&both, &request).unwrap().observed,
        [Signal::Metrics, Signal::Logs].into_iter().collect()
    );
    logs.set_outage(Some("connection refused".to_owned()));
    let window = fetch(&both, &request).unwrap();
    assert_eq!((window.metrics.len(), window.logs.len()), (1, 0));
    assert_eq!(window.observed, Signal::Metrics.into());
    let [blind] = &window.health[..] else { panic!("{:?}", window.health) };
    assert_eq!(blind.signal, Signal::Logs);
    assert!(blind.note.as_ref().unwrap().contains("connection refused"));
}

#[test]
fn a_signal_counts_as_seen_only_when_all_who_have_it_answered() {
    let (east, west) = (holding("east"), holding("west"));
    let both =
        CompositeSource::new().with(Only(Signal::Metrics, east)).with(Only(Signal::Metrics, west.clone()));
    let request = FetchRequest::new(range());
    let window = fetch(&both, &request).unwrap();
    let names: Vec<&str> = window.metrics.iter().map(|m| m.key().name.as_str()).collect();
    assert_eq!(names, ["east", "west"]);
    west.set_outage(Some("down".to_owned()));
    let window = fetch(&both, &request).unwrap();
    assert_eq!((window.metrics.len(), window.observed.is_empty()), (1, true));
}

#[test]
fn all_down_is_an_error() {
    let (one, two) = (holding("one"), holding("two"));
    one.set_outage(Some("first".to_owned()));
    two.set_outage(Some("second".to_owned()));
    let e = fetch(&CompositeSource::new().with(one).with(two), &FetchRequest::new(range())).unwrap_err();
    assert_eq!((e.kind(), e.message()), (ErrorKind::Unavailable, "first"));
}

#[test]
fn limits_hold_for_the_whole_and_are_no_blind_spot() {
    let both = CompositeSource::new().with(holding("one")).with(holding("two"));
    let with_series = |series| {
        let mut limits = FetchLimits::default();
        limits.series = series;
        fetch(&both, &FetchRequest::new(range()).with_limits(limits))
    };
    assert_eq!(with_series(2).unwrap().metrics.len(), 2);
    assert_eq!(with_series(1).unwrap_err().kind(), ErrorKind::Limit, "each has one, both have two");
    assert_eq!(with_series(0).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn without_a_source_for_it_a_request_is_unsupported() {
    let request = FetchRequest::new(range());
    assert_eq!(fetch(&CompositeSource::new(), &request).unwrap_err().kind(), ErrorKind::Unsupported);
    let logs = CompositeSource::new().with(Only(Signal::Logs, holding("l")));
    let metrics = request.with_signals(Signal::Metrics.into());
    assert_eq!(fetch(&logs, &metrics).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn changes_reach_back_as_far_as_they_are_asked_to() {
    let at = |before: u64| {
        let time = range().start() - seconds(before);
        Change::new(format!("c{before}"), time, ChangeKind::Deployment, EntityId::service("a"), "new image")
    };
    let feed = StaticChangeFeed(vec![at(0), at(3600), at(3601)]);
    let source = CompositeSource::new().with_changes(feed, seconds(3600));
    let window = fetch(&source, &FetchRequest::new(range())).unwrap();
    let ids: Vec<&str> = window.changes.iter().map(|c| c.id.0.as_str()).collect();
    assert_eq!(ids, ["c3600", "c0"]);
    assert_eq!(window.range, range());
}
