use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::action::{Action, ActionKind, GuardId, Operation, Risk, RollbackPlan, Verdict};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{guard_id, is_own_revert};
use crate::config::require;

/// Settings of [`RiskTiers`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TiersConfig {
    /// Classes that replace the defaults of [`ActionKind::default_risk`]. A kind that is high by default stays high, and
    /// what an action itself declares can only be raised.
    pub classes: BTreeMap<ActionKind, Risk>,
    /// How long a person has to answer for a medium risk; default 5 min. Silence is a no.
    #[serde(with = "aiops_core::model::duration")]
    pub wait: Duration,
}

impl Default for TiersConfig {
    fn default() -> Self {
        Self { classes: BTreeMap::new(), wait: Duration::from_secs(300) }
    }
}

/// Low risk runs alone; medium asks and waits; high is always for a person. // ACT-02
///
/// Whatever is done to a database, a network or a volume is high. An action is as risky as its way back, because that runs
/// without being asked about again.
#[derive(Debug, Clone, Default)]
pub struct RiskTiers(TiersConfig);

impl RiskTiers {
    /// Tiers as `config` says.
    ///
    /// # Errors
    /// When the wait is zero, or a class would lower a kind that is high by default.
    pub fn new(config: TiersConfig) -> Result<Self> {
        require(!config.wait.is_zero(), "wait", format!("{:?}", config.wait), "more than 0 s")?;
        for (kind, class) in &config.classes {
            let lowered = kind.default_risk() == Risk::High && *class < Risk::High;
            require(!lowered, "classes", format!("{kind} = {class}"), "high stays high")?;
        }
        Ok(Self(config))
    }

    fn class(&self, action: &Action) -> Risk {
        let own = self.class_of(&action.operation);
        // Undoing is not asked about again, so consent to an action is consent to its way back.
        let back = match &action.rollback {
            RollbackPlan::Operation(back) => self.class_of(back),
            RollbackPlan::NotNeeded { .. } | RollbackPlan::Impossible => Risk::Low,
        };
        own.max(back).max(action.floor_of_risk())
    }

    /// A class given for the kind replaces the kind's default, not what this very operation is by nature.
    fn class_of(&self, operation: &Operation) -> Risk {
        match self.0.classes.get(&operation.kind()) {
            Some(class) if operation.default_risk() == operation.kind().default_risk() => *class,
            _ => operation.default_risk(),
        }
    }
}

#[async_trait]
impl Guardrail for RiskTiers {
    fn id(&self) -> GuardId {
        guard_id("risk-tiers")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        let risk = self.class(&review.proposal.action);
        Ok(match risk {
            Risk::Low => Verdict::allow("low risk"),
            Risk::Medium | Risk::High => {
                Verdict::NeedsApproval { reason: format!("{risk} risk"), wait: self.0.wait }
            }
        })
    }
}
