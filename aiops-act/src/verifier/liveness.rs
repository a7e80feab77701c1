use std::time::Duration;

use aiops_core::model::{
    Anomaly, EntityId, EntityKind, FetchRequest, MatchOp, MetricSeries, Recovery, Selector, Signal,
    SignalCheck,
};
use aiops_core::{Context, Result};
use serde::{Deserialize, Serialize};

use super::check as verdict;
use super::read::{Look, step_of};
use crate::config::require;

/// Metrics that tell whether a service lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LivenessCheck {
    /// Copies wanted, e.g. `kube_deployment_spec_replicas`.
    pub desired: String,
    /// Copies that serve, e.g. `kube_deployment_status_replicas_ready`.
    pub ready: String,
    /// Rate of restarts nobody asked for, e.g. `rate(kube_pod_container_status_restarts_total)`.
    #[serde(default)]
    pub restarts: Option<String>,
    /// Label that names the service on these metrics.
    pub service_label: String,
}

impl LivenessCheck {
    pub(super) fn validate(&self) -> Result<()> {
        let named = |field, name: &str| require(!name.is_empty(), field, "\"\"", "a name");
        named("desired", &self.desired)?;
        named("ready", &self.ready)?;
        named("service_label", &self.service_label)?;
        self.restarts.as_ref().map_or(Ok(()), |name| named("restarts", name))
    }

    /// The target wants at least one copy, all wanted ones serve, and none restarts. An instance as target is judged by
    /// the metrics that carry its name under the service label, so name services as targets. Machines and tenants have no
    /// copies, and nothing is checked of them: the signals that detected the incident decide.
    pub(super) async fn check(
        &self,
        look: &Look<'_>,
        target: &EntityId,
        detected: &[Anomaly],
        ctx: &Context,
    ) -> Result<Vec<SignalCheck>> {
        if matches!(target.kind(), EntityKind::Node | EntityKind::Host | EntityKind::Tenant) {
            return Ok(Vec::new());
        }
        let mut selector = Selector::all().with_matcher(&self.service_label, MatchOp::Equal, target.name());
        for name in [Some(&self.desired), Some(&self.ready), self.restarts.as_ref()].into_iter().flatten() {
            selector = selector.with_metric(name.clone());
        }
        let step = step_of(detected);
        let request = FetchRequest::new(look.range)
            .with_step(step)
            .with_signals(Signal::Metrics.into())
            .with_selector(selector);
        let series = match look.metrics(&request, ctx).await? {
            Ok(series) => series,
            Err(why) => return Ok(vec![verdict(target, "liveness", Recovery::Inconclusive, why)]),
        };
        let mut checks = vec![self.copies(target, &series, look, step)];
        if let Some(restarts) = &self.restarts {
            let restarts = series.iter().filter(|s| s.key().name == *restarts);
            checks.push(quiet(target, restarts, look, step));
        }
        Ok(checks)
    }

    /// Copies wanted against copies that serve, at the end of the range: an older sample does not prove that the target
    /// lives now. Where several deployments carry the name, each is held against its own copies.
    fn copies(
        &self,
        target: &EntityId,
        series: &[MetricSeries],
        look: &Look<'_>,
        step: Duration,
    ) -> SignalCheck {
        let named = |name: &str| series.iter().filter(|s| s.key().name == name).collect::<Vec<_>>();
        let (desired, ready) = (named(&self.desired), named(&self.ready));
        let alone = desired.len() == 1 && ready.len() == 1;
        let (mut worst, mut details) = (Recovery::Recovered, Vec::new());
        for desired in &desired {
            let twin = |r: &&&MetricSeries| {
                alone || (r.entity() == desired.entity() && r.key().labels == desired.key().labels)
            };
            let newest = |s: &MetricSeries| look.newest(s, step).filter(|v| v.is_finite());
            let serving = ready.iter().find(twin).and_then(|r| newest(r));
            let (recovery, detail) = match (newest(desired), serving) {
                (Some(wanted), _) if wanted < 1.0 => (Recovery::NotRecovered, "no copy is wanted".to_owned()),
                (Some(wanted), Some(ready)) if ready >= wanted => {
                    (Recovery::Recovered, format!("{ready} of {wanted} copies serve"))
                }
                (Some(wanted), Some(ready)) => {
                    (Recovery::NotRecovered, format!("{ready} of {wanted} copies serve"))
                }
                _ => (Recovery::Inconclusive, "copies cannot be read".to_owned()),
            };
            worst = match (worst, recovery) {
                (Recovery::NotRecovered, _) | (_, Recovery::NotRecovered) => Recovery::NotRecovered,
                (Recovery::Inconclusive, _) | (_, Recovery::Inconclusive) => Recovery::Inconclusive,
                (Recovery::Recovered, Recovery::Recovered) => Recovery::Recovered,
            };
            details.push(detail);
        }
        if desired.is_empty() {
            return verdict(target, "liveness", Recovery::Inconclusive, "copies cannot be read".to_owned());
        }
        verdict(target, "liveness", worst, details.join("; "))
    }
}

/// No restart within the range. A restart counter exists as long as its process does, so none at all cannot be judged.
fn quiet<'a>(
    target: &EntityId,
    restarts: impl Iterator<Item = &'a MetricSeries>,
    look: &Look<'_>,
    step: Duration,
) -> SignalCheck {
    let mut seen = false;
    let mut restarting = Vec::new();
    for series in restarts {
        seen |= look.newest(series, step).is_some();
        if series.points().any(|(_, rate)| rate > 0.0) {
            restarting.push(series.entity().to_string());
        }
    }
    let (recovery, detail) = if !restarting.is_empty() {
        (Recovery::NotRecovered, format!("restarting: {}", restarting.join(", ")))
    } else if seen {
        (Recovery::Recovered, "no restart".to_owned())
    } else {
        (Recovery::Inconclusive, "restarts cannot be read".to_owned())
    };
    verdict(target, "restarts", recovery, detail)
}
