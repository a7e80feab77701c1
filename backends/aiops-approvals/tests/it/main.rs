//! The approval API over real connections on the loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aiops_act::KillFile;
use aiops_act::approval::{ApprovalConfig, ApprovalDesk};
use aiops_approvals::{ApprovalServer, ServerConfig, token_hash};
use aiops_core::action::Principal;
use aiops_core::guard::KillSwitch;
use aiops_core::seam::Approver;
use aiops_core::{Context, ErrorKind, ManualClock};
use aiops_testkit::conformance::{self, ApproverFixture};
use aiops_testkit::sample;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

const ADA: &str = "ada's token, which is long and random";
const BEN: &str = "ben's token, which is long and random";
const PLANNER: &str = "a token for the one who proposes, by mistake";

struct Running {
    _folder: tempfile::TempDir,
    desk: ApprovalDesk,
    clock: ManualClock,
    ctx: Context,
    switch: KillSwitch,
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn config() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.listen = "127.0.0.1:0".parse().unwrap();
    for (who, token) in [("ada", ADA), ("ben", BEN), ("planner", PLANNER)] {
        config.tokens.insert(Principal::new(who), token_hash(token));
    }
    config
}

async fn start() -> Running {
    start_with(ApprovalConfig::default()).await
}

async fn start_with(approvals: ApprovalConfig) -> Running {
    start_as(approvals, None).await
}

async fn start_stopping_by(file: Option<&KillFile>) -> Running {
    start_as(ApprovalConfig::default(), file).await
}

async fn start_as(approvals: ApprovalConfig, file: Option<&KillFile>) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let desk = ApprovalDesk::open(folder.path().join("approvals"), approvals).unwrap();
    let clock = ManualClock::at(sample::now());
    let ctx = Context::new(Arc::new(clock.clone()));
    let switch = KillSwitch::new();
    let server = ApprovalServer::new(desk.clone(), config()).unwrap();
    let server = match file {
        Some(file) => server.with_kill_file(switch.clone(), file.clone()),
        None => server.with_kill_switch(switch.clone()),
    };
    let (address, serving) = server.bind(ctx.clone()).await.unwrap();
    let task = tokio::spawn(async move { serving.await.unwrap() });
    Running { _folder: folder, desk, clock, ctx, switch, address, task }
}

struct Call<'a> {
    method: Method,
    path: &'a str,
    headers: Vec<(&'a str, String)>,
    body: Vec<u8>,
}

fn get(path: &str) -> Call<'_> {
    Call { method: Method::GET, path, headers: vec![], body: vec![] }
}

fn post<'a>(path: &'a str, body: &Value) -> Call<'a> {
    let headers = vec![("content-type", "application/json".to_owned())];
    Call { method: Method::POST, path, headers, body: serde_json::to_vec(body).unwrap() }
}

impl Call<'_> {
    fn by(mut self, token: &str) -> Self {
        self.headers.push(("authorization", format!("Bearer {token}")));
        self
    }

    async fn send(self, to: &Running) -> (StatusCode, Value) {
        let mut request =
            Request::builder().method(self.method).uri(format!("http://{}{}", to.address, self.path));
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let response = client.request(request.body(Full::new(self.body.into())).unwrap()).await.unwrap();
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
        } else {
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).expect("every answer is JSON");
        if !status.is_success() {
            let error = &body["error"];
            assert!(error["kind"].is_string() && error["message"].is_string(), "{status}: {body}");
        }
        (status, body)
    }
}

async fn ask(to: &Running) -> String {
    let ticket = to.desk.ask(&sample::approval_request().unwrap(), &to.ctx).await.unwrap();
    ticket.id.to_string()
}

fn yes() -> Value {
    json!({"granted": true, "reason": "go ahead"})
}

fn answer_path(id: &str) -> String {
    format!("/v1/approvals/{id}/answer")
}

#[tokio::test]
async fn whoever_waits_gets_the_answer_of_a_client() {
    let running = start().await;
    let (desk, ctx) = (running.desk.clone(), running.ctx.clone());
    let request = sample::approval_request().unwrap();
    let waiting = tokio::spawn(async move { Approver::decide(&desk, &request, &ctx).await });
    let id = loop {
        let (status, body) = get("/v1/approvals").by(ADA).send(&running).await;
        assert_eq!(status, StatusCode::OK);
        if let Some(first) = body["approvals"].get(0) {
            assert_eq!(first["request"]["reasons"], json!(["medium risk"]));
            assert!(first["request"]["preview"]["effect"].is_string());
            break first["id"].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let body = json!({"granted": true, "reason": "go ahead", "diagnosis_right": true});
    let (status, told) = post(&answer_path(&id), &body).by(ADA).send(&running).await;
    assert_eq!((status, told["standing"].as_str()), (StatusCode::OK, Some("granted")));
    let decision = waiting.await.unwrap().unwrap();
    assert!(decision.granted);
    // The name is the token's; nobody was asked for one.
    assert_eq!(decision.approver, Principal::new("ada"));
    let labels = running.desk.labels(&running.ctx).await.unwrap();
    assert_eq!(labels[0].diagnosis_right, Some(true));
    let (_, body) = get("/v1/approvals").by(ADA).send(&running).await;
    assert_eq!(body["approvals"], json!([]));
    let (status, shown) = get(&format!("/v1/approvals/{id}")).by(BEN).send(&running).await;
    assert_eq!((status, shown["standing"].as_str()), (StatusCode::OK, Some("granted")));
}

#[tokio::test]
async fn without_a_token_nothing_is_shown_or_done() {
    let running = start().await;
    let id = ask(&running).await;
    let path = answer_path(&id);
    let wrong: [Vec<(&str, String)>; 7] = [
        vec![],
        vec![("authorization", "Bearer".to_owned())],
        vec![("authorization", "Bearer ".to_owned())],
        vec![("authorization", format!("Basic {ADA}"))],
        vec![("authorization", format!("Bearer {ADA}x"))],
        vec![("authorization", ADA.to_owned())],
        vec![("authorization", format!("Bearer {ADA}")), ("authorization", format!("Bearer {BEN}"))],
    ];
    for headers in wrong {
        for target in ["/v1/approvals", "/v1/kill-switch", "/nothing", &format!("/v1/approvals/{id}")] {
            let mut call = get(target);
            call.headers = headers.clone();
            assert_eq!(call.send(&running).await.0, StatusCode::UNAUTHORIZED, "{headers:?} {target}");
        }
        for (target, body) in [(path.as_str(), yes()), ("/v1/kill-switch", json!({"reason": "x"}))] {
            let mut call = post(target, &body);
            call.headers.extend(headers.clone());
            assert_eq!(call.send(&running).await.0, StatusCode::UNAUTHORIZED);
        }
    }
    assert!(running.desk.pending(&running.ctx).await.unwrap()[0].answers.is_empty());
    assert!(!running.switch.is_engaged());
}

#[tokio::test]
async fn refusals_have_a_kind_each() {
    let running = start().await;
    let id = ask(&running).await;
    let path = answer_path(&id);
    let kind = |body: &Value| body["error"]["kind"].as_str().unwrap().to_owned();
    for (call, status, wanted) in [
        (post(&answer_path("0"), &yes()).by(ADA), StatusCode::NOT_FOUND, "not found"),
        (post(&path, &yes()).by(PLANNER), StatusCode::FORBIDDEN, "denied"),
        (post(&path, &json!({"granted": true})).by(ADA), StatusCode::BAD_REQUEST, "malformed"),
        (post(&path, &json!({"granted": "yes", "reason": ""})).by(ADA), StatusCode::BAD_REQUEST, "malformed"),
        (
            post(&path, &json!({"granted": true, "reason": "", "by": "ben"})).by(ADA),
            StatusCode::BAD_REQUEST,
            "malformed",
        ),
        (
            post(&path, &json!({"granted": true, "reason": "x".repeat(5000)})).by(ADA),
            StatusCode::UNPROCESSABLE_ENTITY,
            "limit exceeded",
        ),
        (
            post(&path, &json!({"granted": true, "reason": "x".repeat(20_000)})).by(ADA),
            StatusCode::PAYLOAD_TOO_LARGE,
            "limit exceeded",
        ),
        (get("/v1/approvals/0").by(ADA), StatusCode::NOT_FOUND, "not found"),
        (get("/v2").by(ADA), StatusCode::NOT_FOUND, "not found"),
        (post("/v1/approvals", &yes()).by(ADA), StatusCode::METHOD_NOT_ALLOWED, "unsupported"),
    ] {
        let target = call.path.to_owned();
        let (got, body) = call.send(&running).await;
        assert_eq!((got, kind(&body).as_str()), (status, wanted), "{target}: {body}");
    }
    // A form of another origin's page.
    let mut form = post(&path, &yes()).by(ADA);
    form.headers[0].1 = "text/plain".to_owned();
    assert_eq!(form.send(&running).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let mut garbage = post(&path, &yes()).by(ADA);
    garbage.body = vec![0xff, 0xfe, b'{'];
    assert_eq!(garbage.send(&running).await.0, StatusCode::BAD_REQUEST);
    assert!(
        running.desk.pending(&running.ctx).await.unwrap()[0].answers.is_empty(),
        "nothing came of any of it"
    );

    assert_eq!(post(&path, &yes()).by(ADA).send(&running).await.0, StatusCode::OK);
    assert_eq!(post(&path, &yes()).by(ADA).send(&running).await.0, StatusCode::OK, "the same once more");
    let (status, body) = post(&path, &json!({"granted": false, "reason": ""})).by(BEN).send(&running).await;
    assert_eq!((status, kind(&body).as_str()), (StatusCode::CONFLICT, "conflict"));
}

#[tokio::test]
async fn too_late_is_gone() {
    let running = start().await;
    let id = ask(&running).await;
    running.clock.set(sample::approval_request().unwrap().expires_at);
    let (status, body) = post(&answer_path(&id), &yes()).by(ADA).send(&running).await;
    assert_eq!((status, body["error"]["kind"].as_str()), (StatusCode::GONE, Some("expired")));
    let (_, shown) = get(&format!("/v1/approvals/{id}")).by(ADA).send(&running).await;
    assert_eq!(shown["standing"], "expired");
}

#[tokio::test]
async fn a_quorum_takes_two_tokens() {
    let mut approvals = ApprovalConfig::default();
    approvals.quorum = 2;
    let running = start_with(approvals).await;
    let id = ask(&running).await;
    for (token, standing) in [(ADA, "pending"), (ADA, "pending"), (BEN, "granted")] {
        let (_, body) = post(&answer_path(&id), &yes()).by(token).send(&running).await;
        assert_eq!(body["standing"], standing);
    }
}

#[tokio::test]
async fn everything_can_be_stopped_and_not_started_again() {
    let running = start().await;
    let (_, before) = get("/v1/kill-switch").by(ADA).send(&running).await;
    assert_eq!(before, json!({"engaged": false, "reason": null, "reach": "process"}));
    let (status, after) =
        post("/v1/kill-switch", &json!({"reason": "it is wrong"})).by(ADA).send(&running).await;
    let said = json!({"engaged": true, "reason": "ada: it is wrong", "reach": "process"});
    assert_eq!((status, after), (StatusCode::OK, said));
    assert_eq!(running.switch.check().unwrap_err().kind(), ErrorKind::Killed);
    let mut release = get("/v1/kill-switch").by(ADA);
    release.method = Method::DELETE;
    assert_eq!(release.send(&running).await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert!(running.switch.is_engaged());
}

/// Two replicas, each with a server and a switch of its own, and one kill file.
#[tokio::test]
async fn with_a_kill_file_every_replica_is_stopped_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = KillFile::new(folder.path().join("stop")).unwrap();
    let (one, other) = (start_stopping_by(Some(&file)).await, start_stopping_by(Some(&file)).await);
    let call = || post("/v1/kill-switch", &json!({"reason": "it is wrong"})).by(ADA);
    let (status, said) = call().send(&one).await;
    let wanted = json!({"engaged": true, "reason": "ada: it is wrong", "reach": "file"});
    assert_eq!((status, said), (StatusCode::OK, wanted));
    assert!(one.switch.is_engaged() && other.switch.is_engaged());
    assert_eq!(call().send(&other).await.0, StatusCode::OK, "it is there already");
    let after_a_restart = start_stopping_by(Some(&file)).await;
    assert!(after_a_restart.switch.is_engaged());
    std::fs::remove_file(file.path()).unwrap();
    assert!(!after_a_restart.switch.is_engaged());
}

#[tokio::test]
async fn a_kill_file_that_cannot_be_made_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let file = KillFile::new(folder.path().join("stop")).unwrap();
    let running = start_stopping_by(Some(&file)).await;
    let path = folder.path().display().to_string();
    drop(folder);
    let (status, body) =
        post("/v1/kill-switch", &json!({"reason": "it is wrong"})).by(ADA).send(&running).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("this process only") && !message.contains(&path), "{message}");
    assert!(running.switch.reason().unwrap().starts_with("ada"), "this process is stopped all the same");
}

#[tokio::test]
async fn a_kill_needs_a_reason_in_one_line() {
    let running = start().await;
    for reason in ["", "  ", "a\nada: not me", "\u{1b}[2J", &"x".repeat(4097)] {
        let (status, _) = post("/v1/kill-switch", &json!({"reason": reason})).by(ADA).send(&running).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{reason:?}");
    }
    assert!(!running.switch.is_engaged());
}

/// The third connection is not served until one of the first two is closed.
#[tokio::test]
async fn no_more_connections_than_configured_are_served_at_once() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = tempfile::tempdir().unwrap();
    let desk = ApprovalDesk::open(folder.path().join("approvals"), ApprovalConfig::default()).unwrap();
    let mut config = config();
    config.most_connections = 2;
    let server = ApprovalServer::new(desk, config).unwrap();
    let (address, serving) = server.bind(Context::system()).await.unwrap();
    let task = tokio::spawn(serving);
    let speak = |mut stream: tokio::net::TcpStream| async move {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut begun = [0; 12];
        stream.read_exact(&mut begun).await.unwrap();
        assert_eq!(&begun, b"HTTP/1.1 401");
        stream
    };
    let connect = || async { tokio::net::TcpStream::connect(address).await.unwrap() };
    let (first, second) = (speak(connect().await).await, speak(connect().await).await);
    let mut third = Box::pin(speak(connect().await));
    let short = Duration::from_millis(200);
    assert!(tokio::time::timeout(short, &mut third).await.is_err(), "there is no place");
    drop(first);
    drop(third.await);
    drop(second);
    task.abort();
}

/// A server with one place only, and little patience.
async fn impatient() -> (SocketAddr, tokio::task::JoinHandle<()>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let desk = ApprovalDesk::open(folder.path().join("approvals"), ApprovalConfig::default()).unwrap();
    let mut config = config();
    config.most_connections = 1;
    config.head_within = Duration::from_millis(300);
    config.answer_within = Duration::from_millis(300);
    let (address, serving) =
        ApprovalServer::new(desk, config).unwrap().bind(Context::system()).await.unwrap();
    (address, tokio::spawn(async move { serving.await.unwrap() }), folder)
}

/// One that drips its head, one that says nothing, and one that keeps its connection and says nothing more: each loses its place to the next.
#[tokio::test]
async fn slow_clients_do_not_hold_places() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (address, task, _folder) = impatient().await;
    let connect = || async { tokio::net::TcpStream::connect(address).await.unwrap() };

    let (mut hears, mut drips) = connect().await.into_split();
    let dripping = tokio::spawn(async move {
        // Never silent for long, and never at an end.
        for byte in b"GET / HTTP/1.1\r\nhost: x\r\nx: ".iter().chain(std::iter::repeat_n(&b'a', 10_000)) {
            if drips.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let silent = connect().await;
    let mut third = connect().await;
    third.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut begun = [0; 12];
    let waited = tokio::time::timeout(Duration::from_secs(10), third.read_exact(&mut begun)).await;
    waited.expect("a place became free").unwrap();
    assert_eq!(&begun, b"HTTP/1.1 401");

    // The third was answered, keeps its connection, and is closed all the same.
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), third.read_to_end(&mut rest))
        .await
        .expect("closed")
        .unwrap();
    let mut heard = Vec::new();
    let _ = hears.read_to_end(&mut heard).await;
    assert!(!heard.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&heard));
    dripping.abort();
    drop(silent);
    task.abort();
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (address, task, _folder) = impatient().await;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/approvals/x/answer HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADA}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 12];
    let waited = tokio::time::timeout(Duration::from_secs(10), stream.read_exact(&mut begun)).await;
    waited.expect("it was answered").unwrap();
    assert_eq!(&begun, b"HTTP/1.1 408");
    task.abort();
}

#[tokio::test]
async fn a_desk_whose_file_was_replaced_approves_nothing_and_tells_no_path() {
    let running = start().await;
    let id = ask(&running).await;
    let path = running.desk.path().to_owned();
    std::fs::rename(&path, path.with_extension("gone")).unwrap();
    let (status, body) = post(&answer_path(&id), &yes()).by(ADA).send(&running).await;
    assert_eq!(
        (status, body["error"]["kind"].as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable"))
    );
    assert!(!body.to_string().contains(path.to_str().unwrap()));
}

#[tokio::test]
async fn the_desk_behind_it_keeps_the_contract_of_an_approver() {
    let running = start().await;
    let id = ask(&running).await;
    post(&answer_path(&id), &yes()).by(ADA).send(&running).await;
    let fixture = ApproverFixture::new(running.ctx.clone(), sample::approval_request().unwrap(), true);
    conformance::approver(&running.desk, &fixture).await.assert_counts(5, 0);
}

/// What spoils settings.
type Change = &'static dyn Fn(&mut ServerConfig);

#[tokio::test]
async fn settings_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let desk = ApprovalDesk::open(folder.path().join("approvals"), ApprovalConfig::default()).unwrap();
    let refused = |change: &dyn Fn(&mut ServerConfig)| {
        let mut config = config();
        change(&mut config);
        ApprovalServer::new(desk.clone(), config).unwrap_err()
    };
    let bad: [(&str, Change); 13] = [
        ("listen", &|c| c.listen = "0.0.0.0:0".parse().unwrap()),
        ("nobody could answer", &|c| c.tokens.clear()),
        ("names nobody", &|c| c.tokens.extend([(Principal::new(" "), token_hash("x"))])),
        ("one token", &|c| c.tokens.extend([(Principal::new("eve"), token_hash(ADA))])),
        ("longest_body", &|c| c.longest_body = 255),
        ("names nobody", &|c| c.tokens.extend([(Principal::new("ada\u{200b}"), token_hash("x"))])),
        ("names nobody", &|c| c.tokens.extend([(Principal::new("ada, ben"), token_hash("x"))])),
        ("case only", &|c| c.tokens.extend([(Principal::new("Ada"), token_hash("x"))])),
        ("most_connections", &|c| c.most_connections = 0),
        ("most_connections", &|c| c.most_connections = 10_001),
        ("head_within", &|c| c.head_within = Duration::ZERO),
        ("head_within", &|c| c.head_within = Duration::from_secs(3601)),
        ("answer_within", &|c| c.answer_within = Duration::ZERO),
    ];
    for (word, change) in bad {
        let error = refused(change);
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains(word), "{error}");
    }
    let mut remote = config();
    (remote.listen, remote.allow_remote) = ("0.0.0.0:0".parse().unwrap(), true);
    ApprovalServer::new(desk, remote).unwrap();
    let written = serde_json::to_string(&config()).unwrap();
    assert!(!written.contains(ADA), "tokens are not kept");
    assert_eq!(serde_json::from_str::<ServerConfig>(&written).unwrap(), config());
    assert!(!format!("{:?}", config()).contains(&serde_json::to_string(&token_hash(ADA)).unwrap()));
    for wrong in [r#"{"extra": 1}"#, r#"{"tokens": {"ada": "plain"}}"#, r#"{"listen": "somewhere"}"#] {
        assert!(serde_json::from_str::<ServerConfig>(wrong).is_err(), "{wrong}");
    }
    assert_eq!(serde_json::from_str::<ServerConfig>("{}").unwrap(), ServerConfig::default());
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let running = start().await;
    let mut config = config();
    config.listen = running.address;
    let server = ApprovalServer::new(running.desk.clone(), config).unwrap();
    let error = server.bind(running.ctx.clone()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
