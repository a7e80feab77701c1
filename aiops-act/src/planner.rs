//! From a diagnosed case to typed proposals. // ACT-01, VER-02

use std::time::Duration;

use aiops_core::action::{
    Action, ActionKind, ActionOutcome, BlastRadius, Operation, Precondition, Principal, Proposal, ProposalId,
    RollbackPlan, Share,
};
use aiops_core::model::{
    Change, DiagnosisStatus, EntityId, EntityKind, FaultType, Hypothesis, Standing, mechanism, time::elapsed,
};
use aiops_core::seam::Planner;
use aiops_core::{Case, CasePart, Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::config::require;

/// Settings of [`RemedyPlanner`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlannerConfig {
    /// Most proposals for one diagnosis; default 3, 1..=10.
    pub proposals: usize,
    /// Metric that tells how many copies of a service are wanted, not empty. Without it nothing is scaled.
    pub desired_replicas: Option<String>,
    /// How old its last sample may be at the end of the window; default 2 min. On an older one nothing is scaled: meanwhile
    /// somebody may have added more copies than the plan would.
    #[serde(with = "aiops_core::model::duration")]
    pub desired_age: Duration,
    /// Share that a throttled offender keeps, more than 0 and less than 1; default 0.25.
    pub throttle_to: f64,
    /// Copies that may be missing during a rolling restart; default 1, at least 1.
    pub max_unavailable: u32,
    /// Shortest time between two actions of one kind on one target; default 5 min.
    #[serde(with = "aiops_core::model::duration")]
    pub cooldown: Duration,
    /// As whom it proposes.
    pub principal: Principal,
}

impl Default for PlannerConfig {
    fn default() -> Self {
        Self {
            proposals: 3,
            desired_replicas: None,
            desired_age: Duration::from_secs(120),
            throttle_to: 0.25,
            max_unavailable: 1,
            cooldown: Duration::from_secs(300),
            principal: Principal::new("remedy-planner"),
        }
    }
}

/// Proposes what the field does about a cause, and nothing where it does nothing.
///
/// | cause | remedy | way back |
/// |---|---|---|
/// | a change with an earlier revision | roll back to it | forward again |
/// | memory, connection pool, lock, slow work, any other resource that ran out | rolling restart | not needed: the same revision starts anew |
/// | crash loop | purge the cache the process starts from, else restart | not needed: a cache fills again |
/// | tenant load | throttle the tenant | its revision before |
/// | load | one copy more | one copy less |
/// | anything else | nothing: a person decides | |
///
/// Order: as the hypotheses are ordered, and for one hypothesis as in the table. Only findings are acted on, and a kind of
/// action that was tried on a target in this case is not proposed for it again. What the pipeline did to undo an attempt is no
/// attempt. A database is restarted or rolled back only while its replication is healthy.
#[derive(Debug, Clone, Default)]
pub struct RemedyPlanner {
    config: PlannerConfig,
}

impl RemedyPlanner {
    /// A planner as `config` says.
    ///
    /// # Errors
    /// When a field is out of range.
    pub fn new(config: PlannerConfig) -> Result<Self> {
        require((1..=10).contains(&config.proposals), "proposals", config.proposals, "1..=10")?;
        let throttles = config.throttle_to > 0.0 && config.throttle_to < 1.0;
        require(throttles, "throttle_to", config.throttle_to, "more than 0, less than 1")?;
        require(config.max_unavailable >= 1, "max_unavailable", config.max_unavailable, "1 or more")?;
        let named = config.desired_replicas.as_ref().is_none_or(|name| !name.is_empty());
        require(named, "desired_replicas", "\"\"", "the name of a metric")?;
        Ok(Self { config })
    }

    /// Remedies for one cause, best first.
    fn remedies(&self, case: &Case, cause: &Hypothesis) -> Result<Vec<Action>> {
        let target = &cause.system;
        let change = cause.change.as_ref().and_then(|id| case.change(id)).map(|cited| &cited.change);
        let mut remedies = Vec::new();
        if let Some(change) = change {
            remedies.extend(self.undo(case, change)?);
        }
        match cause.mechanism.as_deref() {
            Some(mechanism::CRASH_LOOP) => {
                let reason = "a cache fills again".to_owned();
                let purge = self.action(case, Operation::CachePurge, target)?;
                remedies.push(purge.with_rollback(RollbackPlan::NotNeeded { reason }));
                remedies.push(self.restart(case, target)?);
            }
            Some(mechanism::TENANT_LOAD) => {
                let throttle = Operation::Throttle { to: Share::new(self.config.throttle_to)? };
                let back = current_revision(case, target).map_or(RollbackPlan::Impossible, |to| {
                    RollbackPlan::Operation(Box::new(Operation::Rollback { to }))
                });
                remedies.push(self.action(case, throttle, target)?.with_rollback(back));
            }
            Some(
                mechanism::MEMORY
                | mechanism::CONNECTION_POOL
                | mechanism::LOCK
                | mechanism::SLOW_WORK
                | mechanism::FAILING_RESPONSES,
            ) => {
                remedies.push(self.restart(case, target)?);
            }
            _ if cause.fault == FaultType::Load => remedies.extend(self.one_more(case, target)?),
            _ if cause.fault == FaultType::ResourceExhaustion => remedies.push(self.restart(case, target)?),
            _ => {}
        }
        Ok(remedies)
    }

    fn undo(&self, case: &Case, change: &Change) -> Result<Option<Action>> {
        let Some(revision) = &change.revision else { return Ok(None) };
        // A change that ended where it began, as a restart does, has nothing to go back to.
        let Some(to) = revision.from.clone().filter(|from| *from != revision.to) else { return Ok(None) };
        let forward = Operation::Rollback { to: revision.to.clone() };
        let undo = self.action(case, Operation::Rollback { to }, &change.entity)?;
        // Somebody may have rolled out again meanwhile: then this change is no longer what runs.
        let still_runs = Precondition::Revision(revision.to.clone());
        Ok(Some(undo.with_rollback(RollbackPlan::Operation(Box::new(forward))).with_precondition(still_runs)))
    }

    fn restart(&self, case: &Case, target: &EntityId) -> Result<Action> {
        let restart =
            Operation::RollingRestart { max_unavailable: self.config.max_unavailable, max_surge: 0 };
        let reason = "the same revision starts anew".to_owned();
        Ok(self.action(case, restart, target)?.with_rollback(RollbackPlan::NotNeeded { reason }))
    }

    fn one_more(&self, case: &Case, target: &EntityId) -> Result<Option<Action>> {
        let Some(now) = self.desired(case, target) else { return Ok(None) };
        let back = RollbackPlan::Operation(Box::new(Operation::Scale { replicas: now }));
        let more = Operation::Scale { replicas: now.saturating_add(1) };
        Ok(Some(self.action(case, more, target)?.with_rollback(back)))
    }

    fn action(&self, case: &Case, operation: Operation, target: &EntityId) -> Result<Action> {
        let replicas = match operation.kind() {
            ActionKind::Scale => 1,
            _ => self.desired(case, target).unwrap_or(1),
        };
        let fleet = self.fleet(case).max(replicas).max(1);
        let share_of_fleet = Share::new(f64::from(replicas) / f64::from(fleet))?;
        let radius = BlastRadius { replicas, share_of_fleet };
        let restarts = matches!(operation, Operation::RollingRestart { .. } | Operation::Rollback { .. });
        let action = Action::new(operation, target.clone(), radius).with_cooldown(self.config.cooldown);
        // Replication first, then the database. // ACT-07
        Ok(if restarts && target.kind() == EntityKind::Database {
            action.with_precondition(Precondition::ReplicationHealthy)
        } else {
            action
        })
    }

    /// Copies of `target` wanted at the end of the last window, as far as that is told.
    fn desired(&self, case: &Case, target: &EntityId) -> Option<u32> {
        self.desired_by_entity(case).find(|(entity, _)| *entity == target).map(|(_, n)| n)
    }

    fn fleet(&self, case: &Case) -> u32 {
        self.desired_by_entity(case).fold(0, |sum, (_, n)| sum.saturating_add(n))
    }

    fn desired_by_entity<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = (&'a EntityId, u32)> {
        let series = case.window().into_iter().flat_map(|w| w.metrics.iter().map(|s| (w.range.end(), s)));
        let named = series.filter(|(_, s)| self.config.desired_replicas.as_ref() == Some(&s.key().name));
        named.filter_map(|(end, s)| {
            let (at, last) = s.points().next_back()?;
            if elapsed(at, end) > self.config.desired_age {
                return None;
            }
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be a small count"
            )]
            let copies = ((0.0..=1e6).contains(&last)).then_some(last.round() as u32)?;
            Some((s.entity(), copies))
        })
    }
}

/// What was tried in this case as a remedy.
fn tried(case: &Case) -> Vec<&Action> {
    let planned: Vec<&Proposal> = case
        .entries()
        .iter()
        .filter_map(|e| if let CasePart::Planned(proposals) = &e.part { Some(proposals) } else { None })
        .flatten()
        .collect();
    let mut tried: Vec<&Action> = Vec::new();
    for (receipt, _) in case.attempts() {
        let action = &receipt.action;
        let undoes = tried.iter().any(|earlier| {
            earlier.target == action.target
                && matches!(&earlier.rollback, RollbackPlan::Operation(back) if **back == action.operation)
        });
        // Nobody planned it and it is the way back of an attempt: the pipeline undid that.
        let undoing = undoes && !planned.iter().any(|p| p.action == *action);
        if !undoing && !matches!(receipt.outcome, ActionOutcome::NotStarted { .. }) {
            tried.push(action);
        }
    }
    tried
}

/// The revision that `target` runs according to the last change the case knows.
fn current_revision(case: &Case, target: &EntityId) -> Option<String> {
    let changes = case.changes().iter().map(|c| &c.change).filter(|c| c.entity == *target);
    let last = changes.filter(|c| c.revision.is_some()).max_by_key(|c| c.time)?;
    last.revision.as_ref().map(|r| r.to.clone())
}

#[async_trait]
impl Planner for RemedyPlanner {
    async fn plan(&self, case: &Case, ctx: &Context) -> Result<Vec<Proposal>> {
        ctx.check()?;
        let Some(diagnosis) = case.diagnosis() else { return Ok(Vec::new()) };
        if diagnosis.status != DiagnosisStatus::Diagnosed {
            return Ok(Vec::new());
        }
        let tried = tried(case);
        let round = case.attempts().count() + 1;
        let mut proposals: Vec<Proposal> = Vec::new();
        for cause in diagnosis.hypotheses.iter().filter(|h| h.standing() == Standing::Finding) {
            for action in self.remedies(case, cause)? {
                let again = |t: &&Action| t.kind() == action.kind() && t.target == action.target;
                let repeated = tried.iter().any(again)
                    || proposals
                        .iter()
                        .any(|p| p.action.operation == action.operation && p.action.target == action.target);
                if repeated || proposals.len() >= self.config.proposals {
                    continue;
                }
                let id = ProposalId::new(format!("{}-{}-{}", case.id(), round, proposals.len() + 1));
                let proposal = Proposal::new(
                    id,
                    case.id().clone(),
                    action,
                    self.config.principal.clone(),
                    cause.confidence.clone(),
                    cause.statement.clone(),
                );
                proposals.push(proposal.with_evidence(cause.citations.clone()));
            }
        }
        Ok(proposals)
    }
}
