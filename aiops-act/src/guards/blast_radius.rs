use aiops_core::action::{GuardId, Operation, Verdict};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::guard_id;
use crate::config::require;

/// Settings of [`BlastRadiusCap`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlastRadiusConfig {
    /// Copies touched at most; default 10, at least 1.
    pub replicas: u32,
    /// Share of the fleet at most, 0..=1; default 0.34.
    pub share_of_fleet: f64,
}

impl Default for BlastRadiusConfig {
    fn default() -> Self {
        Self { replicas: 10, share_of_fleet: 0.34 }
    }
}

/// Caps what one action touches, by what it declares and by what the target really is: the larger counts. // ACT-05
///
/// What the mitigator cannot tell needs a person. Undoing is capped like everything else.
#[derive(Debug, Clone, Default)]
pub struct BlastRadiusCap(BlastRadiusConfig);

impl BlastRadiusCap {
    /// A cap as `config` says.
    ///
    /// # Errors
    /// When a field is out of range.
    pub fn new(config: BlastRadiusConfig) -> Result<Self> {
        require(config.replicas > 0, "replicas", config.replicas, "1 or more")?;
        let share = config.share_of_fleet;
        require((0.0..=1.0).contains(&share), "share_of_fleet", share, "0..=1")?;
        Ok(Self(config))
    }
}

/// How much an action touches, by what it declares or by what its target really is, whichever is more.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Touched {
    /// Copies. Scaling touches what it adds or removes; everything else may touch every copy of its target.
    pub replicas: u32,
    /// The share of the fleet which these are; more than 1 where the fleet is said to be smaller than its part.
    pub share_of_fleet: f64,
    /// Whether the mitigator could tell both of the target; if not, it is what was declared.
    pub known: bool,
}

/// How much the proposal of `review` touches.
#[must_use]
pub fn touched(review: &Review<'_>) -> Touched {
    let (action, target) = (&review.proposal.action, &review.preview.target);
    let real = target.replicas.map(|replicas| match action.operation {
        Operation::Scale { replicas: wanted } => wanted.abs_diff(replicas),
        _ => replicas,
    });
    let replicas = real.unwrap_or(0).max(action.blast_radius.replicas);
    let share = target.fleet.map_or(0.0, |fleet| f64::from(replicas) / f64::from(fleet.max(1)));
    Touched {
        replicas,
        share_of_fleet: share.max(action.blast_radius.share_of_fleet.get()),
        known: real.is_some() && target.fleet.is_some(),
    }
}

#[async_trait]
impl Guardrail for BlastRadiusCap {
    fn id(&self) -> GuardId {
        guard_id("blast-radius")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        let Touched { replicas: touched, share_of_fleet: share, known } = touched(review);
        // What is known to be too much is denied, even where the rest cannot be told.
        Ok(if touched > self.0.replicas {
            Verdict::deny(format!("touches {touched} replicas, at most {} are allowed", self.0.replicas))
        } else if share > self.0.share_of_fleet {
            let (is, allowed) = (share * 100.0, self.0.share_of_fleet * 100.0);
            Verdict::deny(format!("touches {is:.0} % of the fleet, at most {allowed:.0} % is allowed"))
        } else if !known {
            Verdict::needs_approval("how much is touched cannot be told")
        } else {
            Verdict::allow(format!("touches {touched} replicas, {:.0} % of the fleet", share * 100.0))
        })
    }
}
