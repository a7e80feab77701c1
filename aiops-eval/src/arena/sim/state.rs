//! Services, replicas, nodes and calls as they are at an instant.

use std::collections::{BTreeMap, VecDeque};

use aiops_core::action::ActionKind;
use serde::{Deserialize, Serialize};

use super::Micros;
use super::spec::{Alteration, NodeSpec, ServiceSpec, Setting, Settings};

/// Why a request or call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The program itself failed.
    Internal,
    /// Too many wait already.
    QueueFull,
    /// Nobody listens.
    Refused,
    /// The other side went away meanwhile.
    Reset,
    /// It took too long.
    Timeout,
    /// No connection of the pool became free.
    PoolTimeout,
    /// A name does not resolve.
    NameResolution,
    /// The certificate is not valid any more.
    Certificate,
    /// Not allowed.
    Unauthorized,
    /// Above the allowance.
    Throttled,
    /// No space on the disk.
    DiskFull,
    /// Too many open files.
    Descriptors,
    /// A call that it needs failed.
    Upstream,
}

impl Failure {
    /// HTTP status by which the caller is told.
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Internal | Self::DiskFull | Self::Descriptors => 500,
            Self::QueueFull | Self::Refused | Self::Reset => 503,
            Self::Timeout | Self::PoolTimeout => 504,
            Self::NameResolution | Self::Certificate | Self::Upstream => 502,
            Self::Unauthorized => 401,
            Self::Throttled => 429,
        }
    }
}

/// Status codes that are told apart.
pub(crate) const CODES: [u16; 7] = [200, 401, 429, 500, 502, 503, 504];

/// Where a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A service, by index.
    Service(usize),
    /// One replica of a service.
    Replica(usize, usize),
    /// A node.
    Node(usize),
    /// Calls of one service to another.
    Link(usize, usize),
    /// A tenant.
    Tenant(usize),
    /// A GPU of a node, by slot.
    Gpu(usize, usize),
}

/// What a condition does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trouble {
    /// Alters settings of a service without a roll-out.
    Alter(Vec<Alteration>),
    /// Work takes so many times longer (a replica).
    Slow(f64),
    /// So many cores are taken by something else (a node).
    Steal(f64),
    /// So many bytes are held by something else (a node).
    Hog(f64),
    /// Writing takes so many times longer (a node).
    Disk(f64),
    /// So many bytes a second are written by something else (a node).
    Fill(f64),
    /// Share of packets lost (a node or a link).
    Loss(f64),
    /// Time added on the wire, s (a node or a link).
    Delay(f64),
    /// Calls fail at once (a link, or all calls to a service).
    Refuse(Failure),
    /// Nothing answers (a service or a node).
    Down,
    /// So many times the requests (a tenant).
    Surge(f64),
    /// Share of requests that come with a wrong secret (a tenant).
    Guess(f64),
    /// Emits no telemetry (a service).
    Dark,
    /// Slots a second that hang and come back by a restart alone (a service).
    Stuck(f64),
    /// Replicas no longer follow (a database), or jobs are no longer started (a scheduler).
    Stalled,
    /// A cache forgets: its warmth falls to this share and stays.
    Cold(f64),
    /// GPUs are cooled so many times worse (a node).
    Heat(f64),
    /// The network between GPUs of this and other machines carries nothing (a node).
    Rail,
    /// So many double-bit errors an hour of use, and many more that are corrected (a GPU).
    DoubleBit(f64),
    /// So many single-bit errors a second, all corrected (a GPU).
    SingleBit(f64),
    /// Its links corrupt packets, and collectives take so many times longer (a GPU).
    Links(f64),
    /// Not reachable by PCIe any more (a GPU).
    Fallen,
    /// The GPUs of its machine are not registered with the fabric (a replica of the fabric manager).
    Unregistered,
    /// The rank on the GPU in this slot stops in a collective, until its process ends (a replica of the training job).
    Hang(usize),
}

/// Something that is wrong, or merely different, until it is cured or over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Where.
    pub on: Place,
    /// What.
    pub does: Trouble,
    /// Kinds of action on the place that end it.
    pub cures: Vec<ActionKind>,
    /// When it is over by itself.
    pub until: Option<Micros>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// On its way, or waiting for a connection.
    Pool,
    Wire,
    Queued,
    Locked,
    Working,
    /// Waiting for a callee.
    Calling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallId {
    slot: u32,
    life: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Who calls; beyond all services for users.
    pub(crate) from: usize,
    pub(crate) service: usize,
    pub(crate) tenant: usize,
    /// Replica and its life.
    pub(crate) replica: Option<(usize, u32)>,
    pub(crate) parent: Option<CallId>,
    pub(crate) child: Option<CallId>,
    pub(crate) phase: Phase,
    pub(crate) step: usize,
    /// Calls of the present step that are still to be made.
    pub(crate) left: u32,
    pub(crate) attempt: u32,
    /// The present call asks a cache first.
    pub(crate) asks_cache: bool,
    pub(crate) holds_lock: bool,
    /// Caller whose pool this call holds a connection of.
    pub(crate) pooled_by: Option<usize>,
    pub(crate) sent: Micros,
    pub(crate) arrived: Option<Micros>,
    pub(crate) trace: u64,
    pub(crate) span: u64,
    pub(crate) parent_span: u64,
}

/// Calls under way; ids of calls that ended are never valid again.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    slots: Vec<(u32, Option<Call>)>,
    free: Vec<u32>,
    pub(crate) made: u64,
    pub(crate) ended: u64,
}

impl Calls {
    pub(crate) fn insert(&mut self, call: Call) -> CallId {
        self.made += 1;
        if let Some(slot) = self.free.pop()
            && let Some((life, held)) = self.slots.get_mut(slot as usize)
        {
            *held = Some(call);
            return CallId { slot, life: *life };
        }
        let slot = self.slots.len() as u32;
        self.slots.push((0, Some(call)));
        CallId { slot, life: 0 }
    }

    pub(crate) fn get(&self, id: CallId) -> Option<&Call> {
        self.slots.get(id.slot as usize).filter(|s| s.0 == id.life)?.1.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.slots.get_mut(id.slot as usize).filter(|s| s.0 == id.life)?.1.as_mut()
    }

    pub(crate) fn remove(&mut self, id: CallId) -> Option<Call> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|s| s.0 == id.life)?;
        let call = slot.1.take()?;
        slot.0 = slot.0.wrapping_add(1);
        self.free.push(id.slot);
        self.ended += 1;
        Some(call)
    }

    pub(crate) fn live(&self) -> u64 {
        self.made - self.ended
    }

    /// Ids of calls for which `which` holds, in the order of slots.
    pub(crate) fn find(&self, which: impl Fn(&Call) -> bool) -> Vec<CallId> {
        let live = self.slots.iter().enumerate().filter(|(_, s)| s.1.as_ref().is_some_and(&which));
        live.map(|(slot, s)| CallId { slot: slot as u32, life: s.0 }).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Starting,
    Ready,
    /// Taken out of service on purpose.
    Stopped,
}

#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) node: usize,
    pub(crate) health: Health,
    pub(crate) life: u32,
    pub(crate) revision: usize,
    pub(crate) busy: u32,
    pub(crate) stuck: u32,
    pub(crate) leaked: f64,
    pub(crate) descriptors: f64,
    /// Processor seconds since the last second, and since the start.
    pub(crate) used_now: f64,
    pub(crate) used: f64,
    /// How much longer work takes, from its own condition, garbage collection and its limit.
    pub(crate) stretch: f64,
    /// The part of it that a quota makes.
    pub(crate) throttle: f64,
    pub(crate) restarts: u64,
    pub(crate) backoff: u32,
    pub(crate) last_busy: Micros,
    pub(crate) collections: f64,
    /// How much longer its GPUs take than at full clock.
    pub(crate) gpu_stretch: f64,
    /// Slot whose rank hangs.
    pub(crate) hung: Option<usize>,
}

impl Replica {
    pub(crate) fn new(node: usize, revision: usize) -> Self {
        Self {
            node,
            health: Health::Ready,
            life: 0,
            revision,
            busy: 0,
            stuck: 0,
            leaked: 0.0,
            descriptors: 40.0,
            used_now: 0.0,
            used: 0.0,
            stretch: 1.0,
            throttle: 1.0,
            restarts: 0,
            backoff: 0,
            last_busy: 0,
            collections: 0.0,
            gpu_stretch: 1.0,
            hung: None,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.health == Health::Ready
    }

    /// Resident memory, bytes.
    pub(crate) fn memory(&self, settings: &Settings) -> f64 {
        settings.get(Setting::Memory) + self.leaked + f64::from(self.busy + self.stuck) * 0.4e6
    }
}

#[derive(Debug, Default)]
pub(crate) struct Pool {
    pub(crate) in_use: u32,
    pub(crate) waiting: VecDeque<CallId>,
}

/// What was counted since the start, and durations since the last scrape.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) codes: [u64; CODES.len()],
    pub(crate) durations: Vec<f32>,
}

impl Tally {
    pub(crate) fn add(&mut self, code: u16, duration: f64) {
        if let Some(count) = CODES.iter().position(|c| *c == code).and_then(|i| self.codes.get_mut(i)) {
            *count += 1;
        }
        self.durations.push(duration as f32);
    }
}

/// A roll-out or restart under way: replicas are taken one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Rollout {
    pub(crate) next: usize,
    pub(crate) revision: usize,
}

#[derive(Debug)]
pub(crate) struct Revision {
    pub(crate) name: String,
    pub(crate) settings: Settings,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) spec: ServiceSpec,
    pub(crate) revisions: Vec<Revision>,
    pub(crate) current: usize,
    /// Of the current revision, under all conditions.
    pub(crate) settings: Settings,
    pub(crate) wanted: u32,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) turn: usize,
    pub(crate) queue: VecDeque<CallId>,
    pub(crate) lock: Option<CallId>,
    pub(crate) lock_queue: VecDeque<CallId>,
    pub(crate) pools: BTreeMap<usize, Pool>,
    pub(crate) served: Tally,
    pub(crate) called: BTreeMap<usize, Tally>,
    pub(crate) warmth: f64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) cold_starts: u64,
    pub(crate) lag: f64,
    pub(crate) throttle: f64,
    pub(crate) rollout: Option<Rollout>,
    /// Changes with every change by anybody.
    pub(crate) generation: u64,
    pub(crate) down: bool,
    pub(crate) dark: bool,
}

impl Service {
    pub(crate) fn new(spec: ServiceSpec, first_revision: u32) -> Self {
        let revision = Revision { name: format!("r{first_revision}"), settings: spec.settings.clone() };
        Self {
            settings: spec.settings.clone(),
            wanted: spec.replicas,
            revisions: vec![revision],
            current: 0,
            replicas: Vec::new(),
            turn: 0,
            queue: VecDeque::new(),
            lock: None,
            lock_queue: VecDeque::new(),
            pools: BTreeMap::new(),
            served: Tally::default(),
            called: BTreeMap::new(),
            warmth: 1.0,
            hits: 0,
            misses: 0,
            cold_starts: 0,
            lag: 0.02,
            throttle: 1.0,
            rollout: None,
            generation: 0,
            down: false,
            dark: false,
            spec,
        }
    }

    pub(crate) fn ready(&self) -> u32 {
        self.replicas.iter().filter(|r| r.is_ready()).count() as u32
    }

    /// Settings of the revision that `replica` runs, under the conditions of the service.
    pub(crate) fn slots(&self) -> u32 {
        self.settings.get(Setting::Concurrency).max(1.0) as u32
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) spec: NodeSpec,
    pub(crate) cordoned: bool,
    pub(crate) down: bool,
    /// Cores used in the last second.
    pub(crate) used: f64,
    pub(crate) busy_seconds: f64,
    pub(crate) memory: f64,
    pub(crate) disk: f64,
    /// Part of the disk that rotation frees.
    pub(crate) disk_logs: f64,
    pub(crate) disk_busy: f64,
    pub(crate) contention: f64,
    pub(crate) loss: f64,
    pub(crate) delay: f64,
    pub(crate) disk_slow: f64,
    pub(crate) retransmits: u64,
    /// Cores and bytes taken by what is not simulated.
    pub(crate) stolen: f64,
    pub(crate) hogged: f64,
}

impl Node {
    pub(crate) fn new(spec: NodeSpec) -> Self {
        Self {
            disk: spec.disk * 0.4,
            spec,
            cordoned: false,
            down: false,
            used: 0.0,
            busy_seconds: 0.0,
            memory: 0.0,
            disk_logs: 0.0,
            disk_busy: 0.0,
            contention: 1.0,
            loss: 0.0,
            delay: 0.0,
            disk_slow: 1.0,
            retransmits: 0,
            stolen: 0.0,
            hogged: 0.0,
        }
    }
}
