use std::time::Duration;

use aiops_core::action::{ActionTrace, GuardId, Verdict};
use aiops_core::model::time::{before, elapsed};
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

#[async_trait]
impl Guardrail for CircuitBreaker {
    fn id(&self) -> GuardId {
        guard_id("circuit-breaker")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        let history = review.history;
        let remedy = |a: &&ActionTrace| !was_own_revert(review, a);
        let last_success = history.that_helped().rev().find(remedy).map(|a| a.fence);
        let failed = history.that_did_not_help(last_success).filter(remedy).take(self.0.failures).count();
        if failed < self.0.failures {
            return Ok(Verdict::allow(format!("{failed} remedies in a row did not help")));
        }
        // The latest in time, which after a clock jump need not be the last one written.
        let recent = history.that_did_not_help_since(before(review.now, self.0.open_for)).rev();
        let last = recent.filter(remedy).find(|a| last_success.is_none_or(|success| a.fence > success));
        let since = last.map(|a| elapsed(a.intent.at, review.now)).filter(|since| *since < self.0.open_for);
        Ok(match since {
            Some(since) => Verdict::deny(format!(
                "the last {failed} remedies or more did not help; open for another {:?}",
                self.0.open_for.saturating_sub(since)
            )),
            None => Verdict::allow("the last remedies did not help, but that is long ago"),
        })
    }
}
