use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aiops_core::model::{
    EntityId, FetchRequest, MatchOp, MetricKind, MetricSeries, Selector, Signal, SignalSet, TimeRange,
};
use aiops_core::seam::TelemetrySource;
use aiops_core::{Context, ErrorKind};
use aiops_prometheus::client::{ClientConfig, PrometheusClient};
use aiops_prometheus::exposition::{Format, ParserConfig};
use aiops_prometheus::store::{Page, SharedStore, StoreConfig};
use aiops_prometheus::{EmbeddedSource, EntityMapping, LabelMap, MetricSelection, PrometheusSource};
use jiff::Timestamp;

use crate::stub::{Reply, Stub};

const T0: i64 = 1_700_000_000_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

fn request(seconds: i64) -> FetchRequest {
    let range = TimeRange::new(at(T0), at(T0 + seconds * 1_000)).unwrap();
    FetchRequest::new(range).with_step(Duration::from_secs(1))
}

/// Thirty scrapes a second apart; the target is down from 10 to 12, the histogram's observations are of 0.2 s.
fn filled() -> SharedStore {
    let store = SharedStore::new(StoreConfig::default()).unwrap();
    let target: LabelMap = [("service", "orders"), ("instance", "orders-1"), ("node", "n1")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
    for i in 0..30 {
        let now = T0 + i * 1_000;
        if (10..12).contains(&i) {
            store.with(|store| store.record_failure(&target, now, "refused"));
            continue;
        }
        let text = format!(
            "# TYPE requests_total counter\nrequests_total{{code=\"200\"}} {}\n# TYPE depth gauge\ndepth {i}\n\
             # TYPE lat_seconds histogram\nlat_seconds_bucket{{le=\"0.1\"}} 0\nlat_seconds_bucket{{le=\"0.3\"}} {n}\n\
             lat_seconds_bucket{{le=\"+Inf\"}} {n}\nlat_seconds_count {n}\nlat_seconds_sum 1\nbuild_info 1\n",
            i * 5,
            n = i * 10,
        );
        let page = Page::parse(text.as_bytes(), Format::PrometheusText, ParserConfig::default()).unwrap();
        store.with(|store| store.record(&target, now, &page));
    }
    store
}

fn embedded(store: SharedStore) -> EmbeddedSource {
    EmbeddedSource::new(store, MetricSelection::default(), EntityMapping::default()).unwrap()
}

#[tokio::test]
async fn the_store_answers_with_levels_rates_and_quantiles_on_the_grid() {
    let source = embedded(filled());
    let window = source.fetch(&request(30), &Context::system()).await.unwrap();
    let by_name: BTreeMap<&str, &MetricSeries> =
        window.metrics.iter().map(|s| (s.key().name.as_str(), s)).collect();
    assert_eq!(
        by_name.keys().copied().collect::<Vec<_>>(),
        [
            "depth",
            "p50(lat_seconds)",
            "p95(lat_seconds)",
            "p99(lat_seconds)",
            "rate(lat_seconds_count)",
            "rate(requests_total)",
            "up"
        ]
    );
    let depth = by_name["depth"];
    assert_eq!(
        (depth.len(), depth.get(9), depth.get(10), depth.get(11), depth.get(12)),
        (30, Some(9.0), None, None, Some(12.0))
    );
    assert_eq!(by_name["up"].get(10), Some(0.0), "down is a value, not a gap");
    let rate = by_name["rate(requests_total)"];
    assert_eq!((rate.get(0), rate.get(1), rate.get(20)), (None, Some(5.0), Some(5.0)));
    assert_eq!((rate.kind(), rate.unit().0.as_str()), (MetricKind::Rate, "1/s"));
    assert_eq!(rate.key().labels.get("code"), Some("200"));
    let p95 = by_name["p95(lat_seconds)"];
    assert!((p95.get(20).unwrap() - 0.29).abs() < 1e-9);
    assert_eq!(
        (p95.kind(), p95.unit().0.as_str(), p95.key().labels.get("le")),
        (MetricKind::Quantile, "s", None)
    );
    assert!(window.metrics.iter().all(|series| *series.entity() == EntityId::instance("orders-1")));
    assert!(window.health.is_empty(), "the target is well again: {:?}", window.health);
    let edges: Vec<String> = window.topology.edges().map(|e| format!("{:?} {}", e.kind, e.to)).collect();
    assert_eq!(edges, ["PartOf service/orders", "RunsOn node/n1"]);
    assert_eq!(window.observed, [Signal::Metrics, Signal::Topology].into_iter().collect());
}

#[tokio::test]
async fn a_finding_can_be_read_again_by_name_and_label() {
    let source = embedded(filled());
    let whole = source.fetch(&request(30), &Context::system()).await.unwrap();
    for series in &whole.metrics {
        let mut selector =
            Selector::all().with_metric(series.key().name.clone()).with_entity(series.entity().clone());
        for (label, value) in series.key().labels.iter() {
            selector = selector.with_matcher(label, MatchOp::Equal, value);
        }
        let again = source.fetch(&request(30).with_selector(selector), &Context::system()).await.unwrap();
        assert_eq!(again.metrics, std::slice::from_ref(series), "{}", series.key());
    }
    let none = Selector::all().with_metric("depth").with_matcher("service", MatchOp::NotEqual, "orders");
    let none = source.fetch(&request(30).with_selector(none), &Context::system()).await.unwrap();
    assert!(none.metrics.is_empty());
    let stranger = Selector::all().with_entity(EntityId::service("stranger"));
    let none = source.fetch(&request(30).with_selector(stranger), &Context::system()).await.unwrap();
    assert!(none.metrics.is_empty() && none.topology.is_empty());
    let raw = Selector::all().with_metric("requests_total");
    let raw = source.fetch(&request(30).with_selector(raw), &Context::system()).await.unwrap();
    assert_eq!(raw.metrics[0].kind(), MetricKind::Counter, "a counter asked for by its own name is itself");
}

#[tokio::test]
async fn limits_wrong_steps_and_other_signals_are_refused() {
    let source = embedded(filled());
    let kind =
        async |request: FetchRequest| source.fetch(&request, &Context::system()).await.unwrap_err().kind();
    let mut few = request(30);
    few.limits.series = 3;
    assert_eq!(kind(few).await, ErrorKind::Limit);
    let mut short = request(30);
    short.limits.samples = 50;
    assert_eq!(kind(short).await, ErrorKind::Limit);
    assert_eq!(kind(request(30).with_step(Duration::ZERO)).await, ErrorKind::Invalid);
    assert_eq!(kind(request(30).with_step(Duration::from_micros(1_500))).await, ErrorKind::Invalid);
    assert_eq!(kind(request(30).with_signals(Signal::Logs.into())).await, ErrorKind::Unsupported);
    let cancelled = Context::system();
    cancelled.cancellation().cancel();
    let error = source.fetch(&request(30), &cancelled).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);

    let empty = source.fetch(&request(0), &Context::system()).await.unwrap();
    assert!(empty.metrics.is_empty());
    let only: SignalSet = Signal::Topology.into();
    let topology = source.fetch(&request(30).with_signals(only.clone()), &Context::system()).await.unwrap();
    assert!(topology.metrics.is_empty() && !topology.topology.is_empty());
    assert_eq!(topology.observed, only);
}

#[tokio::test]
async fn a_target_that_is_down_shows_in_the_health() {
    let store = filled();
    let target = store.with(|store| store.targets().next().unwrap().0.clone());
    store.with(|store| store.record_failure(&target, T0 + 30_000, "cannot connect"));
    let window = embedded(store).fetch(&request(32), &Context::system()).await.unwrap();
    let health = &window.health[0];
    assert_eq!(health.entity, Some(EntityId::instance("orders-1")));
    assert_eq!(health.last_seen, Some(at(T0 + 29_000)));
    assert_eq!(health.note.as_deref(), Some("1 scrapes in a row failed: cannot connect"));
}

fn success(data: impl std::fmt::Display) -> Reply {
    Reply::json(format!("{{\"status\":\"success\",\"data\":{data}}}"))
}

fn matrix(result: &str) -> Reply {
    success(format!("{{\"resultType\":\"matrix\",\"result\":[{result}]}}"))
}

async fn server(stub: &Stub) -> PrometheusSource {
    PrometheusSource::new(Arc::new(PrometheusClient::new(ClientConfig::new(&stub.url)).unwrap())).unwrap()
}

#[tokio::test]
async fn a_server_is_asked_for_what_it_has() {
    let stub = Stub::start(|_, request| {
        let path = request.target.split('?').next().unwrap();
        match path {
            "/api/v1/label/__name__/values" => {
                success(r#"["up","depth","requests_total","lat_seconds_bucket","lat_seconds_count","lat_seconds_sum"]"#)
            }
            "/api/v1/metadata" => success(r#"{"lat_seconds":[{"type":"histogram","help":"","unit":""}]}"#),
            "/api/v1/series" => success(r#"[{"__name__":"up","job":"orders","instance":"i:1"}]"#),
            "/api/v1/query_range" => {
                let query = request.field("query").unwrap();
                let labels = "\"job\":\"orders\",\"instance\":\"i:1\"";
                if query.starts_with("histogram_quantile") {
                    matrix(&format!("{{\"metric\":{{{labels}}},\"values\":[[1700000000,\"NaN\"],[1700000001,\"0.5\"]]}}"))
                } else if query.starts_with("rate") {
                    matrix(&format!("{{\"metric\":{{{labels}}},\"values\":[[1700000001,\"2\"]]}}"))
                } else {
                    let one = |name: &str, value: &str| {
                        format!("{{\"metric\":{{\"__name__\":\"{name}\",{labels}}},\"values\":[[1700000000,\"{value}\"],[1700000001,\"NaN\"]]}}")
                    };
                    matrix(&format!("{},{}", one("depth", "7"), one("up", "0")))
                }
            }
            other => panic!("{other}"),
        }
    })
    .await;
    let window = server(&stub).await.fetch(&request(2), &Context::system()).await.unwrap();
    let shown: Vec<(String, Option<f64>, Option<f64>)> =
        window.metrics.iter().map(|s| (s.key().name.clone(), s.get(0), s.get(1))).collect();
    assert_eq!(shown.len(), 7);
    assert!(shown[0].2.unwrap().is_nan(), "a NaN the target exposes is a value: {:?}", shown[0]);
    assert_eq!(shown[1], ("p50(lat_seconds)".into(), None, Some(0.5)), "a quantile of nothing is a gap");
    assert_eq!(shown[5], ("rate(requests_total)".into(), None, Some(2.0)));
    let mut queries: Vec<String> =
        stub.requests().iter().filter_map(|request| request.field("query")).collect();
    queries.sort();
    assert_eq!(
        queries,
        [
            "histogram_quantile(0.5, rate({__name__=\"lat_seconds_bucket\"}[120000ms]))",
            "histogram_quantile(0.95, rate({__name__=\"lat_seconds_bucket\"}[120000ms]))",
            "histogram_quantile(0.99, rate({__name__=\"lat_seconds_bucket\"}[120000ms]))",
            "rate({__name__=\"lat_seconds_count\"}[120000ms])",
            "rate({__name__=\"requests_total\"}[120000ms])",
            "{__name__!=\"\",__name__=~\"depth|up\"}",
        ]
    );
    assert_eq!(window.topology.edges().count(), 1);
}

#[tokio::test]
async fn one_failing_query_fails_the_fetch() {
    let stub = Stub::start(|_, request| match request.field("query") {
        Some(query) if query.contains("rate") => Reply::Status(
            422,
            "application/json",
            r#"{"status":"error","errorType":"execution","error":"no"}"#.into(),
        ),
        _ => matrix(""),
    })
    .await;
    let selector = Selector::all().with_metric("rate(a_total)").with_metric("b");
    let error =
        server(&stub).await.fetch(&request(2).with_selector(selector), &Context::system()).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Invalid, Some("TelemetrySource::fetch")));
}

#[tokio::test]
async fn hostile_label_values_stay_literals_in_a_query() {
    let stub = Stub::start(|_, _| matrix("")).await;
    let selector =
        Selector::all().with_metric("a").with_matcher("x", MatchOp::Equal, "\"} or vector(1) #\n\\");
    let request = request(2).with_selector(selector).with_signals(Signal::Metrics.into());
    server(&stub).await.fetch(&request, &Context::system()).await.unwrap();
    let query = stub.requests()[0].field("query").unwrap();
    assert_eq!(query, "{__name__!=\"\",__name__=~\"a\",x=\"\\\"} or vector(1) #\\n\\\\\"}");
}
