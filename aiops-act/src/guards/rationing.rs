//! Guards that count what was done.

use std::time::Duration;

use aiops_core::action::{ActionTrace, GuardId, Verdict};
use aiops_core::model::time::before;
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{guard_id, is_own_revert, was_own_revert};
use crate::config::require;

/// Settings of [`ActionCap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CapConfig {
    /// Remedies in one incident; default 8, 1..=100.
    pub remedies: usize,
    /// Undoings in one incident, apart from the remedies so that a used-up cap never leaves a failed remedy in place;
    /// default 8, at most 100.
    pub reverts: usize,
}

impl Default for CapConfig {
    fn default() -> Self {
        Self { remedies: 8, reverts: 8 }
    }
}

/// At most so many actions in one incident, with an allowance of their own for undoing them. // ACT-04
#[derive(Debug, Clone, Default)]
pub struct ActionCap(CapConfig);

impl ActionCap {
    /// A cap as `config` says.
    ///
    /// # Errors
    /// When a field is out of range.
    pub fn new(config: CapConfig) -> Result<Self> {
        require((1..=100).contains(&config.remedies), "remedies", config.remedies, "1..=100")?;
        require(config.reverts <= 100, "reverts", config.reverts, "0..=100")?;
        Ok(Self(config))
    }
}

#[async_trait]
impl Guardrail for ActionCap {
    fn id(&self) -> GuardId {
        guard_id("action-cap")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        // Only a proven revert draws on the reserved allowance: a remedy cannot claim to be one.
        let undoing = is_own_revert(review);
        let (limit, what) =
            if undoing { (self.0.reverts, "undoings") } else { (self.0.remedies, "remedies") };
        let mine = |a: &&ActionTrace| a.counts() && was_own_revert(review, a) == undoing;
        let done = review.history.for_incident(&review.proposal.incident).filter(mine).take(limit).count();
        Ok(if done < limit {
            Verdict::allow(format!("{done} of {limit} {what} so far"))
        } else {
            Verdict::deny(format!("{done} of {limit} {what} are used up"))
        })
    }
}

/// Settings of [`RateSpike`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpikeConfig {
    /// Actions over all incidents within `window`, undoings included; default 20, at least 1.
    pub actions: usize,
    /// Default 1 h, more than 0 s.
    #[serde(with = "aiops_core::model::duration")]
    pub window: Duration,
}

impl Default for SpikeConfig {
    fn default() -> Self {
        Self { actions: 20, window: Duration::from_secs(3600) }
    }
}

/// Many actions in a short time are a sign of an automation loop: stop and let a person look. // ACT-04, BUS-03 F3
#[derive(Debug, Clone, Default)]
pub struct RateSpike(SpikeConfig);

impl RateSpike {
    /// An alarm as `config` says.
    ///
    /// # Errors
    /// When a field is zero.
    pub fn new(config: SpikeConfig) -> Result<Self> {
        require(config.actions > 0, "actions", config.actions, "1 or more")?;
        require(!config.window.is_zero(), "window", format!("{:?}", config.window), "more than 0 s")?;
        Ok(Self(config))
    }
}

#[async_trait]
impl Guardrail for RateSpike {
    fn id(&self) -> GuardId {
        guard_id("rate-spike")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        // By the time actions bear: after a clock jump the journal is not in order of time.
        let done = review.history.counted_since(before(review.now, self.0.window));
        Ok(if done < self.0.actions {
            Verdict::allow(format!("{done} actions within {:?}", self.0.window))
        } else {
            Verdict::deny(format!("{done} actions within {:?}: an automation loop?", self.0.window))
        })
    }
}

/// One action at a time over everything that shares the journal, so that effects can be told apart.
#[derive(Debug, Clone, Copy, Default)]
pub struct OneAtATime;

#[async_trait]
impl Guardrail for OneAtATime {
    fn id(&self) -> GuardId {
        guard_id("one-at-a-time")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        Ok(match review.history.in_doubt().next() {
            Some(open) => Verdict::deny(format!("{} has not ended yet", open.intent.proposal.action)),
            None => Verdict::allow("nothing else is under way"),
        })
    }
}
