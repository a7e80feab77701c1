//! What a case file tells.

use std::collections::BTreeSet;

use aiops_core::action::{ActionOutcome, DecisionOutcome};
use aiops_core::model::time::elapsed;
use aiops_core::model::{DetectorId, Diagnosis, Recovery};
use aiops_core::{Case, CasePart};

use super::{Attempted, Automation, Cause, Impact, Moment};

pub(super) fn automation(attempts: &[Attempted]) -> Automation {
    let begun = || attempts.iter().filter(|a| !matches!(a.outcome, ActionOutcome::NotStarted { .. }));
    let failed = |a: &Attempted| {
        a.recovery == Some(Recovery::NotRecovered) || matches!(a.outcome, ActionOutcome::Failed { .. })
    };
    if begun().any(|a| a.recovery == Some(Recovery::Recovered)) {
        Automation::Helped
    } else if begun().next().is_none() {
        Automation::DidNothing
    } else if begun().any(failed) && begun().all(|a| a.recovery != Some(Recovery::Inconclusive)) {
        Automation::DidNotHelp
    } else {
        Automation::CannotBeTold
    }
}

/// Who foretold it, by the first remedies that were proposed.
pub(super) fn foretold_by(case: &Case) -> BTreeSet<DetectorId> {
    let planned = case.entries().iter().find_map(|e| match &e.part {
        CasePart::Planned(proposals) if !proposals.is_empty() => Some(proposals),
        _ => None,
    });
    planned.into_iter().flatten().flat_map(|p| p.foretold_by.iter().cloned()).collect()
}

pub(super) fn timeline(case: &Case) -> Vec<Moment> {
    let mut moments: Vec<Moment> = case
        .changes()
        .iter()
        .map(|cited| Moment {
            at: cited.change.time,
            what: format!("{} was changed: {}", cited.change.entity, cited.change.summary),
        })
        .collect();
    let symptoms = case.detected();
    if let Some(first) = symptoms.iter().min_by_key(|a| (a.onset, &a.entity, &a.series)) {
        let what = format!("the first symptom: {} of {}", first.series, first.entity);
        moments.push(Moment { at: first.onset, what });
    }
    let parts = case.entries().iter().filter_map(|entry| told(&entry.part).map(|what| (entry.at, what)));
    moments.extend(parts.map(|(at, what)| Moment { at, what }));
    // What was told at one instant stays in the order of the case.
    moments.sort_by_key(|moment| moment.at);
    moments
}

fn told(part: &CasePart) -> Option<String> {
    Some(match part {
        CasePart::Detected(found) => format!("{} signals were found out of their norm", found.len()),
        CasePart::Localized(ranking) => format!("first suspect: {}", ranking.first()?.entity),
        CasePart::Diagnosed(diagnosis) => diagnosis.cause().map_or_else(
            || "no cause could be told".to_owned(),
            |cause| format!("diagnosed ({}): {}", cause.confidence, cause.statement),
        ),
        CasePart::Planned(proposals) => match proposals.first() {
            Some(first) => format!("proposed: {}", first.action),
            None => "no safe action was known".to_owned(),
        },
        CasePart::Decided(decision) => match (&decision.outcome, &decision.approval) {
            (DecisionOutcome::Authorized { .. }, None) => "allowed".to_owned(),
            (DecisionOutcome::Authorized { .. }, Some(by)) => {
                format!("allowed, with the consent of {}", by.approver)
            }
            (DecisionOutcome::Denied { reason }, _) => format!("denied: {reason}"),
        },
        CasePart::Acted(receipt) => format!("action: {}", receipt.action),
        CasePart::InDoubt { reason, .. } => format!("an action is in doubt: {reason}"),
        CasePart::Verified(report) => match report.recovery {
            Recovery::Recovered => "telemetry is back to normal".to_owned(),
            Recovery::NotRecovered => "telemetry is not back to normal".to_owned(),
            Recovery::Inconclusive => "telemetry does not tell whether it is over".to_owned(),
        },
        CasePart::Closed(_) => "closed".to_owned(),
        _ => return None,
    })
}

pub(super) fn impact(case: &Case) -> Impact {
    let symptoms = case.detected();
    let explained: BTreeSet<_> = case
        .diagnosis()
        .and_then(Diagnosis::cause)
        .map(|cause| &cause.explains)
        .into_iter()
        .flatten()
        .collect();
    let of_the_cause = case.anomalies().iter().filter(|cited| explained.contains(&cited.id));
    let began = of_the_cause.map(|cited| cited.anomaly.onset).min();
    let began = began.or_else(|| symptoms.iter().map(|a| a.onset).min()).unwrap_or(case.opened_at());
    let recovered = case.entries().iter().rev().find_map(|entry| match &entry.part {
        CasePart::Verified(report) if report.recovery == Recovery::Recovered => Some(report.at),
        _ => None,
    });
    let ended = recovered.or_else(|| case.entries().last().map(|entry| entry.at)).unwrap_or(case.opened_at());
    let signals: BTreeSet<_> = symptoms.iter().map(|a| (&a.entity, &a.series)).collect();
    let entities: BTreeSet<_> = symptoms.iter().map(|a| a.entity.clone()).collect();
    Impact {
        began,
        unnoticed: elapsed(began, case.opened_at()),
        lasted: elapsed(began, ended),
        signals: signals.len(),
        entities: entities.into_iter().collect(),
    }
}

/// Every cause that was told, in order, each with whether acting on it helped.
pub(super) fn causes(case: &Case) -> Vec<Option<Cause>> {
    let mut causes: Vec<Option<Cause>> = Vec::new();
    for entry in case.entries() {
        match &entry.part {
            CasePart::Diagnosed(diagnosis) => causes.push(diagnosis.cause().map(|cause| Cause {
                system: cause.system.clone(),
                fault: cause.fault,
                statement: cause.statement.clone(),
                confidence: cause.confidence.clone(),
                unexplained: cause.unexplained.len(),
                borne_out: None,
            })),
            CasePart::Verified(report) => {
                if let Some(Some(cause)) = causes.last_mut() {
                    cause.borne_out = match report.recovery {
                        Recovery::Recovered => Some(true),
                        Recovery::NotRecovered => Some(false),
                        Recovery::Inconclusive => None,
                    };
                }
            }
            _ => {}
        }
    }
    causes
}

pub(super) fn unseen(case: &Case) -> Vec<String> {
    let mut unseen: BTreeSet<String> = BTreeSet::new();
    for entry in case.entries() {
        match &entry.part {
            CasePart::Localized(ranking) => unseen.extend(ranking.unseen.iter().cloned()),
            CasePart::Diagnosed(diagnosis) => unseen.extend(diagnosis.unseen.iter().cloned()),
            CasePart::Observed(window) => {
                unseen.extend(window.health.iter().filter_map(|health| health.note.clone()));
            }
            _ => {}
        }
    }
    unseen.into_iter().collect()
}
