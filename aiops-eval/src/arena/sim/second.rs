//! What changes slowly, stepped once a second.

use super::spec::{Role, Setting};
use super::state::{Place, Trouble};
use super::{SECOND, Simulator};

/// Memory of a node that the system itself holds, bytes.
const SYSTEM_MEMORY: f64 = 1.2e9;

impl Simulator {
    pub(super) fn second(&mut self) {
        let now = self.now;
        let over: Vec<usize> = self
            .conditions
            .iter()
            .enumerate()
            .filter(|(_, c)| c.until.is_some_and(|until| until <= now))
            .map(|(i, _)| i)
            .rev()
            .collect();
        let any_over = !over.is_empty();
        for i in over {
            self.conditions.remove(i);
        }
        if any_over {
            self.apply_conditions();
        }
        self.nodes_second();
        self.replicas_second();
        self.services_second();
        self.fleet_second();
        if (now / SECOND).is_multiple_of(30) {
            self.autoscale();
        }
    }

    fn nodes_second(&mut self) {
        let mut used = vec![0.0; self.nodes.len()];
        let mut memory = vec![SYSTEM_MEMORY; self.nodes.len()];
        for service in &self.services {
            let (spin, limit) =
                (service.settings.get(Setting::Spin), service.settings.get(Setting::CpuLimit));
            for copy in service.replicas.iter().filter(|r| r.is_ready()) {
                if let (Some(u), Some(m)) = (used.get_mut(copy.node), memory.get_mut(copy.node)) {
                    *u += (copy.used_now + spin).min(limit);
                    *m += copy.memory(&service.settings);
                }
            }
        }
        for ((node, used), memory) in self.nodes.iter_mut().zip(used).zip(memory) {
            let demand = used + node.stolen + 0.15;
            node.used = demand.min(node.spec.cores);
            node.busy_seconds += node.used;
            // Smoothed over some seconds, as a scheduler's queues are.
            let wanted = (demand / node.spec.cores).max(1.0);
            node.contention += (wanted - node.contention) * 0.4;
            node.memory = memory + node.hogged;
            node.disk = node.disk.min(node.spec.disk);
        }
        let mut fills = vec![0.0; self.nodes.len()];
        for c in &self.conditions {
            if let (Place::Node(n), Trouble::Fill(rate)) = (c.on, &c.does)
                && let Some(fill) = fills.get_mut(n)
            {
                *fill += rate;
            }
        }
        for (node, fill) in self.nodes.iter_mut().zip(fills) {
            node.disk = (node.disk + fill).min(node.spec.disk);
            node.disk_logs = (node.disk_logs + fill).min(node.disk);
        }
    }

    /// Garbage collection, limits, leaks, and the ends they lead to.
    fn replicas_second(&mut self) {
        let mut killed = Vec::new();
        for (s, service) in self.services.iter_mut().enumerate() {
            let settings = &service.settings;
            let (spin, limit) = (settings.get(Setting::Spin), settings.get(Setting::CpuLimit));
            let (bound, slots) = (settings.get(Setting::MemoryLimit), settings.get(Setting::Concurrency));
            for (r, copy) in service.replicas.iter_mut().enumerate().filter(|(_, c)| c.is_ready()) {
                let used = copy.used_now + spin;
                copy.used += used.min(limit);
                copy.used_now = 0.0;
                let memory = copy.memory(settings);
                // The collector works harder the less is left, as of a generational heap.
                let tight = ((memory / bound - 0.8) / 0.2).clamp(0.0, 1.0);
                let collecting = used.min(limit) * (0.02 + 0.9 * tight * tight);
                copy.collections += collecting;
                let slow = service_slow(&self.conditions, s, r);
                // A quota that is exceeded makes work longer until no more is begun than the quota allows: an integral
                // controller finds that point. What burns the quota beside requests takes its share at once.
                let begun = used - spin;
                copy.throttle = (copy.throttle * (begun / limit).sqrt().max(0.5)).clamp(1.0, 200.0);
                let burnt = (spin / limit).clamp(1.0, 20.0);
                let wanted = slow * (1.0 + 3.0 * tight * tight) * copy.throttle * burnt;
                copy.stretch += (wanted - copy.stretch) * 0.4;
                if memory >= bound && service.spec.role != Role::External {
                    killed.push((s, r));
                }
                let stuck: f64 = self
                    .conditions
                    .iter()
                    .filter(|c| c.on == Place::Service(s))
                    .map(|c| if let Trouble::Stuck(rate) = c.does { rate } else { 0.0 })
                    .sum();
                if stuck > 0.0 && self.rng.f64() < stuck && f64::from(copy.stuck + 1) < slots {
                    copy.stuck += 1;
                }
            }
        }
        for (s, r) in killed {
            self.kill(s, r, true);
        }
        // A node out of memory ends its largest replica.
        for n in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(n) else { continue };
            if node.memory <= node.spec.memory {
                continue;
            }
            let all = self.services.iter().enumerate().flat_map(|(s, service)| {
                let ready = service.replicas.iter().enumerate().filter(|(_, c)| c.node == n && c.is_ready());
                ready.map(move |(r, c)| (c.memory(&service.settings), s, r))
            });
            let largest = all.max_by(|a, b| a.0.total_cmp(&b.0));
            if let Some((_, s, r)) = largest {
                self.kill(s, r, true);
            }
        }
    }

    fn services_second(&mut self) {
        for (s, service) in self.services.iter_mut().enumerate() {
            let has = |wanted: fn(&Trouble) -> bool| {
                self.conditions.iter().any(|c| c.on == Place::Service(s) && wanted(&c.does))
            };
            if service.spec.role == Role::Database {
                if has(|t| matches!(t, Trouble::Stalled)) {
                    service.lag += 1.0;
                } else {
                    service.lag = (service.lag * 0.7).max(0.02);
                }
            }
            if service.spec.role == Role::Cache {
                let cold = self.conditions.iter().find_map(|c| match c.does {
                    Trouble::Cold(to) if c.on == Place::Service(s) => Some(to),
                    _ => None,
                });
                // A purged cache is warm again within minutes.
                let goal = cold.unwrap_or(1.0);
                service.warmth += (goal - service.warmth) * 0.015;
                if service.ready() == 0 {
                    service.warmth = 0.0;
                }
            }
        }
    }

    /// Adds a copy where more than 70 % of the slots are busy, takes one away below 20 %.
    fn autoscale(&mut self) {
        let mut wishes = Vec::new();
        for (s, service) in self.services.iter().enumerate() {
            let Some(most) = service.spec.autoscaled else { continue };
            let busy: u32 = service.replicas.iter().map(|r| r.busy).sum();
            let load = f64::from(busy) / f64::from((service.ready() * service.slots()).max(1));
            if load > 0.7 && service.wanted < most {
                wishes.push((s, service.wanted + 1));
            } else if load < 0.1 && service.wanted > service.spec.replicas {
                wishes.push((s, service.wanted - 1));
            }
        }
        for (s, wanted) in wishes {
            self.scale(s, wanted, "horizontal-pod-autoscaler");
        }
    }
}

fn service_slow(conditions: &[super::state::Condition], service: usize, replica: usize) -> f64 {
    let mut slow = 1.0;
    for c in conditions {
        if let (Place::Replica(s, r), Trouble::Slow(factor)) = (c.on, &c.does)
            && s == service
            && r == replica
        {
            slow *= factor;
        }
    }
    slow
}
