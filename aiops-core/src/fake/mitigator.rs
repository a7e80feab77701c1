use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::action::{
    Action, ActionKind, ActionOutcome, ActionStatus, Fence, IdempotencyKey, Operation, Preview, TargetState,
};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::{Intended, Receipt};
use crate::model::EntityId;
use crate::seam::{Mitigator, MitigatorCapability};

/// A workload that an [`InMemoryMitigator`] runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimulatedWorkload {
    /// Copies it runs.
    pub replicas: u32,
    /// Revision it runs.
    pub revision: String,
    /// Restarts so far.
    pub restarts: u32,
    generation: u64,
}

impl SimulatedWorkload {
    /// A workload of `replicas` copies at `revision`.
    pub fn new(replicas: u32, revision: impl Into<String>) -> Self {
        Self { replicas, revision: revision.into(), restarts: 0, generation: 0 }
    }
}

/// What goes wrong with the next execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// The effect takes place, the answer is lost.
    LostReply,
    /// It fails half-way.
    Failure,
    /// The process dies after the right was spent and before the effect: no answer, and no memory of it.
    Crash,
}

/// Restarts, scales, rolls back and stops simulated workloads; runs a key at most once, refuses stale fences, and can be told to
/// lose answers, fail or crash. Clones share the workloads.
#[derive(Debug, Clone, Default)]
pub struct InMemoryMitigator(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    workloads: BTreeMap<EntityId, SimulatedWorkload>,
    ended: BTreeMap<IdempotencyKey, ActionOutcome>,
    crashed: Vec<IdempotencyKey>,
    /// Keys that `status` called not started; they never run.
    refused: Vec<IdempotencyKey>,
    fences: BTreeMap<EntityId, Fence>,
    executed: Vec<(IdempotencyKey, Action)>,
    mishap: Option<Mishap>,
}

impl InMemoryMitigator {
    /// A mitigator without workloads.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more workload.
    #[must_use]
    pub fn with(self, target: EntityId, workload: SimulatedWorkload) -> Self {
        self.state().workloads.insert(target, workload);
        self
    }

    /// Makes the next execution go wrong.
    pub fn set_mishap(&self, mishap: Option<Mishap>) {
        self.state().mishap = mishap;
    }

    /// Changes a workload from outside, as somebody else would.
    pub fn tamper(&self, target: &EntityId, change: impl FnOnce(&mut SimulatedWorkload)) {
        if let Some(w) = self.state().workloads.get_mut(target) {
            change(w);
            w.generation += 1;
        }
    }

    /// The workload `target` as it is.
    #[must_use]
    pub fn workload(&self, target: &EntityId) -> Option<SimulatedWorkload> {
        self.state().workloads.get(target).cloned()
    }

    /// Every effect that took place, in order.
    #[must_use]
    pub fn executed(&self) -> Vec<(IdempotencyKey, Action)> {
        self.state().executed.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const KINDS: [ActionKind; 4] =
    [ActionKind::RollingRestart, ActionKind::Scale, ActionKind::Rollback, ActionKind::Stop];

#[async_trait]
impl Mitigator for InMemoryMitigator {
    fn capability(&self) -> MitigatorCapability {
        MitigatorCapability::of(KINDS)
    }

    async fn preview(&self, action: &Action, ctx: &Context) -> Result<Preview> {
        ctx.check()?;
        let state = self.state();
        let fleet = state.workloads.values().map(|w| w.replicas).sum();
        let target = state.workloads.get(&action.target).map_or_else(TargetState::default, |w| TargetState {
            generation: Some(w.generation.to_string()),
            revision: Some(w.revision.clone()),
            replicas: Some(w.replicas),
            ready: Some(w.replicas),
            fleet: Some(fleet),
            ..TargetState::existing()
        });
        Ok(Preview::new(target, format!("would {action}")))
    }

    async fn execute(&self, action: Intended<Action>, ctx: &Context) -> Result<Receipt> {
        let (action, spent) = action.spend(ctx)?;
        let mut state = self.state();
        let state = &mut *state;
        if state.refused.contains(spent.key()) || state.ended.contains_key(spent.key()) {
            return Err(Error::new(ErrorKind::Conflict, "this key was dealt with before"));
        }
        let newest = state.fences.entry(action.target.clone()).or_insert(spent.fence());
        if spent.fence() < *newest {
            return Err(Error::new(ErrorKind::Conflict, "the fence is stale").with("target", &action.target));
        }
        *newest = spent.fence();
        let mishap = state.mishap.take();
        if mishap == Some(Mishap::Crash) {
            state.crashed.push(spent.key().clone());
            return Err(Error::new(ErrorKind::InDoubt, "the mitigator died"));
        }
        let Some(workload) = state.workloads.get_mut(&action.target) else {
            return Err(Error::new(ErrorKind::NotFound, "no such workload").with("target", &action.target));
        };
        let outcome = match (&action.operation, mishap) {
            (_, Some(Mishap::Failure)) => ActionOutcome::Failed { reason: "it broke half-way".to_owned() },
            (Operation::RollingRestart { .. }, _) => {
                workload.restarts += 1;
                ActionOutcome::Completed
            }
            (Operation::Scale { replicas }, _) => {
                workload.replicas = *replicas;
                ActionOutcome::Completed
            }
            (Operation::Rollback { to }, _) => {
                workload.revision.clone_from(to);
                ActionOutcome::Completed
            }
            (Operation::Stop, _) => {
                workload.replicas = 0;
                ActionOutcome::Completed
            }
            (other, _) => return Err(Error::new(ErrorKind::Unsupported, format!("cannot {other}"))),
        };
        workload.generation += 1;
        state.executed.push((spent.key().clone(), action));
        state.ended.insert(spent.key().clone(), outcome.clone());
        if mishap == Some(Mishap::LostReply) {
            return Err(Error::new(ErrorKind::InDoubt, "the reply was lost").with("key", spent.key()));
        }
        Ok(Receipt::new(spent, outcome, "simulated"))
    }

    async fn status(&self, key: &IdempotencyKey, ctx: &Context) -> Result<ActionStatus> {
        ctx.check()?;
        let mut state = self.state();
        Ok(match state.ended.get(key) {
            Some(ActionOutcome::Completed) => ActionStatus::Completed,
            Some(ActionOutcome::Failed { reason }) => ActionStatus::Failed { reason: reason.clone() },
            _ if state.crashed.contains(key) => ActionStatus::Unknown,
            Some(ActionOutcome::NotStarted { .. }) | None => {
                state.refused.push(key.clone());
                ActionStatus::NotStarted
            }
        })
    }
}
