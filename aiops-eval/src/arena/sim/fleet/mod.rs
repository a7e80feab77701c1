//! GPUs and what works on them: a training job whose ranks run in step, services that answer on GPUs, a queue of small jobs.
//!
//! | module | what |
//! |---|---|
//! | [`draw`] | fleets drawn from a seed |
//! | `gpu` | power, heat, clocks, memory and link errors of one GPU |
//! | `training` | steps that end when the slowest rank arrives, hangs and the watchdog, restarts from a checkpoint |
//! | `queue` | small jobs that wait for GPUs, run, and give way |
//!
//! Once a second GPUs are handed to who is placed on their machine, and heat and errors are stepped; steps of the training job
//! are events of the simulator like any other. Whoever fails or is moved loses its GPUs as a process does.

pub mod draw;
mod gpu;
mod queue;
mod training;

use aiops_core::model::LogSeverity;

use super::spec::{Role, Setting, SystemSpec};
use super::state::{Condition, Place, Trouble};
use super::{Micros, SECOND, Simulator};

pub(crate) use gpu::Gpu;
pub(crate) use queue::Queue;
pub(crate) use training::Training;

/// Slots for GPUs of a machine.
pub const GPU_SLOTS: usize = 8;

/// PCI addresses of the slots, as on a DGX.
const PCI: [&str; GPU_SLOTS] = [
    "0000:1b:00",
    "0000:43:00",
    "0000:52:00",
    "0000:61:00",
    "0000:9d:00",
    "0000:c3:00",
    "0000:d1:00",
    "0000:df:00",
];

/// PCI address of `slot`.
#[must_use]
pub fn pci(slot: usize) -> &'static str {
    PCI.get(slot).copied().unwrap_or("0000:ff:00")
}

/// Who has a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A replica of a service.
    Replica(usize, usize),
    /// A small job, by number.
    Batch(u64),
}

/// Every GPU, and what is simulated for their sake.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    /// Machine by machine, slot by slot.
    pub(crate) gpus: Vec<Gpu>,
    pub(crate) training: Option<Training>,
    pub(crate) queue: Queue,
}

impl Fleet {
    pub(crate) fn new(spec: &SystemSpec) -> Self {
        let nodes = spec.nodes.iter().enumerate();
        let gpus = nodes.flat_map(|(n, node)| {
            (0..node.gpus.min(GPU_SLOTS)).map(move |slot| Gpu::new(n, slot, node.gpu(slot)))
        });
        let training = spec.services.iter().position(|s| s.role == Role::Training);
        Self { gpus: gpus.collect(), training: training.map(Training::new), queue: Queue::default() }
    }

    fn held_by(&self, holder: Holder) -> impl Iterator<Item = &Gpu> {
        self.gpus.iter().filter(move |g| g.holder == Some(holder))
    }
}

/// What was counted of a fleet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FleetTotals {
    /// GPUs.
    pub gpus: usize,
    /// Those that services and the training job hold.
    pub held_by_services: usize,
    /// Those that small jobs hold.
    pub held_by_jobs: usize,
    /// GPUs that the running small jobs were given.
    pub given: usize,
    /// Small jobs that came.
    pub came: u64,
    /// Of those, that wait.
    pub waiting: u64,
    /// That run.
    pub running: u64,
    /// That ended.
    pub ended: u64,
    /// Steps that the training job made, lost ones included.
    pub steps: u64,
}

impl Simulator {
    /// What was counted of its GPUs so far.
    #[must_use]
    pub fn fleet_totals(&self) -> FleetTotals {
        let held = |by: fn(&Holder) -> bool| {
            self.fleet.gpus.iter().filter(|g| g.holder.as_ref().is_some_and(by)).count()
        };
        let queue = &self.fleet.queue;
        FleetTotals {
            gpus: self.fleet.gpus.len(),
            held_by_services: held(|h| matches!(h, Holder::Replica(..))),
            held_by_jobs: held(|h| matches!(h, Holder::Batch(_))),
            given: queue.given(),
            came: queue.came,
            waiting: queue.pending() as u64,
            running: queue.running() as u64,
            ended: queue.ended,
            steps: self.fleet.training.as_ref().map_or(0, |t| t.made),
        }
    }

    pub(super) fn fleet_second(&mut self) {
        if self.fleet.gpus.is_empty() {
            return;
        }
        // What follows ends processes, which asks for the whole simulator; nothing of that looks at the fleet.
        let mut fleet = std::mem::take(&mut self.fleet);
        self.hold(&mut fleet);
        self.run_training(&mut fleet);
        self.run_queue(&mut fleet);
        self.run_gpus(&mut fleet);
        self.fleet = fleet;
    }

    /// Gives GPUs to those replicas that are placed on their machine; small jobs give way.
    fn hold(&self, fleet: &mut Fleet) {
        for gpu in &mut fleet.gpus {
            if let Some(Holder::Replica(s, r)) = gpu.holder {
                let copy = self.services.get(s).and_then(|s| s.replicas.get(r));
                if gpu.fallen || copy.is_none_or(|c| c.node != gpu.node) {
                    gpu.holder = None;
                }
            }
        }
        for (s, service) in self.services.iter().enumerate().filter(|(_, s)| s.spec.gpus > 0) {
            for (r, copy) in service.replicas.iter().enumerate() {
                let holder = Holder::Replica(s, r);
                let lacks = service.spec.gpus.saturating_sub(fleet.held_by(holder).count());
                let here = |g: &Gpu| g.node == copy.node && !g.fallen;
                let is_batch = |g: &Gpu| matches!(g.holder, Some(Holder::Batch(_)));
                let open = fleet.gpus.iter().filter(|g| here(g) && (g.holder.is_none() || is_batch(g)));
                if lacks == 0 || open.count() < lacks {
                    continue;
                }
                let free = fleet.gpus.iter().filter(|g| here(g) && g.holder.is_none()).count();
                if free < lacks {
                    let batch = |g: &Gpu| match g.holder {
                        Some(Holder::Batch(id)) if here(g) => Some(id),
                        _ => None,
                    };
                    let preempted: Vec<u64> = fleet.gpus.iter().filter_map(batch).collect();
                    for gpu in fleet.gpus.iter_mut().filter(|g| batch(g).is_some()) {
                        gpu.holder = None;
                    }
                    fleet.queue.preempt(&preempted, self.now);
                }
                for gpu in fleet.gpus.iter_mut().filter(|g| here(g) && g.holder.is_none()).take(lacks) {
                    gpu.holder = Some(holder);
                }
            }
        }
    }

    /// GPUs of a machine, well or not.
    pub(super) fn gpus_of(&self, node: usize) -> usize {
        self.nodes.get(node).map_or(0, |n| n.spec.gpus)
    }

    /// GPUs of a machine that no service has.
    pub(super) fn gpus_left(&self, node: usize) -> usize {
        let taken: usize = self
            .services
            .iter()
            .map(|s| s.spec.gpus * s.replicas.iter().filter(|r| r.node == node).count())
            .sum();
        let well = self.fleet.gpus.iter().filter(|g| g.node == node && !g.fallen).count();
        well.saturating_sub(taken)
    }

    /// Whether the GPUs of a machine are registered with the fabric, without which no program can begin to use them.
    pub(crate) fn is_registered(&self, node: usize) -> bool {
        let mut managers =
            self.services.iter().enumerate().filter(|(_, s)| s.spec.role == Role::Fabric).flat_map(
                |(s, x)| {
                    x.replicas.iter().enumerate().filter(|(_, c)| c.node == node).map(move |(r, c)| (s, r, c))
                },
            );
        managers.all(|(s, r, copy)| copy.is_ready() && !self.is_unregistered(s, r))
    }

    /// Whether the driver of a machine is loaded; what runs on its GPUs ends when it is not.
    pub(super) fn has_driver(&self, node: usize) -> bool {
        let mut drivers =
            self.services.iter().filter(|s| s.spec.role == Role::Driver).flat_map(|s| &s.replicas);
        drivers.all(|copy| copy.node != node || copy.is_ready())
    }

    /// Whether the network between the GPUs of a machine and others carries nothing.
    pub(crate) fn rail_is_cut(&self, node: usize) -> bool {
        self.conditions.iter().any(|c| c.on == Place::Node(node) && c.does == Trouble::Rail)
    }

    fn is_unregistered(&self, service: usize, replica: usize) -> bool {
        let on = Place::Replica(service, replica);
        self.conditions.iter().any(|c| c.on == on && c.does == Trouble::Unregistered)
    }

    /// Whether a replica that needs GPUs has them and may use them. One that waits on a machine that takes no work is placed
    /// anew.
    pub(super) fn may_start(&mut self, service: usize, replica: usize) -> bool {
        let Some(s) = self.services.get(service) else { return false };
        let (needs, trains) = (s.spec.gpus, s.spec.role == Role::Training);
        if needs == 0 {
            return true;
        }
        let Some(node) = s.replicas.get(replica).map(|r| r.node) else { return false };
        if self.nodes.get(node).is_some_and(|n| n.cordoned) {
            if let Some(to) = self.place(service)
                && let Some(copy) = self.services.get_mut(service).and_then(|s| s.replicas.get_mut(replica))
            {
                copy.node = to;
            }
            return false;
        }
        if self.fleet.held_by(Holder::Replica(service, replica)).count() < needs || !self.has_driver(node) {
            return false;
        }
        if self.is_registered(node) {
            return true;
        }
        let who = if trains { format!("[rank{}]: ", replica * needs) } else { String::new() };
        let body = format!(
            "{who}RuntimeError: Unexpected error from cudaGetDeviceCount(): Error 802: system not yet initialized"
        );
        self.telemetry.say(self.now, service, LogSeverity::Error, body);
        false
    }

    /// What machines write when a condition begins.
    pub(super) fn tell_beginning(&mut self, condition: &Condition) {
        let services = self.services.len();
        let (node, body) = match (condition.on, &condition.does) {
            (Place::Replica(s, r), Trouble::Unregistered) => {
                let Some(node) = self.services.get(s).and_then(|s| s.replicas.get(r)).map(|c| c.node) else {
                    return;
                };
                let body = "nvidia-nvswitch2: SXid (PCI:0000:86:00.0): 20034, Fatal, Link 42 LTSSM Fault Up";
                self.telemetry.say(self.now, services + node, LogSeverity::Error, body.to_owned());
                self.telemetry.say(
                    self.now,
                    s,
                    LogSeverity::Error,
                    "fabric manager: failed to reconfigure the partition after an NVSwitch error, exiting"
                        .to_owned(),
                );
                (node, "systemd[1]: nvidia-fabricmanager.service: Failed with result 'exit-code'.")
            }
            (Place::Node(node), Trouble::Rail) => (node, "mlx5_core 0000:18:00.0 ibp24s0: Port: 1 Link DOWN"),
            _ => return,
        };
        self.telemetry.say(self.now, services + node, LogSeverity::Error, body.to_owned());
    }

    /// A GPU is not reachable any more.
    pub(super) fn fall_off(&mut self, node: usize, slot: usize) {
        let entity = self.services.len() + node;
        let Some(gpu) = self.fleet.gpus.iter_mut().find(|g| g.node == node && g.slot == slot) else { return };
        gpu.fallen = true;
        gpu.xid = 79;
        self.telemetry.xid(self.now, entity, slot, 79);
        // A small job on it is lost when the queue looks next.
        if let Some(Holder::Replica(s, r)) = gpu.holder {
            gpu.holder = None;
            self.kill(s, r, false);
        }
    }

    /// One value of the service of `role`; its default without one.
    fn set_by(&self, role: Role, setting: Setting, default: f64) -> f64 {
        let service = self.services.iter().find(|s| s.spec.role == role);
        service.map_or(default, |s| s.settings.get(setting))
    }
}

/// Whether something that happens `an_hour` times an hour happens in this second.
fn strikes(rng: &mut fastrand::Rng, an_hour: f64) -> bool {
    an_hour > 0.0 && rng.f64() < an_hour / 3600.0
}

/// Whole seconds from `from` to `to`, as simulated time.
fn since(from: Micros, to: Micros) -> f64 {
    to.saturating_sub(from) as f64 / SECOND as f64
}
