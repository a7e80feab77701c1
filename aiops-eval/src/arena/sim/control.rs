//! What operators and daily life do to a system: roll-outs, restarts, scaling, conditions.

use aiops_core::action::ActionKind;
use aiops_core::model::ChangeKind;
use serde::{Deserialize, Serialize};

use super::engine::Event;
use super::spec::{Alteration, Role, Setting};
use super::state::{Condition, Health, Place, Replica, Revision, Rollout, Trouble};
use super::{Micros, SECOND, Simulator, micros};

/// Something that is done to the system at a given time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Control {
    /// A new revision with altered settings is rolled out.
    RollOut {
        /// Index of the service.
        service: usize,
        /// Sort of change.
        kind: ChangeKind,
        /// What the revision alters; nothing, for most.
        alters: Vec<Alteration>,
        /// Whether the feed of changes tells.
        told: bool,
    },
    /// A condition begins.
    Begin(Condition),
    /// One replica ends without warning.
    Kill {
        /// Index of the service.
        service: usize,
        /// Index of the replica.
        replica: usize,
    },
    /// One of the replicas that are on a node then ends without warning.
    KillOn {
        /// Index of the node.
        node: usize,
        /// Which of them, 0..1 of their number.
        which: f64,
    },
    /// A person scales.
    Scale {
        /// Index of the service.
        service: usize,
        /// Copies.
        replicas: u32,
    },
}

/// Time from taking a replica out to its new start, and from there until it is ready.
const GRACE: f64 = 3.0;
const START: (f64, f64) = (5.0, 9.0);
/// Time between two replicas of a roll-out.
const PACE: f64 = 15.0;

impl Simulator {
    /// Does `what` at `time`.
    pub fn schedule(&mut self, time: Micros, what: Control) {
        let index = self.controls.len();
        self.controls.push(Some(what));
        self.at(time, Event::Control(index));
    }

    pub(super) fn control(&mut self, index: usize) {
        let Some(what) = self.controls.get_mut(index).and_then(Option::take) else { return };
        match what {
            Control::RollOut { service, kind, alters, told } => {
                self.roll_out(service, kind, &alters, told);
            }
            Control::Begin(condition) => self.begin_condition(condition),
            Control::Kill { service, replica } => self.kill(service, replica, false),
            Control::KillOn { node, which } => {
                let there: Vec<(usize, usize)> = self.on_node(node).collect();
                let pick = (which.clamp(0.0, 1.0) * there.len() as f64) as usize;
                if let Some((service, replica)) = there.get(pick.min(there.len().saturating_sub(1))) {
                    self.kill(*service, *replica, false);
                }
            }
            Control::Scale { service, replicas } => self.scale(service, replicas, "ops"),
        }
    }

    /// A new revision from the present one.
    fn roll_out(&mut self, service: usize, kind: ChangeKind, alters: &[Alteration], told: bool) {
        let Some(s) = self.services.get_mut(service) else { return };
        let Some(present) = s.revisions.get(s.current) else { return };
        let mut settings = present.settings.clone();
        alters.iter().for_each(|a| settings.apply(a));
        let number: u32 = present.name.trim_start_matches('r').parse().unwrap_or(0);
        let last =
            s.revisions.iter().filter_map(|r| r.name.trim_start_matches('r').parse::<u32>().ok()).max();
        let name = format!("r{}", last.unwrap_or(number) + 1);
        let from = present.name.clone();
        s.revisions.push(Revision { name: name.clone(), settings });
        let revision = s.revisions.len() - 1;
        if told {
            self.telemetry.change(self.now, kind, &self.services, service, Some((from, name)));
        }
        self.roll_to(service, revision);
    }

    /// Takes the replicas of `service` one after the other to `revision`.
    pub(crate) fn roll_to(&mut self, service: usize, revision: usize) {
        let Some(s) = self.services.get_mut(service) else { return };
        s.generation += 1;
        s.rollout = Some(Rollout { next: 0, revision });
        // The revision counts from its first replica on; settings are those of the service as a whole.
        s.current = revision;
        self.at(self.now + SECOND, Event::Rollout(service));
    }

    pub(super) fn roll_on(&mut self, service: usize) {
        let Some(s) = self.services.get_mut(service) else { return };
        let Some(rollout) = s.rollout.clone() else { return };
        let alone = s.replicas.len() == 1;
        let Some(copy) = s.replicas.get_mut(rollout.next) else {
            s.rollout = None;
            return;
        };
        copy.revision = rollout.revision;
        copy.backoff = 0;
        s.rollout = Some(Rollout { next: rollout.next + 1, revision: rollout.revision });
        let replica = rollout.next;
        // The new settings hold from the first new replica on: half a roll-out is not told apart.
        self.apply_conditions();
        if alone {
            // A second copy starts before the only one ends.
            self.renew(service, replica);
        } else {
            self.restart(service, replica, GRACE);
        }
        self.at(self.now + micros(PACE), Event::Rollout(service));
    }

    /// A fresh process takes the place of `replica` without a gap.
    fn renew(&mut self, service: usize, replica: usize) {
        let stuck = self.services.get(service).and_then(|s| s.replicas.get(replica)).map(|c| c.stuck);
        if let Some(copy) = self.services.get_mut(service).and_then(|s| s.replicas.get_mut(replica)) {
            if copy.health != Health::Ready {
                copy.health = Health::Ready;
            }
            copy.leaked = 0.0;
            copy.descriptors = 40.0;
            copy.stuck = 0;
            copy.hung = None;
            (copy.stretch, copy.throttle) = (1.0, 1.0);
        }
        if stuck.is_some() {
            self.after_start(service, replica);
            self.admit(service);
        }
    }

    /// Ends `replica` and starts it anew; requests it works on are lost unless they end within `grace` seconds.
    fn restart(&mut self, service: usize, replica: usize, grace: f64) {
        if grace <= 0.0 {
            self.drop_work(service, replica);
        }
        let draw = self.rng.f64();
        let Some(copy) = self.services.get_mut(service).and_then(|s| s.replicas.get_mut(replica)) else {
            return;
        };
        if copy.health == Health::Stopped {
            return;
        }
        // With grace it takes no new requests and ends those it has; what hangs ends with it.
        copy.health = Health::Starting;
        copy.stuck = 0;
        copy.hung = None;
        copy.leaked = 0.0;
        copy.descriptors = 40.0;
        (copy.stretch, copy.throttle) = (1.0, 1.0);
        let wait = grace + START.0 + (START.1 - START.0) * draw;
        let life = copy.life;
        self.at(self.now + micros(wait), Event::Started(service, replica, life));
    }

    /// `replica` ends without warning and is started anew, later each time.
    pub(crate) fn kill(&mut self, service: usize, replica: usize, out_of_memory: bool) {
        self.telemetry.ended(self.now, service, replica, out_of_memory, &self.services);
        self.drop_work(service, replica);
        let Some(copy) = self.services.get_mut(service).and_then(|s| s.replicas.get_mut(replica)) else {
            return;
        };
        copy.restarts += 1;
        copy.health = Health::Starting;
        copy.hung = None;
        copy.leaked = 0.0;
        copy.descriptors = 40.0;
        // As a kubelet does: 10 s, twice as long each time, 5 min at most.
        let wait = if copy.backoff == 0 { 4.0 } else { (5.0 * 2f64.powi(copy.backoff as i32)).min(300.0) };
        copy.backoff = (copy.backoff + 1).min(7);
        let life = copy.life;
        self.at(self.now + micros(wait), Event::Started(service, replica, life));
    }

    pub(super) fn started(&mut self, service: usize, replica: usize, life: u32) {
        let down = |sim: &Self, node: usize| sim.nodes.get(node).is_some_and(|n| n.down);
        let Some(node) = self.services.get(service).and_then(|s| s.replicas.get(replica)).map(|c| c.node)
        else {
            return;
        };
        if down(self, node) || !self.may_start(service, replica) {
            self.at(self.now + 5 * SECOND, Event::Started(service, replica, life));
            return;
        }
        let Some(copy) = self.services.get_mut(service).and_then(|s| s.replicas.get_mut(replica)) else {
            return;
        };
        if copy.life != life || copy.health != Health::Starting {
            return;
        }
        copy.health = Health::Ready;
        self.telemetry.started(self.now, service, replica, &self.services);
        self.after_start(service, replica);
        self.admit(service);
    }

    /// What a start may lead to.
    fn after_start(&mut self, service: usize, replica: usize) {
        let Some(s) = self.services.get(service) else { return };
        let crash = s.settings.get(Setting::Crash);
        let life = s.replicas.get(replica).map_or(0, |c| c.life);
        if crash > 0.0 && self.rng.f64() < crash {
            let soon = 1.0 + 4.0 * self.rng.f64();
            self.at(self.now + micros(soon), Event::Crash(service, replica, life));
        }
    }

    pub(super) fn crash(&mut self, service: usize, replica: usize, life: u32) {
        let Some(s) = self.services.get(service) else { return };
        let alive = s.replicas.get(replica).is_some_and(|c| c.life == life && c.is_ready());
        if alive && s.settings.get(Setting::Crash) > 0.0 {
            self.kill(service, replica, false);
        }
    }

    /// Runs so many copies of `service`.
    pub(crate) fn scale(&mut self, service: usize, replicas: u32, by: &str) {
        let Some(s) = self.services.get_mut(service) else { return };
        if s.wanted == replicas {
            return;
        }
        s.generation += 1;
        let before = s.wanted;
        s.wanted = replicas;
        let (current, have) = (s.current, s.replicas.len());
        self.telemetry.scaled(self.now, &self.services, service, before, by);
        for replica in (replicas as usize..have).rev() {
            self.drop_work(service, replica);
        }
        let Some(s) = self.services.get_mut(service) else { return };
        s.replicas.truncate(replicas as usize);
        for replica in have..replicas as usize {
            let node = self.place(service).unwrap_or(0);
            let Some(s) = self.services.get_mut(service) else { return };
            let mut copy = Replica::new(node, current);
            copy.health = Health::Starting;
            s.replicas.push(copy);
            let wait = START.0 + (START.1 - START.0) * self.rng.f64();
            self.at(self.now + micros(wait), Event::Started(service, replica, 0));
        }
    }

    /// The node with the fewest replicas that takes work of `service`.
    pub(super) fn place(&self, service: usize) -> Option<usize> {
        let load = |n: usize| self.services.iter().flat_map(|s| &s.replicas).filter(|r| r.node == n).count();
        let gpus = self.services.get(service).map_or(0, |s| s.spec.gpus);
        let any_plain = self.nodes.iter().any(|n| n.spec.gpus == 0);
        let fits =
            |n: usize| if gpus > 0 { self.gpus_left(n) >= gpus } else { !any_plain || self.gpus_of(n) == 0 };
        let open = self.nodes.iter().enumerate().filter(|(_, n)| !n.cordoned && !n.down);
        open.map(|(n, _)| n).filter(|n| fits(*n)).min_by_key(|n| (load(*n), *n))
    }

    /// Service and replica of everything on `node`.
    fn on_node(&self, node: usize) -> impl Iterator<Item = (usize, usize)> {
        self.services.iter().enumerate().flat_map(move |(s, service)| {
            let on = service.replicas.iter().enumerate().filter(move |(_, c)| c.node == node);
            on.map(move |(r, _)| (s, r))
        })
    }

    /// Moves every replica of `node` away.
    pub(crate) fn drain(&mut self, node: usize) {
        if let Some(n) = self.nodes.get_mut(node) {
            n.cordoned = true;
        }
        let daemon = |s: usize| self.services.get(s).is_some_and(|s| s.spec.role.is_daemon());
        let there: Vec<(usize, usize)> = self.on_node(node).filter(|(s, _)| !daemon(*s)).collect();
        for (s, r) in there {
            // What fits nowhere waits where it is until something does.
            let to = self.place(s).unwrap_or(node);
            self.restart(s, r, 0.0);
            if let Some(copy) = self.services.get_mut(s).and_then(|s| s.replicas.get_mut(r)) {
                copy.node = to;
            }
        }
    }

    pub(crate) fn begin_condition(&mut self, condition: Condition) {
        if let (Place::Service(s), Trouble::Cold(to)) = (condition.on, &condition.does)
            && let Some(service) = self.services.get_mut(s)
        {
            service.warmth = service.warmth.min(*to);
        }
        // What happens once leaves a state, and no condition.
        if let (Place::Replica(s, r), Trouble::Hang(slot)) = (condition.on, &condition.does) {
            if let Some(copy) = self.services.get_mut(s).and_then(|s| s.replicas.get_mut(r)) {
                copy.hung = Some(*slot);
            }
            return;
        }
        if let (Place::Gpu(node, slot), Trouble::Fallen) = (condition.on, &condition.does) {
            self.fall_off(node, slot);
            return;
        }
        self.tell_beginning(&condition);
        let took_down = matches!(condition.does, Trouble::Down);
        let on = condition.on;
        self.conditions.push(condition);
        self.apply_conditions();
        if let (true, Place::Node(n)) = (took_down, on) {
            let there: Vec<(usize, usize)> = self
                .services
                .iter()
                .enumerate()
                .flat_map(|(s, x)| {
                    x.replicas.iter().enumerate().filter(|(_, c)| c.node == n).map(move |(r, _)| (s, r))
                })
                .collect();
            for (s, r) in there {
                self.restart(s, r, 30.0);
            }
        }
    }

    /// Ends the conditions on `place` that an action of `kind` cures.
    pub(crate) fn cure(&mut self, place: Place, kind: ActionKind) {
        let on = |c: &Condition| match (c.on, place) {
            (Place::Replica(s, _) | Place::Link(s, _), Place::Service(t)) => s == t,
            (a, b) => a == b,
        };
        self.conditions.retain(|c| !(on(c) && c.cures.contains(&kind)));
        self.apply_conditions();
    }

    /// Derives what is in force from revisions and conditions.
    pub(crate) fn apply_conditions(&mut self) {
        for service in &mut self.services {
            if let Some(revision) = service.revisions.get(service.current) {
                service.settings = revision.settings.clone();
            }
            service.down = false;
            service.dark = false;
        }
        for node in &mut self.nodes {
            (node.loss, node.delay, node.disk_slow, node.stolen, node.hogged) = (0.0, 0.0, 1.0, 0.0, 0.0);
            node.down = false;
        }
        self.surges.iter_mut().for_each(|s| *s = 1.0);
        self.guesses.iter_mut().for_each(|g| *g = 0.0);
        for c in &self.conditions {
            match c.on {
                Place::Service(s) => {
                    let Some(service) = self.services.get_mut(s) else { continue };
                    match &c.does {
                        Trouble::Alter(alters) => alters.iter().for_each(|a| service.settings.apply(a)),
                        Trouble::Down => service.down = true,
                        Trouble::Dark => service.dark = true,
                        _ => {}
                    }
                }
                Place::Node(n) => {
                    let Some(node) = self.nodes.get_mut(n) else { continue };
                    match &c.does {
                        Trouble::Steal(cores) => node.stolen += cores,
                        Trouble::Hog(bytes) => node.hogged += bytes,
                        Trouble::Disk(factor) => node.disk_slow *= factor,
                        Trouble::Loss(share) => node.loss = node.loss.max(*share),
                        Trouble::Delay(time) => node.delay += time,
                        Trouble::Down => node.down = true,
                        _ => {}
                    }
                }
                Place::Tenant(t) => match &c.does {
                    Trouble::Surge(factor) => {
                        self.surges.iter_mut().skip(t).take(1).for_each(|s| *s *= factor)
                    }
                    Trouble::Guess(share) => {
                        self.guesses.iter_mut().skip(t).take(1).for_each(|g| *g = *share)
                    }
                    _ => {}
                },
                Place::Replica(..) | Place::Link(..) | Place::Gpu(..) => {}
            }
        }
    }

    /// Empties a cache.
    pub(crate) fn purge(&mut self, service: usize) {
        if let Some(s) = self.services.get_mut(service).filter(|s| s.spec.role == Role::Cache) {
            s.warmth = 0.0;
        }
    }

    /// Frees what rotated logs held on the nodes of `service`.
    pub(crate) fn rotate(&mut self, nodes: &[usize]) {
        for n in nodes {
            if let Some(node) = self.nodes.get_mut(*n) {
                node.disk -= node.disk_logs;
                node.disk_logs = 0.0;
            }
        }
    }
}
