//! What may run, said once more: from the plant's log of what was done to it, with books of its own and none of the guards' code. Who
//! proposed it, for what and how sure he was the plant cannot know: that is taken from the proposal.

use std::time::Duration;

use aiops_core::action::{IdempotencyKey, Operation, Precondition, Proposal, Purpose, RollbackPlan};
use aiops_core::model::{EntityKind, Recovery};
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::LIFE;
use super::plant::{Consent, Deed};

/// Something that ran.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// What was done, by the plant's log.
    pub(super) deed: Deed,
    pub(super) proposal: Proposal,
    pub(super) consent: Option<Consent>,
    pub(super) minted: Timestamp,
    pub(super) killed: bool,
    pub(super) revoked: bool,
    pub(super) open: bool,
    /// It broke, and so nobody verified it.
    pub(super) failed: bool,
    pub(super) recovery: Option<Recovery>,
}

#[derive(Debug, Default)]
pub(super) struct Books {
    runs: Vec<Run>,
    undos: Vec<bool>,
    /// What is left open, and for how many more plans.
    pub(super) open: Option<(IdempotencyKey, u32)>,
}

const LOW: u8 = 0;
const MEDIUM: u8 = 1;
const HIGH: u8 = 2;

fn risk_of(operation: &Operation) -> u8 {
    match operation {
        Operation::Scale { replicas: 0 } => HIGH,
        Operation::RollingRestart { .. }
        | Operation::Scale { .. }
        | Operation::CachePurge
        | Operation::LogRotation => LOW,
        Operation::Rollback { .. } | Operation::Throttle { .. } | Operation::Concurrency { .. } => MEDIUM,
        _ => HIGH,
    }
}

fn seconds(earlier: Timestamp, later: Timestamp) -> i64 {
    (later.as_second() - earlier.as_second()).max(0)
}

impl Books {
    pub(super) fn settled(&mut self, key: &IdempotencyKey) {
        if let Some(run) = self.runs.iter_mut().find(|r| r.deed.key == *key) {
            run.open = false;
        }
    }

    /// Everything `run` was not allowed to, by the name of the guard that is there for it.
    pub(super) fn judge_and_enter(&mut self, run: Run) -> Vec<&'static str> {
        let undo = self.is_undo(&run);
        let mut objections = Vec::new();
        let mut object = |is: bool, to: &'static str| objections.extend(is.then_some(to));
        let key = run.proposal.idempotency_key();
        let same = run.deed.action == run.proposal.action && key.is_ok_and(|key| key == run.deed.key);
        object(!same, "something else than was proposed");
        object(!listed(&run), "allow-list");
        object(!self.permitted(&run), "policy");
        object(sick(&run), "hard-rules");
        let consented = consented(&run);
        let target_risk = match run.deed.action.target.kind() {
            EntityKind::Database | EntityKind::Network | EntityKind::Volume => HIGH,
            _ => LOW,
        };
        let way_back = match &run.deed.action.rollback {
            RollbackPlan::Operation(operation) => risk_of(operation),
            _ => LOW,
        };
        let risk = risk_of(&run.deed.action.operation).max(way_back).max(target_risk);
        let declared = run.deed.action.raised_risk.map_or(LOW, |r| r as u8);
        let risk = risk.max(declared);
        object(risk == MEDIUM && !undo && !consented, "risk-tiers");
        object(risk == HIGH && !undo && !consented, "built in: high risk");
        object(!run.proposal.confidence.is_calibrated() && !undo && !consented, "built in: calibration");
        object(run.proposal.confidence.probability() < 0.65 && !undo, "confidence-bands");
        object(self.capped(&run, undo), "action-cap");
        object(!undo && self.too_soon(&run), "cooldown");
        object(!undo && self.too_many(&run), "rate-spike");
        object(!undo && self.unhelpful(&run), "circuit-breaker");
        object(too_big(&run, consented), "blast-radius");
        object(!undo && stuck(&run, risk) && !consented, "rollback-required");
        object(self.runs.iter().any(|r| r.open), "one-at-a-time");
        object(self.runs.iter().any(|r| r.deed.key == run.deed.key), "a key ran twice");
        let age = run.deed.at.duration_since(run.minted).as_secs_f64();
        object(age >= LIFE.as_secs_f64() || age < -LIFE.as_secs_f64(), "a right that expired");
        object(run.killed, "killed");
        object(run.revoked, "revoked");
        object(!met(&run), "preconditions");
        self.undos.push(undo);
        self.runs.push(run);
        objections
    }

    /// The undoing of something of ours, as it was named when that was allowed.
    fn is_undo(&self, run: &Run) -> bool {
        let Purpose::Revert { of } = &run.proposal.purpose else { return false };
        let Some(original) = self.runs.iter().find(|r| r.deed.key == *of) else { return false };
        let named = matches!(
            &original.deed.action.rollback,
            RollbackPlan::Operation(way) if **way == run.deed.action.operation
        );
        let again = self.runs.iter().any(|r| {
            matches!(&r.proposal.purpose, Purpose::Revert { of: other } if other == of)
                && r.deed.action.target == original.deed.action.target
        });
        named
            && !again
            && !original.open
            && original.proposal.purpose == Purpose::Remedy
            && original.recovery != Some(Recovery::Recovered)
            && original.deed.action.target == run.deed.action.target
            && original.proposal.incident == run.proposal.incident
            && seconds(original.minted, run.minted) <= 1800
    }

    fn permitted(&self, run: &Run) -> bool {
        let zoned = run.minted.to_zoned(TimeZone::UTC);
        let frozen = zoned.weekday() == Weekday::Friday && zoned.hour() >= 16;
        let target = &run.deed.action.target;
        let payment = target.kind() == EntityKind::Service && target.name().starts_with("shop-pay");
        run.proposal.proposed_by.as_str() == "planner" && touched(run) <= 6 && !frozen && !payment
    }

    fn capped(&self, run: &Run, undo: bool) -> bool {
        let alike = self
            .runs
            .iter()
            .zip(&self.undos)
            .filter(|(r, was)| **was == undo && r.proposal.incident == run.proposal.incident);
        alike.count() >= 8
    }

    fn too_soon(&self, run: &Run) -> bool {
        let action = &run.deed.action;
        self.runs.iter().any(|r| {
            let earlier = &r.deed.action;
            earlier.target == action.target
                && earlier.operation.kind() == action.operation.kind()
                && Duration::from_secs(seconds(r.minted, run.minted).unsigned_abs())
                    < earlier.cooldown.max(action.cooldown)
        })
    }

    fn too_many(&self, run: &Run) -> bool {
        self.runs.iter().filter(|r| seconds(r.minted, run.minted) <= 3600).count() >= 20
    }

    fn unhelpful(&self, run: &Run) -> bool {
        let mut row: Vec<&Run> = Vec::new();
        for (earlier, undo) in self.runs.iter().zip(&self.undos) {
            match earlier.recovery {
                _ if *undo => {}
                Some(Recovery::Recovered) => row.clear(),
                Some(Recovery::NotRecovered) => row.push(earlier),
                None if earlier.failed => row.push(earlier),
                _ => {}
            }
        }
        row.len() >= 3 && row.iter().any(|r| seconds(r.minted, run.minted) < 3600)
    }
}

fn listed(run: &Run) -> bool {
    let action = &run.deed.action;
    let name = action.target.name();
    let shop =
        ["orders", "gateway", "caf\u{e9}", "huge", "murky"].contains(&name) || name.starts_with("shop-");
    match (action.target.kind(), &action.operation) {
        (
            EntityKind::Service,
            Operation::RollingRestart { .. }
            | Operation::Scale { .. }
            | Operation::Rollback { .. }
            | Operation::Throttle { .. },
        ) => shop,
        (EntityKind::Database, Operation::RollingRestart { .. }) => name == "ledger",
        _ => false,
    }
}

/// A database that is taken down without healthy replication.
fn sick(run: &Run) -> bool {
    let action = &run.deed.action;
    let down = matches!(
        action.operation,
        Operation::RollingRestart { .. }
            | Operation::Rollback { .. }
            | Operation::Drain
            | Operation::Stop
            | Operation::Scale { replicas: 0 }
    );
    action.target.kind() == EntityKind::Database && down && run.deed.state.replication_healthy != Some(true)
}

/// Somebody else said yes, in time, to this target as it still was.
fn consented(run: &Run) -> bool {
    run.consent.as_ref().is_some_and(|c| {
        c.granted
            && c.by != run.proposal.proposed_by
            && c.at < c.expires_at
            && c.target == run.deed.action.target
            && c.generation == run.deed.state.generation
    })
}

/// Copies that are touched, as declared or as they are, whichever is more.
fn touched(run: &Run) -> u32 {
    let action = &run.deed.action;
    let real = match (&action.operation, run.deed.state.replicas) {
        (_, None) => 0,
        (Operation::Scale { replicas }, Some(now)) => replicas.max(&now) - replicas.min(&now),
        (_, Some(now)) => now,
    };
    real.max(action.blast_radius.replicas)
}

fn too_big(run: &Run, consented: bool) -> bool {
    let declared = run.deed.action.blast_radius.share_of_fleet.get();
    let real = run.deed.state.fleet.map_or(0.0, |fleet| f64::from(touched(run)) / f64::from(fleet.max(1)));
    let unknown = run.deed.state.replicas.is_none() || run.deed.state.fleet.is_none();
    touched(run) > 10 || real.max(declared) > 0.34 || (unknown && !consented)
}

/// Without a way back.
fn stuck(run: &Run, risk: u8) -> bool {
    match &run.deed.action.rollback {
        RollbackPlan::Operation(way) => **way == run.deed.action.operation,
        RollbackPlan::NotNeeded { reason } => reason.trim().is_empty() || risk > LOW,
        RollbackPlan::Impossible => true,
    }
}

fn met(run: &Run) -> bool {
    run.deed.action.preconditions.iter().all(|p| match p {
        Precondition::Exists => run.deed.state.exists,
        Precondition::ReadyReplicas(n) => run.deed.state.ready.is_some_and(|ready| ready >= *n),
        Precondition::Revision(r) => run.deed.state.revision.as_ref() == Some(r),
        Precondition::ReplicationHealthy => run.deed.state.replication_healthy == Some(true),
        _ => false,
    })
}
