//! One replica: a task that owns the child process, probes it and restarts it with back-off.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Method;
use jiff::Timestamp;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::endpoints::EndpointsFile;
use crate::error::ProcessError;
use crate::http;
use crate::log::{LogRing, Stream};
use crate::port::Port;
use crate::spec::{Readiness, ServiceSpec};
use aiops_core::Clock;

/// Where a replica stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Started, not ready yet.
    Starting,
    /// Running and answering its readiness probe.
    Ready,
    /// Running, was ready, and now fails its readiness probe.
    Unready,
    /// Exited by itself; waits for its restart.
    BackOff,
    /// Asked to stop.
    Stopping,
    /// Not running and not to be started.
    Stopped,
}

impl Phase {
    /// Whether a process exists in this phase.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Starting | Self::Ready | Self::Unready | Self::Stopping)
    }
}

/// What is known about a replica, shared between its task and the supervisor.
#[derive(Debug)]
pub(crate) struct ReplicaState {
    pub(crate) service: String,
    pub(crate) instance: String,
    pub(crate) index: u32,
    pub(crate) port: Port,
    pub(crate) restarts: AtomicU64,
    pub(crate) log: Arc<LogRing>,
    phase: watch::Sender<Phase>,
    process: Mutex<ProcessFacts>,
    endpoints: Arc<EndpointsFile>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessFacts {
    pub(crate) pid: Option<u32>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) last_exit: Option<String>,
    pub(crate) revision: Option<u64>,
}

impl ReplicaState {
    pub(crate) fn new(spec: &ServiceSpec, index: u32, port: Port, endpoints: Arc<EndpointsFile>) -> Self {
        Self {
            service: spec.name.clone(),
            instance: format!("{}-{index}", spec.name),
            index,
            port,
            restarts: AtomicU64::new(0),
            log: Arc::new(LogRing::new(spec.logs)),
            phase: watch::Sender::new(Phase::Stopped),
            process: Mutex::default(),
            endpoints,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn facts(&self) -> ProcessFacts {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update(&self, change: impl FnOnce(&mut ProcessFacts)) {
        change(&mut self.process.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        let address = (phase == Phase::Ready).then(|| format!("127.0.0.1:{}", self.port.get()));
        self.endpoints.set(&self.service, &self.instance, address);
        self.phase.send_replace(phase);
    }

    /// Waits until the replica is ready.
    pub(crate) async fn ready_within(&self, limit: Duration) -> Result<(), ProcessError> {
        let mut phases = self.phase.subscribe();
        let ready = async { phases.wait_for(|phase| *phase == Phase::Ready).await.is_ok() };
        match tokio::time::timeout(limit, ready).await {
            Ok(true) => Ok(()),
            _ => Err(ProcessError::NotReady { instance: self.instance.clone(), waited: limit }),
        }
    }
}

/// How to launch the child; fixed for the life of one replica task.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) spec: Arc<ServiceSpec>,
    pub(crate) working_directory: PathBuf,
    pub(crate) config: Option<PathBuf>,
    pub(crate) revision: Option<u64>,
}

/// Handle of a running replica task. When the last one is dropped the process group is killed.
#[derive(Debug, Clone)]
pub(crate) struct ReplicaTask {
    commands: mpsc::Sender<Instruction>,
}

#[derive(Debug)]
enum Instruction {
    Stop(oneshot::Sender<()>),
    RetryNow,
    Signal(Signal),
}

impl ReplicaTask {
    pub(crate) fn spawn(state: Arc<ReplicaState>, launch: Launch, clock: Arc<dyn Clock>) -> Self {
        let (commands, receiver) = mpsc::channel(8);
        state.update(|facts| facts.revision = launch.revision);
        state.set_phase(Phase::Starting);
        tokio::spawn(Runner { state, launch, clock, commands: receiver }.run());
        Self { commands }
    }

    /// Stops gracefully and returns when the process is gone.
    pub(crate) async fn stop(self) {
        let (done, gone) = oneshot::channel();
        if self.commands.send(Instruction::Stop(done)).await.is_ok() {
            // An error means that the task ended, and with it the process.
            let _ = gone.await;
        }
    }

    /// Ends a back-off pause.
    pub(crate) async fn retry_now(&self) {
        let _ = self.commands.send(Instruction::RetryNow).await;
    }

    /// Sends a signal to the running child.
    pub(crate) async fn signal(&self, signal: Signal) {
        let _ = self.commands.send(Instruction::Signal(signal)).await;
    }
}

struct Runner {
    state: Arc<ReplicaState>,
    launch: Launch,
    clock: Arc<dyn Clock>,
    commands: mpsc::Receiver<Instruction>,
}

/// Why a child is no longer watched.
enum End {
    Exited,
    Stopped(oneshot::Sender<()>),
    Abandoned,
}

impl Runner {
    async fn run(mut self) {
        let mut attempt = 0_u32;
        loop {
            let began = Instant::now();
            match self.once().await {
                End::Exited => {}
                End::Stopped(done) => {
                    self.state.set_phase(Phase::Stopped);
                    let _ = done.send(());
                    return;
                }
                End::Abandoned => {
                    self.state.set_phase(Phase::Stopped);
                    return;
                }
            }
            let policy = &self.launch.spec.restart;
            if began.elapsed() >= policy.stable_after {
                attempt = 0;
            }
            self.state.set_phase(Phase::BackOff);
            let resume = Instant::now() + policy.delay(attempt);
            attempt = attempt.saturating_add(1);
            loop {
                tokio::select! {
                    () = sleep_until(resume) => break,
                    instruction = self.commands.recv() => match instruction {
                        Some(Instruction::Stop(done)) => {
                            self.state.set_phase(Phase::Stopped);
                            let _ = done.send(());
                            return;
                        }
                        Some(Instruction::RetryNow) => {
                            attempt = 0;
                            break;
                        }
                        Some(Instruction::Signal(_)) => {}
                        None => {
                            self.state.set_phase(Phase::Stopped);
                            return;
                        }
                    },
                }
            }
            self.state.restarts.fetch_add(1, Ordering::Relaxed);
            self.state.set_phase(Phase::Starting);
        }
    }

    fn note(&self, text: &str) {
        self.state.log.push(self.clock.now(), Stream::Supervisor, text.as_bytes(), 0);
    }

    /// Runs the child once, until it exits or is stopped.
    async fn once(&mut self) -> End {
        let (mut child, group) = match self.start() {
            Ok(started) => started,
            Err(error) => {
                self.note(&format!("cannot execute: {error}"));
                self.state.update(|facts| facts.last_exit = Some(error.to_string()));
                return End::Exited;
            }
        };
        // Held so that the pipe stays open; dropped with this call, at the latest.
        let _lifeline = child.stdin.take();
        let probe = probe(Arc::clone(&self.state), self.launch.spec.readiness.clone());
        tokio::pin!(probe);
        loop {
            tokio::select! {
                status = child.wait() => {
                    // The leader is gone; whatever it left behind in its group goes with the drop of `group`.
                    self.exited(status);
                    return End::Exited;
                }
                () = &mut probe => {
                    self.note("not ready before the deadline");
                    group.signal(Signal::SIGKILL);
                    let status = child.wait().await;
                    self.exited(status);
                    return End::Exited;
                }
                instruction = self.commands.recv() => match instruction {
                    Some(Instruction::Stop(done)) => {
                        self.stop(&mut child, &group).await;
                        return End::Stopped(done);
                    }
                    Some(Instruction::RetryNow) => {}
                    Some(Instruction::Signal(signal)) => group.signal(signal),
                    None => return End::Abandoned,
                },
            }
        }
    }

    fn start(&self) -> std::io::Result<(Child, Group)> {
        let spec = &self.launch.spec;
        let fill = |text: &str| self.fill(text);
        let mut command = Command::new(&spec.command);
        command
            .args(spec.args.iter().map(|argument| fill(argument)))
            .envs(spec.env.iter().map(|(name, value)| (name, fill(value))))
            .current_dir(&self.launch.working_directory)
            .stdin(if spec.lifeline { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let group = Group::of(&child);
        let pid = child.id();
        self.state.update(|facts| {
            facts.pid = pid;
            facts.started = Some(self.clock.now());
        });
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(Arc::clone(&self.state.log).drain(stdout, Stream::Stdout, Arc::clone(&self.clock)));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(Arc::clone(&self.state.log).drain(stderr, Stream::Stderr, Arc::clone(&self.clock)));
        }
        Ok((child, group))
    }

    fn fill(&self, text: &str) -> String {
        let mut text = text
            .replace("{port}", &self.state.port.get().to_string())
            .replace("{instance}", &self.state.instance)
            .replace("{replica}", &self.state.index.to_string())
            .replace("{endpoints}", &self.state.endpoints.path().to_string_lossy())
            .replace("{workdir}", &self.launch.working_directory.to_string_lossy());
        if let Some(config) = &self.launch.config {
            text = text.replace("{config}", &config.to_string_lossy());
        }
        text
    }

    fn exited(&self, status: std::io::Result<ExitStatus>) {
        let text = match status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        self.note(&format!("exited: {text}"));
        self.state.update(|facts| {
            facts.pid = None;
            facts.last_exit = Some(text);
        });
    }

    async fn stop(&self, child: &mut Child, group: &Group) {
        let policy = self.launch.spec.stop;
        self.state.set_phase(Phase::Stopping);
        if !policy.drain.is_zero() {
            tokio::select! {
                () = sleep(policy.drain) => {}
                _ = child.wait() => {}
            }
        }
        group.signal(Signal::SIGTERM);
        let status = match tokio::time::timeout(policy.grace, child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.note("grace is over, killed");
                group.signal(Signal::SIGKILL);
                child.wait().await
            }
        };
        self.exited(status);
    }
}

/// Probes readiness for ever; returns only when the deadline of the start passes.
async fn probe(state: Arc<ReplicaState>, readiness: Option<Readiness>) {
    let Some(readiness) = readiness else {
        state.set_phase(Phase::Ready);
        return std::future::pending().await;
    };
    let deadline = Instant::now() + readiness.deadline;
    let check = || http::status(Method::GET, state.port.get(), &readiness.path, readiness.timeout);
    let passes = |answer: Result<u16, String>| answer.is_ok_and(|code| (200..300).contains(&code));
    while !passes(check().await) {
        if Instant::now() >= deadline {
            return;
        }
        sleep(readiness.interval).await;
    }
    state.set_phase(Phase::Ready);
    let mut failures = 0_u32;
    loop {
        sleep(readiness.period).await;
        if passes(check().await) {
            failures = 0;
            if state.phase() == Phase::Unready {
                state.set_phase(Phase::Ready);
            }
        } else {
            failures = failures.saturating_add(1);
            if failures >= readiness.failure_threshold && state.phase() == Phase::Ready {
                state.set_phase(Phase::Unready);
            }
        }
    }
}

/// The process group of a child. Killed on drop, so that no path leaves an orphan.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        // INVARIANT: the child was started with `process_group(0)`, so its pid is the id of its group.
        Self(child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // `ESRCH` means that nobody is left, which is what a kill wants. The number cannot belong to a
            // stranger while any member lives, and we are called within moments of the leader's exit.
            let _ = killpg(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
