//! A pipeline that is killed in the middle of an action, and the next one that takes it up. It is a process of its own then; the shop goes on.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aiops_act::CaseFolder;
use aiops_core::{Case, Context};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::healer::{Healer, Parts};
use super::plant::{Plant, PlantServer, Remote};
use super::safety::{SafetyConfig, StateFolder, kill_switch};
use super::{Options, RunError, View, WARM_UP, stage};

/// From the order to the death: the intent is on disk, and the shop at work.
const INTO_THE_ACTION: Duration = Duration::from_millis(50);
/// A run with a death in it may take so much longer: a lease of 12 s runs out, and nobody touches what may still be under way for 15 s.
const DELAY: Duration = Duration::from_secs(40);
/// A pipeline that was told to stop ends within this: an action that is under way is awaited and verified.
const LAST_WORDS: Duration = Duration::from_secs(40);

/// Runs the pipeline in a process of its own, kills it once in its first action, and starts it again. Returns the cases that were closed.
pub(super) async fn watched(
    server: Arc<PlantServer>,
    folder: &StateFolder,
    mut leave_at: Instant,
    over: impl Fn(&Case) -> Option<Instant>,
    view: &View,
    ctx: &Context,
) -> Result<Vec<Case>, RunError> {
    let socket = server.socket();
    let serving = Arc::clone(&server).serve(&socket, ctx.clone())?;
    let cases = CaseFolder::open(folder.file("cases"), 100)?;
    let known = cases.closed()?.len();
    let mut operators = signal(SignalKind::user_defined1())?;
    let mut pipeline = start(&socket, folder)?;
    let (mut may_die, mut seen) = (true, known);
    while Instant::now() < leave_at {
        tokio::select! {
            () = server.begun.notified(), if may_die => {
                tokio::time::sleep(INTO_THE_ACTION).await;
                let process = pipeline.id().unwrap_or_default();
                pipeline.kill().await?;
                stage(view, "killed", &format!("the pipeline, process {process}, by SIGKILL in the middle of its action"));
                pipeline = start(&socket, folder)?;
                let process = pipeline.id().unwrap_or_default();
                stage(view, "restarted", &format!("process {process}, on the same state folder"));
                may_die = false;
                leave_at += DELAY;
            }
            ended = pipeline.wait() => return Err(format!("the pipeline ended by itself: {}", ended?).into()),
            _ = operators.recv() => send(&pipeline, Signal::SIGUSR1)?,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
        let closed = cases.closed()?;
        for case in closed.iter().skip(seen) {
            leave_at = over(case).map_or(leave_at, |at| leave_at.min(at));
        }
        seen = closed.len();
    }
    let ended = stopped(&mut pipeline).await?;
    serving.abort();
    if !ended.success() {
        return Err(format!("the pipeline did not end well: {ended}").into());
    }
    Ok(cases.closed()?.split_off(known))
}

/// This program once more, as the pipeline of the shop at `socket`.
fn start(socket: &Path, folder: &StateFolder) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .arg("--attach")
        .arg(socket)
        .arg("--state")
        .arg(&folder.path)
        .arg("--anchor")
        .arg(&folder.anchor)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

fn send(pipeline: &Child, signal: Signal) -> Result<(), RunError> {
    match pipeline.id().map(i32::try_from) {
        Some(Ok(id)) => Ok(kill(Pid::from_raw(id), signal)?),
        _ => Ok(()),
    }
}

async fn stopped(pipeline: &mut Child) -> Result<ExitStatus, RunError> {
    send(pipeline, Signal::SIGTERM)?;
    match tokio::time::timeout(LAST_WORDS, pipeline.wait()).await {
        Ok(ended) => Ok(ended?),
        Err(_) => {
            pipeline.kill().await?;
            Err("the pipeline did not stop in time".into())
        }
    }
}

/// The pipeline's own process, until it is told to stop or whoever started it is gone.
pub(super) async fn attached(
    options: &Options,
    socket: &Path,
    view: &View,
    ctx: &Context,
) -> Result<(), RunError> {
    let parent = std::os::unix::process::parent_id();
    let stop = Arc::new(AtomicBool::new(false));
    let mut told = signal(SignalKind::terminate())?;
    let stopping = Arc::clone(&stop);
    tokio::spawn(async move {
        told.recv().await;
        stopping.store(true, Ordering::Relaxed);
    });
    let path = options.state.clone().ok_or("--attach needs --state")?;
    let anchor = options.anchor.clone().ok_or("--attach needs --anchor")?;
    let shop = Remote { socket: socket.to_owned(), wallet: None };
    let learned_at = Instant::now() + WARM_UP.saturating_sub(Duration::from_secs(1));
    let parts = Parts {
        options,
        safety: &SafetyConfig::load(options.safety.as_deref())?,
        folder: &StateFolder { path, anchor },
        switch: kill_switch(options.kill_file.as_ref())?,
        source: Arc::new(shop.clone()),
        plant: Plant::There(shop),
        view,
    };
    let mut healer = Healer::start(&parts, learned_at, ctx).await?;
    while !stop.load(Ordering::Relaxed) && std::os::unix::process::parent_id() == parent {
        if healer.is_fenced_off() {
            stage(view, "fenced", "the lease was lost, and is taken anew");
            healer.stop(ctx).await?;
            healer = Healer::start(&parts, learned_at, ctx).await?;
        }
        // What became of it stands in the folder of cases.
        drop(healer.look(ctx).await?);
    }
    healer.stop(ctx).await
}
