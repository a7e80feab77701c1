use std::process::Command;
use std::time::Duration;

use aiops_core::model::{FetchRequest, Selector, Signal, TimeRange};
use aiops_core::seam::TelemetrySource;
use aiops_core::{Clock as _, ErrorKind, SystemClock};
use aiops_prometheus::store::{Grid, Point, instant};
use aiops_prometheus::{PrometheusSource, SeriesSelector};

use crate::history;
use crate::server::{Server, context, eventually, exchange, find};

async fn victoria(arguments: &[&str]) -> Server {
    Server::start("http", "/health", tempfile::tempdir().unwrap(), |folder, port| {
        let mut command = Command::new(find("victoria-metrics").unwrap());
        command
            .arg(format!("-storageDataPath={}", folder.join("data").display()))
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .arg("-retentionPeriod=100y")
            .args(arguments);
        command
    })
    .await
}

async fn import(server: &Server, text: &str) {
    let port = server.url.rsplit(':').next().unwrap().parse().unwrap();
    let head = "POST /api/v1/import/prometheus HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    let answer =
        exchange(port, &format!("{head}content-length: {}\r\n\r\n{text}", text.len())).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    exchange(port, "GET /internal/force_flush HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
}

/// The contract of the seam, held by a real server.
pub(crate) async fn is_a_telemetry_source() {
    let server = victoria(&[]).await;
    import(&server, &history::text(&history::generate())).await;
    crate::prometheus::conforms(server.client()).await;
}

/// The grid is kept, point by point, over several queries.
pub(crate) async fn long_ranges_are_stitched() {
    let history = history::generate();
    let server = victoria(&[]).await;
    import(&server, &history::text(&history)).await;
    let (client, ctx) = (server.client(), context());
    let grid = Grid { start_ms: history::START_MS - 1_000_000, step_ms: 333, len: 25_000 };
    // An explicit look-back, since VictoriaMetrics guesses one from the distance of the samples otherwise.
    let answer =
        client.query_range("last_over_time(depth{instance=\"i-1\"}[60s])", grid, &ctx).await.unwrap();
    assert_eq!(answer.data.len(), 1);
    let points: Vec<Point> = history[0].points.iter().map(|(at, value)| Point::new(*at, *value)).collect();
    let expected = instant(&points, grid, 60_000);
    assert_eq!(answer.data[0].values.len(), expected.len());
    let wrong = answer.data[0].values.iter().zip(&expected).filter(|(a, b)| a != b).count();
    assert_eq!(wrong, 0, "of {} points", expected.len());

    let (from, to) = (history[0].points[0].0, history[0].points[400].0);
    let at = |ms| jiff::Timestamp::from_millisecond(ms).unwrap();
    let names = client.label_values("__name__", &[], at(from), at(to), &ctx).await.unwrap().data;
    assert_eq!(names, ["depth", "latency_seconds_bucket", "requests_total"]);
    let found = client
        .series(&[SeriesSelector::name("latency_seconds_bucket")], at(from), at(to), &ctx)
        .await
        .unwrap();
    assert_eq!(found.data.len(), history::BOUNDS.len());
    let metadata = client.metadata(100, &ctx).await.unwrap().data;
    assert!(metadata.is_empty(), "this version keeps none; suffixes decide then");

    // As a source: rates and quantiles are there, within what the different definitions leave open.
    let source = PrometheusSource::new(client).unwrap();
    let range = TimeRange::new(at(from + 600_000), at(from + 1_200_000)).unwrap();
    let selector = Selector::all().with_metric("rate(requests_total)").with_metric("p95(latency_seconds)");
    let request = FetchRequest::new(range).with_selector(selector).with_signals(Signal::Metrics.into());
    let window = source.fetch(&request, &ctx).await.unwrap();
    assert_eq!(window.metrics.len(), 2);
    let ours = aiops_prometheus::EmbeddedSource::new(
        history::store(&history, 5),
        aiops_prometheus::MetricSelection {
            min_rate_window: Duration::from_secs(120),
            ..aiops_prometheus::MetricSelection::default()
        },
        aiops_prometheus::EntityMapping::default(),
    )
    .unwrap();
    let ours = ours.fetch(&request, &ctx).await.unwrap();
    for (their, our) in window.metrics.iter().zip(&ours.metrics) {
        assert_eq!(their.key(), our.key());
        let mean = |series: &aiops_core::model::MetricSeries| {
            let values: Vec<f64> = series.samples().flatten().collect();
            values.iter().sum::<f64>() / values.len() as f64
        };
        let off = (mean(their) - mean(our)).abs() / mean(our);
        assert!(off < 0.1, "{}: mean {} there, {} here", our.key(), mean(their), mean(our));
    }
}

/// The last 30 s, which VictoriaMetrics hides unless told not to: old versions by a flag of the server, new ones by the
/// parameter the client sends.
pub(crate) async fn shows_the_present() {
    let server = victoria(&["-search.latencyOffset=1s"]).await;
    // It takes the offset for at least a second, hence a little in the past.
    let now_ms = SystemClock.now().as_millisecond() - 3_000;
    let lines: Vec<String> =
        (0..30).map(|i| format!("fresh {} {}", 30 - i, now_ms - i * 1_000)).rev().collect();
    import(&server, &(lines.join("\n") + "\n")).await;
    let grid = Grid { start_ms: now_ms - 29_000, step_ms: 1_000, len: 30 };
    let client = server.client();
    let values = eventually("fresh data", async || {
        let data = client.query_range("fresh", grid, &context()).await.unwrap().data;
        data.into_iter().next().map(|series| series.values)
    })
    .await;
    let expected: Vec<Option<f64>> = (1..=30).map(|i| Some(f64::from(i))).collect();
    assert_eq!(values, expected);
}

pub(crate) async fn refuses_what_is_wrong() {
    let server = victoria(&[]).await;
    let error = server.client().query("up{", SystemClock.now(), &context()).await.unwrap_err();
    let error = aiops_core::Error::from(error);
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Invalid, false), "{error}");
}
