//! Tests against a real server, where `redis-server` is installed. Without it they are reported as ignored; with
//! `AIOPS_REQUIRE_LIVE=1` they fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::future::Future;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiops_core::model::{Alert, EntityId, Severity};
use aiops_core::{Context, ErrorKind};
use aiops_detect::Correlator;
use aiops_detect::correlate::{
    Claim, CorrelatorOptions, Fingerprint, Shared, SharedFingerprints, SharedIntake,
};
use aiops_redis::{RedisConfig, RedisFingerprints};
use libtest_mimic::{Arguments, Trial};

const LEASE: Duration = Duration::from_secs(60);

fn find(binary: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(binary)).find(|file| file.is_file())
}

/// A running server without persistence; gone with its value.
struct Server {
    port: u16,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    /// On `port`, or on one that is free; a port that was free may be taken a moment later, hence several attempts.
    async fn start(port: Option<u16>) -> Self {
        for _ in 0..5 {
            let port = port
                .unwrap_or_else(|| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
            let folder = tempfile::tempdir().unwrap();
            let child = Command::new(find("redis-server").unwrap())
                .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
                .arg(port.to_string())
                .arg("--dir")
                .arg(folder.path())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let mut server = Self { port, child, _folder: folder };
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(10) && server.child.try_wait().unwrap().is_none() {
                if server.shared().claim(of("ready"), "x", LEASE, &Context::system()).await.is_ok() {
                    return server;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        panic!("the server never became ready");
    }

    fn config(&self) -> RedisConfig {
        let mut config = RedisConfig::new(format!("redis://127.0.0.1:{}", self.port));
        config.patience = Duration::from_secs(2);
        config
    }

    fn shared(&self) -> RedisFingerprints {
        RedisFingerprints::new(self.config()).unwrap()
    }
}

fn alert(name: &str) -> Alert {
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    Alert::new(name, EntityId::service("cart"), at, Severity::Critical)
}

fn of(name: &str) -> Fingerprint {
    Fingerprint::of(&alert(name), &CorrelatorOptions::default())
}

async fn claims_are_those_of_the_contract() {
    let server = Server::start(None).await;
    let (a, b) = (server.shared(), server.shared());
    let ctx = Context::system();
    let short = Duration::from_millis(400);
    assert_eq!(a.claim(of("Slow"), "a", short, &ctx).await.unwrap(), Claim::Own);
    assert_eq!(b.claim(of("Slow"), "b", short, &ctx).await.unwrap(), Claim::Other("a".into()));
    assert_eq!(b.claim(of("Down"), "b", LEASE, &ctx).await.unwrap(), Claim::Own);
    // Prolonged by its owner only.
    assert_eq!(a.claim(of("Slow"), "a", LEASE, &ctx).await.unwrap(), Claim::Own);
    tokio::time::sleep(2 * short).await;
    assert_eq!(b.claim(of("Slow"), "b", short, &ctx).await.unwrap(), Claim::Other("a".into()));
    // And over when nobody prolongs it.
    assert_eq!(b.claim(of("Full"), "b", short, &ctx).await.unwrap(), Claim::Own);
    tokio::time::sleep(2 * short).await;
    assert_eq!(a.claim(of("Full"), "a", short, &ctx).await.unwrap(), Claim::Own);
    // Another prefix shares nothing.
    let mut apart = server.config();
    apart.prefix = "other:".into();
    let apart = RedisFingerprints::new(apart).unwrap();
    assert_eq!(apart.claim(of("Slow"), "c", LEASE, &ctx).await.unwrap(), Claim::Own);
    // Names may be anything.
    let odd = "a b\r\n\"' ☃ \0";
    assert_eq!(a.claim(of("Odd"), odd, LEASE, &ctx).await.unwrap(), Claim::Own);
    assert_eq!(b.claim(of("Odd"), "b", LEASE, &ctx).await.unwrap(), Claim::Other(odd.into()));
}

async fn of_many_at_once_one_has_it() {
    let server = Server::start(None).await;
    let shared = Arc::new(server.shared());
    for round in 0..20 {
        let claims = (0..16).map(|i| {
            let shared = shared.clone();
            tokio::spawn(async move {
                let me = format!("i{i}");
                shared.claim(of(&format!("r{round}")), &me, LEASE, &Context::system()).await.unwrap()
            })
        });
        let claims: Vec<_> = claims.collect();
        let mut own = 0;
        for claim in claims {
            own += usize::from(claim.await.unwrap() == Claim::Own);
        }
        assert_eq!(own, 1, "round {round}");
    }
}

async fn instances_make_one_incident_and_none_is_lost_without_redis() {
    let server = Server::start(None).await;
    let ctx = Context::system();
    let intake = || {
        let shared: Arc<dyn SharedFingerprints> = Arc::new(server.shared());
        move |me: &str| {
            SharedIntake::new(shared.clone(), me, Default::default(), CorrelatorOptions::default()).unwrap()
        }
    };
    let mut instances = [intake()("a"), intake()("b")].map(|i| (i, Correlator::new(Default::default())));
    for name in ["Slow", "Down", "Full", "Slow", "Down", "Full"] {
        for (intake, correlator) in &mut instances {
            if intake.ask(&alert(name), &ctx).await.is_mine() {
                correlator.push(&alert(name), alert(name).started_at);
            }
        }
    }
    let alerts = |c: &Correlator| c.incidents().iter().map(|i| i.members.len()).sum::<usize>();
    assert_eq!(instances.each_ref().map(|(_, c)| alerts(c)), [3, 0]);
    // The server is gone: every alert goes on, at both.
    let port = server.port;
    drop(server);
    for (intake, _) in &mut instances {
        assert_eq!(intake.ask(&alert("New"), &ctx).await, Shared::Unsure);
    }
    // It is back, having forgotten everything: they share again.
    let server = Server::start(Some(port)).await;
    let answers =
        [instances[0].0.ask(&alert("Later"), &ctx).await, instances[1].0.ask(&alert("Later"), &ctx).await];
    assert_eq!(answers, [Shared::Mine, Shared::Theirs("a".into())]);
    // What the server refuses is an error and no claim.
    let mut locked = server.config();
    locked.url = format!("redis://nobody:wrong@127.0.0.1:{port}");
    let refused = RedisFingerprints::new(locked).unwrap().claim(of("x"), "a", LEASE, &ctx).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Invalid | ErrorKind::Unavailable), "{refused:?}");
}

fn trial<F, T>(name: &'static str, test: T) -> Trial
where
    F: Future<Output = ()>,
    T: FnOnce() -> F + Send + 'static,
{
    let required = std::env::var_os("AIOPS_REQUIRE_LIVE").is_some_and(|value| value == "1");
    if find("redis-server").is_some() {
        return Trial::test(name, move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(test());
            Ok(())
        });
    }
    let reason = "not installed: redis-server".to_owned();
    Trial::test(name, move || Err(reason.into())).with_ignored_flag(!required)
}

fn main() -> ExitCode {
    let trials = vec![
        trial("claims_are_those_of_the_contract", claims_are_those_of_the_contract),
        trial("of_many_at_once_one_has_it", of_many_at_once_one_has_it),
        trial(
            "instances_make_one_incident_and_none_is_lost_without_redis",
            instances_make_one_incident_and_none_is_lost_without_redis,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
