use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::{GuardId, Verdict};
use aiops_core::model::{EntityId, Stance};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::error_budget::verdict;
use super::{guard_id, is_own_revert};
use crate::config::require;
use crate::policy::Effect;

/// Tells what the burning of an error budget asks of automation.
#[async_trait]
pub trait StanceSource: Debug + Send + Sync + 'static {
    /// Of the objectives of `target` the gravest; `None` where nobody knows.
    ///
    /// # Errors
    /// When it could not be asked; that counts as not known.
    async fn stance(&self, target: &EntityId, ctx: &Context) -> Result<Option<Stance>>;
}

/// Settings of [`StanceGuard`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StanceConfig {
    /// Confidence that acts alone while a page fires, 0..=1; default 0.75. Less asks a person.
    pub mitigate_confidence: f64,
    /// Confidence that acts alone, and tells people, once the budget is spent, `mitigate_confidence`..=1; default 0.95.
    pub frozen_confidence: f64,
    /// How long a person has to answer while nothing more than roll-outs slow down; default 5 min, more than 0 s.
    #[serde(with = "aiops_core::model::duration")]
    pub wait: Duration,
    /// How long while a page fires or the budget is spent, so that whoever is on call hears of a silence sooner; default 2 min,
    /// more than 0 s, at most `wait`.
    #[serde(with = "aiops_core::model::duration")]
    pub urgent_wait: Duration,
    /// What a stance says that nobody knows; default *ask*.
    pub unknown: Effect,
}

impl Default for StanceConfig {
    fn default() -> Self {
        Self {
            mitigate_confidence: 0.75,
            frozen_confidence: 0.95,
            wait: Duration::from_secs(300),
            urgent_wait: Duration::from_secs(120),
            unknown: Effect::Ask,
        }
    }
}

/// How fast the budget burns moves how sure automation must be, and how soon people are told. // DET-07
///
/// | stance | a remedy of what is felt | what is only [foretold](aiops_core::action::Proposal::foretold_by) |
/// |---|---|---|
/// | usual | may run | may run |
/// | careful: roll-outs slow down | may run | asks a person |
/// | mitigate: a page fires | may run at `mitigate_confidence` | waits: denied |
/// | frozen: the budget is spent | may run at `frozen_confidence`, and people are told | waits: denied |
///
/// [`ErrorBudgetGuard`](super::ErrorBudgetGuard) looks at what is left, this at how fast it goes: 30 % that are gone in an hour
/// ask for another answer than 30 % that are gone in a month.
#[derive(Debug, Clone)]
pub struct StanceGuard {
    stances: Arc<dyn StanceSource>,
    config: StanceConfig,
}

impl StanceGuard {
    /// A guard on `stances`.
    ///
    /// # Errors
    /// When a field is out of range.
    pub fn new(stances: impl StanceSource, config: StanceConfig) -> Result<Self> {
        let StanceConfig {
            mitigate_confidence: mitigate, frozen_confidence: frozen, wait, urgent_wait, ..
        } = config;
        require((0.0..=1.0).contains(&mitigate), "mitigate_confidence", mitigate, "0..=1")?;
        let above = frozen >= mitigate && frozen <= 1.0;
        require(above, "frozen_confidence", frozen, "mitigate_confidence..=1")?;
        require(!wait.is_zero(), "wait", format!("{wait:?}"), "more than 0 s")?;
        let sooner = !urgent_wait.is_zero() && urgent_wait <= wait;
        require(sooner, "urgent_wait", format!("{urgent_wait:?}"), "more than 0 s, at most wait")?;
        Ok(Self { stances: Arc::new(stances), config })
    }

    /// What a remedy is told that must be as sure as `floor`.
    fn sure(&self, review: &Review<'_>, floor: f64, why: &str, notify: bool) -> Verdict {
        let confidence = &review.proposal.confidence;
        if confidence.probability() >= floor {
            return Verdict::Allow { reason: format!("{why}; {confidence} is sure enough"), notify };
        }
        Verdict::NeedsApproval {
            reason: format!("{why}; {confidence} is not sure enough"),
            wait: self.config.urgent_wait,
        }
    }
}

#[async_trait]
impl Guardrail for StanceGuard {
    fn id(&self) -> GuardId {
        guard_id("burn-rate")
    }

    async fn check(&self, review: &Review<'_>, ctx: &Context) -> Result<Verdict> {
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        let asked = self.stances.stance(&review.proposal.action.target, ctx).await;
        ctx.check()?;
        let Some(stance) = asked.ok().flatten() else {
            let why = "nobody knows how fast the error budget burns".to_owned();
            return Ok(match self.config.unknown {
                Effect::Ask => Verdict::NeedsApproval { reason: why, wait: self.config.wait },
                other => verdict(other, why),
            });
        };
        let foretold = !review.proposal.foretold_by.is_empty();
        Ok(match stance {
            Stance::Usual => Verdict::allow("no error budget burns"),
            Stance::Careful if foretold => Verdict::NeedsApproval {
                reason: "an error budget burns, and nobody feels yet what this is for".to_owned(),
                wait: self.config.wait,
            },
            Stance::Careful => Verdict::allow("an error budget burns slowly; remedies go on"),
            Stance::Mitigate | Stance::Frozen if foretold => {
                Verdict::deny("an error budget burns fast: what is only foretold waits")
            }
            Stance::Mitigate => {
                self.sure(review, self.config.mitigate_confidence, "an error budget burns fast", false)
            }
            Stance::Frozen => {
                self.sure(review, self.config.frozen_confidence, "the error budget is spent", true)
            }
        })
    }
}
