//! A boiler that overheats until somebody restarts it, watched by a pipeline in which every stage is this crate's own.

mod boiler;
mod stages;

use std::sync::Arc;

use aiops::act::guards::ActionCap;
use aiops::core::fake::InMemoryJournal;
use aiops::prelude::*;

use boiler::Boiler;
use stages::{Blame, Glance, Hand, LookForHeat, OnlyRestarts, Restart, Thermometer, TooHot};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let boiler = Arc::new(Boiler::default());
    let journal = Arc::new(InMemoryJournal::new());
    let guards = GuardChain::builder(Arc::clone(&journal))
        .guard(OnlyRestarts)
        .guard(ActionCap::default())
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()?;
    let mut config = PipelineConfig::default();
    config.confirmations = 1;
    let pipeline = Pipeline::builder()
        .source(Thermometer(Arc::clone(&boiler)))
        .detector(TooHot)
        .localizer(LookForHeat)
        .rca(Blame)
        .planner(Restart)
        .guards(guards)
        .mitigator(Hand::on(Arc::clone(&boiler)))
        .verifier(Glance(Arc::clone(&boiler)))
        .config(config)
        .build()?;
    let ctx = Context::system();

    assert!(matches!(pipeline.step(&ctx).await?, Look::Quiet));
    boiler.overheat();
    let Look::Incident(case) = pipeline.step(&ctx).await? else { panic!("nobody noticed") };
    assert_eq!(case.status(), Some(&CaseStatus::Recovered), "{case:?}");
    assert_eq!(boiler.restarts(), 1);
    assert!(matches!(pipeline.step(&ctx).await?, Look::Quiet));
    println!("downstream: noticed, restarted once, recovered");
    Ok(())
}
