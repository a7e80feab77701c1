//! What is foretold before anybody feels it.

use aiops_core::CasePart;
use aiops_core::action::Proposal;
use aiops_core::model::{Anomaly, DetectorId, Direction, Selector, SeriesKey, Severity};
use aiops_core::pipeline::Trigger;
use aiops_core::seam::Journal;
use futures_lite::future::block_on;

use crate::pipeline::{Parts, context, incident, restart, rig, slow_orders};

#[test]
fn what_is_foretold_opens_a_case_whatever_the_signal() {
    let felt = Selector::all().with_metric("error_ratio");
    let trigger = Trigger::on(felt).going(Direction::Down);
    let mut full_soon = slow_orders();
    assert!(!trigger.matches(&full_soon));
    let trigger = trigger.or_foretold_by("capacity");
    assert!(!trigger.matches(&full_soon), "found by another detector");
    full_soon.detector = DetectorId("capacity".into());
    assert!(trigger.matches(&full_soon));
    full_soon.severity = Severity::Info;
    assert!(!trigger.matches(&full_soon), "too little of it");
    full_soon.severity = Severity::Warning;
    full_soon.ongoing = false;
    assert!(!trigger.matches(&full_soon), "over before anybody looked");
    let stored = serde_json::to_string(&trigger).unwrap();
    assert_eq!(serde_json::from_str::<Trigger>(&stored).unwrap(), trigger);
}

/// A proposal says that it answers a prediction, whatever its planner says, and only until somebody feels it.
#[test]
fn proposals_say_who_foretold_what_nobody_felt_yet() {
    let felt = Trigger::on(Selector::all().with_metric("error_ratio"));
    let trigger = felt.clone().or_foretold_by("capacity");
    let mut full_soon = slow_orders();
    full_soon.detector = DetectorId("capacity".into());
    assert!(trigger.foretells(&full_soon) && !trigger.feels(&full_soon));
    let mut errors = slow_orders();
    errors.series = SeriesKey::new("error_ratio");
    assert!(!trigger.foretells(&errors) && trigger.feels(&errors));

    let told = |detected: Vec<Anomaly>, claimed: &[&str]| {
        let claims = claimed.iter().map(|name| DetectorId((*name).to_owned()));
        let planned = restart("p1").foretold(claims);
        let rig = rig(Parts {
            detected: vec![detected],
            planned: vec![vec![planned]],
            trigger: Some(trigger.clone()),
            ..Parts::default()
        });
        let case = incident(block_on(rig.pipeline.step(&context())).unwrap());
        let planned = case.entries().iter().find_map(|e| match &e.part {
            CasePart::Planned(proposals) => Some(proposals[0].foretold_by.clone()),
            _ => None,
        });
        let history = block_on(rig.journal.history(&context())).unwrap();
        let recorded = history.actions().next().unwrap().intent.proposal.foretold_by.clone();
        assert_eq!(planned.as_ref(), Some(&recorded));
        recorded.into_iter().map(|detector| detector.0).collect::<Vec<_>>()
    };
    assert_eq!(told(vec![full_soon.clone()], &[]), ["capacity"]);
    assert_eq!(told(vec![errors.clone()], &["capacity"]), Vec::<String>::new());
    assert_eq!(told(vec![full_soon.clone(), errors], &["capacity"]), Vec::<String>::new());
    // What was written before there was such a field is read as felt, and nothing of it is written for what is felt.
    let stored = serde_json::to_value(restart("p1")).unwrap();
    assert!(stored.get("foretold_by").is_none());
    assert_eq!(serde_json::from_value::<Proposal>(stored).unwrap(), restart("p1"));
}
