//! What a system consists of, as data.

use aiops_core::model::{EntityId, EntityKind};
use serde::{Deserialize, Serialize};

/// What kind of thing a service is; it decides how it is named in telemetry and what it measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Where users arrive.
    Gateway,
    /// Stateless work.
    Worker,
    /// Takes work from a queue; nobody waits for it.
    Consumer,
    /// Started on demand, stopped when idle.
    Function,
    /// A database with replicas.
    Database,
    /// A cache.
    Cache,
    /// Somebody else's: called, never seen from within.
    External,
    /// A job that trains on GPUs: its copies are the ranks of one machine each, and run in step.
    Training,
    /// Gives GPUs to jobs that wait.
    Scheduler,
    /// Registers the GPUs of its machine with the NVSwitch fabric; a copy on every machine with GPUs.
    Fabric,
    /// The driver of the GPUs of its machine; a copy on every machine with GPUs.
    Driver,
    /// Reads the GPUs of its machine for telemetry; a copy on every machine with GPUs.
    Exporter,
}

impl Role {
    /// Kind of the entity in telemetry.
    #[must_use]
    pub fn entity_kind(self) -> EntityKind {
        match self {
            Self::Gateway | Self::Worker | Self::Consumer | Self::Function => EntityKind::Service,
            Self::Database => EntityKind::Database,
            Self::Cache => EntityKind::Cache,
            Self::External => EntityKind::External,
            Self::Training => EntityKind::Job,
            Self::Scheduler | Self::Fabric | Self::Driver | Self::Exporter => EntityKind::Service,
        }
    }

    /// Whether a copy belongs to each machine with GPUs and stays there when work is moved away.
    #[must_use]
    pub fn is_daemon(self) -> bool {
        matches!(self, Self::Fabric | Self::Driver | Self::Exporter)
    }

    /// Whether it takes requests.
    #[must_use]
    pub fn serves(self) -> bool {
        !(self.is_daemon() || matches!(self, Self::Training | Self::Scheduler))
    }

    /// Whether callers hold a pooled connection while they wait.
    #[must_use]
    pub fn is_pooled(self) -> bool {
        matches!(self, Self::Database | Self::Cache)
    }
}

/// A setting of a revision, or a property of what runs. All are numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Setting {
    /// Mean processor time of a request, s.
    Work,
    /// Time a request waits for something that is not simulated, s.
    Wait,
    /// Requests that one replica works on at a time.
    Concurrency,
    /// Requests that wait at most; more are refused.
    Queue,
    /// How long a call is waited for, s.
    Timeout,
    /// How often a failed call is made again.
    Retries,
    /// Connections to each pooled callee.
    Pool,
    /// Share of requests that fail by themselves, 0..=1.
    Failures,
    /// Memory of an idle replica, bytes.
    Memory,
    /// Memory a request leaves behind, bytes.
    Leak,
    /// Memory at which a replica is killed, bytes.
    MemoryLimit,
    /// File descriptors a request leaves behind.
    DescriptorLeak,
    /// Share of replicas' starts that end soon after, 0..=1.
    Crash,
    /// Processor cores that each replica burns beside requests.
    Spin,
    /// How often each call to others is made.
    Repeat,
    /// Share of requests that hold an exclusive lock while they work, 0..=1.
    Locked,
    /// Share of lookups that a cache answers when it is warm, 0..=1.
    HitRatio,
    /// Share of requests refused for lack of a right, 0..=1.
    Unauthorized,
    /// Bytes written to disk by a request.
    Written,
    /// Cold start of a function, s.
    ColdStart,
    /// Processor cores that one replica may use.
    CpuLimit,
    /// Power that a driver lets a GPU draw, W.
    PowerLimit,
    /// How often a driver fails on a GPU that works, times an hour.
    DriverFailures,
    /// Share of the free GPUs that a scheduler may give to jobs, 0..=1.
    Quota,
}

/// The settings of one revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings([f64; Setting::COUNT]);

impl Setting {
    const COUNT: usize = 24;

    fn slot(self) -> usize {
        self as usize
    }
}

impl Default for Settings {
    /// A small healthy service: 8 ms of work, 8 slots, a queue of 64, time-outs of 2 s, one retry.
    fn default() -> Self {
        use Setting as S;
        Self([0.0; Setting::COUNT])
            .with(S::Work, 0.008)
            .with(S::Concurrency, 8.0)
            .with(S::Queue, 64.0)
            .with(S::Timeout, 2.0)
            .with(S::Retries, 1.0)
            .with(S::Pool, 16.0)
            .with(S::Failures, 0.0005)
            .with(S::Memory, 220e6)
            .with(S::MemoryLimit, 512e6)
            .with(S::Repeat, 1.0)
            .with(S::HitRatio, 0.9)
            .with(S::Written, 500.0)
            .with(S::CpuLimit, 2.0)
            .with(S::PowerLimit, 700.0)
            .with(S::Quota, 1.0)
    }
}

impl Settings {
    /// The value of `setting`.
    #[must_use]
    pub fn get(&self, setting: Setting) -> f64 {
        self.0.get(setting.slot()).copied().unwrap_or(0.0)
    }

    /// The same with another value.
    #[must_use]
    pub fn with(mut self, setting: Setting, value: f64) -> Self {
        self.set(setting, value);
        self
    }

    /// Sets a value.
    pub fn set(&mut self, setting: Setting, value: f64) {
        if let Some(slot) = self.0.get_mut(setting.slot()) {
            *slot = value;
        }
    }

    /// Applies one alteration.
    pub fn apply(&mut self, alteration: &Alteration) {
        let now = self.get(alteration.setting);
        self.set(
            alteration.setting,
            match alteration.by {
                By::To(v) => v,
                By::Times(f) => now * f,
                By::Plus(d) => now + d,
            },
        );
    }
}

/// How a value is altered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// To this value.
    To(f64),
    /// By this factor.
    Times(f64),
    /// By this much.
    Plus(f64),
}

/// One setting altered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alteration {
    /// Which.
    pub setting: Setting,
    /// How.
    pub by: By,
}

impl Alteration {
    /// An alteration of `setting`.
    #[must_use]
    pub fn new(setting: Setting, by: By) -> Self {
        Self { setting, by }
    }
}

/// One call that a request makes, after its own work, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Index of the callee.
    pub to: usize,
    /// Share of requests that make it.
    pub share: f64,
    /// Whether the request fails when the call does; otherwise it goes on without.
    pub critical: bool,
    /// Index of a cache that is asked first; on a hit the call is not made.
    pub cache: Option<usize>,
    /// Nobody waits for the answer.
    pub detached: bool,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Its name.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Name of what it does, as spans tell.
    pub operation: String,
    /// Copies.
    pub replicas: u32,
    /// What its first revision sets.
    pub settings: Settings,
    /// What a request calls.
    pub steps: Vec<Step>,
    /// Whether the autoscaler looks after it, and its most copies.
    pub autoscaled: Option<u32>,
    /// GPUs that each copy holds.
    pub gpus: usize,
    /// Whether it emits telemetry of its own.
    pub instrumented: bool,
    /// Whether work is exponential (as in M/M/c) or log-normal (σ = 0.5), as programs are.
    pub exponential: bool,
}

impl ServiceSpec {
    /// A stateless service of two copies that calls nobody.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self {
            name: name.into(),
            role,
            operation: "handle".to_owned(),
            replicas: 2,
            settings: Settings::default(),
            steps: Vec::new(),
            autoscaled: None,
            gpus: 0,
            instrumented: role != Role::External,
            exponential: false,
        }
    }

    /// Who it is in telemetry.
    #[must_use]
    pub fn entity(&self) -> EntityId {
        EntityId::new(self.role.entity_kind(), &self.name)
    }
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Its name.
    pub name: String,
    /// Processor cores.
    pub cores: f64,
    /// Memory, bytes.
    pub memory: f64,
    /// Disk, bytes.
    pub disk: f64,
    /// GPUs, at most [`GPU_SLOTS`](super::fleet::GPU_SLOTS).
    pub gpus: usize,
}

impl NodeSpec {
    /// Who it is in telemetry.
    #[must_use]
    pub fn entity(&self) -> EntityId {
        EntityId::new(EntityKind::Node, &self.name)
    }

    /// Who the GPU in `slot` is, by the machine and its PCI address, as kernels name it.
    #[must_use]
    pub fn gpu(&self, slot: usize) -> EntityId {
        EntityId::new(EntityKind::Gpu, format!("{}/{}", self.name, super::fleet::pci(slot)))
    }
}

/// Who sends requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TenantSpec {
    /// Its name.
    pub name: String,
    /// Mean requests a second.
    pub rate: f64,
}

/// A whole system. Service 0 is where users arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SystemSpec {
    /// Machines.
    pub nodes: Vec<NodeSpec>,
    /// Services.
    pub services: Vec<ServiceSpec>,
    /// Users.
    pub tenants: Vec<TenantSpec>,
    /// Swing of the load over a day as a share of its mean, 0..1.
    pub diurnal: f64,
    /// Mean time on the wire, s.
    pub wire: f64,
    /// Share of requests whose spans are kept.
    pub traced: f64,
    /// Small jobs a second that come to the queue for GPUs.
    pub batch: f64,
}

impl SystemSpec {
    /// One service of `servers` slots with exponential work of mean `work` seconds, to which `rate` requests a second
    /// come: an M/M/c queue.
    #[must_use]
    pub fn queue(rate: f64, work: f64, servers: u32) -> Self {
        let mut service = ServiceSpec::new("queue", Role::Gateway);
        service.replicas = 1;
        service.exponential = true;
        service.settings = Settings::default()
            .with(Setting::Work, work)
            .with(Setting::Concurrency, f64::from(servers))
            .with(Setting::Queue, 1e12)
            .with(Setting::Failures, 0.0)
            .with(Setting::CpuLimit, 1e6);
        let node = NodeSpec { name: "node".to_owned(), cores: 1e6, memory: 64e9, disk: 500e9, gpus: 0 };
        Self {
            nodes: vec![node],
            services: vec![service],
            tenants: vec![TenantSpec { name: "users".to_owned(), rate }],
            diurnal: 0.0,
            wire: 0.0,
            traced: 0.0,
            batch: 0.0,
        }
    }

    /// Machine of every copy at the start, by service: by turns over machines without GPUs, and what holds GPUs on the first
    /// machine that has enough of them left.
    #[must_use]
    pub fn placement(&self) -> Vec<Vec<usize>> {
        let with_gpus = |n: &usize| self.nodes.get(*n).is_some_and(|n| n.gpus > 0);
        let (fleet, mut plain): (Vec<usize>, Vec<usize>) = (0..self.nodes.len()).partition(with_gpus);
        if plain.is_empty() {
            plain.clone_from(&fleet);
        }
        let mut left: Vec<usize> = self.nodes.iter().map(|n| n.gpus).collect();
        let mut turn = 0;
        let mut place = |service: &ServiceSpec| -> Vec<usize> {
            if service.role == Role::External {
                return Vec::new();
            }
            if service.role.is_daemon() {
                return fleet.clone();
            }
            let copies = (0..service.replicas).map(|_| {
                if service.gpus > 0 {
                    let at = left.iter().position(|free| *free >= service.gpus);
                    if let Some(free) = at.and_then(|at| left.get_mut(at)) {
                        *free -= service.gpus;
                    }
                    at.unwrap_or(0)
                } else {
                    turn += 1;
                    plain.get((turn - 1) % plain.len().max(1)).copied().unwrap_or(0)
                }
            });
            copies.collect()
        };
        self.services.iter().map(&mut place).collect()
    }
}
