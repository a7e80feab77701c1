//! Where a fault strikes.

use aiops_core::action::ActionKind;
use aiops_core::model::{ChangeKind, EntityId, EntityKind};

use crate::arena::sim::control::Control;
use crate::arena::sim::micros;
use crate::arena::sim::spec::{Alteration, By, Role, Setting, SystemSpec};
use crate::arena::sim::state::{Condition, Failure, Place, Trouble};

/// A drawn system and the randomness of one episode.
#[derive(Debug)]
pub struct Site<'a> {
    spec: &'a SystemSpec,
    rng: fastrand::Rng,
    /// Seconds from the start of the simulation to the onset.
    onset: f64,
}

impl<'a> Site<'a> {
    /// The system `spec`, in which the fault begins `onset` seconds after the start.
    #[must_use]
    pub fn new(spec: &'a SystemSpec, seed: u64, onset: f64) -> Self {
        Self { spec, rng: fastrand::Rng::with_seed(seed), onset }
    }

    /// The system.
    #[must_use]
    pub fn spec(&self) -> &SystemSpec {
        self.spec
    }

    /// A number from `low` to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.rng.f64()
    }

    fn one_of(&mut self, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.spec.services.len()).filter(|i| fits(*i)).collect();
        self.rng.choice(all)
    }

    fn role(&self, index: usize) -> Option<Role> {
        self.spec.services.get(index).map(|s| s.role)
    }

    /// A stateless service that users' requests reach in good number.
    pub fn worker(&mut self) -> Option<usize> {
        self.worker_but(usize::MAX)
    }

    /// The same, other than `not`.
    pub fn worker_but(&mut self, not: usize) -> Option<usize> {
        let spec = self.spec;
        let often = |i: usize| {
            let calls = spec.services.iter().flat_map(|s| &s.steps).filter(|s| s.to == i && s.critical);
            calls.map(|s| s.share).fold(0.0, f64::max) >= 0.35
        };
        self.one_of(|i| i != not && spec.services.get(i).is_some_and(|s| s.role == Role::Worker) && often(i))
    }

    /// A service of `role`.
    pub fn of(&mut self, role: Role) -> Option<usize> {
        let spec = self.spec;
        self.one_of(|i| spec.services.get(i).is_some_and(|s| s.role == role))
    }

    /// A stateless service and one of those of `role` that it calls.
    pub fn caller_of(&mut self, role: Role) -> Option<(usize, usize)> {
        let spec = self.spec;
        let pairs: Vec<(usize, usize)> = spec
            .services
            .iter()
            .enumerate()
            .filter(|(_, s)| s.role == Role::Worker)
            .flat_map(|(i, s)| {
                s.steps.iter().filter(|t| t.critical && t.cache.is_none()).map(move |t| (i, t.to))
            })
            .filter(|(_, to)| self.role(*to) == Some(role))
            .collect();
        self.rng.choice(pairs)
    }

    /// Machines on which replicas of `service` run at the start.
    #[must_use]
    pub fn nodes_of(&self, service: usize) -> Vec<usize> {
        let mut nodes = self.spec.placement().get(service).cloned().unwrap_or_default();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// A machine on which `service` runs.
    pub fn node_of(&mut self, service: usize) -> Option<usize> {
        let nodes = self.nodes_of(service);
        self.rng.choice(nodes)
    }

    /// The first copy of `service` that runs on `node` at the start.
    #[must_use]
    pub fn copy_on(&self, service: usize, node: usize) -> Option<usize> {
        self.spec.placement().get(service)?.iter().position(|n| *n == node)
    }

    /// A service that answers requests on GPUs.
    pub fn on_gpus(&mut self) -> Option<usize> {
        let spec = self.spec;
        self.one_of(|i| spec.services.get(i).is_some_and(|s| s.gpus > 0 && s.role == Role::Worker))
    }

    /// A GPU that `service` holds at the start: its machine, and its slot there.
    pub fn gpu_of(&mut self, service: usize) -> Option<(usize, usize)> {
        let node = self.node_of(service)?;
        let here = self.spec.placement().get(service)?.iter().filter(|n| **n == node).count();
        let held = here * self.spec.services.get(service)?.gpus;
        (held > 0).then(|| (node, self.rng.usize(..held)))
    }

    /// Who a GPU is in telemetry.
    #[must_use]
    pub fn gpu_entity(&self, node: usize, slot: usize) -> Option<EntityId> {
        self.spec.nodes.get(node).map(|n| n.gpu(slot))
    }

    /// A tenant.
    pub fn tenant(&mut self) -> usize {
        self.rng.usize(..self.spec.tenants.len().max(1))
    }

    /// Who a service is in telemetry.
    #[must_use]
    pub fn entity(&self, service: usize) -> Option<EntityId> {
        self.spec.services.get(service).map(|s| s.entity())
    }

    /// Who a machine is in telemetry.
    #[must_use]
    pub fn node_entity(&self, node: usize) -> Option<EntityId> {
        self.spec.nodes.get(node).map(|n| n.entity())
    }

    /// Who a tenant is in telemetry.
    #[must_use]
    pub fn tenant_entity(&self, tenant: usize) -> Option<EntityId> {
        self.spec.tenants.get(tenant).map(|t| EntityId::new(EntityKind::Tenant, &t.name))
    }

    /// One altered setting.
    #[must_use]
    pub fn alter(&self, setting: Setting, by: By) -> Alteration {
        Alteration::new(setting, by)
    }

    /// A roll-out that the feed of changes tells of.
    #[must_use]
    pub fn roll_out(&self, service: usize, kind: ChangeKind, alters: Vec<Alteration>) -> Control {
        Control::RollOut { service, kind, alters, told: true }
    }

    /// A condition without end that actions of `cures` on its place end.
    #[must_use]
    pub fn begin(&self, on: Place, does: Trouble, cures: &[ActionKind]) -> Control {
        Control::Begin(Condition { on, does, cures: cures.to_vec(), until: None })
    }

    /// A condition that is over `until` seconds after the onset.
    #[must_use]
    pub fn passing(&self, on: Place, does: Trouble, until: f64) -> Control {
        Control::Begin(Condition { on, does, cures: Vec::new(), until: Some(micros(self.onset + until)) })
    }

    /// Altered settings of `service` without a roll-out.
    #[must_use]
    pub fn ail(&self, service: usize, setting: Setting, by: By, cures: &[ActionKind]) -> Control {
        self.begin(Place::Service(service), Trouble::Alter(vec![Alteration::new(setting, by)]), cures)
    }

    /// Calls to `service`, or from `from` to it, fail at once.
    #[must_use]
    pub fn refuse(
        &self,
        from: Option<usize>,
        service: usize,
        failure: Failure,
        cures: &[ActionKind],
    ) -> Control {
        let on = from.map_or(Place::Service(service), |from| Place::Link(from, service));
        self.begin(on, Trouble::Refuse(failure), cures)
    }
}
