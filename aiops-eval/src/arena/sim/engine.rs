//! The requests: arrivals, queues, work, calls, answers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::fleet::Fleet;
use super::spec::{Role, Setting, SystemSpec};
use super::state::{Call, CallId, Calls, Condition, Failure, Node, Phase, Pool, Replica, Service, Trouble};
use super::{Micros, SECOND, micros, seconds};
use crate::arena::telemetry::Recorder;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Arrive(usize),
    Deliver(CallId),
    Done(CallId),
    Deadline(CallId),
    /// A replica of this service, in this life, has started.
    Started(usize, usize, u32),
    /// It ends by itself.
    Crash(usize, usize, u32),
    Rollout(usize),
    Second,
    Scrape,
    /// A control scheduled by the world.
    Control(usize),
    /// A step of the training job ends, of this life of it.
    Step(u32),
}

/// What a simulation counts of its users' requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that users sent.
    pub arrived: u64,
    /// Answered well.
    pub succeeded: u64,
    /// Answered badly, refused ones included.
    pub failed: u64,
    /// Not answered yet.
    pub in_flight: u64,
    /// Calls made in all, users' requests included.
    pub calls: u64,
    /// Calls that ended.
    pub calls_ended: u64,
    /// Calls under way.
    pub calls_live: u64,
    /// Requests that had to wait for a free slot of service 0.
    pub waited: u64,
}

/// A running system.
#[derive(Debug)]
pub struct Simulator {
    pub(crate) now: Micros,
    pub(super) rng: fastrand::Rng,
    queue: BinaryHeap<Reverse<(Micros, u64, Event)>>,
    sequence: u64,
    pub(crate) spec: SystemSpec,
    pub(crate) services: Vec<Service>,
    pub(crate) nodes: Vec<Node>,
    pub(super) calls: Calls,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) surges: Vec<f64>,
    /// Share of a tenant's requests with a wrong secret.
    pub(crate) guesses: Vec<f64>,
    /// Share of a tenant's requests that is let in.
    pub(crate) allowances: Vec<f64>,
    pub(crate) by_tenant: Vec<u64>,
    pub(super) controls: Vec<Option<super::control::Control>>,
    pub(crate) telemetry: Recorder,
    totals: Totals,
    /// Sum of the waits for a slot of service 0, s.
    waits: f64,
    /// Answers to users since they were last taken, by tenant.
    pub(crate) felt: Vec<super::state::Tally>,
    /// Hour of the day at the start, 0..24.
    pub(crate) hour: f64,
    /// GPUs and what works on them; empty in a system without.
    pub(crate) fleet: Fleet,
}

impl Simulator {
    /// A system at rest, whose day begins at `hour`.
    #[must_use]
    pub fn new(spec: SystemSpec, seed: u64, hour: f64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let nodes: Vec<Node> = spec.nodes.iter().cloned().map(Node::new).collect();
        let mut services: Vec<Service> =
            spec.services.iter().map(|s| Service::new(s.clone(), rng.u32(20..90))).collect();
        for (service, places) in services.iter_mut().zip(spec.placement()) {
            service.replicas.extend(places.into_iter().map(|node| Replica::new(node, 0)));
        }
        for service in services.iter_mut().filter(|s| s.spec.role == Role::External) {
            // Somebody else's machines: one replica beyond all nodes.
            service.replicas.push(Replica::new(usize::MAX, 0));
        }
        let telemetry = Recorder::new(&spec, rng.u64(..), hour);
        let fleet = Fleet::new(&spec);
        let tenants = spec.tenants.len();
        let mut sim = Self {
            now: 0,
            rng,
            queue: BinaryHeap::new(),
            sequence: 0,
            services,
            nodes,
            calls: Calls::default(),
            conditions: Vec::new(),
            surges: vec![1.0; tenants],
            guesses: vec![0.0; tenants],
            allowances: vec![1.0; tenants],
            by_tenant: vec![0; tenants],
            controls: Vec::new(),
            telemetry,
            totals: Totals::default(),
            waits: 0.0,
            felt: (0..tenants).map(|_| super::state::Tally::default()).collect(),
            hour,
            fleet,
            spec,
        };
        for tenant in 0..tenants {
            sim.next_arrival(tenant);
        }
        sim.at(SECOND, Event::Second);
        sim.at(crate::arena::telemetry::SCRAPE, Event::Scrape);
        sim
    }

    pub(super) fn at(&mut self, time: Micros, event: Event) {
        self.queue.push(Reverse((time.max(self.now), self.sequence, event)));
        self.sequence += 1;
    }

    /// Runs until `until`; events at that instant are included.
    pub fn run_until(&mut self, until: Micros) {
        while let Some(Reverse((time, ..))) = self.queue.peek()
            && *time <= until
        {
            let Some(Reverse((time, _, event))) = self.queue.pop() else { break };
            self.now = time;
            self.handle(event);
        }
        self.now = self.now.max(until);
    }

    /// Time since the start.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.now
    }

    /// What was counted so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let t = self.totals;
        Totals {
            in_flight: t.arrived - t.succeeded - t.failed,
            calls: self.calls.made,
            calls_ended: self.calls.ended,
            calls_live: self.calls.live(),
            ..t
        }
    }

    /// Mean time that requests waited for a slot of service 0, s.
    #[must_use]
    pub fn mean_wait(&self) -> f64 {
        let begun = self.totals.arrived.max(1);
        self.waits / begun as f64
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrive(tenant) => self.arrive(tenant),
            Event::Deliver(id) => self.deliver(id),
            Event::Done(id) => self.done(id),
            Event::Deadline(id) => self.deadline(id),
            Event::Started(service, replica, life) => self.started(service, replica, life),
            Event::Crash(service, replica, life) => self.crash(service, replica, life),
            Event::Rollout(service) => self.roll_on(service),
            Event::Second => {
                self.second();
                self.at(self.now + SECOND, Event::Second);
            }
            Event::Scrape => {
                self.scrape();
                self.at(self.now + crate::arena::telemetry::SCRAPE, Event::Scrape);
            }
            Event::Control(index) => self.control(index),
            Event::Step(life) => self.step_done(life),
        }
    }

    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.rng.f64()).ln()
    }

    fn duration_of(&mut self, mean: f64, exponential: bool) -> f64 {
        if exponential {
            return self.exponential(mean);
        }
        // Log-normal, σ = 0.5; Box and Muller 1958.
        let (u, v) = (1.0 - self.rng.f64(), self.rng.f64());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        mean * (0.5 * normal - 0.125).exp()
    }

    /// The load relative to its mean: highest at 14 h.
    pub(crate) fn daytime(&self) -> f64 {
        let hour = self.hour + seconds(self.now) / 3600.0;
        1.0 + self.spec.diurnal * ((hour - 14.0) / 24.0 * std::f64::consts::TAU).cos()
    }

    fn next_arrival(&mut self, tenant: usize) {
        let rate = self.spec.tenants.get(tenant).map_or(0.0, |t| t.rate)
            * self.daytime()
            * self.surges.get(tenant).copied().unwrap_or(1.0);
        // Memoryless: a gap beyond a second is drawn anew from there, so that a rate that changes is heeded.
        let gap = if rate > 0.0 { self.exponential(1.0 / rate) } else { f64::INFINITY };
        if gap > 1.0 {
            self.at(self.now + SECOND, Event::Arrive(tenant | IDLE));
        } else {
            self.at(self.now + micros(gap).max(1), Event::Arrive(tenant));
        }
    }

    fn arrive(&mut self, tenant: usize) {
        let idle = tenant & IDLE != 0;
        let tenant = tenant & !IDLE;
        self.next_arrival(tenant);
        if idle {
            return;
        }
        self.totals.arrived += 1;
        if let Some(count) = self.by_tenant.get_mut(tenant) {
            *count += 1;
        }
        let trace = if self.rng.f64() < self.spec.traced { self.rng.u64(1..) } else { 0 };
        let call = self.new_call((USERS, 0), tenant, None, (trace, 0));
        let id = self.calls.insert(call);
        let allowance = self.allowances.get(tenant).copied().unwrap_or(1.0);
        if allowance < 1.0 && self.rng.f64() >= allowance {
            if let Some(call) = self.calls.get_mut(id) {
                call.arrived = Some(self.now);
            }
            self.finish(id, Some(Failure::Throttled));
            return;
        }
        self.deliver(id);
    }

    fn new_call(
        &mut self,
        (from, service): (usize, usize),
        tenant: usize,
        parent: Option<CallId>,
        (trace, parent_span): (u64, u64),
    ) -> Call {
        let span = if trace == 0 { 0 } else { self.rng.u64(1..) };
        Call {
            from,
            service,
            tenant,
            replica: None,
            parent,
            child: None,
            phase: Phase::Wire,
            step: 0,
            left: 0,
            attempt: 0,
            asks_cache: false,
            holds_lock: false,
            pooled_by: None,
            sent: self.now,
            arrived: None,
            trace,
            span,
            parent_span,
        }
    }

    /// A request reaches its service.
    fn deliver(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let index = call.service;
        let Some(service) = self.services.get_mut(index) else { return };
        if service.down || service.ready() == 0 {
            self.finish(id, Some(Failure::Refused));
            return;
        }
        call.arrived = Some(self.now);
        let guessed = if index == 0 { self.guesses.get(call.tenant).copied().unwrap_or(0.0) } else { 0.0 };
        let refused = service.settings.get(Setting::Unauthorized).max(guessed);
        let let_in = service.throttle;
        if refused > 0.0 && self.rng.f64() < refused {
            self.finish(id, Some(Failure::Unauthorized));
            return;
        }
        if let_in < 1.0 && self.rng.f64() >= let_in {
            self.finish(id, Some(Failure::Throttled));
            return;
        }
        match self.free_replica(index) {
            Some(replica) => self.begin(id, replica),
            None => {
                let Some(service) = self.services.get_mut(index) else { return };
                if service.queue.len() as f64 >= service.settings.get(Setting::Queue) {
                    self.finish(id, Some(Failure::QueueFull));
                    return;
                }
                service.queue.push_back(id);
                if let Some(call) = self.calls.get_mut(id) {
                    call.phase = Phase::Queued;
                }
                if index == 0 {
                    self.totals.waited += 1;
                }
            }
        }
    }

    /// A ready replica with a free slot, by turns.
    fn free_replica(&mut self, service: usize) -> Option<usize> {
        let service = self.services.get_mut(service)?;
        let (slots, n) = (service.slots(), service.replicas.len());
        for i in 1..=n {
            let at = (service.turn + i) % n;
            if service.replicas.get(at).is_some_and(|r| r.is_ready() && r.busy + r.stuck < slots) {
                service.turn = at;
                return Some(at);
            }
        }
        None
    }

    /// A request gets a slot of `replica`.
    fn begin(&mut self, id: CallId, replica: usize) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let index = call.service;
        let Some(service) = self.services.get_mut(index) else { return };
        let Some(copy) = service.replicas.get_mut(replica) else { return };
        copy.busy += 1;
        call.replica = Some((replica, copy.life));
        if index == 0 {
            self.waits += seconds(self.now - call.arrived.unwrap_or(self.now));
        }
        let idle = seconds(self.now.saturating_sub(copy.last_busy));
        let cold = service.spec.role == Role::Function && (idle > 45.0 || copy.last_busy == 0);
        copy.last_busy = self.now;
        let start = if cold { service.settings.get(Setting::ColdStart) } else { 0.0 };
        service.cold_starts += u64::from(cold);
        let locked = service.settings.get(Setting::Locked);
        call.phase = Phase::Working;
        if locked > 0.0 && self.rng.f64() < locked {
            if service.lock.is_some() {
                service.lock_queue.push_back(id);
                call.phase = Phase::Locked;
                return;
            }
            service.lock = Some(id);
            call.holds_lock = true;
        }
        self.work(id, start);
    }

    /// Draws how long the own work of a request takes.
    fn work(&mut self, id: CallId, start: f64) {
        let Some((index, Some((replica, _)))) = self.calls.get(id).map(|c| (c.service, c.replica)) else {
            return;
        };
        let Some(service) = self.services.get(index) else { return };
        let settings = &service.settings;
        let (mean, wait, written) =
            (settings.get(Setting::Work), settings.get(Setting::Wait), settings.get(Setting::Written));
        let exponential = service.spec.exponential;
        let work = self.duration_of(mean, exponential);
        let wait = if wait > 0.0 { self.duration_of(wait, false) } else { 0.0 };
        let Some(copy) = self.services.get_mut(index).and_then(|s| s.replicas.get_mut(replica)) else {
            return;
        };
        copy.used_now += work;
        // What is waited for where there is a GPU is the GPU.
        let mut takes = work * copy.stretch + wait * copy.gpu_stretch + start;
        if let Some(node) = self.nodes.get_mut(copy.node) {
            takes += work * copy.stretch * (node.contention - 1.0);
            // 200 MB/s when the disk is well.
            let writing = written / 200e6 * node.disk_slow;
            node.disk_busy += writing;
            node.disk += written * 0.02;
            node.disk_logs += written * 0.02;
            takes += writing;
        }
        self.at(self.now + micros(takes).max(1), Event::Done(id));
    }

    /// The own work of a request is done.
    fn done(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(id) else { return };
        if call.phase != Phase::Working {
            return;
        }
        let index = call.service;
        let held = std::mem::take(&mut call.holds_lock);
        let replica = call.replica;
        if held {
            self.unlock(index);
        }
        let Some(service) = self.services.get(index) else { return };
        let failures = service.settings.get(Setting::Failures);
        let copy = replica.and_then(|(r, _)| service.replicas.get(r));
        let full = copy.is_some_and(|c| c.descriptors > 1024.0);
        let node = copy.and_then(|c| self.nodes.get(c.node));
        let disk_full = service.spec.role == Role::Database && node.is_some_and(|n| n.disk >= n.spec.disk);
        let fails = failures > 0.0 && self.rng.f64() < failures;
        let failure = match (full, disk_full, fails) {
            (true, ..) => Some(Failure::Descriptors),
            (_, true, _) => Some(Failure::DiskFull),
            (.., true) => Some(Failure::Internal),
            _ => None,
        };
        match failure {
            Some(failure) => self.finish(id, Some(failure)),
            None => self.next_step(id),
        }
    }

    fn unlock(&mut self, service: usize) {
        let Some(s) = self.services.get_mut(service) else { return };
        s.lock = None;
        while let Some(next) = s.lock_queue.pop_front() {
            if let Some(call) = self.calls.get_mut(next)
                && call.phase == Phase::Locked
            {
                call.phase = Phase::Working;
                call.holds_lock = true;
                s.lock = Some(next);
                self.work(next, 0.0);
                return;
            }
        }
    }

    /// Makes the next call of a request, or answers it.
    fn next_step(&mut self, id: CallId) {
        loop {
            let Some(call) = self.calls.get_mut(id) else { return };
            let Some(service) = self.services.get(call.service) else { return };
            let Some(step) = service.spec.steps.get(call.step) else {
                self.finish(id, None);
                return;
            };
            let (to, cache, detached) = (step.to, step.cache, step.detached);
            if call.left == 0 {
                let repeat = service.settings.get(Setting::Repeat);
                let whole = repeat.floor();
                call.left = whole as u32 + u32::from(self.rng.f64() < repeat - whole);
                if self.rng.f64() >= step.share || call.left == 0 {
                    call.step += 1;
                    call.left = 0;
                    continue;
                }
            }
            call.attempt = 0;
            if detached {
                call.left -= 1;
                if call.left == 0 {
                    call.step += 1;
                }
                self.send(id, to, true);
                continue;
            }
            call.phase = Phase::Calling;
            call.asks_cache = cache.is_some();
            self.send(id, cache.unwrap_or(to), false);
            return;
        }
    }

    /// Sends a call of `parent` on its way.
    fn send(&mut self, parent: CallId, to: usize, detached: bool) {
        let Some(caller) = self.calls.get(parent) else { return };
        let (from, tenant, trace, span) = (caller.service, caller.tenant, caller.trace, caller.span);
        let caller_node =
            caller.replica.and_then(|(r, _)| self.services.get(from)?.replicas.get(r)).map(|r| r.node);
        let call = self.new_call((from, to), tenant, (!detached).then_some(parent), (trace, span));
        let id = self.calls.insert(call);
        let Some(service) = self.services.get_mut(from) else { return };
        let (timeout, pool) = (service.settings.get(Setting::Timeout), service.settings.get(Setting::Pool));
        if detached {
            self.wire(id, from, caller_node);
            return;
        }
        if let Some(caller) = self.calls.get_mut(parent) {
            caller.child = Some(id);
        }
        let pooled = self.services.get(to).is_some_and(|s| s.spec.role.is_pooled());
        let mut waits = false;
        if pooled {
            let Some(service) = self.services.get_mut(from) else { return };
            let bound = (pool * f64::from(service.wanted.max(1))) as u32;
            let held: &mut Pool = service.pools.entry(to).or_default();
            waits = held.in_use >= bound;
            if waits {
                held.waiting.push_back(id);
            } else {
                held.in_use += 1;
            }
            if let Some(call) = self.calls.get_mut(id) {
                if waits {
                    call.phase = Phase::Pool;
                } else {
                    call.pooled_by = Some(from);
                }
            }
        }
        self.at(self.now + micros(timeout), Event::Deadline(id));
        if !waits {
            self.wire(id, from, caller_node);
        }
    }

    /// Puts a call on the wire, where it may be refused, lost or late.
    fn wire(&mut self, id: CallId, from: usize, caller_node: Option<usize>) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.phase = Phase::Wire;
        let to = call.service;
        let mut loss = 0.0_f64;
        let mut delay = self.spec.wire;
        let mut refused = None;
        for c in &self.conditions {
            let here = match c.on {
                super::state::Place::Link(a, b) => a == from && b == to,
                super::state::Place::Service(s) => s == to && matches!(c.does, Trouble::Refuse(_)),
                _ => false,
            };
            match (&c.does, here) {
                (Trouble::Loss(l), true) => loss = loss.max(*l),
                (Trouble::Delay(d), true) => delay += d,
                (Trouble::Refuse(f), true) => refused = Some(*f),
                _ => {}
            }
        }
        let callee_node = self.services.get(to).and_then(|s| {
            let n = s.replicas.len().max(1);
            s.replicas.get((s.turn + 1) % n)
        });
        let callee_node = callee_node.map(|r| r.node);
        for at in [caller_node, callee_node].into_iter().flatten() {
            if let Some(node) = self.nodes.get(at) {
                loss = loss.max(node.loss);
                delay += node.delay;
            }
        }
        if let Some(failure) = refused {
            self.finish(id, Some(failure));
            return;
        }
        let mut wait = if delay > 0.0 { self.exponential(delay) } else { 0.0 };
        // A lost packet is sent again after 200 ms, then twice as long each time (RFC 6298).
        let mut again = 0.2;
        while loss > 0.0 && self.rng.f64() < loss && again < 30.0 {
            wait += again;
            again *= 2.0;
            for at in [caller_node, callee_node].into_iter().flatten() {
                if let Some(node) = self.nodes.get_mut(at) {
                    node.retransmits += 1;
                }
            }
        }
        self.at(self.now + micros(wait).max(1), Event::Deliver(id));
    }

    /// The caller has waited long enough.
    fn deadline(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let Some(parent) = call.parent.take() else { return };
        let waited_for_pool = call.phase == Phase::Pool;
        let pooled_by = call.pooled_by.take();
        let (service, sent) = (call.service, call.sent);
        if let Some(from) = pooled_by {
            // The connection is torn down with the call; the callee goes on with its work.
            self.release(from, service);
        }
        if waited_for_pool {
            self.calls.remove(id);
        }
        let failure = if waited_for_pool { Failure::PoolTimeout } else { Failure::Timeout };
        self.answered(parent, id, service, sent, Some(failure));
    }

    /// Gives a connection back, and to who waits for one.
    fn release(&mut self, from: usize, to: usize) {
        loop {
            let Some(pool) = self.services.get_mut(from).and_then(|s| s.pools.get_mut(&to)) else { return };
            let Some(next) = pool.waiting.pop_front() else {
                pool.in_use = pool.in_use.saturating_sub(1);
                return;
            };
            let parent = match self.calls.get_mut(next) {
                Some(call) if call.phase == Phase::Pool => {
                    call.pooled_by = Some(from);
                    call.parent
                }
                _ => continue,
            };
            let node = parent
                .and_then(|p| self.calls.get(p))
                .and_then(|c| c.replica)
                .and_then(|(r, _)| self.services.get(from)?.replicas.get(r))
                .map(|r| r.node);
            self.wire(next, from, node);
            return;
        }
    }

    /// A request ends at its service: well, or with `failure`.
    pub(super) fn finish(&mut self, id: CallId, failure: Option<Failure>) {
        let Some(call) = self.calls.remove(id) else { return };
        let index = call.service;
        if call.holds_lock {
            self.unlock(index);
        }
        let took = seconds(self.now - call.arrived.unwrap_or(call.sent));
        let code = failure.map_or(200, Failure::code);
        if let Some(service) = self.services.get_mut(index)
            && call.arrived.is_some()
        {
            service.served.add(code, took);
            let leak = service.settings.get(Setting::Leak);
            let descriptors = service.settings.get(Setting::DescriptorLeak);
            if let Some((replica, life)) = call.replica
                && let Some(copy) = service.replicas.get_mut(replica)
                && copy.life == life
            {
                copy.busy = copy.busy.saturating_sub(1);
                copy.leaked += leak;
                copy.descriptors += descriptors;
            }
        }
        self.telemetry.request(self.now, &call, &self.services, failure);
        if let Some(from) = call.pooled_by {
            self.release(from, index);
        }
        match call.parent {
            Some(parent) => self.answered(parent, id, index, call.sent, failure),
            None if index == 0 => {
                if let Some(felt) = self.felt.get_mut(call.tenant) {
                    felt.add(code, took);
                }
                if failure.is_none() {
                    self.totals.succeeded += 1;
                } else {
                    self.totals.failed += 1;
                }
            }
            None => {}
        }
        self.admit(index);
    }

    /// Gives free slots to those who wait.
    pub(super) fn admit(&mut self, service: usize) {
        loop {
            let Some(s) = self.services.get(service) else { return };
            if s.queue.is_empty() {
                return;
            }
            let Some(replica) = self.free_replica(service) else { return };
            let next = self.services.get_mut(service).and_then(|s| s.queue.pop_front());
            match next {
                Some(id) if self.calls.get(id).is_some_and(|c| c.phase == Phase::Queued) => {
                    self.begin(id, replica);
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    /// A caller learns what became of its call.
    fn answered(
        &mut self,
        parent: CallId,
        child: CallId,
        callee: usize,
        sent: Micros,
        failure: Option<Failure>,
    ) {
        let Some(call) = self.calls.get_mut(parent) else { return };
        if call.child != Some(child) || call.phase != Phase::Calling {
            return;
        }
        call.child = None;
        let index = call.service;
        let asked_cache = std::mem::take(&mut call.asks_cache);
        let attempt = call.attempt;
        let Some(service) = self.services.get_mut(index) else { return };
        let took = seconds(self.now - sent);
        service.called.entry(callee).or_default().add(failure.map_or(200, Failure::code), took);
        let (retries, step) = (service.settings.get(Setting::Retries), call.step);
        let Some((to, critical)) = service.spec.steps.get(step).map(|s| (s.to, s.critical)) else { return };
        if let Some(failure) = failure {
            self.telemetry.call_failed(self.now, index, callee, failure, took, &self.services);
        }
        if asked_cache {
            let hit = failure.is_none() && self.is_hit(callee);
            if !hit {
                self.send(parent, to, false);
                return;
            }
        } else if let Some(failure) = failure {
            let final_refusal = matches!(failure, Failure::Unauthorized | Failure::Throttled);
            if f64::from(attempt) < retries && !final_refusal {
                if let Some(call) = self.calls.get_mut(parent) {
                    call.attempt += 1;
                }
                self.send(parent, to, false);
                return;
            }
            if critical {
                self.finish(parent, Some(Failure::Upstream));
                return;
            }
        }
        if let Some(call) = self.calls.get_mut(parent) {
            call.left = call.left.saturating_sub(1);
            if call.left == 0 {
                call.step += 1;
            }
        }
        self.next_step(parent);
    }

    fn is_hit(&mut self, cache: usize) -> bool {
        let draw = self.rng.f64();
        let Some(service) = self.services.get_mut(cache) else { return false };
        let hit = draw < service.settings.get(Setting::HitRatio) * service.warmth;
        if hit {
            service.hits += 1;
        } else {
            service.misses += 1;
        }
        hit
    }

    /// Ends everything that `replica` works on: whoever waits for it sees a reset.
    pub(super) fn drop_work(&mut self, service: usize, replica: usize) {
        let Some(life) = self.services.get(service).and_then(|s| s.replicas.get(replica)).map(|r| r.life)
        else {
            return;
        };
        let lost = self.calls.find(|c| c.service == service && c.replica == Some((replica, life)));
        if let Some(copy) = self.services.get_mut(service).and_then(|s| s.replicas.get_mut(replica)) {
            copy.life += 1;
            copy.busy = 0;
            copy.stuck = 0;
        }
        for id in lost {
            // A callee that is still at work has nobody to answer to.
            let child = self.calls.get(id).and_then(|c| c.child);
            if let Some(child) = child.and_then(|c| self.calls.get_mut(c)) {
                child.parent = None;
            }
            self.finish(id, Some(Failure::Reset));
        }
    }
}

/// Marks an arrival event that only looks at the rate again.
const IDLE: usize = 1 << 40;

/// Who calls service 0.
const USERS: usize = usize::MAX;
