//! Where every incident stands, as the journal tells it (ACT-10): what a pipeline knows after a restart in mid-incident.
//!
//! The journal holds what was done, not what was seen; telemetry is read again. So after a restart
//! [`Pipeline::recover`](aiops_core::pipeline::Pipeline::recover) first settles what is in doubt, and [`incidents`] says what is left to do for each incident:
//! an action whose effect nobody verified, one that did not help and was not undone, or nothing.

use std::collections::BTreeMap;

use aiops_core::action::{
    ActionOutcome, ActionTrace, History, IdempotencyKey, IncidentId, Purpose, RollbackPlan,
};
use aiops_core::model::Recovery;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is left to do for an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum NextStep {
    /// Nobody knows what became of this action: ask the mitigator. Nothing else is done on its target before.
    Settle(IdempotencyKey),
    /// This action was carried out and nobody looked whether it helped: verify it.
    Verify(IdempotencyKey),
    /// This action did not help, has a way back, and was not undone: undo it, or diagnose anew.
    Undo(IdempotencyKey),
    /// This action failed, or its effect could not be seen: a person looks at it.
    Escalate(IdempotencyKey),
    /// The last remedy did not help and nothing is left to undo: diagnose anew, if symptoms go on.
    Diagnose,
    /// Telemetry recovered after the last remedy, and nothing that was done before it waits for a verification.
    Closed,
}

/// An incident as the journal tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IncidentState {
    /// The incident.
    pub id: IncidentId,
    /// When its first action was intended.
    pub first_at: Timestamp,
    /// When its last one was.
    pub last_at: Timestamp,
    /// Actions intended to remedy it, those that were never begun left out.
    pub remedies: usize,
    /// Actions intended to undo one, those that were never begun left out.
    pub undoings: usize,
    /// Actions nobody knows the end of.
    pub in_doubt: Vec<IdempotencyKey>,
    /// What is to be done next.
    pub next: NextStep,
}

impl IncidentState {
    fn of(id: &IncidentId, history: &History) -> Option<Self> {
        let actions: Vec<&ActionTrace> = history.for_incident(id).collect();
        let (first, last) = (actions.first()?, actions.last()?);
        let begun = |remedy: bool| actions.iter().filter(|a| a.counts() && a.is_remedy() == remedy).count();
        let in_doubt = actions.iter().filter(|a| a.in_doubt()).map(|a| a.intent.key.clone()).collect();
        Some(Self {
            id: id.clone(),
            first_at: first.intent.at,
            last_at: last.intent.at,
            remedies: begun(true),
            undoings: begun(false),
            in_doubt,
            next: next_step(&actions),
        })
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.next == NextStep::Closed
    }
}

/// The most urgent step: doubt before everything, then what nobody verified, then the last action that was begun.
fn next_step(actions: &[&ActionTrace]) -> NextStep {
    if let Some(open) = actions.iter().find(|a| a.in_doubt()) {
        return NextStep::Settle(open.intent.key.clone());
    }
    // Whoever came after may have helped; that says nothing of what was left before it.
    let unseen = |a: &&&ActionTrace| {
        a.is_remedy() && a.outcome == Some(ActionOutcome::Completed) && a.recovery.is_none()
    };
    if let Some(unverified) = actions.iter().find(|a| unseen(a) && !was_undone(a, actions)) {
        return NextStep::Verify(unverified.intent.key.clone());
    }
    let Some(last) = actions.iter().rev().find(|a| a.counts()) else { return NextStep::Diagnose };
    match (&last.outcome, last.recovery) {
        (Some(ActionOutcome::Failed { .. }), _) | (_, Some(Recovery::Inconclusive)) => {
            NextStep::Escalate(last.intent.key.clone())
        }
        (_, Some(Recovery::Recovered)) if last.is_remedy() => NextStep::Closed,
        // What was undone is as it was before: look again, once nothing that was of no use is left.
        _ => {
            let useless = |a: &&&ActionTrace| a.is_remedy() && a.recovery == Some(Recovery::NotRecovered);
            let left = actions.iter().rev().find(|a| useless(a) && can_be_undone(a, actions));
            left.map_or(NextStep::Diagnose, |a| NextStep::Undo(a.intent.key.clone()))
        }
    }
}

fn was_undone(action: &ActionTrace, actions: &[&ActionTrace]) -> bool {
    let undoes = Purpose::Revert { of: action.intent.key.clone() };
    actions.iter().any(|a| a.counts() && a.intent.proposal.purpose == undoes)
}

fn can_be_undone(action: &ActionTrace, actions: &[&ActionTrace]) -> bool {
    matches!(action.intent.proposal.action.rollback, RollbackPlan::Operation(_))
        && action.counts()
        && !was_undone(action, actions)
}

/// Every incident that `history` speaks of, in the order of their first actions.
///
/// Takes time in proportion to the history.
#[must_use]
pub fn incidents(history: &History) -> Vec<IncidentState> {
    let mut order: BTreeMap<&IncidentId, usize> = BTreeMap::new();
    for (at, action) in history.actions().enumerate() {
        order.entry(&action.intent.proposal.incident).or_insert(at);
    }
    let mut order: Vec<(usize, &IncidentId)> = order.into_iter().map(|(id, at)| (at, id)).collect();
    order.sort_unstable();
    order.into_iter().filter_map(|(_, id)| IncidentState::of(id, history)).collect()
}
