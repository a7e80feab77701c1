use std::time::Duration;

use aiops_core::action::{ActionOutcome, ActionTrace, GuardId, Verdict};
use aiops_core::model::Recovery;
use aiops_core::model::time::elapsed;
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{guard_id, is_own_revert, was_own_revert};
use crate::config::require;

/// Settings of [`CircuitBreaker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Remedies in a row without recovery that open the breaker; default 3, 1..=100.
    pub failures: usize,
    /// How long it stays open, counted from the intent of the last of them and so longer than a verification takes;
    /// default 1 h, more than 0 s.
    #[serde(with = "aiops_core::model::duration")]
    pub open_for: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: 3, open_for: Duration::from_secs(3600) }
    }
}

/// When remedies stop helping, the system stops remedying. // ACT-04
///
/// Counts, over all incidents, the latest remedies in a row that failed or after which telemetry did not recover.
#[derive(Debug, Clone, Default)]
pub struct CircuitBreaker(BreakerConfig);

impl CircuitBreaker {
    /// A breaker as `config` says.
    ///
    /// # Errors
    /// When a field is out of range.
    pub fn new(config: BreakerConfig) -> Result<Self> {
        require((1..=100).contains(&config.failures), "failures", config.failures, "1..=100")?;
        require(!config.open_for.is_zero(), "open_for", format!("{:?}", config.open_for), "more than 0 s")?;
        Ok(Self(config))
    }
}

/// Whether a remedy helped; `None` while nobody knows.
fn helped(action: &ActionTrace) -> Option<bool> {
    match (&action.outcome, action.recovery) {
        (Some(ActionOutcome::Failed { .. }), _) | (_, Some(Recovery::NotRecovered)) => Some(false),
        (_, Some(Recovery::Recovered)) => Some(true),
        _ => None,
    }
}

#[async_trait]
impl Guardrail for CircuitBreaker {
    fn id(&self) -> GuardId {
        guard_id("circuit-breaker")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        let remedies = review.history.actions().rev().filter(|a| !was_own_revert(review, a));
        let known = remedies.filter_map(|a| Some((a, helped(a)?)));
        let failed: Vec<&ActionTrace> = known.take_while(|(_, helped)| !helped).map(|(a, _)| a).collect();
        // The latest in time, which after a clock jump need not be the last one written.
        let last = failed.iter().map(|a| elapsed(a.intent.at, review.now)).min();
        Ok(match last {
            Some(since) if failed.len() >= self.0.failures && since < self.0.open_for => {
                Verdict::deny(format!(
                    "the last {} remedies did not help; open for another {:?}",
                    failed.len(),
                    self.0.open_for.saturating_sub(since)
                ))
            }
            _ => Verdict::allow(format!("{} remedies in a row did not help", failed.len())),
        })
    }
}
