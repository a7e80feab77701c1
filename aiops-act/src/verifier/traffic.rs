use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::model::{
    Anomaly, EntityId, FetchRequest, MatchOp, MetricSeries, Recovery, Selector, Signal, SignalCheck,
    TimeRange,
};
use aiops_core::seam::TelemetrySource;
use aiops_core::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{check as verdict, read};
use crate::config::require;

/// How to see that traffic is served as before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrafficCheck {
    /// Rate of requests, e.g. `rate(http_server_requests_total)`; summed over all series of a service.
    pub requests: String,
    /// Label that names the service on it.
    pub service_label: String,
    /// Share of the level before the incident that must be served, more than 0, at most 1; 0.5 is usual.
    pub min_share: f64,
    /// How far before the incident the level is taken from.
    #[serde(with = "aiops_core::model::duration")]
    pub reference: Duration,
}

impl TrafficCheck {
    pub(super) fn validate(&self) -> Result<()> {
        let share = self.min_share;
        require(share > 0.0 && share <= 1.0, "min_share", share, "more than 0, at most 1")?;
        require(!self.reference.is_zero(), "reference", format!("{:?}", self.reference), "more than 0 s")
    }

    /// Every service that showed a symptom serves at least the share of what it served before the first onset.
    pub(super) async fn check(
        &self,
        source: &dyn TelemetrySource,
        detected: &[Anomaly],
        range: TimeRange,
        ctx: &Context,
    ) -> Result<Vec<SignalCheck>> {
        let Some(onset) = detected.iter().map(|a| a.onset).min() else { return Ok(Vec::new()) };
        let step = detected.first().map_or(Duration::from_secs(15), |a| a.reread.step);
        let before = TimeRange::ending_at(onset, self.reference);
        let mut checks = Vec::new();
        for service in detected.iter().filter_map(|a| self.service(a)).collect::<BTreeSet<EntityId>>() {
            let was = self.level(source, &service, before, step, ctx).await?;
            let is = self.level(source, &service, range, step, ctx).await?;
            let (recovery, detail) = match (was, is) {
                (Ok(Some(was)), Ok(is)) => {
                    // Traffic that cannot be seen any more is not served.
                    let is = is.unwrap_or(0.0);
                    let served = is >= self.min_share * was;
                    let recovery = if served { Recovery::Recovered } else { Recovery::NotRecovered };
                    (recovery, format!("{is:.1}/s against {was:.1}/s before"))
                }
                (Ok(None), _) => {
                    (Recovery::Inconclusive, "no traffic was seen before the incident".to_owned())
                }
                (Err(why), _) | (_, Err(why)) => (Recovery::Inconclusive, why),
            };
            checks.push(verdict(&service, "served traffic", recovery, detail));
        }
        Ok(checks)
    }

    fn service(&self, anomaly: &Anomaly) -> Option<EntityId> {
        anomaly.series.labels.get(&self.service_label).map(EntityId::service)
    }

    /// Median over time of the rate summed over series; `None` when there is no sample.
    async fn level(
        &self,
        source: &dyn TelemetrySource,
        service: &EntityId,
        range: TimeRange,
        step: Duration,
        ctx: &Context,
    ) -> Result<Result<Option<f64>, String>> {
        let selector = Selector::all().with_metric(self.requests.clone()).with_matcher(
            &self.service_label,
            MatchOp::Equal,
            service.name(),
        );
        let request = FetchRequest::new(range)
            .with_step(step)
            .with_signals(Signal::Metrics.into())
            .with_selector(selector);
        Ok(read::metrics(source, &request, ctx).await?.map(|series| median_of_sum(&series)))
    }
}

fn median_of_sum(series: &[MetricSeries]) -> Option<f64> {
    let mut sums: BTreeMap<Timestamp, f64> = BTreeMap::new();
    for (t, value) in series.iter().flat_map(MetricSeries::points).filter(|(_, v)| v.is_finite()) {
        *sums.entry(t).or_default() += value;
    }
    let mut levels: Vec<f64> = sums.into_values().collect();
    levels.sort_by(f64::total_cmp);
    levels.get(levels.len() / 2).copied()
}
