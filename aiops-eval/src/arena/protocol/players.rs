//! Who plays: the default pipeline, and cheats that are scored as what they are.

use std::time::Duration;

use aiops_act::guards::{
    ActionCap, AllowList, AllowRule, BlastRadiusCap, BlastRadiusConfig, CircuitBreaker, ConfidenceBands,
    Cooldown, HardRules, OneAtATime, Pattern, RateSpike, RiskTiers, RollbackRequired,
};
use aiops_act::{
    LivenessCheck, PlannerConfig, RemedyPlanner, TelemetryVerifier, TrafficCheck, VerifierConfig,
};
use aiops_compact::deviation::{DeviationConfig, DeviationOptions};
use aiops_core::action::{ActionKind, Mode};
use aiops_core::fake::InMemoryJournal;
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::model::{Direction, EntityKind, FetchRequest, FittedHash, Signal, TimeRange};
use aiops_core::pipeline::{Pipeline, PipelineConfig, Trigger};
use aiops_core::seam::{Fit, TelemetrySource};
use aiops_core::{Context, Error, ErrorKind, Result};
use aiops_detect::sli::{ErrorRatio, SliSource};
use aiops_detect::{RollingDetector, RollingFit};
use aiops_rca::{Calibrator, FusedLocalizer, RuleRca};
use serde::{Deserialize, Serialize};

use super::episode::OnCall;
use crate::arena::cheats::Cheat;
use crate::arena::informed::Informed;
use crate::arena::world::{ArenaSource, World};

const ERRORS: &str = "error_ratio(http_server_requests_total)";
const LATENCY: &str = "p95(http_server_request_duration_seconds)";
const SERVICE: &str = "service";
const DESIRED: &str = "kube_deployment_spec_replicas";

/// Who plays an episode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Player {
    /// The default deterministic pipeline, as a user composes it from the crates.
    #[default]
    Honest,
    /// The same, told who is at fault and nothing else: the upper bound of what follows localisation. No pipeline either.
    Located,
    /// The same, told who is at fault, the kind of fault and its change: the upper bound of planner, guards, mitigator and verifier. No
    /// pipeline; its scores are never put beside those of one.
    Informed,
    /// A cheat.
    Cheat(Cheat),
    /// The pipeline of the self-healing example, against real processes.
    Live,
}

impl std::fmt::Display for Player {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Honest => f.write_str("default pipeline"),
            Self::Located => f.write_str("default pipeline told where (an upper bound, no score)"),
            Self::Informed => f.write_str("default pipeline told the truth (an upper bound, no score)"),
            Self::Cheat(cheat) => cheat.fmt(f),
            Self::Live => f.write_str("self-healing example, on real processes"),
        }
    }
}

/// Whose raw scores the honest player's diagnoses carry.
#[must_use]
pub fn configuration() -> FittedHash {
    RuleRca::default().configuration(&FusedLocalizer::default().id())
}

impl Player {
    /// The pipeline, which has learned from the telemetry up to now.
    pub(super) async fn compose(
        self,
        world: &World,
        on_call: OnCall,
        calibration: Option<Calibrator>,
        informed: Informed,
        ctx: &Context,
    ) -> Result<Pipeline> {
        let indicators = || vec![ErrorRatio::of_services("http_server_requests_total", "code", SERVICE)];
        let source = || SliSource::new(world.source(), indicators());
        let healthy = FetchRequest::new(TimeRange::ending_at(ctx.now(), Duration::from_secs(2400)))
            .with_signals(Signal::Metrics.into());
        let history = source()?.fetch(&healthy, ctx).await?;
        let detector = RollingDetector::new(RollingFit::new(deviation()?).fit(&history)?)?;
        let observed = Pipeline::builder().source(source()?).detector(detector);
        let config = looking(world);
        let everything = AllowList::new(allowed(&ALL)?)?;
        match self {
            Self::Honest => {
                let rca = calibration.into_iter().fold(RuleRca::default(), RuleRca::with_calibrator);
                observed
                    .localizer(FusedLocalizer::default())
                    .rca(rca)
                    .planner(RemedyPlanner::new(planning())?)
                    .guards(guards(on_call)?)
                    .mitigator(world.mitigator())
                    .verifier(TelemetryVerifier::new(source()?, verification())?)
                    .config(config)
                    .build()
            }
            Self::Located => observed
                .localizer(informed.where_alone())
                .rca(calibration.into_iter().fold(RuleRca::default(), RuleRca::with_calibrator))
                .planner(RemedyPlanner::new(planning())?)
                .guards(guards(on_call)?)
                .mitigator(world.mitigator())
                .verifier(TelemetryVerifier::new(source()?, verification())?)
                .config(config)
                .build(),
            Self::Informed => observed
                .localizer(informed.clone())
                .rca(informed)
                .planner(RemedyPlanner::new(planning())?)
                .guards(guards(on_call)?)
                .mitigator(world.mitigator())
                .verifier(TelemetryVerifier::new(source()?, verification())?)
                .config(config)
                .build(),
            Self::Live => Err(Error::new(ErrorKind::Unsupported, "real processes are not simulated")),
            Self::Cheat(cheat) => {
                let chain = GuardChain::builder(InMemoryJournal::new())
                    .guard(everything)
                    .approver(on_call)
                    .config(ChainConfig::in_mode(Mode::Auto))
                    .build()?;
                let means = cheat.means(&world.entry());
                observed
                    .localizer(means.clone())
                    .rca(means.clone())
                    .planner(means.clone())
                    .guards(chain)
                    .mitigator(world.mitigator())
                    .verifier(means)
                    .config(config)
                    .build()
            }
        }
    }
}

/// Least scale of a ratio. Next to none of the requests fail here, and a percent more is what users feel and objectives are about: at the
/// default of a percentage point, made for utilisations and hit ratios, four and a half in a hundred would have to.
const RATIO_FLOOR: f64 = 0.002;

fn deviation() -> Result<DeviationConfig> {
    let options = DeviationOptions { ratio_floor: RATIO_FLOOR, ..DeviationOptions::default() };
    let invalid = |e: aiops_compact::ConfigError| Error::new(ErrorKind::Invalid, e.to_string());
    DeviationConfig::try_from(options).map_err(invalid)
}

/// The guards of the default pipeline, in mode `Auto`.
fn guards(on_call: OnCall) -> Result<GuardChain> {
    GuardChain::builder(InMemoryJournal::new())
        .guard(AllowList::new(allowed(&SAFE)?)?)
        .guard(RiskTiers::default())
        .guard(ConfidenceBands::default())
        .guard(ActionCap::default())
        .guard(Cooldown)
        .guard(RateSpike::default())
        .guard(CircuitBreaker::default())
        .guard(BlastRadiusCap::new(RADIUS)?)
        .guard(RollbackRequired)
        .guard(OneAtATime)
        .guard(HardRules)
        .approver(on_call)
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()
}

/// A machine carries a quarter of a small shop, and moving work away from a broken one must be possible; and there is one cache, the
/// whole fleet of its kind.
const RADIUS: BlastRadiusConfig = BlastRadiusConfig { replicas: 16, share_of_fleet: 1.0 };
/// Two looks confirm a case: what is unclear then often is not some minutes later.
const LOOK_AGAIN: Duration = Duration::from_secs(480);

/// Settings of a player, as they stand in a run's hash.
pub(super) fn declared(source: &ArenaSource) -> String {
    let signals = source.capability().signals;
    format!(
        "{:?} {:?} {:?} {RADIUS:?} {signals:?} {RATIO_FLOOR}",
        planning(),
        verification(),
        looking(source.world())
    )
}

fn planning() -> PlannerConfig {
    PlannerConfig {
        desired_replicas: Some(DESIRED.to_owned()),
        requests: Some("rate(http_server_requests_total)".to_owned()),
        ..PlannerConfig::default()
    }
}

fn verification() -> VerifierConfig {
    VerifierConfig {
        liveness: Some(LivenessCheck {
            desired: DESIRED.to_owned(),
            ready: "kube_deployment_status_replicas_ready".to_owned(),
            restarts: Some("rate(kube_pod_container_status_restarts_total)".to_owned()),
            service_label: SERVICE.to_owned(),
        }),
        traffic: Some(TrafficCheck {
            requests: "rate(http_server_requests_total)".to_owned(),
            service_label: SERVICE.to_owned(),
            min_share: 0.5,
            reference: Duration::from_secs(600),
        }),
        ..VerifierConfig::default()
    }
}

/// Users meet the entry: its errors and its latency open a case, and so does what they feel who send no requests.
fn looking(world: &World) -> PipelineConfig {
    let mut config = PipelineConfig::default();
    config.trigger = Trigger::on(world.felt(&[ERRORS, LATENCY])).going(Direction::Up);
    config.look_again = LOOK_AGAIN;
    config.keep_partial = true;
    config
}

const SAFE: [ActionKind; 9] = [
    ActionKind::RollingRestart,
    ActionKind::Scale,
    ActionKind::Rollback,
    ActionKind::Cordon,
    ActionKind::Drain,
    ActionKind::CachePurge,
    ActionKind::LogRotation,
    ActionKind::Throttle,
    ActionKind::Concurrency,
];
const ALL: [ActionKind; 11] = [
    ActionKind::RollingRestart,
    ActionKind::Scale,
    ActionKind::Rollback,
    ActionKind::Cordon,
    ActionKind::Drain,
    ActionKind::CachePurge,
    ActionKind::LogRotation,
    ActionKind::Throttle,
    ActionKind::Concurrency,
    ActionKind::Stop,
    ActionKind::Custom,
];

fn allowed(actions: &[ActionKind]) -> Result<Vec<AllowRule>> {
    let kinds = [
        EntityKind::Service,
        EntityKind::Database,
        EntityKind::Cache,
        EntityKind::Node,
        EntityKind::Tenant,
        EntityKind::Job,
    ];
    let rule = |kind: EntityKind| {
        Ok(AllowRule {
            id: kind.to_string(),
            actions: actions.iter().copied().collect(),
            target_kind: kind,
            targets: vec![Pattern::new("*")?],
        })
    };
    kinds.into_iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aiops_compact::deviation::DeviationConfig;
    use aiops_core::Result;
    use aiops_core::jiff::Timestamp;
    use aiops_core::model::{
        EntityId, MetricKind, MetricSeries, SeriesKey, TelemetryWindow, TimeAxis, TimeRange,
    };
    use aiops_core::seam::Fit;
    use aiops_detect::{RollingDetector, RollingFit};

    use super::{ERRORS, deviation};

    /// Forty minutes of shares of failing requests; `last` of the last ten.
    fn window(last: f64) -> Result<TelemetryWindow> {
        let range = TimeRange::ending_at(Timestamp::UNIX_EPOCH, Duration::from_secs(2400));
        let axis = TimeAxis::covering(range, Duration::from_secs(15))?;
        let n = axis.len();
        let usual = |i: usize| if i.is_multiple_of(3) { 0.002 } else { 0.001 };
        let shares: Vec<Option<f64>> =
            (0..n).map(|i| Some(if i + 40 >= n { last } else { usual(i) })).collect();
        let series = MetricSeries::new(SeriesKey::new(ERRORS), EntityId::service("front"), axis, shares)?;
        let mut window = TelemetryWindow::new(range);
        window.metrics.push(series.with_kind(MetricKind::Ratio));
        Ok(window)
    }

    #[test]
    fn a_percent_of_failing_requests_is_found() -> Result<()> {
        let found = |config: DeviationConfig, last: f64| -> Result<bool> {
            let detector = RollingDetector::new(RollingFit::new(config).fit(&window(0.001)?)?)?;
            Ok(!detector.find(&window(last)?).is_empty())
        };
        assert!(found(deviation()?, 0.012)?);
        assert!(!found(deviation()?, 0.004)?, "a few more are not");
        assert!(!found(DeviationConfig::default(), 0.012)?, "the default is made for other ratios");
        Ok(())
    }
}
