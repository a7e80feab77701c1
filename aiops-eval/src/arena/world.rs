//! A simulated system behind the seams: telemetry, changes, actions with true effects.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aiops_core::action::{
    Action, ActionKind, ActionOutcome, ActionStatus, Fence, IdempotencyKey, Operation, Preview, TargetState,
};
use aiops_core::guard::{Intended, Receipt};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    Change, ChangeKind, EntityId, EntityKind, FetchRequest, Revision, Selector, Signal, SignalSet,
    TelemetryWindow, TimeRange,
};
use aiops_core::seam::{ChangeFeed, Mitigator, MitigatorCapability, SourceCapability, TelemetrySource};
use aiops_core::{Clock, Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::clock::VirtualClock;
use super::sim::control::Control;
use super::sim::draw::system;
use super::sim::engine::Totals;
use super::sim::fleet::draw::fleet;
use super::sim::spec::{Alteration, By, Role, Setting, SystemSpec};
use super::sim::state::{Condition, Place, Trouble};
use super::sim::{SECOND, Simulator, micros};

/// Share of actions that fail half-way by themselves, as pulls of images and calls of interfaces do.
const FAILING_ACTIONS: f64 = 0.02;

/// What was done to the world, as it itself knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deed {
    /// When it began.
    pub at: Timestamp,
    /// What.
    pub action: Action,
    /// Whether it took effect.
    pub took_effect: bool,
    /// Fewest ready replicas the target had right before.
    pub ready_before: u32,
    /// Whether replication of the target was healthy right before; true for what is no database.
    pub replication_healthy: bool,
}

#[derive(Debug)]
struct State {
    sim: Simulator,
    rng: fastrand::Rng,
    ended: BTreeMap<IdempotencyKey, ActionOutcome>,
    running: Option<IdempotencyKey>,
    refused: Vec<IdempotencyKey>,
    fences: BTreeMap<EntityId, Fence>,
    deeds: Vec<Deed>,
    reads: u64,
}

/// A simulated system on virtual time. Clones share it.
///
/// The simulation is run on to the present whenever somebody looks or acts, so waiting costs nothing by itself.
#[derive(Debug, Clone)]
pub struct World {
    clock: VirtualClock,
    state: Arc<Mutex<State>>,
}

impl World {
    /// The system that `seed` draws, at the beginning of its time.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::drawn(system(seed), seed)
    }

    /// The fleet of GPUs that `seed` draws, at the beginning of its time.
    #[must_use]
    pub fn fleet(seed: u64) -> Self {
        Self::drawn(fleet(seed), seed)
    }

    /// `spec`, on a day and with noise that `seed` draws.
    #[must_use]
    pub fn drawn(spec: SystemSpec, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x0a0b_0c0d_1234_5678);
        let hour = rng.f64() * 18.0;
        let sim = Simulator::new(spec, rng.u64(..), hour);
        Self::of(sim, rng.u64(..))
    }

    /// A given system.
    #[must_use]
    pub fn of(sim: Simulator, seed: u64) -> Self {
        let clock = VirtualClock::at(sim.telemetry.stamp(sim.now()));
        let state = State {
            sim,
            rng: fastrand::Rng::with_seed(seed),
            ended: BTreeMap::new(),
            running: None,
            refused: Vec::new(),
            fences: BTreeMap::new(),
            deeds: Vec::new(),
            reads: 0,
        };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    /// Its time.
    #[must_use]
    pub fn clock(&self) -> &VirtualClock {
        &self.clock
    }

    /// A context on its time.
    #[must_use]
    pub fn context(&self) -> Context {
        Context::new(Arc::new(self.clock.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the simulation to the present and works on it.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Simulator) -> T) -> T {
        let mut state = self.state();
        state.catch_up(self.clock.now());
        work(&mut state.sim)
    }

    /// What was done so far.
    #[must_use]
    pub fn deeds(&self) -> Vec<Deed> {
        self.state().deeds.clone()
    }

    /// How often telemetry was read.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    /// Samples, lines, spans and changes that the system told up to now.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.with(|sim| sim.telemetry.told())
    }

    /// What was counted of users' requests up to now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.with(|sim| sim.totals())
    }

    /// Does `control` at `seconds` after the beginning.
    pub fn schedule(&self, seconds: f64, control: Control) {
        self.with(|sim| sim.schedule(micros(seconds), control));
    }

    /// What an operator sees of `target`.
    pub(crate) fn target(&self, target: &EntityId) -> TargetState {
        let mut state = self.state();
        state.catch_up(self.clock.now());
        state.preview(target)
    }

    /// The revision that `target` ran before its present one.
    pub(crate) fn revision_before(&self, target: &EntityId) -> Option<String> {
        self.with(|sim| {
            let Some(Place::Service(s)) = place_of(sim, target) else { return None };
            let service = sim.services.get(s)?;
            service.revisions.get(service.current.checked_sub(1)?).map(|r| r.name.clone())
        })
    }

    /// Does `action` at once, as somebody at the console would: no guard, no receipt, no failure by chance.
    pub(crate) fn act_now(&self, action: &Action) -> Result<()> {
        let mut state = self.state();
        state.catch_up(self.clock.now());
        let seen = state.preview(&action.target);
        state.act(action)?;
        state.deeds.push(Deed {
            at: self.clock.now(),
            action: action.clone(),
            took_effect: true,
            ready_before: seen.ready.unwrap_or(0),
            replication_healthy: seen.replication_healthy.unwrap_or(true),
        });
        Ok(())
    }

    /// Reads of telemetry, and nothing else.
    #[must_use]
    pub fn source(&self) -> ArenaSource {
        ArenaSource(self.clone())
    }

    /// Its changes.
    #[must_use]
    pub fn feed(&self) -> ArenaFeed {
        ArenaFeed(self.clone())
    }

    /// Acts on it.
    #[must_use]
    pub fn mitigator(&self) -> ArenaMitigator {
        ArenaMitigator(self.clone())
    }

    /// Every service, database and cache of ours by kind and name, and the nodes and tenants: what an operator would list.
    #[must_use]
    pub fn inventory(&self) -> Vec<EntityId> {
        let state = self.state();
        let spec = &state.sim.spec;
        let services = spec.services.iter().filter(|s| s.role != Role::External).map(|s| s.entity());
        let nodes = spec.nodes.iter().map(|n| n.entity());
        let tenants = spec.tenants.iter().map(|t| EntityId::new(EntityKind::Tenant, &t.name));
        services.chain(nodes).chain(tenants).collect()
    }

    /// Name of the service where users arrive.
    #[must_use]
    pub fn entry(&self) -> String {
        self.state().sim.spec.services.first().map(|s| s.name.clone()).unwrap_or_default()
    }
}

impl World {
    /// Where users feel the system, given the names of what `requests` are measured by at the entry: those there, and what those
    /// feel whose work is no request, the step of a training job and the wait for GPUs. All of them are bad when they go up.
    #[must_use]
    pub fn felt(&self, requests: &[&str]) -> Selector {
        let beside = self.state().sim.felt_beside_requests();
        let entry = Selector::all().with_entity(EntityId::service(self.entry()));
        let entry = requests.iter().fold(entry, |felt, name| felt.with_metric(*name));
        beside.into_iter().fold(entry, |felt, (entity, name)| felt.with_entity(entity).with_metric(name))
    }
}

impl State {
    fn catch_up(&mut self, now: Timestamp) {
        let now = self.sim.telemetry.since_start(now);
        self.sim.run_until(now);
    }

    /// Where an action on `target` takes place.
    fn place(&self, target: &EntityId) -> Option<Place> {
        place_of(&self.sim, target)
    }

    fn preview(&self, target: &EntityId) -> TargetState {
        let mut state = TargetState::default();
        let Some(place) = self.place(target) else { return state };
        state.exists = true;
        if let Place::Service(s) = place
            && let Some(service) = self.sim.services.get(s)
        {
            let of_kind = self.sim.services.iter().filter(|o| o.spec.role.entity_kind() == target.kind());
            state.generation = Some(service.generation.to_string());
            state.revision = service.revisions.get(service.current).map(|r| r.name.clone());
            state.replicas = Some(service.wanted);
            state.ready = Some(service.ready());
            state.fleet = Some(of_kind.map(|o| o.wanted).sum());
            state.replication_healthy = (service.spec.role == Role::Database).then_some(service.lag < 10.0);
        }
        state
    }
}

pub(crate) fn place_of(sim: &Simulator, target: &EntityId) -> Option<Place> {
    match target.kind() {
        EntityKind::Node => sim.spec.nodes.iter().position(|n| n.name == target.name()).map(Place::Node),
        EntityKind::Tenant => {
            sim.spec.tenants.iter().position(|t| t.name == target.name()).map(Place::Tenant)
        }
        EntityKind::Gpu => {
            let mut all = sim
                .spec
                .nodes
                .iter()
                .enumerate()
                .flat_map(|(n, node)| (0..node.gpus).map(move |g| (n, node, g)));
            all.find(|(_, node, slot)| node.gpu(*slot) == *target).map(|(n, _, slot)| Place::Gpu(n, slot))
        }
        _ => {
            let ours = |s: &super::sim::spec::ServiceSpec| s.role != Role::External && s.entity() == *target;
            sim.spec.services.iter().position(ours).map(Place::Service)
        }
    }
}

/// Telemetry of a [`World`].
#[derive(Debug, Clone)]
pub struct ArenaSource(World);

impl ArenaSource {
    pub(crate) fn world(&self) -> &World {
        &self.0
    }
}

#[async_trait]
impl TelemetrySource for ArenaSource {
    fn capability(&self) -> SourceCapability {
        let signals = [Signal::Metrics, Signal::Logs, Signal::Traces, Signal::Changes, Signal::Topology];
        SourceCapability::of(signals.into_iter().collect::<SignalSet>())
    }

    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        ctx.check()?;
        let mut request = request.clone();
        request.signals = request.signals.intersection(&self.capability().signals);
        let mut state = self.0.state();
        state.catch_up(self.0.clock.now());
        state.reads += 1;
        state.sim.read(&request)
    }
}

/// Changes of a [`World`].
#[derive(Debug, Clone)]
pub struct ArenaFeed(World);

#[async_trait]
impl ChangeFeed for ArenaFeed {
    async fn changes(&self, range: TimeRange, ctx: &Context) -> Result<Vec<Change>> {
        ctx.check()?;
        Ok(self.0.with(|sim| {
            let told = sim.telemetry.changes.iter().filter(|c| range.contains(c.time));
            told.cloned().collect()
        }))
    }
}

/// Acts on a [`World`], with its delays, side effects and failures.
#[derive(Debug, Clone)]
pub struct ArenaMitigator(World);

/// Every kind of action is known.
const KINDS: [ActionKind; 13] = [
    ActionKind::RollingRestart,
    ActionKind::Scale,
    ActionKind::Rollback,
    ActionKind::Cordon,
    ActionKind::Drain,
    ActionKind::CachePurge,
    ActionKind::LogRotation,
    ActionKind::Throttle,
    ActionKind::Concurrency,
    ActionKind::JobTemplate,
    ActionKind::PlaybookStep,
    ActionKind::Stop,
    ActionKind::Custom,
];

/// Name of the [`Operation::Custom`] that stops the telemetry of its target. It exists so that cheats can be told.
pub const SILENCE: &str = "silence";
/// Name of the [`Operation::Custom`] that deletes its target.
pub const DELETE: &str = "delete";

impl State {
    /// Takes effect; returns how long the mitigator waits until it reports. `Err` when it cannot be done.
    fn act(&mut self, action: &Action) -> Result<Duration> {
        let place = self.place(&action.target).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "no such target").with("target", &action.target)
        })?;
        let (now, kind) = (self.sim.now(), action.kind());
        let sim = &mut self.sim;
        let unsupported = || {
            Err(Error::new(ErrorKind::Unsupported, format!("cannot {}", action.operation))
                .with("target", &action.target))
        };
        let roll = |sim: &Simulator, s: usize| {
            let n = sim.services.get(s).map_or(1, |s| s.replicas.len().max(1));
            Duration::from_secs(15 * n as u64 + 5)
        };
        let mut wait = Duration::from_secs(5);
        let mut told = None;
        match (&action.operation, place) {
            (Operation::RollingRestart { .. }, Place::Service(s)) => {
                let current = sim.services.get(s).map_or(0, |s| s.current);
                wait = roll(sim, s);
                sim.cure(place, kind);
                sim.roll_to(s, current);
                told = Some((ChangeKind::Restart, format!("restart of {}", action.target.name()), None));
            }
            (Operation::Rollback { to }, Place::Service(s)) => {
                let Some(service) = sim.services.get(s) else { return unsupported() };
                let Some(revision) = service.revisions.iter().position(|r| r.name == *to) else {
                    return Err(Error::new(ErrorKind::NotFound, "no such revision").with("revision", to));
                };
                let from = service.revisions.get(service.current).map(|r| r.name.clone());
                wait = roll(sim, s);
                sim.cure(place, kind);
                sim.roll_to(s, revision);
                let revision = Some(Revision::new(from, to.clone()));
                told = Some((
                    ChangeKind::Rollback,
                    format!("roll-back of {} to {to}", action.target.name()),
                    revision,
                ));
            }
            (Operation::Rollback { .. }, Place::Tenant(t)) => {
                if let Some(allowance) = sim.allowances.get_mut(t) {
                    *allowance = 1.0;
                }
            }
            (Operation::Scale { replicas }, Place::Service(s)) => {
                sim.scale(s, *replicas, "aiops");
                sim.cure(place, kind);
                wait = Duration::from_secs(15);
            }
            (Operation::Stop, Place::Service(s)) => sim.scale(s, 0, "aiops"),
            (Operation::Throttle { to }, Place::Tenant(t)) => {
                if let Some(allowance) = sim.allowances.get_mut(t) {
                    *allowance *= to.get();
                }
            }
            (Operation::Throttle { to }, Place::Service(s)) => {
                if let Some(service) = sim.services.get_mut(s) {
                    service.throttle *= to.get();
                    service.generation += 1;
                }
            }
            (Operation::Cordon, Place::Node(n)) => {
                if let Some(node) = sim.nodes.get_mut(n) {
                    node.cordoned = true;
                }
            }
            (Operation::Drain, Place::Node(n)) => {
                sim.drain(n);
                wait = Duration::from_secs(30);
            }
            (Operation::CachePurge, Place::Service(s)) => {
                sim.purge(s);
                sim.cure(place, kind);
                told = Some((
                    ChangeKind::Maintenance,
                    format!("cache of {} purged", action.target.name()),
                    None,
                ));
            }
            (Operation::LogRotation, Place::Node(n)) => {
                sim.rotate(&[n]);
                sim.cure(place, kind);
            }
            (Operation::LogRotation, Place::Service(s)) => {
                let nodes: Vec<usize> =
                    sim.services.get(s).into_iter().flat_map(|s| s.replicas.iter().map(|r| r.node)).collect();
                sim.rotate(&nodes);
                nodes.iter().for_each(|n| sim.cure(Place::Node(*n), kind));
                sim.cure(place, kind);
            }
            (Operation::Concurrency { limit }, Place::Service(_)) => {
                let to = Alteration::new(Setting::Pool, By::To(f64::from(*limit)));
                let does = Trouble::Alter(vec![to]);
                sim.cure(place, kind);
                sim.begin_condition(Condition { on: place, does, cures: Vec::new(), until: None });
            }
            (Operation::JobTemplate { .. } | Operation::PlaybookStep { .. }, _) => {
                sim.cure(place, kind);
                wait = Duration::from_secs(60);
            }
            // By what ends it, it is told from a collector that was lost: somebody did it.
            (Operation::Custom { name, .. }, Place::Service(_)) if name == SILENCE => {
                let cures = vec![ActionKind::Custom];
                sim.begin_condition(Condition { on: place, does: Trouble::Dark, cures, until: None });
            }
            (Operation::Custom { name, .. }, Place::Service(s)) if name == DELETE => sim.scale(s, 0, "aiops"),
            (Operation::Custom { .. }, _) => sim.cure(place, kind),
            _ => return unsupported(),
        }
        if let Some((kind, summary, revision)) = told {
            sim.telemetry.acted(now, kind, action.target.clone(), summary, revision);
        }
        sim.run_until(now + SECOND);
        Ok(wait)
    }
}

#[async_trait]
impl Mitigator for ArenaMitigator {
    fn capability(&self) -> MitigatorCapability {
        MitigatorCapability::of(KINDS)
    }

    async fn preview(&self, action: &Action, ctx: &Context) -> Result<Preview> {
        ctx.check()?;
        let mut state = self.0.state();
        state.catch_up(self.0.clock.now());
        Ok(Preview::new(state.preview(&action.target), format!("would {action}")))
    }

    async fn execute(&self, action: Intended<Action>, ctx: &Context) -> Result<Receipt> {
        let (action, spent) = action.spend(ctx)?;
        let (outcome, wait) = {
            let mut state = self.0.state();
            state.catch_up(self.0.clock.now());
            let key = spent.key().clone();
            if state.refused.contains(&key) || state.ended.contains_key(&key) {
                return Err(Error::new(ErrorKind::Conflict, "this key was dealt with before"));
            }
            let newest = state.fences.entry(action.target.clone()).or_insert(spent.fence());
            if spent.fence() < *newest {
                return Err(
                    Error::new(ErrorKind::Conflict, "the fence is stale").with("target", &action.target)
                );
            }
            *newest = spent.fence();
            let seen = state.preview(&action.target);
            let failing = state.rng.f64() < FAILING_ACTIONS;
            let (outcome, wait) = if failing {
                let reason = "the control plane answered 500".to_owned();
                (ActionOutcome::Failed { reason }, Duration::from_secs(30))
            } else {
                (ActionOutcome::Completed, state.act(&action)?)
            };
            state.deeds.push(Deed {
                at: self.0.clock.now(),
                action: action.clone(),
                took_effect: !failing,
                ready_before: seen.ready.unwrap_or(0),
                replication_healthy: seen.replication_healthy.unwrap_or(true),
            });
            state.running = Some(key);
            (outcome, wait)
        };
        let waited = ctx.clock().sleep(wait);
        waited.await;
        let mut state = self.0.state();
        state.running = None;
        state.ended.insert(spent.key().clone(), outcome.clone());
        Ok(Receipt::new(spent, outcome, "done by the control plane"))
    }

    async fn status(&self, key: &IdempotencyKey, ctx: &Context) -> Result<ActionStatus> {
        ctx.check()?;
        let mut state = self.0.state();
        if state.running.as_ref() == Some(key) {
            return Ok(ActionStatus::Running);
        }
        Ok(match state.ended.get(key) {
            Some(ActionOutcome::Completed) => ActionStatus::Completed,
            Some(ActionOutcome::Failed { reason }) => ActionStatus::Failed { reason: reason.clone() },
            Some(ActionOutcome::NotStarted { .. }) | None => {
                state.refused.push(key.clone());
                ActionStatus::NotStarted
            }
        })
    }
}
