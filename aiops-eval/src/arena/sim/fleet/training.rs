//! A training job: ranks that compute by themselves and then wait for each other.
//!
//! A step ends when the slowest rank has arrived and the collective is through. A rank that never arrives holds everybody
//! until the watchdog ends their processes; the launcher cannot end the one that hangs, so the job stays down until its copies
//! are restarted. Any other end of a process ends the job, which begins again from its last checkpoint once every copy is
//! ready.

use aiops_core::model::LogSeverity;

use super::{Fleet, Holder, since};
use crate::arena::sim::engine::Event;
use crate::arena::sim::spec::{Role, Setting};
use crate::arena::sim::state::Tally;
use crate::arena::sim::{Micros, Simulator, micros, seconds};

/// Steps between two checkpoints, and between two lines.
const CHECKPOINT: u64 = 100;
const LINE: u64 = 20;
/// Longer than others takes a step that writes a checkpoint, s.
const WRITING: f64 = 0.4;
/// Time of a collective over links that are well, s, and what it moves over each GPU's links, bytes.
const COLLECTIVE: f64 = 0.25;
const MOVED: f64 = 120e9;
/// From all processes being there to the first step, s.
const BEGINNING: (f64, f64) = (30.0, 60.0);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// Not all copies are ready.
    Waiting,
    /// Meets, loads the checkpoint, compiles.
    Beginning(Micros),
    Stepping,
    /// Everybody waits in a collective since then.
    Hung(Micros),
    /// The watchdog ended all but the rank that hangs.
    Stalled,
}

/// The job as it is.
#[derive(Debug)]
pub(crate) struct Training {
    pub(crate) service: usize,
    run: Run,
    life: u32,
    pub(crate) step: u64,
    /// Steps made, lost ones included.
    pub(crate) made: u64,
    saved: u64,
    /// When the last step ended, and how long it took, s.
    ended: Micros,
    last: f64,
    /// Steps since somebody looked; those that were lost by a restart count as failed.
    felt: Tally,
    /// Share of the present step in which each rank computes.
    shares: Vec<f64>,
    /// Bytes over NVLink a second.
    traffic: f64,
}

impl Training {
    pub(super) fn new(service: usize) -> Self {
        Self {
            service,
            run: Run::Waiting,
            life: 0,
            step: 0,
            made: 0,
            saved: 0,
            ended: 0,
            last: 0.0,
            felt: Tally::default(),
            shares: Vec::new(),
            traffic: 0.0,
        }
    }

    /// How long the last step took, or the present one when that is longer already, s.
    pub(crate) fn step_seconds(&self, now: Micros) -> f64 {
        self.last.max(since(self.ended, now))
    }

    /// Steps that users got since the last call, and as a failure the one that does not end.
    pub(crate) fn take_felt(&mut self, now: Micros) -> Tally {
        let mut felt = std::mem::take(&mut self.felt);
        let waits = since(self.ended, now);
        if waits > 3.0 * self.last.max(1.0) {
            felt.add(500, waits);
        }
        felt
    }

    /// Utilisation, activity and traffic of the GPU of `rank`.
    pub(super) fn load(&self, rank: usize, hangs: bool) -> (f64, f64, f64) {
        match self.run {
            _ if hangs => (0.0, 0.0, 0.0),
            Run::Stepping => (1.0, self.shares.get(rank).copied().unwrap_or(0.0), self.traffic),
            // A kernel that waits for its peers runs, and does nothing.
            Run::Hung(_) => (1.0, 0.0, 0.0),
            Run::Beginning(_) => (0.2, 0.05, 0.0),
            Run::Waiting | Run::Stalled => (0.0, 0.0, 0.0),
        }
    }
}

impl Simulator {
    pub(super) fn run_training(&mut self, fleet: &mut Fleet) {
        let Some(mut job) = fleet.training.take() else { return };
        let now = self.now;
        let Some(service) = self.services.get(job.service) else {
            fleet.training = Some(job);
            return;
        };
        let whole = service.replicas.len() == service.spec.replicas as usize
            && service.replicas.iter().all(|c| c.is_ready())
            && (0..service.replicas.len())
                .all(|r| fleet.held_by(Holder::Replica(job.service, r)).count() >= service.spec.gpus);
        let watchdog = service.settings.get(Setting::Timeout);
        match job.run {
            Run::Waiting if whole => {
                let wait = BEGINNING.0 + (BEGINNING.1 - BEGINNING.0) * self.rng.f64();
                job.run = Run::Beginning(now + micros(wait));
            }
            Run::Waiting => {}
            Run::Beginning(_) | Run::Stepping | Run::Hung(_) | Run::Stalled if !whole => self.abort(&mut job),
            Run::Beginning(until) if until <= now => {
                let world = service.replicas.len() * service.spec.gpus;
                let body = format!(
                    "world size {world}: NCCL communicators ready, resuming at iteration {}",
                    job.saved
                );
                self.telemetry.say(now, job.service, LogSeverity::Info, body);
                self.begin_step(&mut job, fleet);
            }
            Run::Hung(from) if since(from, now) >= watchdog => self.watchdog(&mut job, watchdog),
            Run::Beginning(_) | Run::Stepping | Run::Hung(_) | Run::Stalled => {}
        }
        // A fabric that fails under a running job ends it.
        let struck: Vec<usize> = self.services.get(job.service).map_or_else(Vec::new, |s| {
            let ready = s.replicas.iter().enumerate().filter(|(_, c)| c.is_ready());
            ready.filter(|(_, c)| self.fabric_failed(c.node)).map(|(r, _)| r).collect()
        });
        for replica in struck {
            let body = format!("[rank{replica}]: RuntimeError: CUDA error: unspecified launch failure");
            self.telemetry.say(now, job.service, LogSeverity::Error, body);
            self.kill(job.service, replica, false);
        }
        fleet.training = Some(job);
    }

    fn fabric_failed(&self, node: usize) -> bool {
        let managers = self.services.iter().enumerate().filter(|(_, s)| s.spec.role == Role::Fabric);
        let mut here = managers.flat_map(|(s, x)| {
            x.replicas.iter().enumerate().filter(|(_, c)| c.node == node).map(move |(r, _)| (s, r))
        });
        here.any(|(s, r)| self.is_unregistered(s, r))
    }

    /// The processes lose each other; what was done since the last checkpoint is lost.
    fn abort(&mut self, job: &mut Training) {
        let ran = matches!(job.run, Run::Stepping | Run::Hung(_));
        if ran && let Some(service) = self.services.get(job.service) {
            let lines = service.replicas.iter().enumerate().filter(|(_, c)| c.is_ready()).map(|(r, _)| {
                let rank = r * service.spec.gpus;
                format!("[rank{rank}] NCCL WARN socketProgress: Connection closed by remote peer")
            });
            for body in lines.collect::<Vec<_>>() {
                self.telemetry.say(self.now, job.service, LogSeverity::Warn, body);
            }
        }
        for _ in job.saved..job.step {
            job.felt.add(500, 0.0);
        }
        job.step = job.saved;
        job.life += 1;
        job.run = Run::Waiting;
    }

    fn watchdog(&mut self, job: &mut Training, after: f64) {
        let Some(service) = self.services.get(job.service) else { return };
        let (gpus, step) = (service.spec.gpus, job.step);
        let mut lines = Vec::new();
        for (r, copy) in service.replicas.iter().enumerate() {
            for slot in (0..gpus).filter(|slot| copy.hung != Some(*slot)) {
                let rank = r * gpus + slot;
                lines.push(format!(
                    "[Rank {rank}] Watchdog caught collective operation timeout: WorkNCCL(SeqNum={step}, OpType=ALLREDUCE, \
                     Timeout(ms)={:.0}) ran for {:.0} milliseconds before timing out.",
                    after * 1e3,
                    after * 1e3 + 37.0
                ));
            }
        }
        lines.push("elastic agent: waiting for a worker that does not exit after SIGTERM".to_owned());
        for body in lines {
            self.telemetry.say(self.now, job.service, LogSeverity::Error, body);
        }
        job.life += 1;
        job.run = Run::Stalled;
    }

    /// Draws how long the next step takes, from the slowest rank.
    fn begin_step(&mut self, job: &mut Training, fleet: &Fleet) {
        let Some(service) = self.services.get(job.service) else { return };
        let work = service.settings.get(Setting::Work);
        let nodes: Vec<usize> = service.replicas.iter().map(|c| c.node).collect();
        let cut = |n: &usize| self.rail_is_cut(*n);
        let hangs =
            service.replicas.iter().any(|c| c.hung.is_some()) || (nodes.len() > 1 && nodes.iter().any(cut));
        if hangs {
            job.run = Run::Hung(self.now);
            job.life += 1;
            return;
        }
        let mut collective = COLLECTIVE;
        for n in &nodes {
            if let Some(node) = self.nodes.get(*n) {
                collective = collective.max(COLLECTIVE * (1.0 + 40.0 * node.loss) + 20.0 * node.delay);
            }
        }
        let mut computes = Vec::new();
        for (r, copy) in service.replicas.iter().enumerate() {
            let contention = self.nodes.get(copy.node).map_or(1.0, |n| n.contention);
            for gpu in fleet.held_by(Holder::Replica(job.service, r)) {
                collective = collective.max(COLLECTIVE * gpu.link_stretch);
                let noise = 1.0 + 0.03 * self.rng.f64();
                computes.push(work * noise * contention / gpu.clock);
            }
        }
        let slowest = computes.iter().copied().fold(0.0, f64::max);
        let mut takes = slowest + collective;
        if (job.step + 1).is_multiple_of(CHECKPOINT) {
            takes += WRITING;
        }
        job.shares = computes.iter().map(|c| c / takes).collect();
        job.traffic = MOVED / takes;
        job.run = Run::Stepping;
        job.life += 1;
        job.ended = self.now;
        self.at(self.now + micros(takes), Event::Step(job.life));
    }

    /// All ranks have arrived.
    pub(in crate::arena::sim) fn step_done(&mut self, life: u32) {
        let mut fleet = std::mem::take(&mut self.fleet);
        if let Some(mut job) = fleet.training.take() {
            if job.life == life && job.run == Run::Stepping {
                self.end_step(&mut job, &mut fleet);
            }
            fleet.training = Some(job);
        }
        self.fleet = fleet;
    }

    fn end_step(&mut self, job: &mut Training, fleet: &mut Fleet) {
        job.last = seconds(self.now - job.ended);
        job.ended = self.now;
        job.step += 1;
        job.made += 1;
        job.felt.add(200, job.last);
        if job.step.is_multiple_of(CHECKPOINT) {
            job.saved = job.step;
        }
        if job.step.is_multiple_of(LINE) {
            let loss = 1.7 + 4.0 / (1.0 + job.step as f64 / 400.0).sqrt() + 0.02 * self.rng.f64();
            let body = format!(
                "iteration {} | elapsed time per iteration (ms): {:.1} | lm loss: {loss:.4} | number of skipped iterations: 0",
                job.step,
                job.last * 1e3
            );
            self.telemetry.say(self.now, job.service, LogSeverity::Info, body);
        }
        let failures = self.services.get(job.service).map_or(0.0, |s| s.settings.get(Setting::Failures));
        if failures > 0.0 && self.rng.f64() < failures {
            self.program_fails(job.service, fleet);
            return;
        }
        self.begin_step(job, fleet);
    }

    /// The program itself reads where it must not; the GPU is well.
    fn program_fails(&mut self, service: usize, fleet: &mut Fleet) {
        let ours = |g: &super::Gpu| matches!(g.holder, Some(Holder::Replica(s, _)) if s == service);
        let mut its: Vec<&mut super::Gpu> = fleet.gpus.iter_mut().filter(|g| ours(g)).collect();
        if its.is_empty() {
            return;
        }
        let at = self.rng.usize(..its.len());
        let Some(gpu) = its.get_mut(at) else { return };
        let code = if self.rng.f64() < 0.7 { 31 } else { 13 };
        gpu.xid = code;
        let entity = self.services.len() + gpu.node;
        self.telemetry.xid(self.now, entity, gpu.slot, code);
        self.telemetry.xid(self.now, entity, gpu.slot, 43);
        let body = format!("[rank{at}]: RuntimeError: CUDA error: an illegal memory access was encountered");
        self.telemetry.say(self.now, service, LogSeverity::Error, body);
        if let Some(Holder::Replica(s, r)) = gpu.holder {
            self.kill(s, r, false);
        }
    }
}
