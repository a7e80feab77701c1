use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::model::time::elapsed;
use aiops_core::model::{
    Anomaly, EntityId, EntityKind, FetchRequest, MatchOp, MetricSeries, Recovery, Selector, Signal,
    SignalCheck, TimeRange,
};
use aiops_core::{Context, Result};
use serde::{Deserialize, Serialize};

use super::check as verdict;
use super::read::{Look, slots, step_of};
use crate::config::require;

const WHAT: &str = "served traffic";

/// A longer range is looked at in coarser slots: a day in steps of a second.
const MOST_SLOTS: u32 = 86_400;

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
        let named = |field, name: &str| require(!name.is_empty(), field, "\"\"", "a name");
        named("requests", &self.requests)?;
        named("service_label", &self.service_label)?;
        let share = self.min_share;
        require(share > 0.0 && share <= 1.0, "min_share", share, "more than 0, at most 1")?;
        require(!self.reference.is_zero(), "reference", format!("{:?}", self.reference), "more than 0 s")
    }

    /// Every service that showed a symptom serves at least the share of what it served before the first onset, over the
    /// whole range and at its end.
    pub(super) async fn check(
        &self,
        look: &Look<'_>,
        target: &EntityId,
        detected: &[Anomaly],
        ctx: &Context,
    ) -> Result<Vec<SignalCheck>> {
        let Some(onset) = detected.iter().map(|a| a.onset).min() else { return Ok(Vec::new()) };
        let step = step_of(detected);
        let before = TimeRange::ending_at(onset, self.reference);
        let services: BTreeSet<EntityId> = detected.iter().filter_map(|a| self.service(a)).collect();
        if services.is_empty() {
            let why = "no symptom names a service whose traffic could be read".to_owned();
            return Ok(vec![verdict(target, WHAT, Recovery::Inconclusive, why)]);
        }
        let mut checks = Vec::new();
        for service in services {
            let was = self.rates(look, &service, before, step, ctx).await?;
            let is = self.rates(look, &service, look.range, step, ctx).await?;
            let (recovery, detail) = match (was, is) {
                (Ok(was), Ok(is)) => self.compare(&was, &is),
                (Err(why), _) | (_, Err(why)) => (Recovery::Inconclusive, why),
            };
            checks.push(verdict(&service, WHAT, recovery, detail));
        }
        Ok(checks)
    }

    fn compare(&self, was: &[Option<f64>], is: &[Option<f64>]) -> (Recovery, String) {
        let Some(was) = median(was.iter().flatten().copied()).filter(|was| *was > 0.0) else {
            return (Recovery::Inconclusive, "no traffic was seen before the incident".to_owned());
        };
        // Traffic that cannot be seen any more is not served.
        let served =
            |slots: &[Option<f64>]| median(slots.iter().map(|rate| rate.unwrap_or(0.0))).unwrap_or(0.0);
        let recent = (is.len() / 4).max(3).min(is.len());
        let end = is.get(is.len() - recent..).unwrap_or_default();
        let now = served(is).min(served(end));
        let enough = now >= self.min_share * was;
        let recovery = if enough { Recovery::Recovered } else { Recovery::NotRecovered };
        (recovery, format!("{now:.1}/s against {was:.1}/s before"))
    }

    /// The service of a symptom: what its series names, else whom it is about.
    fn service(&self, anomaly: &Anomaly) -> Option<EntityId> {
        let about = (anomaly.entity.kind() == EntityKind::Service).then(|| anomaly.entity.clone());
        anomaly.series.labels.get(&self.service_label).map(EntityId::service).or(about)
    }

    /// Rate summed over series, for every slot of `step` within `range`; `None` where no series has a sample.
    async fn rates(
        &self,
        look: &Look<'_>,
        service: &EntityId,
        range: TimeRange,
        step: Duration,
        ctx: &Context,
    ) -> Result<Result<Vec<Option<f64>>, String>> {
        let selector = Selector::all().with_metric(self.requests.clone()).with_matcher(
            &self.service_label,
            MatchOp::Equal,
            service.name(),
        );
        let request = FetchRequest::new(range)
            .with_step(step)
            .with_signals(Signal::Metrics.into())
            .with_selector(selector);
        Ok(look.metrics(&request, ctx).await?.map(|series| sum_by_slot(&series, range, step)))
    }
}

fn sum_by_slot(series: &[MetricSeries], range: TimeRange, step: Duration) -> Vec<Option<f64>> {
    let step = step.max(range.length() / MOST_SLOTS);
    let mut sums: Vec<Option<f64>> = vec![None; slots(range, step)];
    for one in series {
        // The last sample of a series in a slot speaks for it; each series counts once.
        let mut by_slot: BTreeMap<usize, f64> = BTreeMap::new();
        for (t, value) in one.points().filter(|(_, value)| value.is_finite()) {
            let slot = elapsed(range.start(), t).as_nanos().checked_div(step.as_nanos()).unwrap_or(0);
            by_slot.insert(usize::try_from(slot).unwrap_or(usize::MAX).min(sums.len() - 1), value);
        }
        for (slot, value) in by_slot {
            if let Some(sum) = sums.get_mut(slot) {
                *sum = Some(sum.unwrap_or(0.0) + value);
            }
        }
    }
    sums
}

/// The lower median; `None` of nothing.
fn median(levels: impl Iterator<Item = f64>) -> Option<f64> {
    let mut levels: Vec<f64> = levels.collect();
    levels.sort_by(f64::total_cmp);
    levels.get(levels.len().checked_sub(1)? / 2).copied()
}
