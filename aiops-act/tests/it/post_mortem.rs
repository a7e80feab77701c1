//! What is told of an incident once it is over.

use std::time::Duration;

use aiops_act::post_mortem::{Automation, Owner, PostMortem};
use aiops_core::action::{Action, ActionOutcome, IncidentId, Mode, ReceiptRecord, RollbackPlan};
use aiops_core::model::{
    Anomaly, Baseline, Change, ChangeKind, Confidence, DetectorId, Diagnosis, EntityId, FaultType,
    FetchRequest, FittedHash, Hypothesis, Recovery, RecoveryReport, SeriesKey, Shape, SignalCheck,
    TelemetryWindow, TimeRange,
};
use aiops_core::{Case, CasePart, CaseStatus, ErrorKind};
use serde_json::json;

use crate::support::{at, orders, propose, restart_of, rollback_of};

fn anomaly(onset: i64) -> Anomaly {
    Anomaly::new(
        DetectorId("rolling".to_owned()),
        FittedHash::of(b"state"),
        orders(),
        SeriesKey::new("latency"),
        Shape::LevelShiftUp,
        at(onset),
        0.9,
        Baseline { center: 0.05, scale: 0.01, samples: 60 },
        FetchRequest::new(TimeRange::ending_at(at(0), Duration::from_secs(60))),
    )
}

/// Opened at 0, with a symptom since `onset` and a change before it.
fn opened(onset: i64, confidence: Confidence) -> Case {
    let mut case = Case::open(IncidentId::new("inc"), at(0), Mode::Auto);
    let mut window = TelemetryWindow::new(TimeRange::ending_at(at(0), Duration::from_secs(600)));
    let summary = "roll out r2 <img src=x> | [x](http://evil)";
    window.changes.push(Change::new("c", at(onset - 5), ChangeKind::ConfigRollout, orders(), summary));
    case.observe(at(0), window);
    case.detect(at(0), vec![anomaly(onset)]);
    let citations: Vec<_> = case.anomalies().iter().map(|cited| cited.id.clone()).collect();
    let mut cause =
        Hypothesis::new(orders(), FaultType::ResourceExhaustion, "it leaks", confidence, citations.clone());
    cause.explains = citations;
    let mut diagnosis = Diagnosis::new(vec![cause]);
    diagnosis.unseen.push("traces were not looked at".to_owned());
    case.push(at(1), CasePart::Diagnosed(diagnosis));
    case
}

fn acted(case: &mut Case, seconds: i64, action: &Action, outcome: ActionOutcome, recovery: Option<Recovery>) {
    let receipt: ReceiptRecord = serde_json::from_value(json!({
        "key": format!("key-{seconds}"), "fence": 1, "action": action,
        "started_at": at(seconds), "finished_at": at(seconds), "outcome": outcome,
    }))
    .unwrap();
    case.act(receipt);
    if let Some(recovery) = recovery {
        let check = SignalCheck { entity: orders(), what: "latency".into(), recovery, detail: String::new() };
        case.push(
            at(seconds + 10),
            CasePart::Verified(RecoveryReport::from_checks(at(seconds + 10), vec![check])),
        );
    }
}

fn sure() -> Confidence {
    Confidence::calibrated(0.9, "test").unwrap()
}

fn owners(report: &PostMortem) -> Vec<Owner> {
    report.items.iter().map(|item| item.owner).collect()
}

#[test]
fn a_healed_incident_is_told_with_what_it_leaves_to_do() {
    let mut case = opened(-20, sure());
    case.push(at(2), CasePart::Planned(vec![propose("p", "inc", restart_of(orders()))]));
    acted(&mut case, 3, &restart_of(orders()), ActionOutcome::Completed, Some(Recovery::Recovered));
    case.push(at(14), CasePart::Closed(CaseStatus::Recovered));
    let report = PostMortem::of(&case).unwrap();
    assert_eq!(report.automation, Automation::Helped);
    assert_eq!((report.impact.began, report.impact.unnoticed), (at(-20), Duration::from_secs(20)));
    assert_eq!(report.impact.lasted, Duration::from_secs(33), "to the verified recovery, not to the closing");
    assert_eq!((report.impact.signals, report.impact.entities.clone()), (1, vec![orders()]));
    assert_eq!(report.cause.as_ref().unwrap().borne_out, Some(true));
    assert_eq!(owners(&report), [Owner::Service, Owner::Instrumentation]);
    assert!(report.timeline.is_sorted_by_key(|moment| moment.at));
    assert!(report.timeline[0].what.contains("was changed"), "{:?}", report.timeline);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<PostMortem>(&text).unwrap(), report);

    let page = report.to_markdown();
    for part in [
        "recovered, verified from telemetry",
        "Automation helped",
        "bears it out",
        "mend what caused it",
        "traces were not looked at",
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    assert!(!page.contains("<img") && !page.contains("[x]("), "{page}");
    assert_eq!(PostMortem::of(&case).unwrap().to_markdown(), page);
}

#[test]
fn what_did_not_help_speaks_against_the_diagnosis() {
    let mut case = opened(-400, Confidence::uncalibrated(0.9).unwrap());
    acted(&mut case, 3, &rollback_of(orders()), ActionOutcome::Completed, Some(Recovery::NotRecovered));
    // Its undoing, which nobody verifies.
    acted(&mut case, 15, &rollback_of(orders()), ActionOutcome::Completed, None);
    let reason = "not recovered after 1 rounds".to_owned();
    case.push(at(20), CasePart::Closed(CaseStatus::Escalated { reason }));
    let report = PostMortem::of(&case).unwrap();
    assert_eq!(report.automation, Automation::DidNotHelp);
    assert_eq!(report.cause.as_ref().unwrap().borne_out, Some(false));
    let items: Vec<&str> = report.items.iter().map(|item| item.what.as_str()).collect();
    for part in ["noticed after 400 s", "never held against outcomes", "not borne out"] {
        assert!(items.iter().any(|item| item.contains(part)), "{part}: {items:?}");
    }
    let patient = PostMortem::of_with(&case, Duration::from_secs(400)).unwrap();
    assert!(!owners(&patient).contains(&Owner::Detection));
}

#[test]
fn what_nobody_knows_is_not_counted_for_or_against() {
    let ends = [
        (ActionOutcome::Completed, Some(Recovery::Inconclusive), Automation::CannotBeTold),
        (ActionOutcome::Completed, None, Automation::CannotBeTold),
        (ActionOutcome::Failed { reason: "no".into() }, None, Automation::DidNotHelp),
        (ActionOutcome::NotStarted { reason: "killed".into() }, None, Automation::DidNothing),
    ];
    for (outcome, recovery, automation) in ends {
        let mut case = opened(-20, sure());
        acted(&mut case, 3, &restart_of(orders()), outcome, recovery);
        case.push(at(20), CasePart::Closed(CaseStatus::Escalated { reason: "x".into() }));
        let report = PostMortem::of(&case).unwrap();
        assert_eq!(report.automation, automation);
        assert_eq!(
            report.cause.unwrap().borne_out,
            None,
            "an action that failed says nothing of the diagnosis"
        );
    }
}

#[test]
fn a_case_in_which_nothing_was_known_or_done_is_told_as_well() {
    let mut case = Case::open(IncidentId::new("inc"), at(0), Mode::Observe);
    case.push(at(1), CasePart::Diagnosed(Diagnosis::new(Vec::new())));
    case.push(at(2), CasePart::Planned(Vec::new()));
    case.push(at(3), CasePart::Closed(CaseStatus::Escalated { reason: "no safe action is known".into() }));
    let report = PostMortem::of(&case).unwrap();
    assert_eq!((report.automation, report.cause.clone()), (Automation::DidNothing, None));
    assert_eq!(report.impact.entities, Vec::<EntityId>::new());
    assert_eq!(owners(&report), [Owner::Policy, Owner::Diagnosis]);
    assert!(report.to_markdown().contains("None was told."));
}

#[test]
fn each_cause_is_judged_by_what_was_done_for_it() {
    let mut case = opened(-20, sure());
    acted(&mut case, 3, &rollback_of(orders()), ActionOutcome::Completed, Some(Recovery::NotRecovered));
    let citations: Vec<_> = case.anomalies().iter().map(|cited| cited.id.clone()).collect();
    let store = EntityId::service("store");
    let second = Hypothesis::new(store.clone(), FaultType::Load, "it is flooded", sure(), citations);
    case.push(at(14), CasePart::Diagnosed(Diagnosis::new(vec![second])));
    acted(&mut case, 15, &restart_of(store.clone()), ActionOutcome::Completed, Some(Recovery::Recovered));
    case.push(at(26), CasePart::Closed(CaseStatus::Recovered));
    let report = PostMortem::of(&case).unwrap();
    assert_eq!(report.automation, Automation::Helped);
    let cause = report.cause.as_ref().unwrap();
    assert_eq!((&cause.system, cause.borne_out), (&store, Some(true)));
    let earlier: Vec<_> = report.discarded.iter().map(|c| (c.system.clone(), c.borne_out)).collect();
    assert_eq!(earlier, [(orders(), Some(false))]);
    assert!(report.items.iter().any(|item| item.what.contains("service/orders was held to be the cause")));
    assert!(report.to_markdown().contains("Held before, and not borne out: service/orders"));
}

#[test]
fn an_open_case_has_none() {
    assert_eq!(PostMortem::of(&opened(-20, sure())).unwrap_err().kind(), ErrorKind::Invalid);
    let plan = restart_of(orders()).rollback;
    assert!(matches!(plan, RollbackPlan::NotNeeded { .. }), "the restart of these tests is one");
}

#[test]
fn a_prediction_is_told_with_what_became_of_it() {
    use aiops_act::foretold::Outcome;
    let mut case = opened(-20, sure());
    let told = propose("p", "inc", restart_of(orders())).foretold([DetectorId("capacity".to_owned())]);
    case.push(at(2), CasePart::Planned(vec![told]));
    case.push(at(3), CasePart::Planned(vec![propose("q", "inc", restart_of(orders()))]));
    acted(&mut case, 4, &restart_of(orders()), ActionOutcome::Completed, Some(Recovery::Recovered));
    case.push(at(15), CasePart::Closed(CaseStatus::Recovered));
    let report = PostMortem::of(&case).unwrap();
    assert!(
        report
            .to_markdown()
            .contains("on the word of capacity. Whether it would have come is not known yet.")
    );
    let unknown = report.clone().with_foretelling(Outcome::Unknown);
    assert!(unknown.to_markdown().contains("Nobody can know"));
    assert_eq!(unknown.items, report.items);
    let false_alarm =
        report.clone().with_foretelling(Outcome::FalseAlarm).with_foretelling(Outcome::FalseAlarm);
    assert_eq!(false_alarm.items.len(), report.items.len() + 1, "once");
    assert_eq!(false_alarm.items.last().unwrap().owner, Owner::Detection);
    let text = serde_json::to_string(&false_alarm).unwrap();
    assert_eq!(serde_json::from_str::<PostMortem>(&text).unwrap(), false_alarm);
    // What was felt says nothing of predictions.
    let mut felt = opened(-20, sure());
    felt.push(at(14), CasePart::Closed(CaseStatus::Recovered));
    let felt = PostMortem::of(&felt).unwrap();
    assert!(
        !felt.to_markdown().contains("foretold")
            && !serde_json::to_string(&felt).unwrap().contains("foretold")
    );
}
