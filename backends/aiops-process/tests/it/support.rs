use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aiops_core::SystemClock;
use aiops_process::{
    Operation, OperationKey, OperationRequest, Outcome, ProcessError, Readiness, RestartPolicy, ServiceSpec,
    ServiceView, StopPolicy, Supervisor, SupervisorConfig,
};
use libtest_mimic::Trial;
use tempfile::TempDir;

/// A service of this very program, ready over HTTP.
pub(crate) fn web(name: &str, replicas: u32) -> ServiceSpec {
    let mut spec = ServiceSpec::new(name, std::env::current_exe().unwrap());
    spec.args = ["child-serve", "{port}", "{config}"].map(str::to_owned).to_vec();
    spec.replicas = replicas;
    spec.config = Some(table("limit = 40\nbroken = false"));
    let readiness = Readiness::http("/healthz");
    spec.readiness = Some(Readiness { interval: ms(20), period: ms(50), deadline: ms(4000), ..readiness });
    spec.restart = RestartPolicy { initial: ms(50), max: ms(400), ..RestartPolicy::default() };
    spec
}

/// A service that runs a shell script.
pub(crate) fn shell(name: &str, script: &str) -> ServiceSpec {
    let mut spec = ServiceSpec::new(name, "/bin/sh");
    spec.args = vec!["-c".to_owned(), script.to_owned()];
    spec.restart = RestartPolicy { initial: ms(20), max: ms(100), ..RestartPolicy::default() };
    spec.stop = StopPolicy { drain: ms(0), grace: ms(300) };
    spec
}

pub(crate) fn table(text: &str) -> toml::Table {
    toml::from_str(text).unwrap()
}

pub(crate) const fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

pub(crate) async fn start(services: Vec<ServiceSpec>) -> (Supervisor, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = SupervisorConfig::new(folder.path());
    config.services = services;
    (Supervisor::start(config, Arc::new(SystemClock)).await.unwrap(), folder)
}

/// Applies an operation under a fresh key.
pub(crate) async fn apply(supervisor: &Supervisor, operation: Operation) -> Result<Outcome, ProcessError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let key = OperationKey::new(format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    supervisor.apply(OperationRequest::new(key, "tester", operation)).await
}

pub(crate) fn view(supervisor: &Supervisor, service: &str) -> ServiceView {
    supervisor.view().into_iter().find(|view| view.service == service).unwrap()
}

pub(crate) fn pids(supervisor: &Supervisor, service: &str) -> Vec<Option<u32>> {
    view(supervisor, service).replicas.iter().map(|replica| replica.pid).collect()
}

/// Polls until the condition holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(10), "waited in vain: {what}");
        tokio::time::sleep(ms(10)).await;
    }
}

pub(crate) fn alive(pid: u32) -> bool {
    let zombie = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')));
    let signal = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("kill -0 {pid} 2>/dev/null")])
        .status()
        .unwrap();
    signal.success() && !zombie
}

pub(crate) fn read_pid(path: &Path) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Asks a replica for the configuration it runs with.
pub(crate) async fn running_config(port: u16) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"GET /config HTTP/1.1\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// A trial that runs on a runtime of its own.
pub(crate) fn trial<F>(name: &str, body: fn() -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(name, move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(body());
        Ok(())
    })
}

/// Runs a supervisor with one service on a lifeline until it is killed.
pub(crate) fn supervise(folder: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut spec = ServiceSpec::new("leaf", std::env::current_exe().unwrap());
        spec.args = vec!["child-lifeline".to_owned(), "{workdir}/pid".to_owned()];
        spec.lifeline = true;
        let config = SupervisorConfig::new(folder).with_service(spec);
        let _supervisor = Supervisor::start(config, Arc::new(SystemClock)).await.unwrap();
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}
