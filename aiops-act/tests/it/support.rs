//! A small world in which histories come about by really authorising and recording actions.

use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::{
    Action, ActionOutcome, BlastRadius, History, IdempotencyKey, IncidentId, JournalEntry, Mode, Operation,
    Preview, Principal, Proposal, ProposalId, RollbackPlan, Share, TargetState, Verdict,
};
use aiops_core::fake::{FixedGuard, InMemoryJournal, InMemoryMitigator, ScriptedApprover, SimulatedWorkload};
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::model::{Confidence, EntityId, Recovery};
use aiops_core::seam::{Guardrail, Journal, Mitigator, Review};
use aiops_core::{Context, ManualClock};
use futures_lite::future::block_on;
use jiff::Timestamp;

pub(crate) fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `n` seconds after (or before) the start.
pub(crate) fn at(n: i64) -> Timestamp {
    Timestamp::from_second(start().as_second() + n).unwrap()
}

pub(crate) fn orders() -> EntityId {
    EntityId::service("orders")
}

pub(crate) fn radius(replicas: u32, share: f64) -> BlastRadius {
    BlastRadius { replicas, share_of_fleet: Share::new(share).unwrap() }
}

pub(crate) fn action(operation: Operation, target: EntityId) -> Action {
    Action::new(operation, target, radius(1, 0.1))
}

pub(crate) fn restart() -> Operation {
    Operation::RollingRestart { max_unavailable: 1, max_surge: 0 }
}

pub(crate) fn back_to(to: &str) -> Operation {
    Operation::Rollback { to: to.to_owned() }
}

/// A restart of `target`, which needs no way back.
pub(crate) fn restart_of(target: EntityId) -> Action {
    let reason = "the same revision starts anew".to_owned();
    action(restart(), target).with_rollback(RollbackPlan::NotNeeded { reason })
}

/// A roll-back of `target` to r1, with the way forward to r2.
pub(crate) fn rollback_of(target: EntityId) -> Action {
    action(back_to("r1"), target).with_rollback(RollbackPlan::Operation(Box::new(back_to("r2"))))
}

pub(crate) fn sure(probability: f64) -> Confidence {
    Confidence::calibrated(probability, "test").unwrap()
}

pub(crate) fn propose(id: &str, incident: &str, action: Action) -> Proposal {
    let (id, incident) = (ProposalId::new(id), IncidentId::new(incident));
    Proposal::new(id, incident, action, Principal::new("planner"), sure(0.95), "it leaks")
}

/// The undoing of `done`, as the pipeline proposes it.
pub(crate) fn undoing(done: &Proposal) -> Proposal {
    let RollbackPlan::Operation(back) = &done.action.rollback else { panic!("no way back") };
    let id = format!("{}-revert", done.id);
    propose(&id, done.incident.as_str(), action((**back).clone(), done.action.target.clone()))
        .reverting(done.idempotency_key().unwrap())
}

/// Claims to undo something that never happened.
pub(crate) fn forged_undoing(id: &str, incident: &str, action: Action) -> Proposal {
    propose(id, incident, action).reverting(IdempotencyKey::new("nothing"))
}

pub(crate) fn refused(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Deny { .. })
}

pub(crate) fn asks(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::NeedsApproval { .. })
}

pub(crate) fn allowed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Allow { .. })
}

/// A target of which everything is known.
pub(crate) fn preview(replicas: u32, fleet: u32) -> Preview {
    let mut target = TargetState::existing();
    (target.replicas, target.ready, target.fleet) = (Some(replicas), Some(replicas), Some(fleet));
    Preview::new(target, "a preview")
}

/// What `guard` says on `proposal` for a target as in `preview`, with no history.
pub(crate) fn judge(guard: &dyn Guardrail, proposal: &Proposal, preview: &Preview) -> Verdict {
    let (history, ctx) = (History::new(), Context::new(Arc::new(ManualClock::at(start()))));
    let review = Review {
        proposal,
        preview,
        history: &history,
        mode: Mode::Auto,
        now: start(),
        revert_window: Duration::from_secs(1800),
    };
    block_on(guard.check(&review, &ctx)).unwrap()
}

/// A journal that fills up by real decisions.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) ctx: Context,
    pub(crate) journal: InMemoryJournal,
    pub(crate) mitigator: InMemoryMitigator,
    seeder: GuardChain,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::at(start());
        let journal = InMemoryJournal::new();
        let mut mitigator = InMemoryMitigator::new();
        for name in ["gateway", "orders", "inventory", "store"] {
            mitigator = mitigator.with(EntityId::service(name), SimulatedWorkload::new(4, "r2"));
        }
        let seeder = GuardChain::builder(journal.clone())
            .guard(FixedGuard::new("seed", Verdict::allow("to fill the journal")))
            .approver(ScriptedApprover::of(Principal::new("ada"), [true]))
            .config(ChainConfig::in_mode(Mode::Auto))
            .build()
            .unwrap();
        let ctx = Context::new(Arc::new(clock.clone()));
        Self { clock, ctx, journal, mitigator, seeder }
    }

    /// Moves the clock to `n` seconds after the start, forward or back.
    pub(crate) fn go_to(&self, n: i64) {
        self.clock.set(at(n));
    }

    pub(crate) fn history(&self) -> Arc<History> {
        block_on(self.journal.history(&self.ctx)).unwrap()
    }

    /// Records the intent of `proposal` and leaves it in doubt.
    pub(crate) fn intend(&self, proposal: &Proposal) -> IdempotencyKey {
        let right =
            block_on(self.seeder.authorize(proposal.clone(), &self.mitigator, &self.ctx)).expect("seeded");
        let key = right.key().clone();
        drop(block_on(right.record(&self.ctx)).expect("recorded"));
        key
    }

    pub(crate) fn settle(&self, key: &IdempotencyKey, outcome: ActionOutcome) {
        let entry = JournalEntry::Outcome { key: key.clone(), outcome, at: self.clock_now() };
        block_on(self.journal.append(&entry, None, &self.ctx)).unwrap();
    }

    pub(crate) fn verify(&self, key: &IdempotencyKey, recovery: Recovery) {
        let entry = JournalEntry::Verified { key: key.clone(), recovery, at: self.clock_now() };
        block_on(self.journal.append(&entry, None, &self.ctx)).unwrap();
    }

    /// An action that was carried out, with what the verifier said.
    pub(crate) fn done(&self, proposal: &Proposal, recovery: Option<Recovery>) -> IdempotencyKey {
        let key = self.intend(proposal);
        self.settle(&key, ActionOutcome::Completed);
        if let Some(recovery) = recovery {
            self.verify(&key, recovery);
        }
        key
    }

    pub(crate) fn not_started(&self, proposal: &Proposal) {
        let key = self.intend(proposal);
        self.settle(&key, ActionOutcome::NotStarted { reason: "no".into() });
    }

    pub(crate) fn failed(&self, proposal: &Proposal) {
        let key = self.intend(proposal);
        self.settle(&key, ActionOutcome::Failed { reason: "broke".into() });
    }

    /// What `guard` says on `proposal` now.
    pub(crate) fn judge(&self, guard: &dyn Guardrail, proposal: &Proposal) -> Verdict {
        let history = self.history();
        let preview = block_on(self.mitigator.preview(&proposal.action, &self.ctx)).unwrap();
        let now = self.clock_now();
        let review = Review {
            proposal,
            preview: &preview,
            history: &history,
            mode: Mode::Auto,
            now,
            revert_window: Duration::from_secs(1800),
        };
        block_on(guard.check(&review, &self.ctx)).unwrap()
    }

    fn clock_now(&self) -> Timestamp {
        self.ctx.now()
    }
}
