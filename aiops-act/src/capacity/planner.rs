use std::collections::BTreeMap;
use std::fmt;

use aiops_core::action::{
    Action, BlastRadius, IncidentId, Principal, Proposal, ProposalId, RollbackPlan, Share,
};
use aiops_core::model::{Confidence, DetectorId, DiagnosisStatus, EntityId, FaultType, Standing};
use aiops_core::seam::Planner;
use aiops_core::{Case, Context, Error, Result};
use async_trait::async_trait;

use super::queue::MOST_SERVERS;
use super::sizing::{Demand, Plan, Sizing, Unmet};
use crate::config::require;
use crate::guards::BudgetSource;

/// Tells how much load comes, and how much capacity is there for it.
#[async_trait]
pub trait LoadForecast: fmt::Debug + Send + Sync + 'static {
    /// Load of `service` at the time when capacity that is ordered now is ready; `None` where nobody can tell.
    ///
    /// # Errors
    /// When it could not be asked.
    async fn demand(&self, service: &EntityId, ctx: &Context) -> Result<Option<Demand>>;

    /// Units of capacity of `service` that are there now, at most 10⁶: more are refused as wrong. `None` where nobody can tell.
    ///
    /// # Errors
    /// When it could not be asked.
    async fn units(&self, service: &EntityId, ctx: &Context) -> Result<Option<u32>>;
}

/// Services whose capacity is managed, each with its own sizing.
pub type Managed = BTreeMap<EntityId, Sizing>;

/// What is to be done, and why.
struct Change {
    action: Action,
    reason: String,
    /// Whether capacity is added.
    more: bool,
}

/// As whom it proposes.
const PLANNER: &str = "capacity-planner";

/// What [`CapacityPlanner::ahead`] found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Ahead {
    /// In order of the services' names.
    pub proposals: Vec<Proposal>,
    /// Services of which nothing is known because asking for it failed, and how.
    pub failed: BTreeMap<EntityId, Error>,
}

/// Proposes as much capacity as a forecast asks for: more for a case whose finding is load, more or less ahead of any ([`ahead`](Self::ahead)).
///
/// A case of load is never answered by taking capacity away, whatever the forecast says: who suffers from load needs no less.
///
/// What cannot be met is proposed to nobody: [`plan`](Self::plan) says what it is. The way back is what was there before.
#[derive(Debug)]
pub struct CapacityPlanner<F, B> {
    managed: Managed,
    forecast: F,
    budget: B,
}

impl<F: LoadForecast, B: BudgetSource> CapacityPlanner<F, B> {
    /// For `managed`, by a forecast of load and what is left of error budgets. A budget that is not known counts as used up.
    pub fn new(managed: Managed, forecast: F, budget: B) -> Self {
        Self { managed, forecast, budget }
    }

    /// Units that are there, and the plan for `service` or what cannot be met; `None` for a service that is not managed, or whose load or capacity
    /// nobody can tell. A budget that cannot be asked for counts as used up.
    ///
    /// # Errors
    /// Those of the forecast, and [`ErrorKind::Invalid`](aiops_core::ErrorKind::Invalid) when it tells of more than 10⁶ units.
    pub async fn plan(
        &self,
        service: &EntityId,
        ctx: &Context,
    ) -> Result<Option<(u32, std::result::Result<Plan, Unmet>)>> {
        let Some(sizing) = self.managed.get(service) else { return Ok(None) };
        let Some(demand) = self.forecast.demand(service, ctx).await? else { return Ok(None) };
        let Some(units) = self.forecast.units(service, ctx).await? else { return Ok(None) };
        require(units <= MOST_SERVERS, "units", units, "at most 1e6")?;
        let left = self.budget.remaining(service, ctx).await.ok().flatten().unwrap_or(0.0);
        Ok(Some((units, sizing.plan_from(units, demand, left))))
    }

    /// Proposals ahead of any incident, for every managed service whose plan differs from what is there, in order of names; `confidence` is what the
    /// forecast's intervals have been worth. They are [foretold](Proposal::foretold_by) by `capacity-planner`. Each is an incident of its own, for a [`Trial`](super::Trial). A service whose forecast fails holds up no other.
    pub async fn ahead(&self, confidence: &Confidence, ctx: &Context) -> Ahead {
        let mut ahead = Ahead::default();
        for service in self.managed.keys() {
            match self.change(service, ctx).await {
                Ok(Some(change)) => {
                    let incident = IncidentId::new(format!("capacity-{service}-{}", ctx.now().as_second()));
                    let id = ProposalId::new(format!("{incident}-1"));
                    let (by, confidence) = (Principal::new(PLANNER), confidence.clone());
                    let Change { action, reason, .. } = change;
                    let proposal = Proposal::new(id, incident, action, by, confidence, reason);
                    ahead.proposals.push(proposal.foretold([DetectorId(PLANNER.to_owned())]));
                }
                Ok(None) => {}
                Err(e) => {
                    ahead.failed.insert(service.clone(), e);
                }
            }
        }
        ahead
    }

    /// What is to be done to `service`, and why; `None` when it has what it needs, or when that cannot be met.
    async fn change(&self, service: &EntityId, ctx: &Context) -> Result<Option<Change>> {
        ctx.check()?;
        let Some(sizing) = self.managed.get(service) else { return Ok(None) };
        let (units, plan) = match self.plan(service, ctx).await? {
            Some((units, Ok(plan))) if plan.units != units => (units, plan),
            Some((_, Err(unmet))) => {
                tracing::warn!(%service, %unmet, "no capacity is proposed");
                return Ok(None);
            }
            _ => return Ok(None),
        };
        let lever = sizing.serving().lever;
        // Those that come or go, of all that are there or will be.
        let replicas = plan.units.abs_diff(units);
        let share_of_fleet = Share::new(f64::from(replicas) / f64::from(plan.units.max(units).max(1)))?;
        let radius = BlastRadius { replicas, share_of_fleet };
        let back = RollbackPlan::Operation(Box::new(lever.set(units)));
        let action = Action::new(lever.set(plan.units), service.clone(), radius).with_rollback(back);
        let reason = format!(
            "{units} → {} units: {:.4} in time at the upper demand, {:.4} asked for, {:.2} an hour",
            plan.units, plan.at_upper, plan.asked, plan.cost
        );
        Ok(Some(Change { action, reason, more: plan.units > units }))
    }
}

#[async_trait]
impl<F: LoadForecast, B: BudgetSource> Planner for CapacityPlanner<F, B> {
    async fn plan(&self, case: &Case, ctx: &Context) -> Result<Vec<Proposal>> {
        ctx.check()?;
        let diagnosed = case.diagnosis().filter(|d| d.status == DiagnosisStatus::Diagnosed);
        let causes = diagnosed.into_iter().flat_map(|d| &d.hypotheses);
        let load = |fault: FaultType| fault == FaultType::Load;
        for cause in causes.filter(|h| h.standing() == Standing::Finding && load(h.fault)) {
            let Some(Change { action, reason, more: true }) = self.change(&cause.system, ctx).await? else {
                continue;
            };
            let same = |a: &Action| a.kind() == action.kind() && a.target == action.target;
            if case.attempts().any(|(receipt, _)| same(&receipt.action)) {
                continue;
            }
            let id = ProposalId::new(format!("{}-capacity-{}", case.id(), case.attempts().count() + 1));
            let by = Principal::new(PLANNER);
            let proposal = Proposal::new(id, case.id().clone(), action, by, cause.confidence.clone(), reason);
            return Ok(vec![proposal.with_evidence(cause.citations.clone())]);
        }
        Ok(Vec::new())
    }
}
