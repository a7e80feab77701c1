//! Servers that are not there, hang, or say what makes no sense; the real one is in `tests/live`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiops_core::model::{Alert, EntityId, Severity};
use aiops_core::{Context, ErrorKind};
use aiops_detect::correlate::{CorrelatorOptions, Fingerprint, Shared, SharedFingerprints, SharedIntake};
use aiops_redis::{RedisConfig, RedisFingerprints};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn alert() -> Alert {
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    Alert::new("Slow", EntityId::service("cart"), at, Severity::Critical)
}

fn fingerprint() -> Fingerprint {
    Fingerprint::of(&alert(), &CorrelatorOptions::default())
}

/// A server that answers whatever it is asked with `answer`, or not at all.
async fn stub(answer: Option<&'static str>) -> RedisFingerprints {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {
                    match answer {
                        Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                        None => std::future::pending().await,
                    }
                }
            });
        }
    });
    RedisFingerprints::new(RedisConfig::new(format!("redis://127.0.0.1:{port}"))).unwrap()
}

async fn kind(shared: &RedisFingerprints) -> ErrorKind {
    let lease = Duration::from_secs(60);
    shared.claim(fingerprint(), "a", lease, &Context::system()).await.unwrap_err().kind()
}

#[tokio::test]
async fn nobody_there_is_unavailable_and_alerts_go_on() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let shared = RedisFingerprints::new(RedisConfig::new(format!("redis://127.0.0.1:{port}"))).unwrap();
    assert_eq!(kind(&shared).await, ErrorKind::Unavailable);
    let mut intake =
        SharedIntake::new(Arc::new(shared), "a", Default::default(), CorrelatorOptions::default()).unwrap();
    for _ in 0..20 {
        assert_eq!(intake.ask(&alert(), &Context::system()).await, Shared::Unsure);
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_not_waited_for() {
    let shared = stub(None).await;
    let begun = Instant::now();
    assert!(matches!(kind(&shared).await, ErrorKind::Timeout | ErrorKind::Unavailable));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn what_makes_no_sense_is_an_error() {
    // Whether the server refuses or is no server of this kind is for its log; here it is an error and no claim.
    let kinds = [ErrorKind::Invalid, ErrorKind::Unavailable, ErrorKind::Timeout];
    for answer in ["-NOAUTH Authentication required.\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let kind = kind(&stub(Some(answer)).await).await;
        assert!(kinds.contains(&kind), "{answer}: {kind:?}");
    }
}

#[tokio::test]
async fn whoever_gave_up_does_not_ask() {
    let ctx = Context::system();
    ctx.cancellation().cancel();
    let shared = stub(None).await;
    let refused = shared.claim(fingerprint(), "a", Duration::from_secs(60), &ctx).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Cancelled);
}

#[test]
fn settings_are_checked_and_passwords_are_not_shown() {
    let refused = |config| RedisFingerprints::new(config).unwrap_err();
    let secret = RedisConfig::new("redis://user:hunter2@127.0.0.1:1");
    assert_eq!(refused(RedisConfig::new("nonsense hunter2")).field(), "url");
    assert!(!refused(RedisConfig::new("nonsense hunter2")).to_string().contains("hunter2"));
    assert_eq!(refused(RedisConfig { prefix: String::new(), ..secret.clone() }).field(), "prefix");
    assert_eq!(refused(RedisConfig { patience: Duration::ZERO, ..secret.clone() }).field(), "patience");
    let shown = format!("{:?} {:?}", secret, RedisFingerprints::new(secret.clone()).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
    let read: RedisConfig = serde_json::from_str(r#"{"url":"redis://127.0.0.1:1"}"#).unwrap();
    assert_eq!(read, RedisConfig::new("redis://127.0.0.1:1"));
    assert!(serde_json::from_str::<RedisConfig>(r#"{"url":"redis://h","patience":5}"#).is_err());
}
