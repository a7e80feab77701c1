//! What follows, by fixed rules.

use std::collections::BTreeSet;
use std::time::Duration;

use aiops_core::action::{ActionOutcome, DecisionOutcome, RollbackPlan};
use aiops_core::model::Recovery;
use aiops_core::{Case, CasePart};

use super::{ActionItem, Owner, PostMortem};

pub(super) fn items(report: &PostMortem, case: &Case, late: Duration) -> Vec<ActionItem> {
    let mut items = BTreeSet::new();
    let mut add = |owner, what: String| {
        items.insert(ActionItem { owner, what });
    };
    for what in &report.unseen {
        add(Owner::Instrumentation, format!("make visible: {what}"));
    }
    if report.impact.unnoticed > late {
        let (took, late) = (report.impact.unnoticed.as_secs(), late.as_secs());
        add(Owner::Detection, format!("it was noticed after {took} s, later than {late} s"));
    }
    match &report.cause {
        None => add(Owner::Diagnosis, "no cause was told: label this case, and add a rule for it".to_owned()),
        Some(cause) => {
            if !cause.confidence.is_calibrated() {
                add(
                    Owner::Diagnosis,
                    "the confidence was never held against outcomes: calibrate it".to_owned(),
                );
            }
            if cause.unexplained > 0 {
                let what =
                    format!("{} symptoms are left unexplained: noise, or a second cause", cause.unexplained);
                add(Owner::Diagnosis, what);
            }
        }
    }
    for cause in report.discarded.iter().chain(&report.cause).filter(|c| c.borne_out == Some(false)) {
        let system = &cause.system;
        let what =
            format!("{system} was held to be the cause and was not borne out: label this case and fit anew");
        add(Owner::Diagnosis, what);
    }
    for entry in case.entries() {
        match &entry.part {
            CasePart::Decided(decision) => {
                if let DecisionOutcome::Denied { reason } = &decision.outcome {
                    add(Owner::Policy, format!("a proposal was denied ({reason}): rightly so?"));
                }
            }
            CasePart::Planned(proposals) if proposals.is_empty() => {
                add(Owner::Policy, "no safe action was known: write a runbook step for it".to_owned());
            }
            _ => {}
        }
    }
    for (receipt, recovery) in case.attempts() {
        let (action, target) = (&receipt.action, &receipt.action.target);
        match (&receipt.outcome, recovery, &action.rollback) {
            (ActionOutcome::Failed { .. }, ..) => {
                add(Owner::Service, format!("{action} failed: find out why"))
            }
            // What starts anew has lost its symptom, not what caused it.
            (_, Some(Recovery::Recovered), RollbackPlan::NotNeeded { .. }) => {
                add(Owner::Service, format!("{action} ended the symptom of {target}; mend what caused it"));
            }
            _ => {}
        }
    }
    items.into_iter().collect()
}
