//! Start, readiness, restart, stop, output, orphans.

use std::time::Instant;

use aiops_process::{LogCapture, Phase, ProcessError, Stream, Supervisor, SupervisorConfig, exposition};
use libtest_mimic::Trial;

use crate::support::{alive, ms, pids, read_pid, shell, start, trial, until, view, web};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("services_start_become_ready_and_are_gone_after_shutdown", ready_and_gone),
        trial("a_service_that_never_gets_ready_fails_the_start_and_leaves_nothing", never_ready),
        trial("a_crash_loop_backs_off_and_shows_in_the_restarts", crash_loop),
        trial("a_killed_replica_comes_back_on_its_port", comes_back),
        trial("a_replica_that_fails_its_probe_leaves_the_endpoints_until_it_recovers", sick),
        trial("a_deaf_process_is_killed_after_its_grace_and_so_is_its_offspring", deaf),
        trial("dropping_the_supervisor_kills_the_groups", dropped),
        trial("output_is_bounded_and_never_blocks_the_child", chatter),
        trial("a_lifeline_ends_the_service_when_the_supervisor_is_killed", lifeline),
        trial("a_missing_program_is_reported_and_retried", missing_program),
    ]
}

async fn ready_and_gone() {
    let (supervisor, folder) = start(vec![web("store", 1), web("front", 2)]).await;
    let front = view(&supervisor, "front");
    assert_eq!((front.wanted, front.ready, front.revision), (2, 2, Some(1)));
    assert!(front.replicas.iter().all(|replica| replica.phase == Phase::Ready && replica.restarts == 0));
    let file: aiops_process::Endpoints =
        serde_json::from_slice(&std::fs::read(supervisor.endpoints_path()).unwrap()).unwrap();
    assert_eq!(file, supervisor.endpoints());
    let names: Vec<&str> = file.of("front").map(|(instance, _)| instance).collect();
    assert_eq!(names, ["front-0", "front-1"]);
    let page = exposition(&supervisor.view());
    assert!(page.contains("supervisor_replicas_ready{service=\"front\"} 2\n"), "{page}");
    assert!(page.contains("supervisor_process_up{service=\"store\",instance=\"store-0\"} 1\n"), "{page}");
    let running = pids(&supervisor, "front");
    supervisor.shutdown().await;
    assert!(running.iter().all(|pid| !alive(pid.unwrap())));
    assert_eq!(supervisor.endpoints().of("front").count(), 0);
    drop(folder);
}

async fn never_ready() {
    let folder = tempfile::tempdir().unwrap();
    let mut broken = web("front", 1);
    broken.args = vec!["child-chatter".to_owned()];
    broken.readiness.as_mut().unwrap().deadline = ms(300);
    let mut first = shell("first", "echo $$ > pid; exec sleep 1000");
    first.working_directory = Some(folder.path().join("first"));
    let config = SupervisorConfig::new(folder.path()).with_service(first).with_service(broken);
    let began = Instant::now();
    let error = Supervisor::start(config, std::sync::Arc::new(aiops_core::SystemClock)).await.unwrap_err();
    assert_eq!(error, ProcessError::NotReady { instance: "front-0".to_owned(), waited: ms(300) });
    assert!(began.elapsed() < ms(5000));
    assert!(!alive(read_pid(&folder.path().join("first/pid")).unwrap()));
}

async fn crash_loop() {
    let (supervisor, _folder) = start(vec![shell("job", "echo oops >&2; exit 7")]).await;
    until("three restarts", || view(&supervisor, "job").replicas[0].restarts >= 3).await;
    until("back-off", || view(&supervisor, "job").replicas[0].phase == Phase::BackOff).await;
    let replica = view(&supervisor, "job").replicas[0].clone();
    assert!(replica.last_exit.unwrap().contains('7'));
    let log = supervisor.logs("job", "job-0").unwrap();
    assert!(log.lines.iter().any(|line| line.stream == Stream::Stderr && line.text == "oops"));
    assert!(log.lines.iter().any(|line| line.stream == Stream::Supervisor));
    assert!(supervisor.logs("job", "job-9").is_err());
    supervisor.shutdown().await;
    let after = view(&supervisor, "job").replicas[0].restarts;
    tokio::time::sleep(ms(300)).await;
    assert_eq!(view(&supervisor, "job").replicas[0].restarts, after, "a stopped replica is not restarted");
}

async fn comes_back() {
    let (supervisor, _folder) = start(vec![web("front", 1)]).await;
    let before = view(&supervisor, "front").replicas[0].clone();
    let killed = before.pid.unwrap();
    std::process::Command::new("/bin/sh").args(["-c", &format!("kill -9 {killed}")]).status().unwrap();
    until("a new process is ready", || {
        let view = view(&supervisor, "front");
        view.ready == 1 && view.replicas[0].pid != Some(killed)
    })
    .await;
    let after = view(&supervisor, "front").replicas[0].clone();
    assert_eq!((after.port, after.restarts), (before.port, 1));
    supervisor.shutdown().await;
}

async fn sick() {
    let (supervisor, folder) = start(vec![web("front", 1)]).await;
    let pid = pids(&supervisor, "front");
    let file = folder.path().join("services/front/sick");
    std::fs::write(&file, "").unwrap();
    until("it is taken out", || supervisor.endpoints().of("front").count() == 0).await;
    let replica = view(&supervisor, "front").replicas[0].clone();
    assert_eq!((replica.phase, replica.restarts), (Phase::Unready, 0));
    let page = exposition(&supervisor.view());
    assert!(page.contains("supervisor_process_up{service=\"front\",instance=\"front-0\"} 1\n"), "{page}");
    assert!(page.contains("supervisor_process_ready{service=\"front\",instance=\"front-0\"} 0\n"), "{page}");
    std::fs::remove_file(&file).unwrap();
    until("it is back", || supervisor.endpoints().of("front").count() == 1).await;
    assert_eq!(pids(&supervisor, "front"), pid, "the same process");
    supervisor.shutdown().await;
}

async fn deaf() {
    let script = "trap '' TERM; sleep 1000 & echo $! > child; echo $$ > pid; while :; do sleep 0.1; done";
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell("deaf", script);
    spec.working_directory = Some(folder.path().to_owned());
    let (supervisor, _state) = start(vec![spec]).await;
    let file = |name: &str| read_pid(&folder.path().join(name));
    until("both are there", || file("pid").is_some() && file("child").is_some()).await;
    let (leader, child) = (file("pid").unwrap(), file("child").unwrap());
    assert!(alive(leader) && alive(child));
    let began = Instant::now();
    supervisor.shutdown().await;
    assert!(began.elapsed() >= ms(300), "the grace was not given");
    assert!(!alive(leader));
    until("the offspring is gone", || !alive(child)).await;
}

async fn dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell("tree", "sleep 1000 & echo $! > child; wait");
    spec.working_directory = Some(folder.path().to_owned());
    let (supervisor, _state) = start(vec![spec]).await;
    let file = folder.path().join("child");
    until("the offspring is there", || read_pid(&file).is_some()).await;
    let leader = pids(&supervisor, "tree")[0].unwrap();
    let child = read_pid(&file).unwrap();
    drop(supervisor);
    until("the group is gone", || !alive(leader) && !alive(child)).await;
}

async fn chatter() {
    let mut spec = web("talker", 1);
    spec.args = vec!["child-chatter".to_owned()];
    spec.readiness = None;
    spec.logs = LogCapture { lines: 100, line_bytes: 64 };
    let (supervisor, _folder) = start(vec![spec]).await;
    let log = || supervisor.logs("talker", "talker-0").unwrap();
    until("the last line", || log().lines.last().is_some_and(|line| line.text == "line 49999")).await;
    let log = log();
    assert_eq!(log.lines.len(), 100);
    assert_eq!(log.dropped_lines, 50_001 - 100);
    assert_eq!(log.cut_bytes, 100_000 - 64);
    supervisor.shutdown().await;
}

async fn lifeline() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["child-supervise", folder.path().to_str().unwrap()])
        .spawn()
        .unwrap();
    let file = folder.path().join("services/leaf/pid");
    until("the leaf runs", || read_pid(&file).is_some()).await;
    let leaf = read_pid(&file).unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the leaf ended by itself", || std::fs::read_to_string(&file).is_ok_and(|text| text == "ended"))
        .await;
    until("the leaf is gone", || !alive(leaf)).await;
}

async fn missing_program() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell("ghost", "");
    spec.command = folder.path().join("no-such-program");
    spec.readiness =
        Some(aiops_process::Readiness { deadline: ms(200), ..aiops_process::Readiness::http("/") });
    let config = SupervisorConfig::new(folder.path()).with_service(spec);
    let error = Supervisor::start(config, std::sync::Arc::new(aiops_core::SystemClock)).await.unwrap_err();
    assert!(matches!(error, ProcessError::NotReady { .. }), "{error}");
}
