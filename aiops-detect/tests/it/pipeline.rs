//! Every detector of series opens and closes incidents in a pipeline.

use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::{
    Action, BlastRadius, IncidentId, Mode, Operation, Principal, Proposal, ProposalId, RollbackPlan, Share,
    Verdict,
};
use aiops_core::fake::{
    FixedGuard, InMemoryJournal, InMemoryMitigator, InMemorySource, ScriptedLocalizer, ScriptedPlanner,
    ScriptedRca, ScriptedVerifier, SimulatedWorkload,
};
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::model::{
    Confidence, Diagnosis, EntityId, FaultType, Hypothesis, Ranking, Recovery, RecoveryReport, SignalCheck,
    Suspect,
};
use aiops_core::pipeline::{Look, Pipeline, PipelineConfig};
use aiops_core::seam::Detector;
use aiops_core::{CaseStatus, Context, ManualClock};
use futures_lite::future::block_on;

use crate::detectors::{FIRST, LEN, STEP, detectors, window};

pub(crate) fn pipeline(
    detector: Box<dyn Detector>,
    source: InMemorySource,
    now: jiff::Timestamp,
) -> Pipeline {
    let orders = || EntityId::service("orders");
    let sure = || Confidence::calibrated(0.9, "test").unwrap();
    let radius = BlastRadius { replicas: 2, share_of_fleet: Share::new(0.25).unwrap() };
    let restart = Operation::RollingRestart { max_unavailable: 1, max_surge: 0 };
    let action = Action::new(restart, orders(), radius)
        .with_rollback(RollbackPlan::NotNeeded { reason: "starts the same revision".into() });
    let (id, incident, planner) = (ProposalId::new("p"), IncidentId::new("inc"), Principal::new("planner"));
    let proposal = Proposal::new(id, incident, action, planner, sure(), "it is slow");
    let cause = Hypothesis::new(orders(), FaultType::ResourceExhaustion, "it is slow", sure(), Vec::new());
    let detail = String::new();
    let recovered =
        SignalCheck { entity: orders(), what: "load".into(), recovery: Recovery::Recovered, detail };
    let journal = InMemoryJournal::new();
    let chain = GuardChain::builder(journal)
        .guard(FixedGuard::new("fixed", Verdict::allow("fine")))
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()
        .unwrap();
    let mut config = PipelineConfig::default();
    (config.window, config.step, config.confirmations) = (STEP * LEN, STEP, 1);
    Pipeline::builder()
        .source(source)
        .detector(detector)
        .localizer(ScriptedLocalizer::of([Ranking::new(vec![Suspect::new(orders(), 1.0)])]))
        .rca(ScriptedRca::of([Diagnosis::new(vec![cause])]))
        .planner(ScriptedPlanner::of([vec![proposal]]))
        .guards(chain)
        .mitigator(InMemoryMitigator::new().with(orders(), SimulatedWorkload::new(2, "r1")))
        .verifier(ScriptedVerifier::of([RecoveryReport::from_checks(now, vec![recovered])]))
        .config(config)
        .build()
        .unwrap()
}

#[test]
fn every_detector_opens_an_incident_in_a_pipeline_and_keeps_quiet_otherwise() {
    for detector in detectors() {
        let id = detector.id();
        let sick = window(FIRST, LEN, 3, 84, 120.0, 0.5);
        let now = sick.range.end();
        let ctx = Context::new(Arc::new(ManualClock::leaping(now)));
        let source = InMemorySource::holding(window(FIRST, LEN, 4, u32::MAX, 0.0, 0.0));
        let pipeline = pipeline(detector, source.clone(), now + Duration::from_secs(1));
        assert!(matches!(block_on(pipeline.step(&ctx)).unwrap(), Look::Quiet), "{id}");
        source.set(sick);
        match block_on(pipeline.step(&ctx)).unwrap() {
            Look::Incident(case) => {
                assert_eq!(case.status(), Some(&CaseStatus::Recovered), "{id}");
                assert!(case.anomalies().iter().any(|a| a.anomaly.detector == id), "{id}");
            }
            other => panic!("{id}: {other:?}"),
        }
    }
}
