use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aiops_core::action::{GuardId, Verdict};
use aiops_core::model::time::elapsed;
use aiops_core::model::{EntityId, Stance};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stance::StanceSource;
use super::{guard_id, is_own_revert};
use crate::config::require;
use crate::policy::Effect;

/// Tells how much of an error budget is left.
#[async_trait]
pub trait BudgetSource: Debug + Send + Sync + 'static {
    /// Share of the budget of `target` that is left: 1 for all of it, 0 for none, less when it is overdrawn; `None` where nobody
    /// knows.
    ///
    /// # Errors
    /// When it could not be asked; that counts as not known.
    async fn remaining(&self, target: &EntityId, ctx: &Context) -> Result<Option<f64>>;
}

/// Budgets that the program writes up, from burn rates it follows (`aiops_detect::burn`) or a service it asks. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct BudgetBoard(Arc<Mutex<BTreeMap<EntityId, Posted>>>);

#[derive(Debug, Clone, Copy)]
struct Posted {
    remaining: f64,
    /// How fast it goes, where that is known.
    stance: Option<Stance>,
    at: Timestamp,
}

/// An older figure says nothing of now.
const STALE_AFTER: Duration = Duration::from_secs(600);

impl BudgetBoard {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `remaining` of the budget of `target` is left at `at`, and nobody says how fast it goes. It counts for ten minutes from then, and
    /// not before.
    pub fn set(&self, target: EntityId, remaining: f64, at: Timestamp) {
        self.write(target, Posted { remaining, stance: None, at });
    }

    /// The same, with what its burn rate asks of automation.
    pub fn post(&self, target: EntityId, remaining: f64, stance: Stance, at: Timestamp) {
        self.write(target, Posted { remaining, stance: Some(stance), at });
    }

    fn write(&self, target: EntityId, posted: Posted) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(target, posted);
    }

    /// What is known of `target` now.
    fn read(&self, target: &EntityId, ctx: &Context) -> Result<Option<Posted>> {
        ctx.check()?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(target).copied();
        let now = ctx.now();
        // A figure from the future was written before the clock was set back: nobody knows how old it is.
        Ok(known.filter(|posted| posted.at <= now && elapsed(posted.at, now) <= STALE_AFTER))
    }
}

#[async_trait]
impl BudgetSource for BudgetBoard {
    async fn remaining(&self, target: &EntityId, ctx: &Context) -> Result<Option<f64>> {
        Ok(self.read(target, ctx)?.map(|posted| posted.remaining))
    }
}

#[async_trait]
impl StanceSource for BudgetBoard {
    async fn stance(&self, target: &EntityId, ctx: &Context) -> Result<Option<Stance>> {
        Ok(self.read(target, ctx)?.and_then(|posted| posted.stance))
    }
}

/// Settings of [`ErrorBudgetGuard`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorBudgetConfig {
    /// Below this share of the budget the system is careful, 0..=1; default 0.25.
    pub careful_below: f64,
    /// Confidence that acts alone while careful, 0..=1; default 0.95. Less asks a person.
    pub careful_confidence: f64,
    /// What an exhausted budget says: *ask* or *deny*; default *ask*.
    pub exhausted: Effect,
    /// What an unknown budget says; default *ask*.
    pub unknown: Effect,
}

impl Default for ErrorBudgetConfig {
    fn default() -> Self {
        Self { careful_below: 0.25, careful_confidence: 0.95, exhausted: Effect::Ask, unknown: Effect::Ask }
    }
}

/// The less of the error budget is left, the surer the system must be to act alone. // ACT-12
#[derive(Debug, Clone)]
pub struct ErrorBudgetGuard {
    budgets: Arc<dyn BudgetSource>,
    config: ErrorBudgetConfig,
}

impl ErrorBudgetGuard {
    /// A guard on `budgets`.
    ///
    /// # Errors
    /// When a field is out of range.
    pub fn new(budgets: impl BudgetSource, config: ErrorBudgetConfig) -> Result<Self> {
        let share = |field, value: f64| require((0.0..=1.0).contains(&value), field, value, "0..=1");
        share("careful_below", config.careful_below)?;
        share("careful_confidence", config.careful_confidence)?;
        require(config.exhausted > Effect::Allow, "exhausted", config.exhausted, "ask or deny")?;
        Ok(Self { budgets: Arc::new(budgets), config })
    }
}

pub(super) fn verdict(effect: Effect, reason: String) -> Verdict {
    match effect {
        Effect::Allow => Verdict::allow(reason),
        Effect::Ask => Verdict::needs_approval(reason),
        Effect::Deny => Verdict::deny(reason),
    }
}

#[async_trait]
impl Guardrail for ErrorBudgetGuard {
    fn id(&self) -> GuardId {
        guard_id("error-budget")
    }

    async fn check(&self, review: &Review<'_>, ctx: &Context) -> Result<Verdict> {
        // A remedy that did not help is not left in place because the budget ran out meanwhile.
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        let asked = self.budgets.remaining(&review.proposal.action.target, ctx).await;
        ctx.check()?;
        let remaining = asked.ok().flatten().filter(|share| !share.is_nan());
        let Some(remaining) = remaining else {
            return Ok(verdict(self.config.unknown, "the error budget is not known".to_owned()));
        };
        let confidence = &review.proposal.confidence;
        let left = format!("{:.0} % of the error budget is left", remaining * 100.0);
        Ok(if remaining <= 0.0 {
            verdict(self.config.exhausted, "the error budget is exhausted".to_owned())
        } else if remaining >= self.config.careful_below {
            Verdict::allow(left)
        } else if confidence.probability() >= self.config.careful_confidence {
            Verdict::Allow { reason: format!("{left}; {confidence} is sure enough"), notify: true }
        } else {
            Verdict::needs_approval(format!("{left}; {confidence} is not sure enough"))
        })
    }
}
