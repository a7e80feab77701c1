//! Indicators derived from a source.

use std::time::Duration;

use aiops_core::fake::InMemorySource;
use aiops_core::model::{
    EntityId, FetchRequest, LogRecord, MatchOp, MetricKind, MetricSeries, Selector, SeriesKey, Signal,
    SignalSet, TelemetryWindow, TimeAxis, TimeRange, Unit,
};
use aiops_core::seam::TelemetrySource;
use aiops_core::{Context, ErrorKind, Result};
use aiops_detect::sli::{ErrorRatio, SliSource};
use futures_lite::future::block_on;
use jiff::Timestamp;

const STEP: Duration = Duration::from_secs(15);
const REQUESTS: &str = "rate(requests_total)";
const RATIO: &str = "error_ratio(requests_total)";

fn start() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn range(len: u32) -> TimeRange {
    TimeRange::new(start(), start() + STEP * len).unwrap()
}

fn key(service: &str, instance: &str, code: &str) -> SeriesKey {
    SeriesKey::new(REQUESTS).with("service", service).with("instance", instance).with("code", code)
}

fn series(key: SeriesKey, values: &[Option<f64>]) -> MetricSeries {
    let axis = TimeAxis::regular(start(), STEP, values.len()).unwrap();
    MetricSeries::new(key, EntityId::service("scraped"), axis, values.to_vec()).unwrap()
}

fn rates<const N: usize>(service: &str, code: &str, values: [f64; N]) -> MetricSeries {
    series(key(service, "a", code), &values.map(Some))
}

fn window(len: u32, metrics: Vec<MetricSeries>) -> TelemetryWindow {
    let mut window = TelemetryWindow::new(range(len));
    window.metrics = metrics;
    window
}

fn indicator() -> ErrorRatio {
    ErrorRatio::of_services("requests_total", "code", "service")
}

/// The shares of the only group.
fn shares(len: u32, metrics: Vec<MetricSeries>) -> Vec<Option<f64>> {
    let derived = indicator().derive(&window(len, metrics), &FetchRequest::new(range(len))).unwrap();
    assert_eq!(derived.len(), 1);
    derived[0].samples().collect()
}

fn fetch(inner: TelemetryWindow, request: &FetchRequest) -> Result<TelemetryWindow> {
    let source = SliSource::new(InMemorySource::holding(inner), vec![indicator()]).unwrap();
    block_on(source.fetch(request, &Context::system()))
}

fn named(window: &TelemetryWindow) -> Vec<(&str, &str)> {
    window.metrics.iter().map(|s| (s.key().name.as_str(), s.entity().name())).collect()
}

#[test]
fn a_ratio_is_about_the_whole_service() {
    let w = window(
        2,
        vec![
            series(key("orders", "a", "200"), &[Some(6.0), Some(3.0)]),
            series(key("orders", "b", "404"), &[Some(3.0), Some(3.0)]),
            series(key("orders", "b", "503"), &[Some(1.0), Some(6.0)]),
            series(key("store", "c", "200"), &[Some(5.0), Some(5.0)]),
        ],
    );
    let derived = indicator().derive(&w, &FetchRequest::new(range(2))).unwrap();
    let told: Vec<_> =
        derived.iter().map(|s| (s.entity().clone(), s.samples().collect::<Vec<_>>())).collect();
    let expected = [
        (EntityId::service("orders"), vec![Some(0.1), Some(0.5)]),
        (EntityId::service("store"), vec![Some(0.0), Some(0.0)]),
    ];
    assert_eq!(told, expected);
    assert_eq!(*derived[0].key(), SeriesKey::new(RATIO).with("service", "orders"));
    assert_eq!((derived[0].kind(), derived[0].unit()), (MetricKind::Ratio, &Unit::new("1")));
}

#[test]
fn an_error_series_that_appears_or_vanishes_counts_as_none_where_it_is_not() {
    let ok = rates("orders", "200", [8.0; 4]);
    let appears = series(key("orders", "a", "500"), &[None, None, Some(2.0), Some(8.0)]);
    assert_eq!(shares(4, vec![ok.clone(), appears]), [Some(0.0), Some(0.0), Some(0.2), Some(0.5)]);
    // A series that ends early, as that of a process that was replaced.
    let vanishes = rates("orders", "500", [8.0, 2.0]);
    assert_eq!(shares(4, vec![ok, vanishes]), [Some(0.5), Some(0.2), Some(0.0), Some(0.0)]);
}

#[test]
fn without_enough_traffic_there_is_no_share() {
    let ok = series(key("orders", "a", "200"), &[Some(0.0), None, Some(0.4), Some(0.5)]);
    assert_eq!(shares(4, vec![ok]), [None, None, None, Some(0.0)]);
    let mut any = indicator();
    any.min_rate = 0.0;
    let w = window(2, vec![rates("orders", "500", [0.0, 0.001])]);
    let derived = any.derive(&w, &FetchRequest::new(range(2))).unwrap();
    assert_eq!(derived[0].samples().collect::<Vec<_>>(), [None, Some(1.0)]);
}

#[test]
fn rates_that_are_no_numbers_count_as_none() {
    let ok = rates("orders", "200", [8.0, f64::NAN, f64::INFINITY]);
    let bad = rates("orders", "500", [f64::NAN, 2.0, 2.0]);
    assert_eq!(shares(3, vec![ok, bad]), [Some(0.0), Some(1.0), Some(1.0)]);
}

#[test]
fn outcomes_nobody_listed_are_failures() {
    let ok = rates("orders", "204", [3.0]);
    let odd = rates("orders", "timeout", [1.0]);
    assert_eq!(shares(1, vec![ok, odd]), [Some(0.25)]);
}

#[test]
fn requests_that_tell_no_outcome_are_no_failures() {
    let untold =
        series(SeriesKey::new(REQUESTS).with("service", "api").with("instance", "b"), &[Some(90.0); 2]);
    let shares = shares(2, vec![rates("api", "200", [9.0; 2]), rates("api", "500", [1.0; 2]), untold]);
    assert_eq!(shares, [Some(0.1); 2]);
}

#[test]
fn reading_one_service_again_reads_only_its_requests() {
    let services: Vec<String> = (0..50).map(|i| format!("svc-{i}")).collect();
    let metrics: Vec<MetricSeries> =
        services.iter().flat_map(|s| [rates(s, "200", [9.0; 2]), rates(s, "500", [1.0; 2])]).collect();
    let selector = Selector::all().with_metric(RATIO).with_matcher("service", MatchOp::Equal, "svc-7");
    let mut request = FetchRequest::new(range(2)).with_selector(selector);
    request.limits.series = 2;
    let window = fetch(window(2, metrics), &request).unwrap();
    assert_eq!(window.metrics.len(), 1);
    assert_eq!(window.metrics[0].entity(), &EntityId::service("svc-7"));
}

#[test]
fn a_caller_is_told_apart_by_its_peers() {
    let to = |peer: &str, code: &str, rate: f64| {
        series(key("orders", "a", code).with("peer", peer), &[Some(rate)])
    };
    let w = window(1, vec![to("store", "200", 1.0), to("store", "500", 1.0), to("inventory", "200", 4.0)]);
    let derived = indicator().also_by("peer").derive(&w, &FetchRequest::new(range(1))).unwrap();
    let told: Vec<_> = derived.iter().map(|s| (s.key().labels.get("peer").unwrap(), s.get(0))).collect();
    assert_eq!(told, [("inventory", Some(0.0)), ("store", Some(0.5))]);
    assert!(derived.iter().all(|s| *s.entity() == EntityId::service("orders")));
}

#[test]
fn without_a_service_label_it_is_about_who_was_scraped() {
    let w = window(1, vec![series(SeriesKey::new(REQUESTS).with("code", "500"), &[Some(1.0)])]);
    let derived = indicator().derive(&w, &FetchRequest::new(range(1))).unwrap();
    assert_eq!(derived[0].entity(), &EntityId::service("scraped"));
}

#[test]
fn irregular_input_lands_on_the_grid_of_the_request() {
    let axis =
        TimeAxis::irregular([1, 17, 29, 52].map(|s| start() + Duration::from_secs(s)).to_vec()).unwrap();
    let values = [4.0, 9.0, 4.0, 4.0].map(Some).to_vec();
    let ok =
        MetricSeries::new(key("orders", "a", "200"), EntityId::service("scraped"), axis, values).unwrap();
    let bad = rates("orders", "500", [4.0, 1.0, 0.0, 4.0]);
    // Of two samples in one step the last counts.
    assert_eq!(shares(4, vec![ok, bad]), [Some(0.5), Some(0.2), None, Some(0.5)]);
}

#[test]
fn it_stands_beside_the_signals_of_the_source() {
    let inner = window(2, vec![rates("orders", "500", [1.0; 2]), rates("orders", "200", [1.0; 2])]);
    let answer = fetch(inner, &FetchRequest::new(range(2))).unwrap();
    let names = named(&answer);
    assert_eq!(names.iter().filter(|(n, _)| *n == REQUESTS).count(), 2);
    assert_eq!(names.iter().filter(|(n, _)| *n == RATIO).count(), 1);
}

/// What a detector found is read again by its name, entity and labels.
#[test]
fn it_can_be_read_again_by_name_entity_and_labels() {
    let other = series(SeriesKey::new("latency").with("service", "orders"), &[Some(1.0)]);
    let inner = window(1, vec![rates("orders", "500", [1.0]), rates("store", "200", [1.0]), other]);
    let by_name = FetchRequest::new(range(1)).with_selector(Selector::all().with_metric(RATIO));
    assert_eq!(named(&fetch(inner.clone(), &by_name).unwrap()), [(RATIO, "orders"), (RATIO, "store")]);
    for selector in [
        Selector::all().with_metric(RATIO).with_matcher("service", MatchOp::Equal, "orders"),
        Selector::all().with_metric(RATIO).with_entity(EntityId::service("orders")),
    ] {
        let answer = fetch(inner.clone(), &FetchRequest::new(range(1)).with_selector(selector)).unwrap();
        assert_eq!(named(&answer), [(RATIO, "orders")]);
        assert_eq!(answer.metrics[0].get(0), Some(1.0));
    }
    let both = Selector::all().with_metric(RATIO).with_metric("latency");
    let answer = fetch(inner.clone(), &FetchRequest::new(range(1)).with_selector(both)).unwrap();
    assert_eq!(answer.metrics.len(), 3);
    let neither = FetchRequest::new(range(1)).with_selector(Selector::all().with_metric("latency"));
    assert_eq!(named(&fetch(inner, &neither).unwrap()), [("latency", "scraped")]);
}

#[test]
fn limits_hold_for_the_answer_with_what_was_derived() {
    let inner = window(1, vec![rates("orders", "200", [1.0]), rates("orders", "500", [1.0])]);
    let mut request = FetchRequest::new(range(1));
    request.limits.series = 3;
    assert_eq!(fetch(inner.clone(), &request).unwrap().metrics.len(), 3);
    request.limits.series = 2;
    assert_eq!(fetch(inner.clone(), &request).unwrap_err().kind(), ErrorKind::Limit);
    request.limits.series = 3;
    request.limits.samples = 2;
    assert_eq!(fetch(inner, &request).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn other_signals_pass_through() {
    let mut inner = window(1, vec![rates("orders", "500", [1.0])]);
    let log = |service: &str| LogRecord::new(start(), EntityId::service(service), "hello");
    inner.logs = vec![log("orders"), log("store")];
    let logs: SignalSet = Signal::Logs.into();
    let answer = fetch(inner.clone(), &FetchRequest::new(range(1)).with_signals(logs)).unwrap();
    assert_eq!((answer.metrics.len(), answer.logs.len()), (0, 2));
    let of_orders = Selector::all().with_entity(EntityId::service("orders"));
    let answer = fetch(inner, &FetchRequest::new(range(1)).with_selector(of_orders)).unwrap();
    assert_eq!((named(&answer), answer.logs.len()), (vec![(RATIO, "orders")], 1));
}

#[test]
fn it_can_do_what_its_source_can_and_fails_as_it_does() {
    let inner = InMemorySource::new();
    let source = SliSource::new(inner.clone(), vec![indicator()]).unwrap();
    assert_eq!(source.capability(), inner.capability());
    let nothing = FetchRequest::new(range(1)).with_signals(SignalSet::none());
    let ctx = Context::system();
    assert_eq!(block_on(source.fetch(&nothing, &ctx)).unwrap_err().kind(), ErrorKind::Unsupported);
    inner.set_outage(Some("no route".into()));
    let all = FetchRequest::new(range(1));
    assert_eq!(block_on(source.fetch(&all, &ctx)).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn indicators_are_checked() {
    let refused = |change: fn(&mut ErrorRatio)| {
        let mut one = indicator();
        change(&mut one);
        SliSource::new(InMemorySource::new(), vec![one]).unwrap_err().kind()
    };
    assert_eq!(refused(|i| i.name.clear()), ErrorKind::Invalid);
    assert_eq!(refused(|i| i.name.clone_from(&i.requests)), ErrorKind::Invalid);
    assert_eq!(refused(|i| i.succeeded.clear()), ErrorKind::Invalid);
    assert_eq!(refused(|i| i.succeeded.push(String::new())), ErrorKind::Invalid);
    for rate in [-1.0, f64::NAN, f64::INFINITY] {
        let mut one = indicator();
        one.min_rate = rate;
        assert!(SliSource::new(InMemorySource::new(), vec![one]).is_err());
    }
    assert!(SliSource::new(InMemorySource::new(), vec![indicator(), indicator()]).is_err());
    let mut derived = indicator();
    (derived.name, derived.requests) = ("again".to_owned(), RATIO.to_owned());
    assert!(SliSource::new(InMemorySource::new(), vec![indicator(), derived]).is_err());
    let stored = serde_json::to_string(&indicator()).unwrap();
    assert_eq!(serde_json::from_str::<ErrorRatio>(&stored).unwrap(), indicator());
}
