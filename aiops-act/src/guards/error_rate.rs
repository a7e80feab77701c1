use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::{ActionTrace, GuardId, Verdict};
use aiops_core::model::time::{after, before};
use aiops_core::model::{EntityId, FetchRequest, MatchOp, MetricSeries, Selector, Signal, TimeRange};
use aiops_core::seam::{Guardrail, Review, TelemetrySource};
use aiops_core::{Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{guard_id, is_own_revert, recent, was_own_revert};
use crate::config::require;

/// Settings of [`ErrorRateBreaker`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRateConfig {
    /// Metric that is the share of failed requests, or their rate.
    pub metric: String,
    /// Label that names the service on it; without one, all series count, so whatever our action does anywhere. Default none.
    #[serde(default)]
    pub service_label: Option<String>,
    /// Range before an action that it is held against, and most that is looked at after it; default 5 min, at least four steps.
    #[serde(default = "five_minutes", with = "aiops_core::model::duration")]
    pub window: Duration,
    /// What an action itself breaks for a moment is not counted: samples this long after it are left out; default 30 s.
    #[serde(default = "half_a_minute", with = "aiops_core::model::duration")]
    pub settle: Duration,
    /// Distance of samples; default 15 s, more than 0 s.
    #[serde(default = "quarter_of_a_minute", with = "aiops_core::model::duration")]
    pub step: Duration,
    /// How far back actions are looked at; default 30 min, at least `window`.
    #[serde(default = "half_an_hour", with = "aiops_core::model::duration")]
    pub recent: Duration,
    /// A rise is by this factor at least, more than 1; default 2.
    #[serde(default = "twice")]
    pub factor: f64,
    /// And by this much at least, in the metric's unit, more than 0; default 0.01.
    #[serde(default = "a_hundredth")]
    pub least_rise: f64,
    /// Recent remedies after which errors rose that open the breaker; default 2, 1..=100.
    #[serde(default = "two")]
    pub actions: usize,
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}
fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}
fn quarter_of_a_minute() -> Duration {
    Duration::from_secs(15)
}
fn half_an_hour() -> Duration {
    Duration::from_secs(1800)
}
fn twice() -> f64 {
    2.0
}
fn a_hundredth() -> f64 {
    0.01
}
fn two() -> usize {
    2
}

impl ErrorRateConfig {
    /// Defaults for the share of failed requests `metric`.
    pub fn of(metric: impl Into<String>) -> Self {
        Self {
            metric: metric.into(),
            service_label: None,
            window: five_minutes(),
            settle: half_a_minute(),
            step: quarter_of_a_minute(),
            recent: half_an_hour(),
            factor: twice(),
            least_rise: a_hundredth(),
            actions: two(),
        }
    }

    fn validate(&self) -> Result<()> {
        let text = |d: Duration| format!("{d:?}");
        require(!self.metric.is_empty(), "metric", "\"\"", "the name of a metric")?;
        let named = self.service_label.as_ref().is_none_or(|label| !label.is_empty());
        require(named, "service_label", "\"\"", "the name of a label")?;
        require(!self.step.is_zero(), "step", text(self.step), "more than 0 s")?;
        require(
            self.window >= self.step.saturating_mul(4),
            "window",
            text(self.window),
            "four steps or more",
        )?;
        require(self.recent >= self.window, "recent", text(self.recent), "the window or more")?;
        let finite = |v: f64, least: f64| v.is_finite() && v > least;
        require(finite(self.factor, 1.0), "factor", self.factor, "more than 1")?;
        require(finite(self.least_rise, 0.0), "least_rise", self.least_rise, "more than 0")?;
        require((1..=100).contains(&self.actions), "actions", self.actions, "1..=100")
    }
}

/// When errors rise after what we do, we stop doing it. // ACT-04
///
/// Each recent remedy is held against the time before it: the median of the metric from `settle` after its intent on, for `window` at
/// most, against the median of the `window` before. What cannot be read, or has fewer than three samples on a side, says
/// nothing; a source that fails is a denial, as every guard's error is.
#[derive(Debug, Clone)]
pub struct ErrorRateBreaker {
    source: Arc<dyn TelemetrySource>,
    config: ErrorRateConfig,
}

/// Fewer samples make no median to go by.
const FEW_SAMPLES: usize = 3;

impl ErrorRateBreaker {
    /// A breaker that reads `source`.
    ///
    /// # Errors
    /// When a field is out of range.
    pub fn new(source: impl TelemetrySource, config: ErrorRateConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self { source: Arc::new(source), config })
    }

    /// How far errors rose after `action`: the median before and after, where both are known and it is a rise.
    async fn rise(
        &self,
        action: &ActionTrace,
        review: &Review<'_>,
        ctx: &Context,
    ) -> Result<Option<(f64, f64)>> {
        let began = action.intent.at;
        let from = after(began, self.config.settle);
        let to = after(from, self.config.window).min(review.now);
        if to <= from {
            return Ok(None);
        }
        let target = &action.intent.proposal.action.target;
        let before =
            self.median(target, TimeRange::new(before(began, self.config.window), began)?, ctx).await?;
        let after = self.median(target, TimeRange::new(from, to)?, ctx).await?;
        Ok(before.zip(after).filter(|(before, after)| {
            *after >= before * self.config.factor && after - before >= self.config.least_rise
        }))
    }

    async fn median(&self, target: &EntityId, range: TimeRange, ctx: &Context) -> Result<Option<f64>> {
        let mut selector = Selector::all().with_metric(&self.config.metric);
        if let Some(label) = &self.config.service_label {
            selector = selector.with_matcher(label, MatchOp::Equal, target.name());
        }
        let request = FetchRequest::new(range)
            .with_step(self.config.step)
            .with_signals(Signal::Metrics.into())
            .with_selector(selector);
        let window = self.source.fetch(&request, ctx).await?;
        let values = window.metrics.iter().flat_map(MetricSeries::points).map(|(_, value)| value);
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        if values.len() < FEW_SAMPLES {
            return Ok(None);
        }
        values.sort_by(f64::total_cmp);
        Ok(values.get(values.len() / 2).copied())
    }
}

#[async_trait]
impl Guardrail for ErrorRateBreaker {
    fn id(&self) -> GuardId {
        guard_id("error-rate")
    }

    async fn check(&self, review: &Review<'_>, ctx: &Context) -> Result<Verdict> {
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        let since = before(review.now, self.config.recent);
        let remedies = recent(review.history, since).filter(|a| !was_own_revert(review, a));
        let (mut rises, mut worst) = (0_usize, (0.0, 0.0));
        for action in remedies {
            if let Some((before, after)) = self.rise(action, review, ctx).await? {
                rises += 1;
                if after - before > worst.1 - worst.0 {
                    worst = (before, after);
                }
            }
            if rises >= self.config.actions {
                let (before, after) = worst;
                return Ok(Verdict::deny(format!(
                    "errors rose after {rises} of our recent actions, from {before:.3} to {after:.3}"
                )));
            }
        }
        Ok(Verdict::allow(format!("errors rose after {rises} of our recent actions")))
    }
}
