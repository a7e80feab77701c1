//! Roll-outs, restarts, scaling, throttling, purges; keys and fences.

use std::sync::Arc;

use aiops_core::SystemClock;
use aiops_core::jiff::Timestamp;
use aiops_process::{
    CachePurge, ChangeKind, ConfigChange, LogRotation, Operation, OperationKey, OperationRequest,
    OperationStatus, Phase, ProcessError, RolloutPolicy, RotationMethod, Supervisor, SupervisorConfig,
    Throttle,
};
use libtest_mimic::Trial;

use crate::support::{apply, ms, pids, running_config, shell, start, table, trial, until, view, web};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_roll_out_reaches_every_replica_and_a_roll_back_undoes_it", roll_out_and_back),
        trial("a_roll_out_stops_at_the_first_replica_that_does_not_come_up", roll_out_stops),
        trial("a_rolling_restart_keeps_to_max_unavailable", unavailable),
        trial("a_surge_replica_serves_while_the_only_one_restarts", surge),
        trial("scale_stop_and_start", scale),
        trial("a_throttle_reduces_its_key_and_a_roll_back_releases_it", throttle),
        trial("a_purge_empties_only_its_folder_and_wakes_what_waits", purge_folder),
        trial("a_purge_does_not_follow_a_link_out_of_the_working_directory", purge_link),
        trial("a_purge_by_post_reaches_every_replica", purge_post),
        trial("log_files_are_rotated", rotate),
        trial("a_key_runs_once", key_once),
        trial("a_stale_fence_is_refused", fence),
        trial("evicted_keys_are_unknown_not_new", evicted),
        trial("undeclared_operations_and_unknown_names_are_refused", refused),
    ]
}

fn named(service: &str) -> String {
    service.to_owned()
}

fn overlay(service: &str, text: &str) -> Operation {
    Operation::RollOut { service: named(service), change: ConfigChange::Overlay(table(text)) }
}

async fn roll_out_and_back() {
    let (supervisor, _folder) = start(vec![web("front", 2)]).await;
    let outcome = apply(&supervisor, overlay("front", "limit = 50")).await.unwrap();
    assert_eq!((outcome.from_revision, outcome.to_revision), (Some(1), Some(2)));
    assert_eq!(outcome.instances, ["front-0", "front-1"]);
    for replica in view(&supervisor, "front").replicas {
        assert_eq!(replica.revision, Some(2));
        let config = table(&running_config(replica.port).await);
        assert_eq!(config, table("limit = 50\nbroken = false"));
    }
    apply(&supervisor, overlay("front", "limit = 60")).await.unwrap();
    apply(&supervisor, Operation::RollBack { service: named("front"), to: None }).await.unwrap();
    assert_eq!(view(&supervisor, "front").revision, Some(2));
    // From r2 the one before is r1, not the r3 that was left a moment ago.
    apply(&supervisor, Operation::RollBack { service: named("front"), to: None }).await.unwrap();
    assert_eq!(view(&supervisor, "front").revision, Some(1));
    let none = apply(&supervisor, Operation::RollBack { service: named("front"), to: None }).await;
    assert_eq!(none.unwrap_err(), ProcessError::NoPreviousRevision { service: named("front"), current: 1 });
    let gone = apply(&supervisor, Operation::RollBack { service: named("front"), to: Some(9) }).await;
    assert_eq!(gone.unwrap_err(), ProcessError::UnknownRevision { service: named("front"), revision: 9 });
    apply(&supervisor, overlay("front", "limit = 70")).await.unwrap();
    let (revisions, current) = supervisor.revisions("front").unwrap();
    assert_eq!(current, 4, "numbers are never used twice");
    assert_eq!(revisions.last().unwrap().parent, Some(1));
    let changes = supervisor.changes(Timestamp::UNIX_EPOCH);
    let kinds: Vec<ChangeKind> = changes.iter().map(|change| change.kind).collect();
    use ChangeKind::{RollBack, RollOut};
    assert_eq!(kinds, [RollOut, RollOut, RollBack, RollBack, RollOut]);
    assert_eq!(changes[0].summary, "roll out front r2");
    assert_eq!(changes[0].author, "tester");
    assert_eq!((changes[2].from_revision, changes[2].to_revision), (Some(3), Some(2)));
    assert_eq!(changes[2].commit, changes[0].commit, "equal content, equal commit");
    assert!(changes.iter().all(|change| change.finished.is_some_and(|end| end >= change.started)));
    supervisor.shutdown().await;
}

async fn roll_out_stops() {
    let mut spec = web("front", 2);
    spec.readiness.as_mut().unwrap().deadline = ms(500);
    let (supervisor, _folder) = start(vec![spec]).await;
    let error = apply(&supervisor, overlay("front", "broken = true")).await.unwrap_err();
    assert!(matches!(error, ProcessError::NotReady { .. }), "{error}");
    let view_now = view(&supervisor, "front");
    assert_eq!(view_now.ready, 1, "the second replica was left alone");
    assert_eq!(view_now.replicas[1].revision, Some(1));
    assert!(supervisor.changes(Timestamp::UNIX_EPOCH)[0].finished.is_none());
    apply(&supervisor, Operation::RollBack { service: named("front"), to: None }).await.unwrap();
    assert_eq!(view(&supervisor, "front").ready, 2);
    supervisor.shutdown().await;
}

/// Watches a service while an operation runs: fewest ready and most running replicas.
async fn watched(supervisor: &Supervisor, service: &str, operation: Operation) -> (u32, usize) {
    let running = tokio::spawn({
        let supervisor = supervisor.clone();
        async move { apply(&supervisor, operation).await }
    });
    let (mut fewest, mut most) = (u32::MAX, 0);
    while !running.is_finished() {
        let view = view(supervisor, service);
        fewest = fewest.min(view.ready);
        most = most.max(view.replicas.iter().filter(|replica| replica.phase.is_running()).count());
        tokio::time::sleep(ms(1)).await;
    }
    running.await.unwrap().unwrap();
    (fewest, most)
}

async fn unavailable() {
    let (supervisor, _folder) = start(vec![web("front", 3)]).await;
    let before = pids(&supervisor, "front");
    let restart = Operation::RollingRestart { service: named("front"), bounds: None };
    let (fewest, most) = watched(&supervisor, "front", restart).await;
    assert_eq!((fewest, most), (2, 3));
    let after = pids(&supervisor, "front");
    assert!(before.iter().zip(&after).all(|(before, after)| before != after && after.is_some()));
    assert!(view(&supervisor, "front").replicas.iter().all(|replica| replica.restarts == 0));
    let one = Operation::RestartReplica { service: named("front"), instance: "front-1".to_owned() };
    apply(&supervisor, one).await.unwrap();
    let last = pids(&supervisor, "front");
    assert_eq!((last[0], last[2]), (after[0], after[2]));
    assert_ne!(last[1], after[1]);
    supervisor.shutdown().await;
}

async fn surge() {
    let mut spec = web("store", 1);
    spec.rollout = RolloutPolicy { max_unavailable: 0, max_surge: 1 };
    let (supervisor, _folder) = start(vec![spec]).await;
    let before = view(&supervisor, "store").replicas[0].clone();
    let restart = Operation::RollingRestart { service: named("store"), bounds: None };
    let (fewest, most) = watched(&supervisor, "store", restart).await;
    assert_eq!((fewest, most), (1, 2));
    let after = view(&supervisor, "store");
    assert_eq!(after.replicas.len(), 1, "the extra one is gone");
    assert_eq!((after.replicas[0].port, &after.replicas[0].instance), (before.port, &before.instance));
    assert_ne!(after.replicas[0].pid, before.pid);
    let bad = Operation::RollingRestart {
        service: named("store"),
        bounds: Some(RolloutPolicy { max_unavailable: 0, max_surge: 0 }),
    };
    assert!(matches!(apply(&supervisor, bad).await, Err(ProcessError::InvalidConfig(_))));
    supervisor.shutdown().await;
}

async fn scale() {
    let mut spec = web("front", 1);
    spec.max_replicas = 3;
    let (supervisor, _folder) = start(vec![spec]).await;
    let to = |replicas| Operation::Scale { service: named("front"), replicas };
    assert_eq!(apply(&supervisor, to(3)).await.unwrap().replicas, (1, 3));
    assert_eq!(view(&supervisor, "front").ready, 3);
    let refused = apply(&supervisor, to(4)).await.unwrap_err();
    assert_eq!(refused, ProcessError::ReplicaLimit { service: named("front"), wanted: 4, limit: 3 });
    let port = view(&supervisor, "front").replicas[1].port;
    assert_eq!(apply(&supervisor, to(2)).await.unwrap().instances, ["front-2"]);
    apply(&supervisor, Operation::Stop { service: named("front") }).await.unwrap();
    let stopped = view(&supervisor, "front");
    assert_eq!((stopped.wanted, stopped.ready, stopped.replicas.len()), (0, 0, 0));
    apply(&supervisor, Operation::Start { service: named("front") }).await.unwrap();
    let started = view(&supervisor, "front");
    assert_eq!((started.wanted, started.ready, started.replicas[1].port), (2, 2, port));
    let changes = supervisor.changes(Timestamp::UNIX_EPOCH);
    assert_eq!(changes.last().unwrap().replicas, Some((0, 2)));
    supervisor.shutdown().await;
    let late = apply(&supervisor, to(1)).await.unwrap_err();
    assert_eq!(late, ProcessError::ShuttingDown);
}

async fn throttle() {
    let mut spec = web("worker", 1);
    spec.throttle = Some(Throttle { key: "limit".to_owned(), factor: 0.25, minimum: 4 });
    let (supervisor, _folder) = start(vec![spec]).await;
    let limit = || {
        let (revisions, current) = supervisor.revisions("worker").unwrap();
        let revision = revisions.into_iter().find(|revision| revision.number == current).unwrap();
        revision.config["limit"].as_integer().unwrap()
    };
    let operation = |factor| Operation::Throttle { service: named("worker"), factor };
    apply(&supervisor, operation(None)).await.unwrap();
    assert_eq!(limit(), 10);
    apply(&supervisor, operation(Some(0.1))).await.unwrap();
    assert_eq!(limit(), 4, "not below the minimum");
    for factor in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
        let refused = apply(&supervisor, operation(Some(factor))).await;
        assert!(matches!(refused, Err(ProcessError::InvalidConfig(_))), "{factor}");
    }
    apply(&supervisor, Operation::SetLimit { service: named("worker"), limit: 7 }).await.unwrap();
    assert_eq!(limit(), 7);
    apply(&supervisor, Operation::RollBack { service: named("worker"), to: Some(1) }).await.unwrap();
    assert_eq!(limit(), 40);
    supervisor.shutdown().await;
}

async fn purge_folder() {
    let mut spec = web("front", 1);
    spec.cache_purge = Some(CachePurge::Directory { path: "cache".into() });
    spec.restart.initial = ms(60_000);
    spec.restart.max = ms(60_000);
    let (supervisor, folder) = start(vec![spec]).await;
    let purge = || Operation::PurgeCache { service: named("front") };
    apply(&supervisor, purge()).await.unwrap();
    let home = folder.path().join("services/front");
    std::fs::create_dir_all(home.join("cache/deep/er")).unwrap();
    std::fs::write(home.join("cache/broken"), "").unwrap();
    std::fs::write(home.join("keep"), "").unwrap();
    let pid = view(&supervisor, "front").replicas[0].pid.unwrap();
    std::process::Command::new("/bin/sh").args(["-c", &format!("kill -9 {pid}")]).status().unwrap();
    until("back-off", || view(&supervisor, "front").replicas[0].phase == Phase::BackOff).await;
    apply(&supervisor, purge()).await.unwrap();
    assert_eq!(std::fs::read_dir(home.join("cache")).unwrap().count(), 0);
    assert!(home.join("keep").exists());
    until("it runs again long before its back-off ends", || view(&supervisor, "front").ready == 1).await;
    supervisor.shutdown().await;
}

async fn purge_link() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("precious"), "").unwrap();
    let mut spec = web("front", 1);
    spec.cache_purge = Some(CachePurge::Directory { path: "cache".into() });
    let (supervisor, folder) = start(vec![spec]).await;
    std::os::unix::fs::symlink(outside.path(), folder.path().join("services/front/cache")).unwrap();
    let error = apply(&supervisor, Operation::PurgeCache { service: named("front") }).await.unwrap_err();
    assert!(matches!(error, ProcessError::Io { .. }), "{error}");
    assert!(outside.path().join("precious").exists());
    supervisor.shutdown().await;
}

async fn purge_post() {
    let mut spec = web("front", 2);
    spec.cache_purge = Some(CachePurge::Post { path: "/purge".to_owned() });
    let mut other = web("other", 1);
    other.cache_purge = Some(CachePurge::Post { path: "/nothing-here".to_owned() });
    let (supervisor, folder) = start(vec![spec, other]).await;
    apply(&supervisor, Operation::PurgeCache { service: named("front") }).await.unwrap();
    for replica in view(&supervisor, "front").replicas {
        assert!(folder.path().join(format!("services/front/purged-{}", replica.port)).exists());
    }
    let error = apply(&supervisor, Operation::PurgeCache { service: named("other") }).await.unwrap_err();
    assert!(matches!(&error, ProcessError::Http { message, .. } if message == "status 404"), "{error}");
    supervisor.shutdown().await;
}

async fn rotate() {
    let mut copy = shell("copy", "exec sleep 1000");
    copy.log_rotation =
        Some(LogRotation { file: "a.log".into(), keep: 2, method: RotationMethod::CopyTruncate });
    let script = "trap 'echo reopened > signal' HUP; echo up > up; while :; do sleep 0.05; done";
    // Started under `nohup`, the tests ignore the signal, and a shell cannot trap what was ignored when it began.
    let script = format!(
        "s=\"{script}\"; env --default-signal=HUP true 2>/dev/null && exec env --default-signal=HUP sh -c \"$s\"; eval \"$s\""
    );
    let mut signal = shell("signal", &script);
    let method = RotationMethod::RenameAndHangup;
    signal.log_rotation = Some(LogRotation { file: "a.log".into(), keep: 1, method });
    let (supervisor, folder) = start(vec![copy, signal]).await;
    let home = folder.path().join("services/copy");
    let rotate = |service: &str| Operation::RotateLogs { service: named(service) };
    apply(&supervisor, rotate("copy")).await.unwrap();
    for round in ["one", "two", "three"] {
        std::fs::write(home.join("a.log"), round).unwrap();
        apply(&supervisor, rotate("copy")).await.unwrap();
    }
    let text = |name: &str| std::fs::read_to_string(home.join(name)).unwrap();
    assert_eq!([text("a.log"), text("a.log.1"), text("a.log.2")], ["", "three", "two"].map(str::to_owned));
    assert!(!home.join("a.log.3").exists());
    let home = folder.path().join("services/signal");
    until("its trap is set", || home.join("up").exists()).await;
    std::fs::write(home.join("a.log"), "x").unwrap();
    apply(&supervisor, rotate("signal")).await.unwrap();
    assert!(home.join("a.log.1").exists() && !home.join("a.log").exists());
    until("the writer was told", || home.join("signal").exists()).await;
    supervisor.shutdown().await;
}

async fn key_once() {
    let (supervisor, _folder) = start(vec![web("front", 1)]).await;
    let key = OperationKey::new("k");
    let request = |operation| OperationRequest::new(key.clone(), "tester", operation);
    let restart = || Operation::RollingRestart { service: named("front"), bounds: None };
    assert_eq!(supervisor.status(&key), OperationStatus::NotStarted);
    let both = tokio::join!(supervisor.apply(request(restart())), supervisor.apply(request(restart())));
    assert_eq!(both.0.as_ref().unwrap(), both.1.as_ref().unwrap());
    let pid = pids(&supervisor, "front");
    supervisor.apply(request(restart())).await.unwrap();
    assert_eq!(pids(&supervisor, "front"), pid, "not run again");
    assert_eq!(supervisor.changes(Timestamp::UNIX_EPOCH).len(), 1);
    assert_eq!(supervisor.status(&key), OperationStatus::Completed(both.0.unwrap()));
    let other = supervisor.apply(request(Operation::Stop { service: named("front") })).await;
    assert_eq!(other.unwrap_err(), ProcessError::KeyReused { key: key.clone() });
    // A caller that stops waiting does not stop the run.
    let late = OperationKey::new("late");
    let abandoned = supervisor.apply(OperationRequest::new(late.clone(), "tester", restart()));
    assert!(tokio::time::timeout(ms(1), abandoned).await.is_err());
    assert_eq!(supervisor.status(&late), OperationStatus::Running);
    until("it ends", || matches!(supervisor.status(&late), OperationStatus::Completed(_))).await;
    let gone = OperationKey::new("gone");
    assert_eq!(supervisor.withdraw(&gone), OperationStatus::NotStarted);
    let refused = supervisor.apply(OperationRequest::new(gone.clone(), "tester", restart())).await;
    assert_eq!(refused.unwrap_err(), ProcessError::Withdrawn { key: gone });
    supervisor.shutdown().await;
}

async fn fence() {
    let (supervisor, _folder) = start(vec![web("front", 1), web("other", 1)]).await;
    let apply = async |key: &str, fence, service: &str| {
        let operation = Operation::RollingRestart { service: named(service), bounds: None };
        let request = OperationRequest::new(OperationKey::new(key), "tester", operation).with_fence(fence);
        supervisor.apply(request).await
    };
    apply("a", 5, "front").await.unwrap();
    let stale = apply("b", 4, "front").await.unwrap_err();
    assert_eq!(stale, ProcessError::StaleFence { service: named("front"), fence: 4, newest: 5 });
    assert_eq!(supervisor.status(&OperationKey::new("b")), OperationStatus::NotStarted);
    apply("c", 5, "front").await.unwrap();
    apply("d", 4, "other").await.unwrap();
    supervisor.shutdown().await;
}

async fn evicted() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = SupervisorConfig::new(folder.path()).with_service(shell("idle", "exec sleep 1000"));
    config.operation_records = 16;
    let supervisor = Supervisor::start(config, Arc::new(SystemClock)).await.unwrap();
    let key = |number: u32| OperationKey::new(format!("n{number}"));
    for number in 0..17 {
        let operation = Operation::Scale { service: named("idle"), replicas: 1 };
        supervisor.apply(OperationRequest::new(key(number), "tester", operation)).await.unwrap();
    }
    assert_eq!(supervisor.status(&key(0)), OperationStatus::Unknown);
    assert!(matches!(supervisor.status(&key(1)), OperationStatus::Completed(_)));
    assert_eq!(supervisor.status(&key(99)), OperationStatus::Unknown);
    supervisor.shutdown().await;
}

async fn refused() {
    let (supervisor, _folder) = start(vec![shell("plain", "exec sleep 1000")]).await;
    let service = || named("plain");
    for operation in [
        Operation::PurgeCache { service: service() },
        Operation::RotateLogs { service: service() },
        Operation::Throttle { service: service(), factor: None },
        Operation::RollBack { service: service(), to: None },
        overlay("plain", "a = 1"),
    ] {
        let error = apply(&supervisor, operation.clone()).await.unwrap_err();
        assert!(matches!(error, ProcessError::Unsupported { .. }), "{operation:?}: {error}");
        assert_eq!(supervisor.preview(&operation).unwrap_err(), error);
    }
    let nobody = apply(&supervisor, Operation::Stop { service: named("nobody") }).await.unwrap_err();
    assert_eq!(nobody, ProcessError::UnknownService { service: named("nobody") });
    let instance = Operation::RestartReplica { service: service(), instance: "plain-7".to_owned() };
    assert!(matches!(apply(&supervisor, instance).await, Err(ProcessError::UnknownInstance { .. })));
    assert!(supervisor.changes(Timestamp::UNIX_EPOCH).is_empty());
    supervisor.shutdown().await;
}
