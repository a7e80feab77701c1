use std::collections::BTreeMap;

use aiops_core::action::{ActionKind, GuardId, Verdict};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{guard_id, is_own_revert};
use crate::config::require;

/// Two thresholds on a confidence, 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BandsConfig {
    /// Below it a person takes over; default 0.65. The threshold itself is in the middle band.
    pub escalate_below: f64,
    /// Above it the system acts without telling at once; default 0.85. The threshold itself is in the middle band.
    pub silent_above: f64,
}

impl Default for BandsConfig {
    fn default() -> Self {
        Self { escalate_below: 0.65, silent_above: 0.85 }
    }
}

impl BandsConfig {
    fn validate(&self) -> Result<()> {
        let ordered = 0.0 <= self.escalate_below
            && self.escalate_below <= self.silent_above
            && self.silent_above <= 1.0;
        let value = format!("{} and {}", self.escalate_below, self.silent_above);
        require(ordered, "escalate_below, silent_above", value, "0 ≤ escalate_below ≤ silent_above ≤ 1")
    }
}

/// More than 85 % acts, 65–85 % acts and tells people, less than 65 % is escalated with the whole case. // ACT-03
#[derive(Debug, Clone, Default)]
pub struct ConfidenceBands {
    bands: BandsConfig,
    by_kind: BTreeMap<ActionKind, BandsConfig>,
}

impl ConfidenceBands {
    /// The same bands for every kind of action, but for those in `by_kind`.
    ///
    /// # Errors
    /// When thresholds are not in order within 0..=1.
    pub fn new(bands: BandsConfig, by_kind: BTreeMap<ActionKind, BandsConfig>) -> Result<Self> {
        bands.validate()?;
        by_kind.values().try_for_each(BandsConfig::validate)?;
        Ok(Self { bands, by_kind })
    }
}

#[async_trait]
impl Guardrail for ConfidenceBands {
    fn id(&self) -> GuardId {
        guard_id("confidence-bands")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        let bands = self.by_kind.get(&review.proposal.action.kind()).unwrap_or(&self.bands);
        let confidence = &review.proposal.confidence;
        let p = confidence.probability();
        Ok(if p < bands.escalate_below {
            Verdict::deny(format!("{confidence} is too unsure to act on; escalate"))
        } else if p <= bands.silent_above {
            Verdict::Allow { reason: format!("{confidence}: act and tell"), notify: true }
        } else {
            Verdict::allow(format!("{confidence}"))
        })
    }
}
