use std::collections::BTreeSet;

use aiops_core::action::{Action, ActionKind, ActionTrace, GuardId, History, Verdict};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::direction::direction;
use crate::config::require;
use crate::graduation::wilson_lower_bound;
use crate::guards::{guard_id, is_own_revert};
use crate::policy::{Targets, is_named};

/// Settings of [`CriticalLast`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CriticalLastConfig {
    /// Who is critical; default nobody.
    pub critical: Targets,
    /// Kinds of action that are tried on others first; default scaling and concurrency limits.
    pub actions: BTreeSet<ActionKind>,
    /// Newest actions of the kind, and of the direction, on others that are looked at, 1 or more; default 10. With fewer a person is asked.
    pub record: usize,
    /// Share of them that helped, by the lower bound of its Wilson interval, 0..=1; default 0.6. So 9 of 10 do not do at the default `z`, and 10 of 10
    /// do.
    pub success: f64,
    /// Standard normal quantile of the bound, 0..=5; default 1.96.
    pub z: f64,
}

impl Default for CriticalLastConfig {
    fn default() -> Self {
        Self {
            critical: Targets::default(),
            actions: BTreeSet::from([ActionKind::Scale, ActionKind::Concurrency]),
            record: 10,
            success: 0.6,
            z: 1.96,
        }
    }
}

/// What is done to critical services was done to others first, and helped there; until then a person is asked.
///
/// More capacity and less are things apart: that others were helped by more is no record for taking any away. Which of the two it is, an action's way
/// back tells; those that do not tell are a record of their own.
#[derive(Debug, Clone)]
pub struct CriticalLast(CriticalLastConfig);

impl CriticalLast {
    /// A guard as `config` says.
    ///
    /// # Errors
    /// When a field is out of range.
    pub fn new(config: CriticalLastConfig) -> Result<Self> {
        require(config.record > 0, "record", config.record, "1 or more")?;
        require((0.0..=1.0).contains(&config.success), "success", config.success, "0..=1")?;
        require((0.0..=5.0).contains(&config.z), "z", config.z, "0..=5")?;
        Ok(Self(config))
    }

    /// The newest on others whose end is known: how many, and how many helped. Looks back until there are enough.
    fn record(&self, wanted: &Action, history: &History) -> (usize, usize) {
        let (config, kind, way) = (&self.0, wanted.kind(), direction(wanted));
        let tried = |a: &&ActionTrace| {
            let action = &a.intent.proposal.action;
            action.kind() == kind
                && direction(action) == way
                && a.is_remedy()
                && a.counts()
                && !is_named(&config.critical, &action.target)
        };
        let ends = history.actions().rev().filter(tried).filter_map(ActionTrace::helped).take(config.record);
        ends.fold((0, 0), |(known, helped), end| (known + 1, helped + usize::from(end)))
    }
}

#[async_trait]
impl Guardrail for CriticalLast {
    fn id(&self) -> GuardId {
        guard_id("critical-last")
    }

    async fn check(&self, review: &Review<'_>, _: &Context) -> Result<Verdict> {
        let (config, action) = (&self.0, &review.proposal.action);
        if is_own_revert(review)
            || !config.actions.contains(&action.kind())
            || !is_named(&config.critical, &action.target)
        {
            return Ok(Verdict::allow("not critical, or nothing to be tried on others first"));
        }
        let (known, helped) = self.record(action, review.history);
        let enough = known >= config.record && wilson_lower_bound(helped, known, config.z) >= config.success;
        let told = format!("{helped} of the last {known} on others helped");
        Ok(if enough {
            Verdict::allow(told)
        } else {
            Verdict::needs_approval(format!("{} is critical, and {told}", action.target))
        })
    }
}
