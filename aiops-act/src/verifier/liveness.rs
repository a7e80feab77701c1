use std::time::Duration;

use aiops_core::model::{
    Anomaly, EntityId, FetchRequest, MatchOp, MetricSeries, Recovery, Selector, Signal, SignalCheck,
    TimeRange,
};
use aiops_core::seam::TelemetrySource;
use aiops_core::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{check as verdict, read};

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
    /// The target wants at least one copy, all wanted ones serve, and none restarts. An instance as target is judged by
    /// the metrics that carry its name under the service label, so name services as targets.
    pub(super) async fn check(
        &self,
        source: &dyn TelemetrySource,
        target: &EntityId,
        range: TimeRange,
        detected: &[Anomaly],
        ctx: &Context,
    ) -> Result<Vec<SignalCheck>> {
        let mut selector = Selector::all().with_matcher(&self.service_label, MatchOp::Equal, target.name());
        for name in [Some(&self.desired), Some(&self.ready), self.restarts.as_ref()].into_iter().flatten() {
            selector = selector.with_metric(name.clone());
        }
        let step = detected.first().map_or(Duration::from_secs(15), |a| a.reread.step);
        let request = FetchRequest::new(range)
            .with_step(step)
            .with_signals(Signal::Metrics.into())
            .with_selector(selector);
        let series = match read::metrics(source, &request, ctx).await? {
            Ok(series) => series,
            Err(why) => return Ok(vec![verdict(target, "liveness", Recovery::Inconclusive, why)]),
        };
        let mut checks = vec![self.copies(target, &series)];
        if let Some(restarts) = &self.restarts {
            checks.push(quiet(target, series.iter().filter(|s| s.key().name == *restarts)));
        }
        Ok(checks)
    }

    fn copies(&self, target: &EntityId, series: &[MetricSeries]) -> SignalCheck {
        let last = |name: &str| {
            let series = series.iter().find(|s| s.key().name == name)?;
            // The newest slot itself: an older sample does not prove that the target lives now.
            series.get(series.len().checked_sub(1)?).filter(|v| v.is_finite())
        };
        let (recovery, detail) = match (last(&self.desired), last(&self.ready)) {
            (Some(desired), _) if desired < 1.0 => (Recovery::NotRecovered, "no copy is wanted".to_owned()),
            (Some(desired), Some(ready)) if ready >= desired => {
                (Recovery::Recovered, format!("{ready} of {desired} copies serve"))
            }
            (Some(desired), Some(ready)) => {
                (Recovery::NotRecovered, format!("{ready} of {desired} copies serve"))
            }
            _ => (Recovery::Inconclusive, "copies cannot be read".to_owned()),
        };
        verdict(target, "liveness", recovery, detail)
    }
}

/// No restart within the range. A restart counter exists as long as its process does, so none at all cannot be judged.
fn quiet<'a>(target: &EntityId, restarts: impl Iterator<Item = &'a MetricSeries>) -> SignalCheck {
    let mut seen = false;
    let mut restarting = Vec::new();
    for series in restarts {
        seen |= series.points().next().is_some();
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
