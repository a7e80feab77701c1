//! A workload, a mitigator that runs it, and a proposal to restart it.

use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::*;
use aiops_core::fake::{FixedGuard, InMemoryJournal, InMemoryMitigator, SimulatedWorkload};
use aiops_core::guard::{Authorized, ChainConfig, GuardChain, GuardChainBuilder, Guarded};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{Confidence, EntityId};
use aiops_core::seam::Guardrail;
use aiops_core::{Context, ManualClock};
use futures_lite::future::block_on;

pub(crate) fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn target() -> EntityId {
    EntityId::service("orders")
}

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) ctx: Context,
    pub(crate) journal: InMemoryJournal,
    pub(crate) mitigator: InMemoryMitigator,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::at(start());
        let ctx = Context::new(Arc::new(clock.clone()));
        let mitigator = InMemoryMitigator::new().with(target(), SimulatedWorkload::new(3, "r1"));
        Self { clock, ctx, journal: InMemoryJournal::new(), mitigator }
    }

    /// A chain in auto mode with one guard.
    pub(crate) fn chain(&self, guard: impl Guardrail) -> GuardChainBuilder<Guarded> {
        GuardChain::builder(self.journal.clone()).guard(guard).config(ChainConfig::in_mode(Mode::Auto))
    }

    pub(crate) fn authorize(
        &self,
        chain: &GuardChain,
        proposal: Proposal,
    ) -> Result<Authorized<Action>, String> {
        block_on(chain.authorize(proposal, &self.mitigator, &self.ctx)).map_err(|d| d.reason().to_owned())
    }

    /// Why `chain` denies `proposal`; nothing must be written or run then.
    pub(crate) fn denial(&self, chain: GuardChainBuilder<Guarded>, proposal: Proposal) -> String {
        let reason = self.authorize(&chain.build().unwrap(), proposal).unwrap_err();
        assert!(self.mitigator.executed().is_empty());
        reason
    }
}

pub(crate) fn allow() -> FixedGuard {
    FixedGuard::new("fixed", Verdict::allow("fine"))
}

pub(crate) fn ask() -> FixedGuard {
    FixedGuard::new("fixed", Verdict::needs_approval("a person must see this"))
}

pub(crate) fn action(operation: Operation) -> Action {
    let radius = BlastRadius { replicas: 3, share_of_fleet: Share::new(1.0).unwrap() };
    Action::new(operation, target(), radius)
}

pub(crate) fn restart() -> Operation {
    Operation::RollingRestart { max_unavailable: 1, max_surge: 0 }
}

pub(crate) fn propose(id: &str, action: Action) -> Proposal {
    let (incident, planner) = (IncidentId::new("i1"), Principal::new("planner"));
    let sure = Confidence::calibrated(0.9, "test").unwrap();
    Proposal::new(ProposalId::new(id), incident, action, planner, sure, "it leaks")
}

pub(crate) fn proposal() -> Proposal {
    propose("p1", action(restart()))
}
