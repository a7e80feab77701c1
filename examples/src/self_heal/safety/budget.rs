//! How much of the error budget is left, from what customers see.

use std::time::Duration;

use aiops_act::guards::BudgetSource;
use aiops_core::model::{EntityId, FetchRequest, MatchOp, MetricSeries, Selector, Signal, TimeRange};
use aiops_core::seam::TelemetrySource;
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;

use super::config::Budget;
use crate::self_heal::watch::{ERRORS, SCRAPE, SERVICE};

/// How far back this program has telemetry; what was spent before it began it cannot know. A service of yours asks whoever keeps its objectives.
const LOOK_BACK: Duration = Duration::from_secs(300);

/// The budget of the whole shop: customers meet the gateway, whichever service fails behind it.
#[derive(Debug)]
pub(super) struct ShopBudget<S> {
    source: S,
    /// Seconds of total outage that the objective allows in its period.
    allowed: f64,
}

impl<S: TelemetrySource> ShopBudget<S> {
    pub(super) fn new(source: S, budget: &Budget) -> Result<Self> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::Invalid, what.to_owned()));
        if !(budget.objective > 0.0 && budget.objective < 1.0) {
            return wrong("the objective lies between 0 and 1");
        }
        if budget.period.is_zero() {
            return wrong("the period of an objective is more than 0 s");
        }
        Ok(Self { source, allowed: (1.0 - budget.objective) * budget.period.as_secs_f64() })
    }
}

#[async_trait]
impl<S: TelemetrySource> BudgetSource for ShopBudget<S> {
    /// Failed requests as seconds of outage, in steady traffic, against what is allowed.
    async fn remaining(&self, _target: &EntityId, ctx: &Context) -> Result<Option<f64>> {
        let gateway = Selector::all().with_metric(ERRORS).with_matcher(SERVICE, MatchOp::Equal, "gateway");
        let request = FetchRequest::new(TimeRange::ending_at(ctx.now(), LOOK_BACK))
            .with_step(SCRAPE)
            .with_signals(Signal::Metrics.into())
            .with_selector(gateway);
        let window = self.source.fetch(&request, ctx).await?;
        let shares = window.metrics.iter().flat_map(MetricSeries::points).map(|(_, share)| share);
        let (mut samples, mut failed) = (0_usize, 0.0);
        for share in shares.filter(|share| share.is_finite()) {
            samples += 1;
            failed += share * SCRAPE.as_secs_f64();
        }
        Ok((samples > 0).then_some(1.0 - failed / self.allowed))
    }
}
