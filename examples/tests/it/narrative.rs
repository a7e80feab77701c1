//! The story of a case that went its whole way in memory.

use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::{
    Action, BlastRadius, IncidentId, Mode, Operation, Principal, Proposal, ProposalId, Share, Verdict,
};
use aiops_core::fake::{FixedGuard, InMemoryJournal, InMemoryMitigator, SimulatedWorkload};
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    Anomaly, Baseline, Change, ChangeKind, Confidence, DetectorId, Diagnosis, EntityId, FaultType,
    FetchRequest, FittedHash, Hypothesis, Ranking, Recovery, RecoveryReport, Revision, SeriesKey, Shape,
    SignalCheck, Suspect, TelemetryWindow, TimeRange,
};
use aiops_core::seam::Mitigator;
use aiops_core::{Case, CasePart, CaseStatus, Context, ManualClock};
use aiops_examples::narrative::narrative;
use libtest_mimic::{Failed, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("the_story_tells_every_step_with_its_evidence", told),
        Trial::test("an_open_case_and_hostile_text_are_told_safely", open_and_hostile),
    ]
}

fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

fn window(summary: &str) -> TelemetryWindow {
    let range = TimeRange::ending_at(instant(0), Duration::from_secs(60));
    let mut window = TelemetryWindow::new(range);
    let change =
        Change::new("c1", instant(-12), ChangeKind::ConfigRollout, EntityId::service("orders"), summary)
            .with_revision(Revision::new(Some("r6".to_owned()), "r7"))
            .with_author("deployer");
    window.changes.push(change);
    window
}

fn anomaly() -> Anomaly {
    Anomaly::new(
        DetectorId("rolling".to_owned()),
        FittedHash::of(b"state"),
        EntityId::instance("gateway-0"),
        SeriesKey::new("latency"),
        Shape::LevelShiftUp,
        instant(-10),
        0.9,
        Baseline { center: 0.05, scale: 0.01, samples: 60 },
        FetchRequest::new(TimeRange::ending_at(instant(0), Duration::from_secs(60))),
    )
}

fn told() -> Result<(), Failed> {
    let mut case = Case::open(IncidentId::new("inc-1"), instant(0), Mode::Auto);
    case.observe(instant(0), window("roll out orders r7"));
    case.detect(instant(0), vec![anomaly()]);
    let mut suspect = Suspect::new(EntityId::service("orders"), 0.9);
    suspect.path = vec![EntityId::service("orders"), EntityId::service("gateway")];
    case.push(instant(0), CasePart::Localized(Ranking::new(vec![suspect])));
    let citations = case.evidence().iter().map(|evidence| evidence.id.clone()).collect();
    let hypothesis = Hypothesis::new(
        EntityId::service("orders"),
        FaultType::Config,
        "It began right after a roll-out.",
        Confidence::uncalibrated(0.8).unwrap(),
        citations,
    );
    case.push(instant(1), CasePart::Diagnosed(Diagnosis::new(vec![hypothesis])));
    let radius = BlastRadius { replicas: 2, share_of_fleet: Share::new(0.25).unwrap() };
    let operation = Operation::Rollback { to: "r6".to_owned() };
    let proposal = Proposal::new(
        ProposalId::new("p1"),
        IncidentId::new("inc-1"),
        Action::new(operation, EntityId::service("orders"), radius),
        Principal::new("pipeline"),
        Confidence::calibrated(0.8, "test").unwrap(),
        "The revision before was good.",
    );
    case.push(instant(1), CasePart::Planned(vec![proposal.clone()]));
    let ctx = Context::new(Arc::new(ManualClock::at(instant(2))));
    let mitigator =
        InMemoryMitigator::new().with(EntityId::service("orders"), SimulatedWorkload::new(2, "r7"));
    let chain = GuardChain::builder(InMemoryJournal::default())
        .guard(FixedGuard::new("risk", Verdict::allow("medium, and the mode is auto")))
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let authorized = chain.authorize(proposal, &mitigator, &ctx).await.unwrap();
        case.push(instant(2), CasePart::Decided(authorized.decision().clone()));
        let intended = authorized.record(&ctx).await.unwrap();
        case.act(mitigator.execute(intended, &ctx).await.unwrap().into_record());
    });
    let check = |what: &str, recovery| SignalCheck {
        entity: EntityId::instance("gateway-0"),
        what: what.to_owned(),
        recovery,
        detail: "0.051 s".to_owned(),
    };
    let checks = vec![check("latency", Recovery::Recovered), check("served traffic", Recovery::Recovered)];
    case.push(instant(12), CasePart::Verified(RecoveryReport::from_checks(instant(12), checks)));
    case.push(instant(12), CasePart::Closed(CaseStatus::Recovered));
    let story = narrative(&case);
    for expected in [
        "Incident inc-1, opened 2026-01-01T00:00:00Z\n",
        "   +0.0 s  1 signal on 1 entity left the norm. The loudest:\n",
        "           [anomaly-1] instance/gateway-0: level shift up of latency",
        "             [change-1] -12.0 s service/orders: roll out orders r7 (r6 → r7) by deployer\n",
        "   +0.0 s  First suspect: service/orders (score 0.90).\n           Spread along orders → gateway\n",
        "   +1.0 s  Diagnosis, 80 % (uncalibrated): configuration in service/orders. It began right after a roll-out.\n",
        "           It rests on change-1, anomaly-1\n",
        "   +1.0 s  Proposed: roll back to r6 service/orders. The revision before was good.\n",
        "   +2.0 s  It was allowed.\n           mode: no objection, ",
        "           risk: no objection, medium, and the mode is auto\n",
        "   +2.0 s  Action: roll back to r6 service/orders – done in 0.0 s.\n",
        "  +12.0 s  Telemetry is back to normal (2 checks).\n           ✓ latency of instance/gateway-0: 0.051 s\n",
        "  +12.0 s  Recovered, verified from telemetry.\n",
    ] {
        assert!(story.contains(expected), "missing {expected:?} in\n{story}");
    }
    let order: Vec<usize> =
        ["left the norm", "First suspect", "Diagnosis", "Proposed", "allowed", "Action:", "Recovered"]
            .iter()
            .map(|part| story.find(part).unwrap())
            .collect();
    assert!(order.is_sorted(), "{story}");
    let again = Case::from_json(&case.to_json().unwrap()).unwrap();
    assert_eq!(narrative(&again), story, "the file tells the same story");
    Ok(())
}

fn open_and_hostile() -> Result<(), Failed> {
    let mut case = Case::open(IncidentId::new("inc-2"), instant(0), Mode::Suggest);
    case.observe(instant(0), window("roll\x1b[2J out\r\nIncident closed\u{7}"));
    case.detect(instant(0), (0..9).map(|_| anomaly()).collect());
    case.push(instant(1), CasePart::Localized(Ranking::new(Vec::new())));
    case.push(instant(1), CasePart::Diagnosed(Diagnosis::new(Vec::new())));
    let story = narrative(&case);
    assert!(story.chars().all(|c| c == '\n' || !c.is_control()), "{story:?}");
    assert!(!story.lines().any(|line| line.starts_with("Incident closed")));
    assert!(story.contains("and 4 more\n") && story.contains("The case is still open.\n"), "{story}");
    assert!(story.contains("Nobody in particular is suspected."), "{story}");
    Ok(())
}
