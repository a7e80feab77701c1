//! The shop breaks and heals: scrape → detect → localise → diagnose → guard → act → verify, live.

mod baseline;
mod compose;
mod detection;
mod healer;
mod operator;
mod options;
mod plant;
mod record;
mod recorder;
pub mod report;
mod restart;
mod safety;
mod watch;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aiops_core::jiff::Timestamp;
use aiops_core::model::time::elapsed;
use aiops_core::{Case, Clock, Context, SystemClock};

use self::healer::{Healer, Parts};
use self::plant::{AUTHOR, Plant, PlantServer};
use self::safety::{SafetyConfig, StateFolder};
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
    let ended = match &options.attach {
        None => runtime.block_on(run(options)).map(|record| match record.healthy_at_end {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(2),
        }),
        Some(socket) => runtime.block_on(async {
            let ctx = Context::new(Arc::new(SystemClock));
            restart::attached(options, socket, &view(Style::detect()), &ctx).await?;
            Ok(ExitCode::SUCCESS)
        }),
    };
    // A question that nobody answered still waits for its line.
    runtime.shutdown_background();
    ended.unwrap_or_else(|e| {
        eprintln!("self_heal: {e}");
        ExitCode::FAILURE
    })
}

fn view(style: Style) -> View {
    Arc::new(Mutex::new(Progress::new(std::io::stderr(), style)))
}

/// One run from the start of the shop to its stop, told on standard output.
///
/// # Errors
/// When the shop does not start, a file cannot be written, or telemetry cannot be set up.
pub async fn run(options: &Options) -> Result<RunRecord, RunError> {
    let (record, cases) = run_silently(options).await?;
    report(options, &record, &cases)?;
    Ok(record)
}

/// Everything that decides what a run with default options may do and how sure it is of what, as the files say it that are shipped. For
/// whoever has to name the configuration of what is scored.
#[must_use]
pub fn declared() -> String {
    [safety::SHIPPED, compose::CALIBRATION].concat()
}

/// The same as [`run`] with nothing on standard output and no file written but the state: the record, and every case in order.
///
/// # Errors
/// Those of [`run`].
pub async fn run_silently(options: &Options) -> Result<(RunRecord, Vec<Case>), RunError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ctx = Context::new(Arc::clone(&clock));
    // Two processes cannot rewrite one line.
    let style = Style::detect();
    let view = view(Style { in_place: style.in_place && !options.restart, ..style });
    let seed = options.seed.unwrap_or_else(|| clock.now().as_nanosecond().unsigned_abs() as u64 % 1_000_000);
    let fault = options.fault.draw(seed);

    stage(&view, "start", &format!("the shop: gateway → orders → inventory → store ⇐ worker (seed {seed})"));
    let shop = Arc::new(Shop::start(ShopConfig::with_seed(seed), Arc::clone(&clock)).await?);
    let outcome = watched(options, seed, fault, &shop, &view, &ctx).await;
    stage(&view, "stop", "every process of the shop");
    shop.stop().await;
    view.lock().unwrap_or_else(PoisonError::into_inner).finish();
    outcome
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
    let safety = SafetyConfig::load(options.safety.as_deref())?;
    let folder = state_folder(options, shop)?;
    let root = safety::issue(&safety, &folder, ctx)?;
    let telemetry = watch::Telemetry::start(options, Arc::clone(shop), ctx).await?;
    let recorder =
        options.telemetry.as_deref().map(|path| recorder::start(path, &telemetry, ctx)).transpose()?;
    let end = if fault.is_some() { LONGEST } else { Duration::from_secs(options.quiet_for) };
    let scenario = Scenario::draw(fault, seed, WARM_UP, end);
    let daily_life = {
        let (shop, scenario, clock) = (Arc::clone(shop), scenario.clone(), Arc::clone(ctx.clock()));
        tokio::spawn(async move { play(&shop, scenario.harmless(), &*clock).await })
    };
    let before = {
        let shop = Arc::clone(shop);
        tokio::spawn(async move {
            tokio::time::sleep(WARM_UP).await;
            shop.traffic().last(WARM_UP / 2)
        })
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

    // A case that was opened before the fault is a false alarm, and no reason to leave.
    let over = |_: &Case| (fault.is_some() && injected.is_finished()).then(|| Instant::now() + AFTERWARDS);
    let mut leave_at = began + end;
    let mut looks = 0;
    let cases = match options.restart {
        true => {
            let server = PlantServer::new(Arc::clone(shop), telemetry.source(), root);
            restart::watched(Arc::new(server), &folder, leave_at, over, view, ctx).await?
        }
        false => {
            let parts = Parts {
                options,
                safety: &safety,
                folder: &folder,
                switch: safety::kill_switch(options.kill_file.as_ref())?,
                plant: Plant::Here(Arc::clone(shop)),
                source: Arc::new(telemetry.source()),
                view,
            };
            let mut healer = Healer::start(&parts, began + WARM_UP, ctx).await?;
            let mut cases = healer.resumed();
            while Instant::now() < leave_at {
                if healer.is_fenced_off() {
                    stage(view, "fenced", "the lease was lost, and is taken anew");
                    healer.stop(ctx).await?;
                    healer = Healer::start(&parts, began + WARM_UP, ctx).await?;
                    cases.extend(healer.resumed());
                }
                looks += 1;
                if let Some(case) = healer.look(ctx).await? {
                    leave_at = over(&case).map_or(leave_at, |at| leave_at.min(at));
                    cases.push(case);
                }
            }
            healer.stop(ctx).await?;
            cases
        }
    };
    let traffic = shop.traffic().last(Duration::from_secs(3));
    let since_fault = truth
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .as_ref()
        .map(|truth| shop.traffic().last(elapsed(truth.began, ctx.now())));
    let gone = shop.supervisor().view().into_iter().filter(|s| s.wanted == 0 || s.ready == 0);
    let gone: Vec<String> = gone.map(|s| s.service).collect();
    let before = before.await?;
    daily_life.abort();
    injected.abort();
    if let Some(recorder) = recorder {
        recorder.stop().await?;
    }
    telemetry.stop().await;
    let operations = done(shop);
    stage(view, "done", &format!("by the shop's own log: {}", told(&operations)));
    let audited = safety::audited(&folder)?;
    let root = audited.now.root.get(..12).unwrap_or_default();
    let (entries, signed, vouched) = (audited.entries, audited.signed, audited.vouched);
    let what =
        format!("{entries} entries, chain intact, {signed} signed for, {vouched} anchored, root {root}…");
    stage(view, "audit", &what);
    let truth = truth.lock().unwrap_or_else(PoisonError::into_inner).take();
    if fault.is_some() && truth.is_none() {
        // Without the truth it would be counted among the runs in which nothing was broken.
        return Err("the fault was not injected to its end, so this run proves nothing".into());
    }
    let mut record = record::of(options, seed, truth.as_ref(), &cases, traffic);
    record.since_fault = since_fault;
    (record.operations, record.before, record.gone, record.looks) = (operations, before, gone, looks);
    Ok((record, cases))
}

/// The folder that outlives the run, or one that ends with it.
fn state_folder(options: &Options, shop: &Shop) -> Result<StateFolder, RunError> {
    let path = options.state.clone().unwrap_or_else(|| shop.run_folder().join("state"));
    for part in ["fitted", "post-mortems"] {
        std::fs::create_dir_all(path.join(part))?;
    }
    let anchor = options.anchor.clone().unwrap_or_else(|| path.join("anchor"));
    Ok(StateFolder { path: path.canonicalize()?, anchor: std::path::absolute(anchor)? })
}

/// What the pipeline did, as the shop's own change log tells it.
fn done(shop: &Shop) -> Vec<String> {
    let changes = shop.supervisor().changes(Timestamp::MIN);
    changes.into_iter().filter(|change| change.author == AUTHOR).map(|change| change.summary).collect()
}

fn told(operations: &[String]) -> String {
    match operations {
        [] => "nothing was done to it".to_owned(),
        some => some.join(", "),
    }
}

#[allow(clippy::print_stdout, reason = "the story of the run is what this program prints")]
fn report(options: &Options, record: &RunRecord, cases: &[Case]) -> Result<(), RunError> {
    for case in cases {
        println!("{}", narrative(case));
    }
    if cases.is_empty() {
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

async fn sample(view: &View, plant: &Plant) {
    let seen = plant.traffic(Duration::from_secs(2)).await;
    view.lock().unwrap_or_else(PoisonError::into_inner).sample(seen.p95, seen.error_ratio);
}
