//! Proposals, and what a guard says of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aiops_act::policy::Targets;
use aiops_cedar::{CedarConfig, CedarGuard};
use aiops_core::action::{
    Action, BlastRadius, History, IncidentId, Mode, Operation, Preview, Principal, Proposal, ProposalId,
    RollbackPlan, Share, TargetState, Verdict,
};
use aiops_core::model::{Confidence, EntityId};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, ManualClock};
use futures_lite::future::block_on;
use jiff::Timestamp;

pub(crate) fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A Monday.
pub(crate) fn noon() -> Timestamp {
    instant("2026-01-19T12:00:00Z")
}

pub(crate) fn context(at: Timestamp) -> Context {
    Context::new(Arc::new(ManualClock::at(at)))
}

pub(crate) fn config(policies: &str) -> CedarConfig {
    CedarConfig { policies: policies.to_owned(), ..CedarConfig::default() }
}

pub(crate) fn guard(policies: &str) -> CedarGuard {
    CedarGuard::new(&config(policies)).unwrap_or_else(|e| panic!("{policies}: {e}"))
}

pub(crate) fn groups(json: &str) -> BTreeMap<String, Targets> {
    serde_json::from_str(json).unwrap()
}

pub(crate) fn restart() -> Operation {
    Operation::RollingRestart { max_unavailable: 1, max_surge: 0 }
}

pub(crate) fn radius(replicas: u32, share: f64) -> BlastRadius {
    BlastRadius { replicas, share_of_fleet: Share::new(share).unwrap() }
}

pub(crate) fn propose(operation: Operation, target: EntityId) -> Proposal {
    let reason = "the same revision starts anew".to_owned();
    let action =
        Action::new(operation, target, radius(1, 0.1)).with_rollback(RollbackPlan::NotNeeded { reason });
    let (id, incident, who) = (ProposalId::new("p"), IncidentId::new("inc"), Principal::new("planner"));
    Proposal::new(id, incident, action, who, Confidence::calibrated(0.95, "test").unwrap(), "it leaks")
}

pub(crate) fn restart_of(name: &str) -> Proposal {
    propose(restart(), EntityId::service(name))
}

/// A target of which everything is known.
pub(crate) fn preview(replicas: u32, fleet: u32) -> Preview {
    let mut target = TargetState::existing();
    (target.replicas, target.ready, target.fleet) = (Some(replicas), Some(replicas), Some(fleet));
    Preview::new(target, "a preview")
}

/// What `guard` says at `now` after `history`.
pub(crate) fn hear(
    guard: &dyn Guardrail,
    proposal: &Proposal,
    preview: &Preview,
    history: &History,
    now: Timestamp,
) -> Verdict {
    let (mode, revert_window) = (Mode::Auto, Duration::from_secs(1800));
    let review = Review { proposal, preview, history, mode, now, revert_window };
    block_on(guard.check(&review, &context(now))).unwrap()
}

/// The same on a Monday at noon, without a history.
pub(crate) fn judge(guard: &dyn Guardrail, proposal: &Proposal, preview: &Preview) -> Verdict {
    hear(guard, proposal, preview, &History::new(), noon())
}

pub(crate) fn said(guard: &dyn Guardrail, proposal: &Proposal) -> Verdict {
    judge(guard, proposal, &preview(1, 100))
}

pub(crate) fn allowed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Allow { .. })
}

pub(crate) fn refused(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Deny { .. })
}
