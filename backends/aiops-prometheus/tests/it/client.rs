use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use aiops_core::model::time;
use aiops_core::{Cancellation, Context, ErrorKind, ManualClock};
use aiops_prometheus::client::{Auth, ClientConfig, ClientError, PrometheusClient, RetryConfig, Secret};
use aiops_prometheus::exposition::FamilyType;
use aiops_prometheus::store::Grid;
use aiops_prometheus::{SeriesSelector, SetUpError};
use jiff::Timestamp;

use crate::stub::{Reply, Request, Stub, dead_port};

fn config(url: &str) -> ClientConfig {
    // Long enough for a busy machine, short enough to wait for.
    ClientConfig { timeout: Duration::from_secs(1), ..ClientConfig::new(url) }
}

fn client(url: &str) -> PrometheusClient {
    PrometheusClient::new(config(url)).unwrap()
}

/// Time that passes in sleeps only, so that retries need no real pauses.
fn context() -> (Context, ManualClock) {
    let clock = ManualClock::leaping(at(1_700_000_000_000));
    (Context::new(Arc::new(clock.clone())), clock)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

async fn query(stub: &Stub) -> Result<Vec<f64>, ClientError> {
    let answer = client(&stub.url).query("up", at(1_700_000_000_123), &context().0).await?;
    Ok(answer.data.into_iter().map(|sample| sample.point.value).collect())
}

const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
    {"metric":{"__name__":"up","job":"a"},"value":[1700000000.123,"1"]},
    {"metric":{"__name__":"up","job":"b"},"value":[1700000000.123,"NaN"]},
    {"metric":{"__name__":"up","job":"c"},"value":[1700000000.123,"-Inf"]}]},
    "warnings":["one store is down"],"infos":["be careful"]}"#;

#[tokio::test]
async fn an_instant_query_is_a_post_with_exact_time_and_its_warnings_surface() {
    let stub = Stub::start(|_, _| Reply::json(VECTOR)).await;
    let client = client(&format!("{}/prefix/", stub.url));
    let answer = client.query("up{a=\"ü &=\"}", at(1_700_000_000_123), &context().0).await.unwrap();
    assert_eq!(answer.warnings, ["one store is down", "be careful"]);
    assert_eq!(answer.data[0].labels["job"], "a");
    assert_eq!(answer.data[0].point.at_ms, 1_700_000_000_123);
    assert!(answer.data[1].point.value.is_nan());
    assert_eq!(answer.data[2].point.value, f64::NEG_INFINITY);
    let request = stub.requests().remove(0);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/prefix/api/v1/query"));
    assert_eq!(request.field("query").as_deref(), Some("up{a=\"ü &=\"}"));
    assert_eq!(request.field("time").as_deref(), Some("1700000000.123"));
}

#[tokio::test]
async fn a_scalar_is_a_vector_and_other_types_are_refused() {
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1.5,"2"]}}"#;
    let stub = Stub::start(move |_, _| Reply::json(scalar)).await;
    assert_eq!(query(&stub).await.unwrap(), [2.0]);
    for other in [
        r#"{"status":"success","data":{"resultType":"string","result":[1.5,"x"]}}"#,
        r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
        r#"{"status":"success"}"#,
    ] {
        let stub = Stub::start(move |_, _| Reply::json(other)).await;
        assert!(matches!(query(&stub).await, Err(ClientError::Protocol(_))), "{other}");
    }
}

/// Answers a range query as a server does: the series `s` with value = time where `present(time)`.
fn matrix(request: &Request, present: impl Fn(i64) -> bool) -> Reply {
    let millis = |field| {
        let text = request.field(field).unwrap();
        let (seconds, fraction) = text.split_once('.').unwrap();
        seconds.parse::<i64>().unwrap() * 1_000 + fraction.parse::<i64>().unwrap()
    };
    let (start, end, step) = (millis("start"), millis("end"), millis("step"));
    let points: Vec<String> = (0..)
        .map(|i| start + i * step)
        .take_while(|t| *t <= end)
        .filter(|t| present(*t))
        .map(|t| format!("[{}.{:03},\"{t}\"]", t / 1_000, t % 1_000))
        .collect();
    assert!(points.len() <= 11_000, "the server would refuse");
    let result = if points.is_empty() {
        String::new()
    } else {
        format!("{{\"metric\":{{\"__name__\":\"s\"}},\"values\":[{}]}}", points.join(","))
    };
    Reply::json(format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{result}]}},\"warnings\":[\"w\"]}}"
    ))
}

#[tokio::test]
async fn long_ranges_are_cut_under_the_limit_and_stitched_exactly() {
    let present = |t: i64| t % 7 != 0;
    let stub = Stub::start(move |_, request| matrix(request, present)).await;
    let grid = Grid { start_ms: 1_700_000_000_017, step_ms: 1_001, len: 25_000 };
    let answer = client(&stub.url).query_range("s", grid, &context().0).await.unwrap();
    assert_eq!(stub.requests().len(), 3);
    assert_eq!(answer.warnings, ["w"], "the same warning once");
    assert_eq!(answer.data.len(), 1);
    let expected: Vec<Option<f64>> = grid.times().map(|t| present(t).then_some(t as f64)).collect();
    assert_eq!(answer.data[0].values, expected);

    for (len, max, queries) in [(0, 10, 0), (1, 10, 1), (10, 10, 1), (11, 10, 2), (20, 10, 2), (3, 2, 2)] {
        let stub = Stub::start(move |_, request| matrix(request, |_| true)).await;
        let client =
            PrometheusClient::new(ClientConfig { max_points_per_query: max, ..config(&stub.url) }).unwrap();
        let grid = Grid { len, ..grid };
        let data = client.query_range("s", grid, &context().0).await.unwrap().data;
        assert_eq!((stub.requests().len(), data.len()), (queries, queries.min(1)), "{len} points by {max}");
        assert!(
            data.iter().all(|series| series.values.len() == len && series.values.iter().all(Option::is_some))
        );
    }
}

#[tokio::test]
async fn a_matrix_off_the_grid_or_with_double_samples_is_refused() {
    let grid = Grid { start_ms: 1_000, step_ms: 1_000, len: 3 };
    for values in [
        "[[1.5,\"1\"]]",
        "[[0,\"1\"]]",
        "[[4,\"1\"]]",
        "[[1e300,\"1\"]]",
        "[[-1e300,\"1\"]]",
        "[[1,\"1\"],[1,\"1\"]]",
    ] {
        let body = format!(
            "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{{\"metric\":{{}},\"values\":{values}}}]}}}}"
        );
        let stub = Stub::start(move |_, _| Reply::json(body.clone())).await;
        let refused = client(&stub.url).query_range("s", grid, &context().0).await;
        assert!(matches!(refused, Err(ClientError::Protocol(_))), "{values}: {refused:?}");
    }
    let stub = Stub::start(|_, _| Reply::Close).await;
    let grid = Grid { step_ms: 0, ..grid };
    assert!(matches!(
        client(&stub.url).query_range("s", grid, &context().0).await,
        Err(ClientError::Request(_))
    ));
}

#[tokio::test]
async fn lists_and_metadata() {
    let stub = Stub::start(|_, request| {
        let path = request.target.split('?').next().unwrap();
        let data = match path {
            "/api/v1/series" => r#"[{"__name__":"b"},{"__name__":"a"},{"__name__":"b"}]"#,
            "/api/v1/labels" => r#"["job","__name__"]"#,
            "/api/v1/label/a%2Fb/values" => r#"["y","x"]"#,
            "/api/v1/metadata" => {
                r#"{"a_total":[{"type":"counter","help":"h","unit":""}],
                    "b":[{"type":"gauge","help":"","unit":""},{"type":"counter","help":"","unit":""}],
                    "c":[], "d":[{"type":"novel"}]}"#
            }
            other => panic!("{other}"),
        };
        Reply::json(format!("{{\"status\":\"success\",\"data\":{data}}}"))
    })
    .await;
    let (client, ctx) = (client(&stub.url), context().0);
    let (from, to) = (at(1_000), at(2_500));
    let up = [SeriesSelector::name("a"), SeriesSelector::name("b")];
    let series = client.series(&up, from, to, &ctx).await.unwrap().data;
    assert_eq!(series.iter().map(|labels| labels["__name__"].as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let sent = stub.requests().remove(0);
    assert_eq!(
        sent.body,
        "match%5B%5D=%7B__name__%3D%22a%22%7D&match%5B%5D=%7B__name__%3D%22b%22%7D&start=1.000&end=2.500"
    );
    assert_eq!(client.label_names(&[], from, to, &ctx).await.unwrap().data, ["__name__", "job"]);
    assert_eq!(client.label_values("a/b", &[], from, to, &ctx).await.unwrap().data, ["x", "y"]);
    let metadata = client.metadata(10, &ctx).await.unwrap().data;
    let kinds: Vec<_> = metadata.iter().map(|(family, metadata)| (family.as_str(), metadata.kind)).collect();
    assert_eq!(
        kinds,
        [("a_total", FamilyType::Counter), ("b", FamilyType::Unknown), ("d", FamilyType::Unknown)],
        "targets that disagree leave the type open"
    );
    assert!(matches!(client.series(&[], from, to, &ctx).await, Err(ClientError::Request(_))));
}

#[tokio::test]
async fn transient_failures_are_retried_with_growing_pauses_and_others_are_not() {
    let busy = |_: usize| Reply::Status(503, "text/plain", "busy".into());
    let stub = Stub::start(move |n, _| if n < 2 { busy(n) } else { Reply::json(VECTOR) }).await;
    let (ctx, clock) = context();
    let began = ctx.now();
    assert_eq!(client(&stub.url).query("up", at(0), &ctx).await.unwrap().data.len(), 3);
    use aiops_core::Clock as _;
    assert_eq!(time::elapsed(began, clock.now()), Duration::from_millis(200 + 400));

    let stub = Stub::start(move |n, _| busy(n)).await;
    let error = query(&stub).await.unwrap_err();
    assert!(matches!(&error, ClientError::Status { status: 503, excerpt, .. } if excerpt == "busy"));
    assert_eq!(stub.requests().len(), 3, "three attempts, not more");

    let after = |seconds: &str| vec![("retry-after", seconds.to_owned())];
    let headers = after("2");
    let stub = Stub::start(move |n, _| match n {
        0 => Reply::Headers(429, headers.clone(), String::new()),
        _ => Reply::json(VECTOR),
    })
    .await;
    let (ctx, clock) = context();
    let began = ctx.now();
    client(&stub.url).query("up", at(0), &ctx).await.unwrap();
    assert_eq!(time::elapsed(began, clock.now()), Duration::from_secs(2), "as the server asked");

    let retry = RetryConfig::default();
    let pauses: Vec<_> = (1..8).map(|attempt| retry.backoff(attempt, None).as_millis()).collect();
    assert_eq!(pauses, [200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    assert_eq!(retry.backoff(u32::MAX, None), Duration::from_secs(5));
    assert_eq!(retry.backoff(1, Some(Duration::from_secs(3_600))), Duration::from_secs(5));
}

#[tokio::test]
async fn each_refusal_has_its_kind() {
    let api = |status: u16, kind: &str| {
        let body = format!(r#"{{"status":"error","errorType":"{kind}","error":"no\u0000pe"}}"#);
        Reply::Status(status, "application/json", body)
    };
    let cases = [
        (api(400, "bad_data"), ErrorKind::Invalid, 1),
        (api(422, "execution"), ErrorKind::Invalid, 1),
        (api(404, "not_found"), ErrorKind::NotFound, 1),
        (api(503, "timeout"), ErrorKind::Timeout, 3),
        (api(500, "internal"), ErrorKind::Unavailable, 3),
        (api(200, "execution"), ErrorKind::Invalid, 1),
        (api(418, "teapot"), ErrorKind::Invalid, 1),
        (Reply::Status(401, "text/html", "<html>".into()), ErrorKind::Unauthorized, 1),
        (Reply::Status(403, "text/html", "<html>".into()), ErrorKind::Unauthorized, 1),
        (Reply::Status(404, "text/html", "<html>".into()), ErrorKind::NotFound, 1),
        (Reply::Status(429, "text/html", String::new()), ErrorKind::RateLimited, 3),
        (Reply::Status(500, "text/html", String::new()), ErrorKind::Unavailable, 3),
        (Reply::Status(502, "text/html", String::new()), ErrorKind::Unavailable, 3),
        (
            Reply::Headers(302, vec![("location", "http://127.0.0.1:1/".into())], String::new()),
            ErrorKind::Invalid,
            1,
        ),
        (Reply::Close, ErrorKind::Unavailable, 3),
        (Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), ErrorKind::Unavailable, 3),
        (
            Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"status\"".to_vec()),
            ErrorKind::Unavailable,
            3,
        ),
        (Reply::Hang, ErrorKind::Timeout, 3),
        (
            Reply::RawThenHang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec()),
            ErrorKind::Timeout,
            3,
        ),
        (Reply::Trickle(VECTOR.to_owned(), Duration::from_millis(50)), ErrorKind::Timeout, 3),
    ];
    let judged = cases.into_iter().map(|(reply, kind, attempts)| async move {
        let shown = format!("{reply:?}");
        let stub = Stub::start(move |_, _| reply.clone()).await;
        let error = aiops_core::Error::from(query(&stub).await.unwrap_err());
        assert_eq!(error.kind(), kind, "{shown}: {error}");
        assert_eq!(stub.requests().len(), attempts, "{shown}");
        assert_eq!(error.is_transient(), attempts == 3, "{shown}");
        assert!(error.source().is_some());
        assert!(!error.to_string().contains('\0'), "control characters of a stranger");
    });
    // Side by side, since some of them wait for three timeouts.
    futures_util::future::join_all(judged).await;
    let dead = format!("http://127.0.0.1:{}", dead_port().await);
    let error = client(&dead).query("up", at(0), &context().0).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect(_)) && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn hostile_json_ends_as_an_error() {
    let vector = |inside: &str| {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{inside}]}}}}"#)
    };
    let cases = [
        String::new(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        VECTOR[..100].to_owned(),
        "[".repeat(100_000),
        format!("{{\"status\":\"success\",\"data\":{}", "{\"a\":".repeat(50_000)),
        r#"{"status":"maybe","data":{}}"#.into(),
        r#"{"status":"success","data":{"resultType":"tensor","result":[]}}"#.into(),
        r#"{"status":"success","data":{"resultType":"vector","result":7}}"#.into(),
        vector(r#"{"metric":{"a":1},"value":[1,"1"]}"#),
        vector(r#"{"metric":{},"value":[1,1]}"#),
        vector(r#"{"metric":{},"value":["1","1"]}"#),
        vector(r#"{"metric":{},"value":[1,"one"]}"#),
        vector(r#"{"metric":{},"value":[1,"1",2]}"#),
        vector(r#"{"metric":{},"value":[1]}"#),
        vector(r#"{"metric":{},"value":[1e999,"1"]}"#),
        vector(r#"{"metric":{},"value":[1,"1e999"]}"#),
        vector("{\"metric\":{\"a\":\"\u{1}\"},\"value\":[1,\"1\"]}"),
    ];
    for body in cases {
        let shown: String = body.chars().take(120).collect();
        let stub = Stub::start(move |_, _| Reply::json(body.clone())).await;
        let error = query(&stub).await.unwrap_err();
        assert!(matches!(error, ClientError::Decode { .. }), "{shown}: {error:?}");
        assert_eq!(aiops_core::Error::from(error).kind(), ErrorKind::Malformed);
        assert_eq!(stub.requests().len(), 1, "what is malformed now stays so");
    }
    let stub = Stub::start(|_, _| {
        let mut head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"status\":\"".to_vec();
        head.extend([0xff, 0xfe, 0x80]);
        Reply::Raw(head)
    })
    .await;
    assert!(matches!(query(&stub).await, Err(ClientError::Decode { .. })), "not UTF-8");
    let stub = Stub::start(move |_, _| Reply::json(vector(r#"{"metric":{},"value":[1e300,"1"]}"#))).await;
    assert!(matches!(query(&stub).await, Err(ClientError::Protocol(_))), "a time outside of time");
}

#[tokio::test]
async fn size_limits_hold_with_and_without_a_declared_length() {
    let small = |url: &str| {
        PrometheusClient::new(ClientConfig { max_response_bytes: 2_048, max_series: 2, ..config(url) })
    };
    let declared = Stub::start(|_, _| Reply::json(" ".repeat(2_049))).await;
    let endless = Stub::start(|_, _| Reply::Endless).await;
    for stub in [&declared, &endless] {
        let error = small(&stub.url).unwrap().query("up", at(0), &context().0).await.unwrap_err();
        assert!(matches!(error, ClientError::TooLarge { limit: 2_048 }), "{error:?}");
        assert_eq!(aiops_core::Error::from(error).kind(), ErrorKind::Limit);
        assert_eq!(stub.requests().len(), 1);
    }
    let many = Stub::start(|_, _| Reply::json(VECTOR)).await;
    let error = small(&many.url).unwrap().query("up", at(0), &context().0).await.unwrap_err();
    assert!(matches!(error, ClientError::TooManySeries { series: 3, limit: 2 }), "{error:?}");
    // However large a refusal is, it stays a refusal.
    let page = Stub::start(|_, _| Reply::Status(400, "text/html", "x".repeat(4_096))).await;
    let error = small(&page.url).unwrap().query("up", at(0), &context().0).await.unwrap_err();
    assert!(matches!(error, ClientError::Status { status: 400, .. }), "{error:?}");
}

#[tokio::test]
async fn a_caller_can_give_up() {
    let stub = Stub::start(|_, _| Reply::Hang).await;
    let config = ClientConfig { timeout: Duration::from_secs(3_600), ..config(&stub.url) };
    let client = PrometheusClient::new(config).unwrap();
    let cancellation = Cancellation::new();
    let ctx = Context::system().with_cancellation(cancellation.clone());
    let (asked, ()) = tokio::join!(client.query("up", at(0), &ctx), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        cancellation.cancel();
    });
    assert_eq!(aiops_core::Error::from(asked.unwrap_err()).kind(), ErrorKind::Cancelled);
    let hurried = Context::system().with_timeout(Duration::from_millis(50));
    let late = client.query("up", at(0), &hurried).await.unwrap_err();
    assert_eq!(aiops_core::Error::from(late).kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let stub = Stub::start(|_, _| Reply::Status(401, "text/plain", "who?".into())).await;
    for (auth, header) in [
        (Auth::Bearer { token: Secret::new("hunter2") }, "Bearer hunter2"),
        (Auth::Basic { username: "u".into(), password: Secret::new("hunter2") }, "Basic dTpodW50ZXIy"),
    ] {
        let config = ClientConfig { auth, ..config(&stub.url) };
        assert!(!format!("{config:?}").contains("hunter2"));
        let client = PrometheusClient::new(config).unwrap();
        assert!(!format!("{client:?}").contains("hunter2"));
        let error = client.query("up", at(0), &context().0).await.unwrap_err();
        assert_eq!(stub.requests().last().unwrap().header("authorization"), Some(header));
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
    let error = PrometheusClient::new(config("http://user:hunter2@127.0.0.1:1/")).unwrap_err();
    assert!(matches!(&error, SetUpError::Config(config) if config.field() == "url"), "{error}");
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    let bad = "{\"url\":\"http://a\",\"auth\":{\"bearer\":{\"token\":\"hunter2\",\"x\":1}}}";
    assert!(!serde_json::from_str::<ClientConfig>(bad).unwrap_err().to_string().contains("hunter2"));
    let good = "{\"url\":\"http://a\",\"auth\":{\"bearer\":{\"token\":\"hunter2\"}},\"timeout\":\"1m 30s\"}";
    let read = serde_json::from_str::<ClientConfig>(good).unwrap();
    assert_eq!(read.timeout, Duration::from_secs(90));
    assert_eq!(read.auth, Auth::Bearer { token: Secret::new("hunter2") });
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let refuse = |change: &dyn Fn(&mut ClientConfig)| {
        let mut config = ClientConfig::new("http://127.0.0.1:9090");
        change(&mut config);
        config.validate().unwrap_err().field()
    };
    for url in ["", "127.0.0.1:9090", "ftp://a/", "unix:/a", "http://a/?x=1", "http://a/#b"] {
        assert_eq!(refuse(&|config| config.url = url.into()), "url", "{url}");
    }
    assert_eq!(refuse(&|config| config.timeout = Duration::ZERO), "timeout");
    assert_eq!(refuse(&|config| config.max_points_per_query = 11_001), "max_points_per_query");
    assert_eq!(refuse(&|config| config.retry.attempts = 0), "retry.attempts");
    assert_eq!(refuse(&|config| config.max_response_bytes = 1), "max_response_bytes");
    assert_eq!(refuse(&|config| config.concurrency = 0), "concurrency");
    assert!(serde_json::from_str::<ClientConfig>("{\"url\":\"http://a\",\"colour\":1}").is_err());
}

#[tokio::test]
async fn tls_trusts_the_given_authority_and_no_other() {
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    let stub = Stub::start_tls(server, |_, _| Reply::json(VECTOR)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (ours, empty) = (file("ours.pem", &key.cert.pem()), file("empty.pem", "nothing"));
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let theirs = file("theirs.pem", &other.cert.pem());
    let with = |ca: &std::path::Path| {
        let mut config = config(&stub.url);
        config.tls.ca_files = vec![ca.to_owned()];
        config.tls.only_ca_files = true;
        PrometheusClient::new(config)
    };
    assert_eq!(with(&ours).unwrap().query("up", at(0), &context().0).await.unwrap().data.len(), 3);
    let refused = with(&theirs).unwrap().query("up", at(0), &context().0).await.unwrap_err();
    assert!(matches!(refused, ClientError::Connect(_)), "{refused:?}");
    assert!(!refused.is_transient(), "a certificate does not become trusted by waiting: {refused:?}");
    assert!(matches!(with(&empty), Err(SetUpError::Certificates { .. })));
    assert!(matches!(with(&folder.path().join("absent.pem")), Err(SetUpError::Certificates { .. })));
    assert!(rustls::crypto::CryptoProvider::get_default().is_none(), "nothing is installed process-wide");
}
