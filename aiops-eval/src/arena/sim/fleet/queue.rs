//! Small jobs that wait for GPUs.

use std::collections::{BTreeMap, VecDeque};

use super::{Fleet, Holder, since};
use crate::arena::sim::spec::{Role, Setting};
use crate::arena::sim::state::{Place, Tally, Trouble};
use crate::arena::sim::{Micros, SECOND, Simulator, micros};

/// Seconds between two rounds of the scheduler.
const ROUND: u64 = 5;
/// Mean and least time a job runs, s.
const MEAN: f64 = 300.0;
const LEAST: f64 = 60.0;
/// Share of jobs whose own program fails at its end.
const CLUMSY: f64 = 0.06;

#[derive(Debug, Clone)]
struct Job {
    id: u64,
    gpus: usize,
    takes: Micros,
    queued: Micros,
    until: Micros,
}

/// Jobs that wait, and jobs that run; conserved: every job that came waits, runs, or ended.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Job>,
    running: Vec<Job>,
    pub(crate) came: u64,
    pub(crate) ended: u64,
    /// Waits of jobs that were given GPUs, and jobs that were lost, since somebody looked.
    pub(crate) felt: Tally,
}

impl Queue {
    pub(crate) fn pending(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// GPUs that running jobs were given.
    pub(crate) fn given(&self) -> usize {
        self.running.iter().map(|j| j.gpus).sum()
    }

    /// How long the job waits that waits longest, s.
    pub(crate) fn oldest(&self, now: Micros) -> f64 {
        self.waiting.iter().map(|j| since(j.queued, now)).fold(0.0, f64::max)
    }

    /// Jobs `ids` give their GPUs back and begin anew when there are others.
    pub(super) fn preempt(&mut self, ids: &[u64], now: Micros) {
        let (stopped, running): (Vec<Job>, Vec<Job>) =
            self.running.drain(..).partition(|j| ids.contains(&j.id));
        self.running = running;
        for job in stopped.into_iter().rev() {
            self.waiting.push_front(Job { queued: now, ..job });
        }
    }

    /// What its users felt since the last call: waits of those that got GPUs, and of those that still wait.
    pub(crate) fn take_felt(&mut self, now: Micros) -> Tally {
        let mut felt = std::mem::take(&mut self.felt);
        for job in &self.waiting {
            felt.add(200, since(job.queued, now));
        }
        felt
    }
}

impl Fleet {
    /// A small job ends with the GPU under it.
    pub(super) fn lose(&mut self, id: u64) {
        let before = self.queue.running.len();
        self.queue.running.retain(|j| j.id != id);
        if self.queue.running.len() < before {
            self.queue.ended += 1;
            self.queue.felt.add(500, 0.0);
        }
        self.free(id);
    }

    fn free(&mut self, id: u64) {
        for gpu in self.gpus.iter_mut().filter(|g| g.holder == Some(Holder::Batch(id))) {
            gpu.holder = None;
        }
    }
}

impl Simulator {
    pub(super) fn run_queue(&mut self, fleet: &mut Fleet) {
        let now = self.now;
        if self.rng.f64() < self.spec.batch {
            let takes = LEAST + self.exponential(MEAN - LEAST);
            let gpus = [1, 1, 2, 2].get(self.rng.usize(..4)).copied().unwrap_or(1);
            let job = Job { id: fleet.queue.came, gpus, takes: micros(takes), queued: now, until: 0 };
            fleet.queue.came += 1;
            fleet.queue.waiting.push_back(job);
        }
        // A machine that is gone takes its jobs with it.
        let gone: Vec<u64> = fleet
            .gpus
            .iter()
            .filter(|g| g.fallen || self.nodes.get(g.node).is_none_or(|n| n.down))
            .filter_map(|g| if let Some(Holder::Batch(id)) = g.holder { Some(id) } else { None })
            .collect();
        gone.into_iter().for_each(|id| fleet.lose(id));
        let over: Vec<u64> = fleet.queue.running.iter().filter(|j| j.until <= now).map(|j| j.id).collect();
        for id in over {
            if self.rng.f64() < CLUMSY
                && let Some(gpu) = fleet.gpus.iter_mut().find(|g| g.holder == Some(Holder::Batch(id)))
            {
                // Programs of users fail for reasons of their own.
                let code = if self.rng.bool() { 31 } else { 13 };
                gpu.xid = code;
                let entity = self.services.len() + gpu.node;
                let slot = gpu.slot;
                self.telemetry.xid(now, entity, slot, code);
                self.telemetry.xid(now, entity, slot, 43);
            }
            fleet.queue.running.retain(|j| j.id != id);
            fleet.queue.ended += 1;
            fleet.free(id);
        }
        if (now / SECOND).is_multiple_of(ROUND) {
            self.give(fleet);
        }
    }

    /// One round of the scheduler: first come, first served.
    fn give(&self, fleet: &mut Fleet) {
        let Some((s, scheduler)) =
            self.services.iter().enumerate().find(|(_, s)| s.spec.role == Role::Scheduler)
        else {
            return;
        };
        let stuck = self.conditions.iter().any(|c| c.on == Place::Service(s) && c.does == Trouble::Stalled);
        if stuck || scheduler.ready() == 0 {
            return;
        }
        let quota = scheduler.settings.get(Setting::Quota);
        while let Some(job) = fleet.queue.waiting.front() {
            let open = |n: usize| self.nodes.get(n).is_some_and(|n| !n.cordoned && !n.down);
            let pool: Vec<&super::Gpu> = fleet
                .gpus
                .iter()
                .filter(|g| !g.fallen && !matches!(g.holder, Some(Holder::Replica(..))) && open(g.node))
                .collect();
            let given = pool.iter().filter(|g| g.holder.is_some()).count();
            if (given + job.gpus) as f64 > quota * pool.len() as f64 {
                return;
            }
            let mut free: BTreeMap<usize, usize> = BTreeMap::new();
            pool.iter().filter(|g| g.holder.is_none()).for_each(|g| *free.entry(g.node).or_default() += 1);
            // The fullest machine that fits, so that large jobs find room.
            let fits = free.into_iter().filter(|(_, n)| *n >= job.gpus).min_by_key(|(node, n)| (*n, *node));
            let Some((node, _)) = fits else { return };
            let Some(mut job) = fleet.queue.waiting.pop_front() else { return };
            job.until = self.now + job.takes;
            let its = fleet.gpus.iter_mut().filter(|g| g.node == node && g.holder.is_none() && !g.fallen);
            its.take(job.gpus).for_each(|g| g.holder = Some(Holder::Batch(job.id)));
            fleet.queue.felt.add(200, since(job.queued, self.now));
            fleet.queue.running.push(job);
        }
    }
}
