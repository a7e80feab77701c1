//! The scanner against a server in this process: what it asks, what it makes of the answers.

use aiops_core::model::{EntityId, Shape};
use aiops_core::{Context, ErrorKind};
use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use clap::Parser as _;
use jiff::Timestamp;

use crate::arguments::Arguments;
use crate::report;
use crate::scan::Scanner;

const END: i64 = 1_767_225_600;

fn success(data: &str) -> String {
    format!("{{\"status\":\"success\",\"data\":{data}}}")
}

/// Seconds in a field of a form.
fn field(form: &str, name: &str) -> i64 {
    let value = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap();
    value.split('.').next().unwrap().parse().unwrap()
}

/// `depth` of three instances, of which `b` doubles twenty minutes before the end; `sick_total` cannot be computed.
async fn query_range(form: String) -> impl IntoResponse {
    let (start, end, step) = (field(&form, "start"), field(&form, "end"), field(&form, "step"));
    if form.contains("sick_total") {
        let refusal = r#"{"status":"error","errorType":"execution","error":"too many samples"}"#;
        return (StatusCode::UNPROCESSABLE_ENTITY, refusal.to_owned());
    }
    let series = ["a", "b", "c"].map(|instance| {
        let value = |t: i64| {
            let noise = (t / step * 7_919) % 11;
            let shifted = instance == "b" && t >= END - 1_200;
            if shifted { 200 + noise } else { 100 + noise }
        };
        let values: Vec<String> = (0..)
            .map(|i| start + i * step)
            .take_while(|t| *t <= end)
            .map(|t| format!("[{t},\"{}\"]", value(t)))
            .collect();
        format!(
            "{{\"metric\":{{\"__name__\":\"depth\",\"instance\":\"{instance}\"}},\"values\":[{}]}}",
            values.join(",")
        )
    });
    (StatusCode::OK, success(&format!("{{\"resultType\":\"matrix\",\"result\":[{}]}}", series.join(","))))
}

async fn server(names: &'static str) -> String {
    let interval = r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"14.6"]}]}"#;
    let router = Router::new()
        .route("/api/v1/label/__name__/values", get(move || async move { success(names) }))
        .route("/api/v1/metadata", get(|| async { success("{}") }))
        .route("/api/v1/query", post(move || async move { success(interval) }))
        .route("/api/v1/query_range", post(query_range));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn scan(names: &'static str, more: &[&str]) -> aiops_core::Result<crate::scan::Scan> {
    let url = server(names).await;
    let at = Timestamp::from_second(END).unwrap().to_string();
    let arguments = [&["prometheus", &url, "--at", &at], more].concat();
    let ctx = Context::system();
    Scanner::connect(&Arguments::parse_from(arguments), &ctx).await?.scan(&ctx).await
}

#[tokio::test]
async fn the_one_that_left_its_norm_is_found_and_the_sick_metric_is_named() {
    let scan = scan(r#"["depth","sick_total"]"#, &[]).await.unwrap();
    assert_eq!(scan.step_seconds, 45.0, "whole scrapes of 15 s, some 300 samples of 3.5 h");
    assert_eq!((scan.signals, scan.compared), (2, 3));
    let found: Vec<_> = scan.found.iter().map(|f| (&f.anomaly.entity, f.anomaly.shape)).collect();
    assert_eq!(found, [(&EntityId::instance("b"), Shape::LevelShiftUp)]);
    let onset = scan.found[0].anomaly.onset.as_second();
    assert!((END - 1_200..=END - 1_155).contains(&onset), "onset {} s before the end", END - onset);
    assert_eq!(scan.unread.keys().collect::<Vec<_>>(), ["rate(sick_total)"]);
    let text = report::text(&scan, 25);
    assert!(text.contains("instance/b") && text.contains("not read: rate(sick_total)"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&report::json(&scan).unwrap()).unwrap();
    assert_eq!(json["found"][0]["entity"], "instance/b");
}

#[tokio::test]
async fn patterns_narrow_and_an_empty_server_is_told() {
    assert!(scan(r#"["depth","sick_total"]"#, &["--include", "dep*"]).await.unwrap().unread.is_empty());
    let nothing = scan(r#"["depth"]"#, &["--exclude", "depth"]).await.unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::NotFound);
    let crowded = scan(r#"["depth"]"#, &["--max-series", "2"]).await.unwrap();
    assert_eq!((crowded.compared, crowded.unread["depth"].as_str()), (0, "3 series, more than --max-series"));
}
