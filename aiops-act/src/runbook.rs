//! Runbooks: steps that people wrote down, as actions, one at a time (VER-03).
//!
//! ```toml
//! id = "queue-stuck"
//! mechanisms = ["lock"]
//!
//! [[steps]]
//! id = "rotate"
//! operation = "log_rotation"
//! rollback = { not_needed = { reason = "rotated logs are kept" } }
//!
//! [[steps]]
//! id = "restart"
//! operation = { rolling_restart = { max_unavailable = 1, max_surge = 0 } }
//! rollback = { not_needed = { reason = "the same revision starts anew" } }
//! ```
//!
//! Only the next step is ever proposed. The pipeline guards, runs and verifies it; where telemetry did not recover it looks and diagnoses anew, and what is
//! proposed then follows the new diagnosis. So every step is re-evaluated, and a step that failed stops the runbook for good. A step with an operation as its
//! way back is undone before the next one; steps that build on each other have none.

use std::collections::BTreeSet;

use aiops_core::action::{
    Action, ActionOutcome, BlastRadius, Operation, Precondition, Principal, Proposal, ProposalId,
    ReceiptRecord, Risk, RollbackPlan, Share,
};
use aiops_core::model::{DiagnosisStatus, EntityId, FaultType, Hypothesis, Standing};
use aiops_core::seam::Planner;
use aiops_core::{Case, CasePart, Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::config::require;
use crate::policy::{Targets, is_named};

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name within the runbook.
    pub id: String,
    /// What is done.
    pub operation: Operation,
    /// To whom; default to whatever the diagnosis blames.
    #[serde(default)]
    pub target: Option<EntityId>,
    /// Copies it touches at most; default 1.
    #[serde(default = "one")]
    pub replicas: u32,
    /// The share of the fleet which these are, as far as the author knows; default 0, the guards look for themselves.
    #[serde(default = "nothing")]
    pub share_of_fleet: Share,
    /// Its way back; default none, so a person is asked.
    #[serde(default = "no_way_back")]
    pub rollback: RollbackPlan,
    /// What must hold first, beside that the target exists.
    #[serde(default)]
    pub preconditions: Vec<Precondition>,
    /// Raises its class above that of its operation.
    #[serde(default)]
    pub raised_risk: Option<Risk>,
}

fn one() -> u32 {
    1
}
fn nothing() -> Share {
    Share::default()
}
fn no_way_back() -> RollbackPlan {
    RollbackPlan::Impossible
}

/// Steps for some causes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runbook {
    /// Its name.
    pub id: String,
    /// Mechanisms of failure it is for, as diagnoses name them.
    #[serde(default)]
    pub mechanisms: BTreeSet<String>,
    /// Kinds of fault it is for.
    #[serde(default)]
    pub faults: Vec<FaultType>,
    /// Whom it is for; default anybody.
    #[serde(default)]
    pub targets: Targets,
    /// What is done, in this order.
    pub steps: Vec<Step>,
}

impl Runbook {
    fn validate(&self) -> Result<()> {
        let in_book = |e: Error| e.with("runbook", &self.id);
        let named = !self.mechanisms.is_empty() || !self.faults.is_empty();
        require(named, "mechanisms, faults", "nothing", "what it is for").map_err(in_book)?;
        require((1..=20).contains(&self.steps.len()), "steps", self.steps.len(), "1..=20")
            .map_err(in_book)?;
        let mut ids = BTreeSet::new();
        let again = self.steps.iter().find(|step| !ids.insert(&step.id));
        require(again.is_none(), "steps", again.map_or("", |s| &s.id), "each id once").map_err(in_book)?;
        let touching = self.steps.iter().all(|step| step.replicas > 0);
        require(touching, "replicas", 0, "1 or more").map_err(in_book)
    }

    fn is_for(&self, cause: &Hypothesis) -> bool {
        let mechanism = cause.mechanism.as_ref().is_some_and(|m| self.mechanisms.contains(m));
        (mechanism || self.faults.contains(&cause.fault))
            && (self.targets.is_empty() || is_named(&self.targets, &cause.system))
    }
}

/// Settings of a [`RunbookPlanner`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunbookConfig {
    /// As whom it proposes; default `runbook-planner`.
    pub principal: Principal,
}

impl Default for RunbookConfig {
    fn default() -> Self {
        Self { principal: Principal::new("runbook-planner") }
    }
}

/// Proposes the next step of the first runbook that is for the cause, and where none is, what another planner proposes.
///
/// No runbook, no step left, or one that failed, and nothing from the other planner: no safe action is known, and a person takes over.
#[derive(Debug)]
pub struct RunbookPlanner<P> {
    runbooks: Vec<Runbook>,
    otherwise: P,
    config: RunbookConfig,
}

impl<P: Planner> RunbookPlanner<P> {
    /// A planner with these runbooks, in order of preference.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for two of one id, and one that is for nothing, has no steps or more than 20, two steps of one id, or a step
    /// that touches nothing.
    pub fn new(runbooks: Vec<Runbook>, otherwise: P, config: RunbookConfig) -> Result<Self> {
        let mut ids = BTreeSet::new();
        if let Some(twice) = runbooks.iter().find(|book| !ids.insert(&book.id)) {
            return Err(Error::new(ErrorKind::Invalid, "two runbooks have one id").with("runbook", &twice.id));
        }
        runbooks.iter().try_for_each(Runbook::validate)?;
        Ok(Self { runbooks, otherwise, config })
    }

    fn action(step: &Step, cause: &Hypothesis) -> Action {
        let target = step.target.clone().unwrap_or_else(|| cause.system.clone());
        let radius = BlastRadius { replicas: step.replicas, share_of_fleet: step.share_of_fleet };
        let mut action =
            Action::new(step.operation.clone(), target, radius).with_rollback(step.rollback.clone());
        action.preconditions.extend(step.preconditions.iter().cloned());
        action.raised_risk = step.raised_risk;
        action
    }

    fn next(&self, case: &Case, cause: &Hypothesis) -> Option<Proposal> {
        let book = self.runbooks.iter().find(|book| book.is_for(cause))?;
        for step in &book.steps {
            let action = Self::action(step, cause);
            let id = step_id(case, book, step);
            match tried(case, &id, &action) {
                None => {
                    let reason = format!("step {} of runbook {}: {}", step.id, book.id, cause.statement);
                    let (incident, by) = (case.id().clone(), self.config.principal.clone());
                    let proposal = Proposal::new(id, incident, action, by, cause.confidence.clone(), reason);
                    return Some(proposal.with_evidence(cause.citations.clone()));
                }
                // No improvising: a step that broke ends it.
                Some(ActionOutcome::Failed { .. }) => return None,
                Some(_) => {}
            }
        }
        None
    }
}

/// The same in every round: a step is proposed once, and journal and people know it by one name.
fn step_id(case: &Case, book: &Runbook, step: &Step) -> ProposalId {
    ProposalId::new(format!("{}-runbook-{}-{}", case.id(), book.id, step.id))
}

/// How the step ended that was planned under `id`; `None` while it was not begun.
fn tried(case: &Case, id: &ProposalId, action: &Action) -> Option<ActionOutcome> {
    let planned = case.entries().iter().any(|entry| match &entry.part {
        CasePart::Planned(proposals) => proposals.iter().any(|p| p.id == *id),
        _ => false,
    });
    let same = |receipt: &&ReceiptRecord| {
        receipt.action == *action && !matches!(receipt.outcome, ActionOutcome::NotStarted { .. })
    };
    let receipt = case.attempts().map(|(receipt, _)| receipt).filter(|_| planned).find(same)?;
    Some(receipt.outcome.clone())
}

#[async_trait]
impl<P: Planner> Planner for RunbookPlanner<P> {
    async fn plan(&self, case: &Case, ctx: &Context) -> Result<Vec<Proposal>> {
        ctx.check()?;
        let Some(diagnosis) = case.diagnosis() else { return Ok(Vec::new()) };
        if diagnosis.status != DiagnosisStatus::Diagnosed {
            return Ok(Vec::new());
        }
        let causes = diagnosis.hypotheses.iter().filter(|h| h.standing() == Standing::Finding);
        for cause in causes {
            if let Some(proposal) = self.next(case, cause) {
                return Ok(vec![proposal]);
            }
            // People wrote down what to do about it; what is left is theirs as well.
            if self.runbooks.iter().any(|book| book.is_for(cause)) {
                return Ok(Vec::new());
            }
        }
        self.otherwise.plan(case, ctx).await
    }
}
