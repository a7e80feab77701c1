//! The pipeline of the example: what a platform team would write, with windows of seconds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aiops_act::guards::HardRules;
use aiops_act::guards::{
    ActionCap, AllowList, AllowRule, BlastRadiusCap, BlastRadiusConfig, CircuitBreaker, ConfidenceBands,
    Cooldown, OneAtATime, Pattern, RateSpike, RiskTiers, RollbackRequired,
};
use aiops_act::{
    ApprovalDesk, AuditConfig, FileAudit, FileJournal, LivenessCheck, PlannerConfig, RemedyPlanner,
    TelemetryVerifier, TrafficCheck, VerifierConfig,
};
use aiops_compact::briefing::MetricCompactor;
use aiops_core::action::{ActionKind, Mode};
use aiops_core::guard::{ChainConfig, GuardChain, GuardChainBuilder, Guarded, KillSwitch};
use aiops_core::model::{Direction, EntityKind, FetchRequest, MatchOp, Selector, Signal, TimeRange};
use aiops_core::pipeline::{CaseListener, Pipeline, PipelineConfig, Trigger};
use aiops_core::seam::{Fit, TelemetrySource};
use aiops_core::{Case, CaseEntry, CasePart, CaseStatus, Context};
use aiops_detect::{RollingDetector, RollingFit};
use aiops_process::ProcessMitigator;
use aiops_rca::{Calibrator, LocalizerConfig, MetricRoles, RuleRca, RuleRcaConfig, TopologyLocalizer};
use tokio::sync::Notify;

use super::operator::{StandIn, Terminal};
use super::watch::{ERRORS, LATENCY, REQUESTS, SCRAPE, SERVICE, Telemetry};
use super::{Options, PipelineChoice, RunError, View, baseline, stage};
use crate::shop::Shop;

/// What is read and judged each second.
const WINDOW: Duration = Duration::from_secs(40);
/// Healthy telemetry to learn from.
const LEARNED_FROM: Duration = Duration::from_secs(16);
/// How raw scores came out in recorded runs; made by `scripts/self_heal_calibrate`, on other seeds than are reported.
const CALIBRATION: &str = include_str!("../../calibration.json");

/// What a pipeline is made of besides code and files: everything that outlives it.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) options: &'a Options,
    pub(super) shop: &'a Arc<Shop>,
    pub(super) telemetry: &'a Telemetry,
    /// Fitted once, on healthy telemetry.
    pub(super) detector: Arc<RollingDetector>,
    pub(super) switch: KillSwitch,
    /// Where people are asked, when that is over HTTP.
    pub(super) desk: Option<ApprovalDesk>,
    /// Told when an action was allowed.
    pub(super) allowed: Arc<Notify>,
    pub(super) view: &'a View,
}

pub(super) fn pipeline(parts: &Parts<'_>) -> Result<Pipeline, RunError> {
    let Parts { options, shop, telemetry, detector, view, .. } = parts;
    let source = telemetry.source();
    let mitigator = ProcessMitigator::new(shop.supervisor().clone(), "aiops");
    let verifier = TelemetryVerifier::new(source.clone(), verification())?;
    let observed = Pipeline::builder().source(source).detector(Arc::clone(detector));
    let planned = match options.pipeline {
        PipelineChoice::Real => observed
            .localizer(localizer()?)
            .rca(root_cause(options.uncalibrated)?)
            .planner(RemedyPlanner::new(planning())?),
        PipelineChoice::RestartTheLoudest => observed
            .localizer(baseline::Loudest)
            .rca(baseline::BlameTheFirst)
            .planner(RemedyPlanner::new(planning())?),
        PipelineChoice::BlameTheLastChange => observed
            .localizer(baseline::Loudest)
            .rca(baseline::BlameTheLastChange)
            .planner(RemedyPlanner::new(planning())?),
    };
    let pipeline = planned
        .guards(guards(parts)?)
        .mitigator(mitigator)
        .verifier(verifier)
        .compactor(MetricCompactor::default())
        .listener(Reporter { view: Arc::clone(view), allowed: Arc::clone(&parts.allowed) })
        .audit(FileAudit::open(audit_log(options, shop), AuditConfig::default())?)
        .config(looking())
        .build()?;
    Ok(pipeline)
}

/// Learns from the healthy past: a fault that outlasts the window then stays a finding.
pub(super) async fn learned(telemetry: &Telemetry, ctx: &Context) -> Result<RollingDetector, RunError> {
    let source = telemetry.source();
    let healthy = FetchRequest::new(TimeRange::ending_at(ctx.now(), LEARNED_FROM))
        .with_step(SCRAPE)
        .with_signals(Signal::Metrics.into());
    let history = source.fetch(&healthy, ctx).await?;
    Ok(RollingDetector::new(RollingFit::default().fit(&history)?)?)
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

/// Users meet the gateway: its errors and its latency open a case.
fn looking() -> PipelineConfig {
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
    config.confirmations = 2;
    config.rounds = 3;
    config.stage_timeout = Duration::from_secs(5);
    config.action_timeout = Duration::from_secs(15);
    config.verify_timeout = Duration::from_secs(20);
    config
}

/// Where what was seen, decided and done is kept.
pub(super) fn audit_log(options: &Options, shop: &Shop) -> PathBuf {
    options.audit.clone().unwrap_or_else(|| shop.run_folder().join("audit"))
}

/// Where what is done is written down before it is done.
pub(super) fn journal(options: &Options, shop: &Shop) -> PathBuf {
    options.journal.clone().unwrap_or_else(|| shop.run_folder().join("journal"))
}

fn guards(parts: &Parts<'_>) -> Result<GuardChain, RunError> {
    let Parts { options, shop, switch, .. } = parts;
    let services = AllowRule {
        id: "shop".to_owned(),
        actions: [
            ActionKind::RollingRestart,
            ActionKind::Rollback,
            ActionKind::CachePurge,
            ActionKind::Throttle,
        ]
        .into(),
        target_kind: EntityKind::Service,
        targets: ["gateway", "orders", "inventory", "store", "worker"]
            .into_iter()
            .map(Pattern::new)
            .collect::<Result<_, _>>()?,
    };
    let mode = match (options.observe, options.suggest) {
        (true, _) => Mode::Observe,
        (false, true) => Mode::Suggest,
        (false, false) => Mode::Auto,
    };
    let chain = GuardChain::builder(FileJournal::open(journal(options, shop))?)
        .guard(AllowList::new(vec![services])?)
        .guard(RiskTiers::default())
        .guard(ConfidenceBands::default())
        .guard(ActionCap::default())
        .guard(Cooldown)
        .guard(RateSpike::default())
        .guard(CircuitBreaker::default())
        .guard(BlastRadiusCap::new(BlastRadiusConfig { replicas: 4, share_of_fleet: 0.5 })?)
        .guard(RollbackRequired)
        .guard(OneAtATime)
        .guard(HardRules)
        .kill_switch(switch.clone())
        .config(ChainConfig::in_mode(mode));
    Ok(ask(chain, parts).build()?)
}

fn ask(chain: GuardChainBuilder<Guarded>, parts: &Parts<'_>) -> GuardChainBuilder<Guarded> {
    let Parts { options, desk, view, .. } = parts;
    match desk {
        Some(desk) => chain.approver(desk.clone()),
        None if options.suggest => chain.approver(Terminal(Arc::clone(view))),
        None => chain.approver(StandIn(Arc::clone(view))),
    }
}

/// Shows each part of a case as it is added.
#[derive(Debug)]
struct Reporter {
    view: View,
    allowed: Arc<Notify>,
}

impl CaseListener for Reporter {
    fn appended(&self, _case: &Case, entry: &CaseEntry) {
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
            CasePart::Decided(decision) => {
                if decision.is_authorized() {
                    self.allowed.notify_one();
                }
                ("guards", decided(decision))
            }
            CasePart::Acted(receipt) => ("acted", receipt.action.to_string()),
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

fn decided(decision: &aiops_core::action::DecisionRecord) -> String {
    match &decision.outcome {
        aiops_core::action::DecisionOutcome::Authorized { .. } => match &decision.approval {
            Some(approval) => format!("authorised, with the consent of {}", approval.approver),
            None => "authorised".to_owned(),
        },
        aiops_core::action::DecisionOutcome::Denied { reason } => format!("denied: {reason}"),
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
