//! The shop breaks and heals: scrape → detect → localise → diagnose → guard → act → verify, live.

mod baseline;
mod compose;
mod operator;
mod options;
mod record;
mod recorder;
pub mod report;
mod restart;
mod watch;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aiops_act::KillFile;
use aiops_core::action::Principal;
use aiops_core::guard::KillSwitch;
use aiops_core::pipeline::Look;
use aiops_core::{Case, Clock, Context, SystemClock};
use tokio::signal::unix::{SignalKind, signal};

use crate::faults::{Fault, Scenario, Truth, play};
use crate::narrative::narrative;
use crate::progress::{Progress, Style};
use crate::shop::{Shop, ShopConfig};

pub use options::{FaultChoice, Options, PipelineChoice};
pub use record::{RunRecord, Taken};

/// Traffic before anything is judged; the baseline is learned from it.
const WARM_UP: Duration = Duration::from_secs(18);
/// Whatever happens, a run ends then.
const LONGEST: Duration = Duration::from_secs(60);
/// Watched after the case is over, so that a relapse is seen.
const AFTERWARDS: Duration = Duration::from_secs(4);

/// Anything that ends a run before it is over.
pub type RunError = Box<dyn std::error::Error + Send + Sync>;

/// The progress view, shared between the run and the pipeline.
pub(crate) type View = Arc<Mutex<Progress<std::io::Stderr>>>;

/// Runs the example; the exit code is success when the shop is healthy at the end.
pub fn main(options: &Options) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("self_heal: {e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(options)) {
        Ok(record) if record.healthy_at_end => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(2),
        Err(e) => {
            eprintln!("self_heal: {e}");
            ExitCode::FAILURE
        }
    }
}

/// One run from the start of the shop to its stop.
///
/// # Errors
/// When the shop does not start, a file cannot be written, or telemetry cannot be set up.
pub async fn run(options: &Options) -> Result<RunRecord, RunError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ctx = Context::new(Arc::clone(&clock));
    let view: View = Arc::new(Mutex::new(Progress::new(std::io::stderr(), Style::detect())));
    let seed = options.seed.unwrap_or_else(|| clock.now().as_nanosecond().unsigned_abs() as u64 % 1_000_000);
    let fault = options.fault.draw(seed);

    stage(&view, "start", &format!("the shop: gateway → orders → inventory → store ⇐ worker (seed {seed})"));
    let shop = Arc::new(Shop::start(ShopConfig::with_seed(seed), Arc::clone(&clock)).await?);
    let outcome = watched(options, seed, fault, &shop, &view, &ctx).await;
    stage(&view, "stop", "every process of the shop");
    if let Some(shop) = Arc::into_inner(shop) {
        shop.stop().await;
    }
    view.lock().unwrap_or_else(PoisonError::into_inner).finish();
    let (record, cases) = outcome?;
    report(options, &record, &cases)?;
    Ok(record)
}

/// Everything between the start and the stop of the shop.
async fn watched(
    options: &Options,
    seed: u64,
    fault: Option<Fault>,
    shop: &Arc<Shop>,
    view: &View,
    ctx: &Context,
) -> Result<(RunRecord, Vec<Case>), RunError> {
    let began = Instant::now();
    let telemetry = watch::Telemetry::start(options, Arc::clone(shop), ctx).await?;
    let recorder =
        options.telemetry.as_deref().map(|path| recorder::start(path, &telemetry, ctx)).transpose()?;
    let end = if fault.is_some() { LONGEST } else { Duration::from_secs(options.quiet_for) };
    let scenario = Scenario::draw(fault, seed, WARM_UP, end);
    let daily_life = {
        let (shop, scenario, clock) = (Arc::clone(shop), scenario.clone(), Arc::clone(ctx.clock()));
        tokio::spawn(async move { play(&shop, scenario.harmless(), &*clock).await })
    };
    let truth: Arc<Mutex<Option<Truth>>> = Arc::default();
    let injected = {
        let (shop, truth, clock) = (Arc::clone(shop), Arc::clone(&truth), Arc::clone(ctx.clock()));
        tokio::spawn(async move {
            match scenario.play_fault(&shop, &*clock).await {
                Ok(done) => *truth.lock().unwrap_or_else(PoisonError::into_inner) = done,
                Err(e) => eprintln!("the fault could not be injected: {e}"),
            }
        })
    };

    stage(view, "learn", "what is normal, from healthy telemetry");
    while began.elapsed() < WARM_UP {
        tokio::time::sleep(Duration::from_secs(1)).await;
        sample(view, shop);
    }
    let switch = kill_switch(options)?;
    let desk = match options.approve_at {
        Some(address) => {
            Some(operator::desk(address, &shop.run_folder().join("approvals"), &switch, view, ctx).await?)
        }
        None => None,
    };
    let parts = compose::Parts {
        options,
        shop,
        telemetry: &telemetry,
        detector: Arc::new(compose::learned(&telemetry, ctx).await?),
        switch,
        desk,
        allowed: Arc::default(),
        view,
    };
    let mut pipeline = compose::pipeline(&parts)?;

    stage(view, "watch", "looking every second");
    let mut cases: Vec<Case> = Vec::new();
    let mut leave_at = began + end;
    let mut may_die = options.restart;
    while Instant::now() < leave_at {
        let looked = Instant::now();
        let step = pipeline.step(ctx);
        let look =
            if may_die { restart::dies_while_acting(step, &parts.allowed).await } else { Some(step.await) };
        let Some(look) = look else {
            may_die = false;
            leave_at += restart::DELAY;
            drop(pipeline);
            pipeline = restart::taken_up(&parts, ctx).await?;
            continue;
        };
        match look {
            Ok(Look::Incident(case)) => {
                // A case that was opened before the fault is a false alarm, and no reason to leave.
                if fault.is_some() && injected.is_finished() {
                    leave_at = leave_at.min(Instant::now() + AFTERWARDS);
                }
                cases.push(case);
                stage(view, "watch", "looking every second");
            }
            Ok(Look::Quiet | Look::Unconfirmed { .. } | Look::HandedOver) => {}
            Err(e) => stage(view, "blind", &e.to_string()),
        }
        sample(view, shop);
        tokio::time::sleep(Duration::from_secs(1).saturating_sub(looked.elapsed())).await;
    }
    let traffic = shop.traffic().last(Duration::from_secs(3));
    daily_life.abort();
    injected.abort();
    if let Some(recorder) = recorder {
        recorder.stop().await?;
    }
    telemetry.stop().await;
    let audited = aiops_act::audit::verify(compose::audit_log(options, shop), &[])?;
    let root = audited.now.root.get(..12).unwrap_or_default();
    stage(view, "audit", &format!("{} entries, chain intact, root {root}…", audited.entries));
    let truth = truth.lock().unwrap_or_else(PoisonError::into_inner).take();
    if fault.is_some() && truth.is_none() {
        // Without the truth it would be counted among the runs in which nothing was broken.
        return Err("the fault was not injected to its end, so this run proves nothing".into());
    }
    Ok((record::of(options, seed, truth.as_ref(), &cases, traffic), cases))
}

/// Off until the file is there, a SIGUSR1 comes, or somebody calls it.
fn kill_switch(options: &Options) -> Result<KillSwitch, RunError> {
    let switch = KillSwitch::new();
    if let Some(path) = &options.kill_file {
        switch.watch(KillFile::new(path)?);
    }
    let mut signals = signal(SignalKind::user_defined1())?;
    let engaged = switch.clone();
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            engaged.engage(&Principal::new("operator"), "SIGUSR1");
        }
    });
    Ok(switch)
}

#[allow(clippy::print_stdout, reason = "the story of the run is what this program prints")]
fn report(options: &Options, record: &RunRecord, cases: &[Case]) -> Result<(), RunError> {
    for case in cases {
        println!("{}", narrative(case));
    }
    if cases.is_empty() && options.restart {
        println!(
            "A case that a dead pipeline had opened died with it; journal and audit log tell what was done."
        );
    } else if cases.is_empty() {
        println!("Nothing happened that users felt.");
    }
    // A false alarm before the fault is not the case that a record and a calibration are about.
    let began = record.truth.as_ref().map(|t| t.began);
    let on_fault = cases.iter().find(|c| began.is_none_or(|began| c.opened_at() >= began));
    if let (Some(path), Some(case)) = (&options.case, on_fault.or(cases.first())) {
        std::fs::write(path, case.to_json()?)?;
        println!("case file: {}", path.display());
    }
    if let Some(path) = &options.record {
        std::fs::write(path, serde_json::to_vec_pretty(record)?)?;
    }
    println!("{}", record.summary());
    Ok(())
}

pub(crate) fn stage(view: &View, stage: &str, detail: &str) {
    view.lock().unwrap_or_else(PoisonError::into_inner).stage(stage, detail);
}

pub(crate) fn sample(view: &View, shop: &Shop) {
    let seen = shop.traffic().last(Duration::from_secs(2));
    view.lock().unwrap_or_else(PoisonError::into_inner).sample(seen.p95, seen.error_ratio);
}
