//! The example system by itself: start it, break it, watch it. Nothing mends it here.
//!
//! ```text
//! cargo run --release -p aiops-examples --example shop -- --fault noisy-neighbour --seconds 40
//! ```

use std::process::ExitCode;
use std::time::Duration;

use aiops_core::SystemClock;
use aiops_examples::faults::{Fault, Scenario};
use aiops_examples::progress::{Progress, Style};
use aiops_examples::shop::{Shop, ShopConfig, ShopError, run_if_service};
use clap::Parser;

/// Starts the shop, plays a scenario and shows what customers see.
#[derive(Debug, Parser)]
struct Options {
    /// memory-leak, bad-configuration, pool-exhaustion, lock-contention, crash-loop, slow-dependency or
    /// noisy-neighbour; none by default.
    #[arg(long)]
    fault: Option<Fault>,
    /// Seed of traffic, fault and harmless events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Length of the run.
    #[arg(long, default_value_t = 40)]
    seconds: u64,
    /// Quiet time before the fault.
    #[arg(long, default_value_t = 12)]
    quiet: u64,
}

fn main() -> ExitCode {
    if let Some(code) = run_if_service() {
        return code;
    }
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime.map_err(ShopError::from).and_then(|runtime| runtime.block_on(run(&options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), ShopError> {
    let clock = std::sync::Arc::new(SystemClock);
    let mut progress = Progress::new(std::io::stderr(), Style::detect());
    progress.stage("start", "gateway x2, orders x2, inventory x2, store, worker");
    let shop = Shop::start(ShopConfig::with_seed(options.seed), clock.clone()).await?;
    progress.stage("open", "customers come in");
    let end = Duration::from_secs(options.seconds);
    let scenario = Scenario::draw(options.fault, options.seed, Duration::from_secs(options.quiet), end);
    let played = scenario.play(&shop, &*clock);
    tokio::pin!(played);
    let mut truth = None;
    let mut playing = true;
    let mut told = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    let over = tokio::time::sleep(end);
    tokio::pin!(over);
    loop {
        tokio::select! {
            result = &mut played, if playing => {
                playing = false;
                truth = result?;
            }
            _ = tick.tick() => {
                let seen = shop.traffic().last(Duration::from_secs(2));
                progress.sample(seen.p95, seen.error_ratio);
                for change in shop.supervisor().changes(aiops_core::jiff::Timestamp::MIN).into_iter().skip(told) {
                    told += 1;
                    progress.stage("change", &change.summary);
                }
            }
            () = &mut over => break,
            interrupt = tokio::signal::ctrl_c() => {
                interrupt?;
                break;
            }
        }
    }
    progress.stage("stop", "");
    progress.finish();
    shop.stop().await;
    if let Some(truth) = truth {
        eprintln!("what was done: {} in {}, {} ({})", truth.fault, truth.service, truth.detail, truth.began);
    }
    Ok(())
}
