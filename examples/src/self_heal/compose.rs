//! The pipeline of the example: what a platform team would write, with windows of seconds.

use std::sync::Arc;
use std::time::Duration;

use aiops_act::learned::ByRecord;
use aiops_act::{
    CaseFolder, LivenessCheck, PlannerConfig, RemedyPlanner, TelemetryVerifier, TrafficCheck, VerifierConfig,
};
use aiops_compact::briefing::MetricCompactor;
use aiops_core::action::{DecisionOutcome, DecisionRecord, Mode};
use aiops_core::model::{Direction, MatchOp, Selector};
use aiops_core::pipeline::{CaseListener, Pipeline, PipelineConfig, Trigger};
use aiops_core::seam::TelemetrySource;
use aiops_core::{Case, CaseEntry, CasePart, CaseStatus};
use aiops_detect::RollingDetector;
use aiops_detect::usecase::CapacityDetector;
use aiops_rca::{Calibrator, LocalizerConfig, MetricRoles, RuleRca, RuleRcaConfig, TopologyLocalizer};

use super::operator::Pager;
use super::plant::Plant;
use super::safety::Safety;
use super::watch::{ERRORS, LATENCY, REQUESTS, SCRAPE, SERVICE};
use super::{Options, PipelineChoice, RunError, View, baseline, detection, stage};

/// What is read and judged each second.
const WINDOW: Duration = Duration::from_secs(40);
/// How raw scores came out in recorded runs; made by `scripts/self_heal_calibrate`, on other seeds than are reported.
pub(super) const CALIBRATION: &str = include_str!("../../calibration.json");

pub(super) fn pipeline<S>(
    options: &Options,
    safety: &Safety,
    plant: Plant,
    source: S,
    detector: RollingDetector,
    view: &View,
) -> Result<Pipeline, RunError>
where
    S: TelemetrySource + Clone,
{
    let mode = match (options.observe, options.suggest) {
        (true, _) => Mode::Observe,
        (false, true) => Mode::Suggest,
        (false, false) => Mode::Auto,
    };
    let guards = safety.guards(mode, source.clone())?;
    let verifier = TelemetryVerifier::new(source.clone(), verification())?;
    let observed = Pipeline::builder().source(source).detector(detector);
    let planned = match options.pipeline {
        PipelineChoice::Real => observed
            .localizer(localizer()?)
            .rca(root_cause(options.uncalibrated)?)
            .planner(ByRecord::new(RemedyPlanner::new(planning())?, safety.learned().clone())),
        PipelineChoice::RestartTheLoudest => observed
            .localizer(baseline::Loudest)
            .rca(baseline::BlameTheFirst)
            .planner(RemedyPlanner::new(planning())?),
        PipelineChoice::BlameTheLastChange => observed
            .localizer(baseline::Loudest)
            .rca(baseline::BlameTheLastChange)
            .planner(RemedyPlanner::new(planning())?),
    };
    let mut pipeline = planned.guards(guards).mitigator(safety.mitigator(plant)).verifier(verifier);
    if !options.felt_only {
        pipeline = pipeline.another_detector(detection::foretelling()?);
    }
    let pipeline = pipeline
        .compactor(MetricCompactor::default())
        .listener(Reporter { view: Arc::clone(view), cases: safety.cases().clone() })
        .notifier(Pager(Arc::clone(view)))
        .audit(safety.audit().clone())
        .config(looking(options.felt_only))
        .build()?;
    Ok(pipeline)
}

pub(super) fn root_cause(uncalibrated: bool) -> Result<RuleRca, RunError> {
    let mut config = RuleRcaConfig::default();
    config.changes.decay = Duration::from_secs(6);
    let rca = RuleRca::new(MetricRoles::default(), config)?;
    if uncalibrated {
        return Ok(rca);
    }
    Ok(rca.with_calibrator(serde_json::from_str::<Calibrator>(CALIBRATION)?))
}

pub(super) fn localizer() -> Result<TopologyLocalizer, RunError> {
    let mut config = LocalizerConfig::default();
    config.onset_decay = Duration::from_secs(6);
    Ok(TopologyLocalizer::new(MetricRoles::default(), config)?)
}

fn planning() -> PlannerConfig {
    PlannerConfig {
        desired_replicas: Some("supervisor_replicas_desired".to_owned()),
        throttle_to: 0.25,
        cooldown: Duration::from_secs(30),
        ..PlannerConfig::default()
    }
}

fn verification() -> VerifierConfig {
    VerifierConfig {
        settle: Duration::from_secs(2),
        hold: Duration::from_secs(5),
        deadline: Duration::from_secs(13),
        poll: Duration::from_secs(1),
        tolerance_sigma: 4.5,
        liveness: Some(LivenessCheck {
            desired: "supervisor_replicas_desired".to_owned(),
            ready: "supervisor_replicas_ready".to_owned(),
            restarts: Some("rate(supervisor_restarts_total)".to_owned()),
            service_label: SERVICE.to_owned(),
        }),
        traffic: Some(TrafficCheck {
            requests: format!("rate({REQUESTS})"),
            service_label: SERVICE.to_owned(),
            min_share: 0.5,
            reference: Duration::from_secs(10),
        }),
        ..VerifierConfig::default()
    }
}

/// Users meet the gateway: its errors and its latency open a case, and so does memory that they are about to feel.
fn looking(felt_only: bool) -> PipelineConfig {
    let felt = Selector::all().with_metric(ERRORS).with_metric(LATENCY).with_matcher(
        SERVICE,
        MatchOp::Equal,
        "gateway",
    );
    let mut config = PipelineConfig::default();
    config.window = WINDOW;
    config.step = SCRAPE;
    config.interval = SCRAPE;
    config.trigger = Trigger::on(felt).going(Direction::Up);
    if !felt_only {
        config.trigger = config.trigger.or_foretold_by(CapacityDetector::ID);
    }
    config.confirmations = 2;
    config.rounds = 3;
    config.stage_timeout = Duration::from_secs(5);
    config.action_timeout = Duration::from_secs(15);
    config.verify_timeout = Duration::from_secs(20);
    config
}

/// Shows each part of a case as it is added, and keeps the case on disk.
#[derive(Debug)]
struct Reporter {
    view: View,
    cases: CaseFolder,
}

impl CaseListener for Reporter {
    fn appended(&self, case: &Case, entry: &CaseEntry) {
        self.cases.appended(case, entry);
        let (name, detail) = match &entry.part {
            CasePart::Detected(found) => ("detected", format!("{} signals left their norm", found.len())),
            CasePart::Localized(ranking) => {
                let first: Vec<String> =
                    ranking.suspects.iter().take(3).map(|s| s.entity.to_string()).collect();
                ("suspects", first.join(", "))
            }
            CasePart::Diagnosed(diagnosis) => match diagnosis.cause() {
                Some(cause) => ("cause", format!("{} — {}", cause.statement, cause.confidence)),
                None => ("cause", "cannot be told".to_owned()),
            },
            CasePart::Planned(proposals) => match proposals.first() {
                Some(first) => ("plan", first.action.to_string()),
                None => ("plan", "no safe action is known".to_owned()),
            },
            CasePart::Decided(decision) => ("guards", decided(decision)),
            CasePart::Acted(receipt) => ("acted", format!("{}: {}", receipt.action, receipt.detail)),
            CasePart::Verified(report) => ("verified", format!("{:?}", report.recovery)),
            CasePart::Closed(CaseStatus::Recovered) => {
                ("closed", "recovered, verified from telemetry".to_owned())
            }
            CasePart::Closed(CaseStatus::Escalated { reason } | CaseStatus::Yielded { reason }) => {
                ("closed", format!("a person takes over: {reason}"))
            }
            _ => return,
        };
        stage(&self.view, name, &detail);
    }
}

fn decided(decision: &DecisionRecord) -> String {
    match &decision.outcome {
        DecisionOutcome::Authorized { .. } => match &decision.approval {
            Some(approval) => format!("authorised, with the consent of {}", approval.approver),
            None => "authorised".to_owned(),
        },
        DecisionOutcome::Denied { reason } => format!("denied: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use aiops_rca::Calibrator;

    /// Else every action waits for a person. Where rules or settings were changed, fit anew: `self_heal_report DIR --calibrate FILE`.
    #[test]
    fn the_calibration_holds_for_what_is_composed() {
        let configuration = super::root_cause(true).unwrap().configuration(&super::localizer().unwrap().id());
        let calibrator: Calibrator = serde_json::from_str(super::CALIBRATION).unwrap();
        calibrator.check(Some(&configuration)).unwrap();
    }
}
