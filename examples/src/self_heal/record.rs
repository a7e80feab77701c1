//! A run against the truth, after it is over.

use aiops_core::action::{ActionKind, Purpose};
use aiops_core::model::{Diagnosis, Hypothesis, Recovery, time::elapsed};
use aiops_core::{Case, CasePart, CaseStatus};
use serde::{Deserialize, Serialize};

use super::Options;
use crate::faults::{Fault, RightActions, Truth};
use crate::shop::TrafficWindow;

/// An action that was run, and whether the table of right actions lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// Kind.
    pub kind: ActionKind,
    /// Service acted on.
    pub target: String,
    /// Listed for the fault.
    pub right: bool,
    /// What the verifier said.
    pub recovery: Option<Recovery>,
}

/// One run, scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Seed of the run.
    pub seed: u64,
    /// Which pipeline decided.
    pub pipeline: String,
    /// What was really broken.
    pub truth: Option<Truth>,
    /// Cases that were opened.
    pub cases: usize,
    /// Cases that were opened before the fault, or without any.
    pub false_alarms: usize,
    /// A case opened on the fault was closed as recovered, and customers were served at the end.
    pub healed: bool,
    /// Customers were served at the end of the run.
    pub healthy_at_end: bool,
    /// First suspect of the first ranking after the fault, as a service.
    pub first_suspect: Option<String>,
    /// It is the truly faulty service.
    pub first_suspect_right: Option<bool>,
    /// First diagnosed cause: service, fault, mechanism.
    pub diagnosis: Option<(String, String, Option<String>)>,
    /// Confidence of every hypothesis of the first diagnosis, and whether it names the truly faulty service and blames a
    /// change exactly when one is at fault. What a calibration is fitted on, when the run was uncalibrated.
    pub hypotheses: Vec<(f64, bool)>,
    /// Remedies run, in order.
    pub actions: Vec<Taken>,
    /// Seconds from fault to the opening of the first case on it.
    pub seconds_to_detect: Option<f64>,
    /// Seconds from fault to verified recovery.
    pub seconds_to_recover: Option<f64>,
    /// How each case ended.
    pub endings: Vec<String>,
    /// What customers saw at the end.
    pub traffic: TrafficWindow,
    /// What customers saw from the fault to the end of the run.
    #[serde(default)]
    pub since_fault: Option<TrafficWindow>,
    /// What the pipeline did, undoings included, as the shop's own change log tells it, in order.
    #[serde(default)]
    pub operations: Vec<String>,
    /// What customers saw in the second half of the time before anything was broken.
    #[serde(default)]
    pub before: TrafficWindow,
    /// Services that nobody serves at the end, stopped or not.
    #[serde(default)]
    pub gone: Vec<String>,
    /// Looks that the pipeline took; 0 where it was a process of its own.
    #[serde(default)]
    pub looks: u32,
}

impl RunRecord {
    /// The last line of a run.
    #[must_use]
    pub fn summary(&self) -> String {
        let outcome = match (&self.truth, self.healed) {
            (None, _) if self.cases == 0 => "quiet".to_owned(),
            (None, _) => format!("{} false alarms", self.false_alarms),
            (Some(_), true) => {
                format!(
                    "recovered, verified from telemetry {:.1} s after the fault",
                    self.seconds_to_recover.unwrap_or(f64::NAN)
                )
            }
            (Some(_), false) if self.cases == 0 => "not noticed".to_owned(),
            (Some(_), false) => format!("not recovered ({})", self.endings.join("; ")),
        };
        let truth = self.truth.as_ref().map_or_else(
            || "nothing was broken".to_owned(),
            |t| format!("what was really broken: {} in {} ({})", t.fault, t.service, t.detail),
        );
        format!("{truth}\noutcome: {outcome}")
    }
}

pub(super) fn of(
    options: &Options,
    seed: u64,
    truth: Option<&Truth>,
    cases: &[Case],
    traffic: TrafficWindow,
) -> RunRecord {
    let after = |case: &&Case| truth.is_some_and(|t| case.opened_at() >= t.began);
    let on_fault: Vec<&Case> = cases.iter().filter(after).collect();
    let first = on_fault.first();
    let recovered = on_fault.iter().find(|c| c.status() == Some(&CaseStatus::Recovered));
    let healthy = traffic.requests > 0 && traffic.error_ratio < 0.02 && traffic.p95 < 0.25;
    let service = |h: &Hypothesis| h.system.name().to_owned();
    let first_suspect = first.and_then(|c| first_suspect(c));
    let cause = first.and_then(|c| first_diagnosis(c)?.hypotheses.first());
    let since = |case: Option<&&Case>, at: fn(&Case) -> Option<aiops_core::jiff::Timestamp>| {
        let (case, truth) = (case?, truth?);
        Some(elapsed(truth.began, at(case)?).as_secs_f64())
    };
    RunRecord {
        seed,
        pipeline: format!("{:?}", options.pipeline),
        truth: truth.cloned(),
        cases: cases.len(),
        false_alarms: cases.len() - on_fault.len(),
        healed: recovered.is_some() && healthy,
        healthy_at_end: healthy,
        first_suspect_right: truth.and_then(|t| Some(first_suspect.as_ref()? == &t.service)),
        first_suspect,
        diagnosis: cause.map(|h| (service(h), h.fault.to_string(), h.mechanism.clone())),
        hypotheses: first.zip(truth).map_or_else(Vec::new, |(case, truth)| judged(case, truth)),
        actions: on_fault.iter().flat_map(|c| taken(c, truth)).collect(),
        seconds_to_detect: since(first, |c| Some(c.opened_at())),
        seconds_to_recover: since(recovered, |c| c.entries().last().map(|e| e.at)),
        endings: cases.iter().filter_map(|c| c.status()).map(|s| format!("{s:?}")).collect(),
        traffic,
        since_fault: None,
        operations: Vec::new(),
        before: TrafficWindow::default(),
        gone: Vec::new(),
        looks: 0,
    }
}

fn first_suspect(case: &Case) -> Option<String> {
    let ranking =
        case.entries().iter().find_map(|e| if let CasePart::Localized(r) = &e.part { Some(r) } else { None });
    let suspect = ranking?.first()?;
    let whole = case.window().map_or(&suspect.entity, |w| w.topology.whole(&suspect.entity));
    Some(whole.name().to_owned())
}

fn first_diagnosis(case: &Case) -> Option<&Diagnosis> {
    case.entries().iter().find_map(|e| if let CasePart::Diagnosed(d) = &e.part { Some(d) } else { None })
}

/// Every hypothesis of the first diagnosis: its confidence, and whether it is right.
pub(super) fn judged(case: &Case, truth: &Truth) -> Vec<(f64, bool)> {
    let hypotheses = first_diagnosis(case).map(|d| d.hypotheses.as_slice()).unwrap_or_default();
    let right = |h: &Hypothesis| h.system.name() == truth.service && fits(h, truth);
    hypotheses.iter().map(|h| (h.confidence.probability(), right(h))).collect()
}

/// Whether a cause would lead to a right action: the service is right, and a roll-out is blamed exactly when one is at fault.
fn fits(cause: &Hypothesis, truth: &Truth) -> bool {
    cause.change.is_some() == (truth.fault == Fault::BadConfiguration)
}

fn taken(case: &Case, truth: Option<&Truth>) -> Vec<Taken> {
    let table = RightActions::load().ok();
    let reverts = |key: &aiops_core::action::IdempotencyKey| {
        case.entries().iter().any(|e| match &e.part {
            CasePart::Planned(proposals) => proposals
                .iter()
                .any(|p| p.purpose == Purpose::Remedy && p.idempotency_key().is_ok_and(|k| k == *key)),
            _ => false,
        })
    };
    let remedies = case.attempts().filter(|(receipt, _)| reverts(&receipt.key));
    remedies
        .map(|(receipt, recovery)| {
            let (kind, target) = (receipt.action.kind(), receipt.action.target.name().to_owned());
            let right = match (truth, &table) {
                (Some(truth), Some(table)) => table.accepts(truth, kind, &target),
                _ => false,
            };
            Taken { kind, target, right, recovery }
        })
        .collect()
}
