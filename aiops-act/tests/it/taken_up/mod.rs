//! Cases that are taken up by the next run (`Pipeline::resume`) and looked at again (`look_again`), under random events.
//!
//! A service runs a real pipeline again and again. What is outside of it, telemetry, planner, people, plant, kill switch, does anything at random, and at a random
//! call the process dies: its pipeline is dropped where it stands. The next one settles what is in doubt (`recover`), takes up the cases that were
//! left open, from files that may lack their last entries, and goes on looking. Promises, held against what the plant itself knows:
//!
//! - no key runs twice, none without an open intent, none while the kill switch is engaged, none on a target with an action in doubt;
//! - within a case nothing runs before somebody looked whether the remedy before it helped, nor after one that did;
//! - nothing is done first in a case while no symptom shows, however often it was looked at again or taken up;
//! - no case has more remedies than its cap; *recovered* is said of what telemetry showed;
//! - in the end no case is open, and everything is settled as the plant knows it, or people were told.
//!
//! `AIOPS_LIVES` (default 1,000) sets how many services are played, `AIOPS_LIVES_SEED` (default 1) which.

mod plant;

use std::collections::BTreeMap;
use std::sync::Arc;

use aiops_act::guards::{ActionCap, CapConfig, Cooldown, OneAtATime, RiskTiers};
use aiops_core::action::{Mode, Principal};
use aiops_core::fake::{ScriptedLocalizer, ScriptedRca};
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::pipeline::{Pipeline, PipelineConfig};
use aiops_core::{Context, ManualClock};
use aiops_testkit::sample;
use futures_lite::future::{block_on, poll_once, yield_now};

use self::plant::Plant;
use crate::support::{secs, start};

/// Remedies in one case.
const CAP: usize = 3;

fn pipeline(plant: &Plant) -> Pipeline {
    let chain = GuardChain::builder(plant.clone())
        .guard(RiskTiers::default())
        .guard(ActionCap::new(CapConfig { remedies: CAP, reverts: CAP }).unwrap())
        .guard(Cooldown)
        .guard(OneAtATime)
        .approver(plant.clone())
        .kill_switch(plant.switch.clone())
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()
        .unwrap();
    let mut config = PipelineConfig::default();
    (config.confirmations, config.rounds) = (1, 3);
    config.hold_off = secs(0);
    (config.look_again, config.keep_partial) = (secs(300), plant.below(2) == 0);
    let case = sample::case();
    Pipeline::builder()
        .source(plant.clone())
        .detector(plant.clone())
        .localizer(ScriptedLocalizer::of([sample::ranking(&case)]))
        .rca(ScriptedRca::of([sample::diagnosis(&case).unwrap()]))
        .planner(plant.clone())
        .guards(chain)
        .mitigator(plant.clone())
        .verifier(plant.clone())
        .notifier(plant.clone())
        .listener(plant.clone())
        .config(config)
        .build()
        .unwrap()
}

/// Settles, takes up, and looks a few times.
async fn run(plant: &Plant, looks: u32, ctx: &Context) {
    let pipeline = pipeline(plant);
    // Somebody may be at what is younger.
    ctx.sleep(secs(700)).await.unwrap();
    drop(pipeline.recover(ctx).await.unwrap());
    for case in plant.left_open() {
        plant.saw("taken up");
        pipeline.resume(case, ctx).await.unwrap();
    }
    plant.begin_looking();
    for _ in 0..looks {
        // A look that could not see is an error, and the next one comes.
        drop(pipeline.step(ctx).await);
        ctx.sleep(secs(60)).await.unwrap();
    }
}

/// Runs of one service, the last of which does not die; what was seen in them.
fn life(seed: u64, careless: bool) -> (Plant, Result<(), String>) {
    let plant = Plant::new(seed, careless);
    let ctx = Context::new(Arc::new(ManualClock::leaping(start())));
    for _ in 0..1 + plant.below(4) {
        let fuse = 1 + plant.below(90);
        plant.begin(Some(fuse), true);
        let mut running = Box::pin(run(&plant, 2, &ctx));
        block_on(async {
            while !plant.died() && poll_once(&mut running).await.is_none() {
                yield_now().await;
            }
        });
        drop(running);
    }
    // Twice, as what the end leaves in doubt is settled by the next run.
    for _ in 0..2 {
        plant.begin(None, true);
        block_on(run(&plant, 0, &ctx));
    }
    plant.switch.release(&Principal::new("operator"));
    let ended = plant.check_end(CAP);
    (plant, ended)
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{name} is no number: {v}")))
}

/// What must have happened at least once, or the lives have shown little.
const MUST_HAPPEN: [&str; 22] = [
    "a person took over",
    "a person took over after it was taken up",
    "a remedy with a way back ran",
    "a reply came too late",
    "a reply was lost",
    "acted after it was looked at again",
    "died after a verification",
    "died after an intent",
    "died after an outcome",
    "died asking what became of it",
    "died before a verification",
    "died before an intent",
    "died before an outcome",
    "died between effect and reply",
    "died between intent and call",
    "died planning",
    "died previewing",
    "died reading",
    "died verifying",
    "died waiting for a person",
    "recovered",
    "recovered after it was taken up",
];

#[test]
fn what_is_taken_up_or_looked_at_again_keeps_every_promise() {
    let (lives, seed) = (setting("AIOPS_LIVES", 1_000), setting("AIOPS_LIVES_SEED", 1));
    let (mut calls, mut effects) = (0_u64, 0_usize);
    let mut seen: BTreeMap<&'static str, u64> = BTreeMap::new();
    for n in 0..lives {
        let own = seed.wrapping_mul(1_000_000_007).wrapping_add(n);
        let (plant, ended) = life(own, false);
        ended.unwrap_or_else(|broken| panic!("life {n} of seed {seed}:\n{broken}"));
        calls += plant.calls();
        effects += plant.history().actions().filter(|a| a.counts()).count();
        for (what, times) in plant.seen() {
            *seen.entry(what).or_default() += times;
        }
    }
    println!("{lives} services (seed {seed}): {calls} calls, {effects} actions");
    for (what, times) in &seen {
        println!("{times:>9}  {what}");
    }
    let missing: Vec<_> = MUST_HAPPEN.iter().filter(|what| !seen.contains_key(**what)).collect();
    assert!(lives < 1_000 || missing.is_empty(), "never happened in {lives} lives: {missing:?}");
}

/// The promises can be broken, and it is seen.
#[test]
fn a_plant_that_runs_everything_twice_is_found_out() {
    let found =
        (0..50).filter(|n| life(*n, true).1.is_err_and(|broken| broken.contains("ran twice"))).count();
    assert!(found > 25, "{found}");
}
