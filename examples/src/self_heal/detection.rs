//! What is normal, learned from healthy telemetry, registered, and taken up again after a restart; and what will be full before it hurts.

use std::path::Path;
use std::time::Duration;

use aiops_act::FittedRegistry;
use aiops_act::fitted::FittedState;
use aiops_core::Context;
use aiops_core::action::Principal;
use aiops_core::model::time::elapsed;
use aiops_core::model::{FetchRequest, Signal, TimeRange};
use aiops_core::seam::{Fit, TelemetrySource};
use aiops_detect::rolling::FITTED_VERSION;
use aiops_detect::usecase::{CapacityDetector, CapacityOptions, Resource};
use aiops_detect::{Checked, FittedRolling, RollingDetector, RollingFit};

use super::RunError;
use super::watch::SCRAPE;

/// Healthy telemetry to learn from.
const LEARNED_FROM: Duration = Duration::from_secs(16);
/// What was learned so lately is taken up; older, it is learned anew. The shop of a former run is another one.
const LATELY: Duration = Duration::from_secs(120);
/// What is full within this time, users are about to feel.
const SOON: Duration = Duration::from_secs(20);
/// Its kind in the registry.
const KIND: &str = "rolling-baseline";

/// The norm that decides by the registry, if it was learned lately: whoever starts in mid-incident must not take the incident for normal.
pub(super) async fn taken_up(
    registry: &FittedRegistry,
    folder: &Path,
    ctx: &Context,
) -> Result<Option<RollingDetector>, RunError> {
    let Some(entry) = registry.promoted(KIND, ctx).await? else { return Ok(None) };
    if elapsed(entry.since, ctx.now()) > LATELY {
        return Ok(None);
    }
    let file = folder.join(format!("{}.json", entry.state.hash.0));
    let fitted: FittedRolling = serde_json::from_slice(&std::fs::read(&file)?)?;
    if fitted.hash()? != entry.state.hash {
        return Err(format!("{} is not what was registered", file.display()).into());
    }
    Ok(Some(RollingDetector::new(fitted)?))
}

/// Learns from the healthy past, so that a fault that outlasts the window stays a finding, and registers what was learned.
pub(super) async fn learned(
    source: &dyn TelemetrySource,
    registry: &FittedRegistry,
    folder: &Path,
    ctx: &Context,
) -> Result<RollingDetector, RunError> {
    let range = TimeRange::ending_at(ctx.now(), LEARNED_FROM);
    let healthy = FetchRequest::new(range).with_step(SCRAPE).with_signals(Signal::Metrics.into());
    let history = source.fetch(&healthy, ctx).await?;
    let fitted = RollingFit::default().fit(&history)?;
    let hash = fitted.hash()?;
    std::fs::write(folder.join(format!("{}.json", hash.0)), serde_json::to_vec(&fitted)?)?;
    let by = Principal::new("self_heal");
    let state =
        FittedState::new(KIND, hash.clone(), FITTED_VERSION, "the shop before anything was broken", range);
    registry.register(state, by.clone(), "learned at the start", ctx).await?;
    // Nobody labelled the last quarter of a minute: the registry keeps in writing that it was not tried on other data.
    registry.promote_untried(KIND, &hash, by, "the only norm of this shop", ctx).await?;
    Ok(RollingDetector::new(fitted)?)
}

/// Memory that will be full within seconds, from the way it grows.
pub(super) fn foretelling() -> Result<CapacityDetector, RunError> {
    let memory = Resource {
        used: "process_resident_memory_bytes".to_owned(),
        capacity: Some("process_memory_limit_bytes".to_owned()),
    };
    let options = CapacityOptions {
        resources: vec![memory],
        horizon: SOON,
        critical: SOON,
        ..CapacityOptions::default()
    };
    Ok(CapacityDetector::new(Checked::new(options)?)?)
}
