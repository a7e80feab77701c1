//! One episode, from the drawing of the system to the sealed truth.

use std::sync::OnceLock;
use std::time::Duration;

use aiops_core::action::{ActionKind, Principal};
use aiops_core::jiff::Timestamp;
use aiops_core::model::time::after;
use aiops_core::model::{EntityId, FaultType, TelemetryWindow};
use aiops_core::pipeline::Look;
use aiops_core::seam::Approver;
use aiops_core::{Case, CaseEntry, CasePart, Clock, Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::RunConfig;
use super::gold::{Gold, classify};
use super::players::Player;
use crate::arena::faults::{Duty, Family, Fault, Injection, RightAction, Site, daily_life, system_for};
use crate::arena::informed::Informed;
use crate::arena::sim::micros;
use crate::arena::sim::spec::SystemSpec;
use crate::arena::sim::state::Tally;
use crate::arena::telemetry::quantile;
use crate::arena::world::{Deed, World};

/// What was really the matter; sealed apart from what a pipeline did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// Name of the fault; `None` when nothing was broken.
    pub fault: Option<String>,
    /// Its class.
    pub family: Option<Family>,
    /// When it began, or would have begun.
    pub onset: Timestamp,
    /// Right answers to "where".
    pub roots: Vec<EntityId>,
    /// Right answers to "what kind".
    pub types: Vec<FaultType>,
    /// Actions that heal.
    pub right: Vec<RightAction>,
    /// Whether every root must be acted on.
    pub needs_all: bool,
    /// What a good operator does.
    pub duty: Duty,
    /// What telemetry can tell of it, by the test of [`gold`](super::gold).
    pub gold: Option<Gold>,
    /// Whether users still suffer at the end when nobody does anything.
    pub harmed: bool,
    /// Everything that was done to the world, as the world knows.
    pub deeds: Vec<Deed>,
    /// Users at the end, by what they do.
    pub at_end: Vec<Health>,
    /// Users twenty minutes later, nobody having touched anything.
    pub later: Vec<Health>,
    /// Services that were there at the start, and at the end have fewer copies ready than they had, or tell nothing any more.
    pub crippled: Vec<EntityId>,
}

/// What users do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Users {
    /// Send requests.
    Requests,
    /// Train: a request is a step, and steps that a restart loses have failed.
    Steps,
    /// Wait for GPUs: an answer is the beginning of a job, and a job that is lost has failed.
    Waits,
    /// Send requests to the real processes of the example system, whose own criterion holds.
    Live,
}

impl Users {
    /// With fewer failures (a share) and a lower 95th percentile (s) users of the example system are well, as it says itself.
    const LIVE_BELOW: (f64, f64) = (0.02, 0.25);

    /// The same as text, for the hash of real runs.
    #[cfg(feature = "live")]
    pub(crate) fn live_thresholds() -> String {
        format!("{:?}", Self::LIVE_BELOW)
    }
}

/// More failures than before with which users are still well, as a share; times slower; and s slower beside that, in the order
/// of [`Users`]. Who submits a job does not mind a minute.
const MORE_FAILURES: f64 = 0.01;
const SLOWER: f64 = 1.5;
const SLACK: [f64; 3] = [0.02, 0.02, 60.0];

/// Every threshold by which users are well, for the hash of the arena.
pub(super) fn thresholds() -> String {
    format!("{MORE_FAILURES} {SLOWER} {SLACK:?}")
}

/// Whether all users are well; nobody is, of none.
#[must_use]
pub fn all_well(users: &[Health]) -> bool {
    !users.is_empty() && users.iter().all(Health::is_well)
}

/// How users fare, from the simulator's own counts. Those of tenants at fault are left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// What they do.
    pub users: Users,
    /// Share of requests that failed, before anything broke.
    pub failed_before: f64,
    /// Share that fails now.
    pub failed: f64,
    /// 95th percentile of answers before, s.
    pub p95_before: f64,
    /// Now, s.
    pub p95: f64,
    /// Requests that were counted now.
    pub requests: u64,
}

impl Health {
    /// No more than one percentage point more failures, and no more than half again and 20 ms slower (a minute, of those who
    /// wait for GPUs), with users there.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let [requests, steps, waits] = SLACK;
        let slack = match self.users {
            Users::Live => {
                let (failed, p95) = Users::LIVE_BELOW;
                return self.requests > 0 && self.failed < failed && self.p95 < p95;
            }
            Users::Requests => requests,
            Users::Steps => steps,
            Users::Waits => waits,
        };
        // That nobody submits a job for some minutes is in order.
        (self.requests > 0 || self.users == Users::Waits)
            && self.failed <= self.failed_before + MORE_FAILURES
            && self.p95 <= SLOWER * self.p95_before + slack
    }
}

/// What one pipeline did in one episode: everything that may be scored, and nothing that it could not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Played {
    /// Number of the episode in its run.
    pub index: u64,
    /// Its seed.
    pub seed: u64,
    /// Who played.
    pub player: Player,
    /// Cases, in order. Windows are left out: they can be made again from the seed, and [`Self::windows`] proves which they were.
    pub cases: Vec<Case>,
    /// BLAKE3 over every window that a case observed, in order.
    pub windows: String,
    /// Looks taken.
    pub looks: u32,
    /// Looks that failed.
    pub failed_looks: u32,
    /// Reads of telemetry.
    pub reads: u64,
    /// How often a person was asked.
    pub asked: u32,
    /// Simulated time from the first look to the last, s.
    pub watched_seconds: f64,
}

/// One in so many episodes without a fault is of a fleet of GPUs, about as often as faults are.
const NULL_FLEETS: u64 = 5;

/// An episode that is laid out but not played.
#[derive(Debug)]
pub struct Layout {
    /// Number.
    pub index: u64,
    /// Seed.
    pub seed: u64,
    spec: SystemSpec,
    pub(super) fault: Option<(String, Family, Injection)>,
    pub(super) onset: f64,
    pub(crate) learn: f64,
    end: f64,
    after: f64,
    calibration: Option<aiops_rca::Calibrator>,
    leaky: bool,
    /// What becomes of it without a pipeline; the same for every player, so it is simulated once.
    untouched: OnceLock<Option<(Gold, bool)>>,
}

/// A person on call who reads for a minute and consents to everything.
#[derive(Debug, Clone, Default)]
pub struct OnCall(std::sync::Arc<std::sync::atomic::AtomicU32>);

impl OnCall {
    /// How often somebody asked.
    #[must_use]
    pub fn asked(&self) -> u32 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[async_trait]
impl Approver for OnCall {
    async fn decide(
        &self,
        _: &aiops_core::action::ApprovalRequest,
        ctx: &Context,
    ) -> Result<aiops_core::action::ApprovalDecision> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        ctx.sleep(Duration::from_secs(60)).await?;
        Ok(aiops_core::action::ApprovalDecision {
            approver: Principal::new("on-call (simulated)"),
            granted: true,
            reason: "consents to everything".to_owned(),
            at: ctx.now(),
        })
    }
}

impl Layout {
    /// Lays out episode `index` of a run: `fault` strikes at a drawn time, or nothing does.
    #[must_use]
    pub fn new(config: &RunConfig, index: u64, fault: Option<&dyn Fault>) -> Self {
        let seed = config.seed(index);
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x0e91_50de);
        let learn = f64::from(config.learn_minutes) * 60.0;
        let onset = learn + 300.0 + 600.0 * rng.f64();
        let end = learn + 900.0 + f64::from(config.watch_minutes) * 60.0;
        // Some of the episodes without a fault are of fleets, too.
        let fleets = fault.map_or(seed.is_multiple_of(NULL_FLEETS), |f| f.family() == Family::Gpu);
        let spec = system_for(if fleets { Family::Gpu } else { Family::Code }, seed);
        let mut site = Site::new(&spec, rng.u64(..), onset);
        let fault = fault.and_then(|f| Some((f.id().to_owned(), f.family(), f.inject(&mut site)?)));
        let after = f64::from(config.after_minutes) * 60.0;
        let calibration = config.calibration.clone();
        Self {
            index,
            seed,
            spec,
            fault,
            onset,
            learn,
            end,
            after,
            calibration,
            leaky: config.leaky,
            untouched: OnceLock::new(),
        }
    }

    /// Whether the drawn system has a place for the fault; always, when there is none.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.fault.is_some()
    }

    /// Name of the fault; `None` without one.
    pub(super) fn name(&self) -> Option<&str> {
        self.fault.as_ref().map(|(id, ..)| id.as_str())
    }

    /// What a good operator does about the fault; `None` without one.
    #[must_use]
    pub fn duty(&self) -> Option<Duty> {
        self.fault.as_ref().map(|(.., injection)| injection.duty)
    }

    /// Kinds of action that heal the fault by themselves.
    #[must_use]
    pub fn right(&self) -> Vec<ActionKind> {
        let right = self.fault.iter().flat_map(|(.., injection)| &injection.right);
        right.map(|r| r.kind).collect()
    }

    /// Who is at fault and of what kind that is, every right answer; nobody without a fault. For scoring only.
    #[must_use]
    pub fn culprits(&self) -> (&[EntityId], &[FaultType]) {
        self.fault.as_ref().map_or((&[], &[]), |(.., i)| (i.roots.as_slice(), i.types.as_slice()))
    }

    /// Whether every one of several at fault must be acted on; no without a fault.
    #[must_use]
    pub fn needs_all(&self) -> bool {
        self.fault.as_ref().is_some_and(|(.., i)| i.needs_all)
    }

    /// The gold-signal class of the fault, and whether users still suffer at the end when nobody does anything; `None` without
    /// a fault.
    #[must_use]
    pub fn without_anybody(&self) -> Option<(Gold, bool)> {
        *self.untouched.get_or_init(|| self.untouched())
    }

    /// When the fault begins, or would, in seconds from the start.
    #[must_use]
    pub fn onset_seconds(&self) -> f64 {
        self.onset
    }

    /// A fresh world with everything that will happen to it.
    #[must_use]
    pub fn world(&self) -> World {
        let world = World::drawn(self.spec.clone(), self.seed);
        for (at, control) in daily_life(&self.spec, self.seed, self.end + 1800.0) {
            world.with(|sim| sim.schedule(at, control));
        }
        if let Some((id, _, injection)) = &self.fault {
            for (offset, control) in &injection.controls {
                // What was so long before is so from the first second on.
                let at = if offset.is_finite() { self.onset + offset } else { 1.0 };
                world.with(|sim| sim.schedule(micros(at), control.clone()));
            }
            if self.leaky {
                let at = self.onset;
                world.with(|sim| sim.telemetry.plant(micros(at), id, self.seed));
            }
        }
        world
    }

    /// The class of the fault, and whether users still suffer at the end, when nobody does anything about it.
    fn untouched(&self) -> Option<(Gold, bool)> {
        let (.., injection) = self.fault.as_ref()?;
        let world = self.world();
        let clock = world.clock().clone();
        let onset = after(clock.now(), Duration::from_secs_f64(self.onset));
        let wait = |seconds: f64| clock.drive(clock.sleep(Duration::from_secs_f64(seconds)));
        wait(self.learn / 2.0);
        world.with(|sim| sim.felt_since(&injection.roots));
        wait(self.learn / 2.0);
        let before = world.with(|sim| sim.felt_since(&injection.roots));
        wait(self.end - self.learn);
        let entry = world.entry();
        let gold = world.with(|sim| classify(sim, &entry, &injection.roots, onset));
        Some((gold, !all_well(&self.health(&world, &injection.roots, &before))))
    }

    /// Plays it to its end.
    ///
    /// # Errors
    /// When the pipeline cannot be composed or learned; what fails later is part of the record.
    pub fn play(&self, player: Player) -> Result<(Played, Truth)> {
        let world = self.world();
        let clock = world.clock().clone();
        let began = clock.now();
        let onset = after(began, Duration::from_secs_f64(self.onset));
        let guilty: Vec<EntityId> = self.fault.as_ref().map(|(.., i)| i.roots.clone()).unwrap_or_default();
        let ctx = world.context();
        let on_call = OnCall::default();
        let run = async {
            let half = Duration::from_secs_f64(self.learn / 2.0);
            clock.sleep(half).await;
            world.with(|sim| sim.felt_since(&guilty));
            clock.sleep(half).await;
            let before = world.with(|sim| sim.felt_since(&guilty));
            let informed = Informed::of(self.fault.as_ref().map(|(.., i)| i), onset);
            let calibration = self.calibration.clone();
            let pipeline = player.compose(&world, on_call.clone(), calibration, informed, &ctx).await?;
            let mut leave = after(began, Duration::from_secs_f64(self.end));
            let (mut cases, mut looks, mut failed) = (Vec::new(), 0, 0);
            while clock.now() < leave {
                looks += 1;
                match pipeline.step(&ctx).await {
                    Ok(Look::Incident(case)) => {
                        if case.opened_at() >= onset {
                            leave = leave.min(after(clock.now(), Duration::from_secs_f64(self.after)));
                        }
                        cases.push(case);
                    }
                    Ok(_) => {}
                    Err(_) => failed += 1,
                }
                clock.sleep(pipeline.config().interval).await;
            }
            Ok::<_, aiops_core::Error>((before, cases, looks, failed))
        };
        let (before, mut cases, looks, failed_looks) = clock.drive(run)?;
        let watched = clock.now().duration_since(began).as_secs_f64() - self.learn;
        let (reads, deeds) = (world.reads(), world.deeds());
        let at_end = self.health(&world, &guilty, &before);
        let crippled = world.with(|sim| sim.crippled());
        clock.drive(clock.sleep(Duration::from_secs(900)));
        let later = self.health(&world, &guilty, &before);
        let windows = strip(&mut cases)?;
        let played = Played {
            index: self.index,
            seed: self.seed,
            player,
            cases,
            windows,
            looks,
            failed_looks,
            reads,
            asked: on_call.asked(),
            watched_seconds: watched,
        };
        let truth = self.truth(onset, deeds, (at_end, later), crippled);
        Ok((played, truth))
    }

    /// What was really the matter, where all this was done and users fared so at the end and later.
    pub(crate) fn truth(
        &self,
        onset: Timestamp,
        deeds: Vec<Deed>,
        (at_end, later): (Vec<Health>, Vec<Health>),
        crippled: Vec<EntityId>,
    ) -> Truth {
        let untouched = self.without_anybody();
        let injection = self.fault.as_ref().map(|(.., i)| i.clone());
        let injection = injection.unwrap_or_else(|| Injection::new([], []).passing());
        Truth {
            fault: self.fault.as_ref().map(|(id, ..)| id.clone()),
            family: self.fault.as_ref().map(|(_, family, _)| *family),
            onset,
            roots: injection.roots,
            types: injection.types,
            right: injection.right,
            needs_all: injection.needs_all,
            duty: injection.duty,
            gold: untouched.map(|u| u.0),
            harmed: untouched.is_some_and(|u| u.1),
            deeds,
            at_end,
            later,
            crippled,
        }
    }

    /// How users fare in the next five minutes.
    pub(crate) fn health(&self, world: &World, guilty: &[EntityId], before: &[Felt]) -> Vec<Health> {
        let clock = world.clock();
        world.with(|sim| sim.felt_since(guilty));
        clock.drive(clock.sleep(Duration::from_secs(300)));
        let now = world.with(|sim| sim.felt_since(guilty));
        let health = |(before, now): (&Felt, Felt)| Health {
            users: now.users,
            failed_before: before.failed,
            failed: now.failed,
            p95_before: before.p95,
            p95: now.p95,
            requests: now.requests,
        };
        before.iter().zip(now).map(health).collect()
    }
}

/// Leaves the telemetry out of `cases`; returns a hash over it.
pub(crate) fn strip(cases: &mut [Case]) -> Result<String> {
    let internal =
        |e: serde_json::Error| Error::new(ErrorKind::Internal, "a case cannot be written").caused_by(e);
    let (mut hasher, mut text) = (blake3::Hasher::new(), Vec::new());
    for case in cases.iter_mut() {
        // A case is most of all its windows: everything else is taken over part by part, and they are never made text but for the hash.
        let mut entries = Vec::with_capacity(case.entries().len());
        for entry in case.entries() {
            let slim = match &entry.part {
                CasePart::Observed(window) => {
                    text.clear();
                    serde_json::to_writer(&mut text, window).map_err(internal)?;
                    hasher.update(&text);
                    let part = CasePart::Observed(Box::new(TelemetryWindow::new(window.range)));
                    serde_json::to_value(CaseEntry { at: entry.at, part })
                }
                _ => serde_json::to_value(entry),
            };
            entries.push(slim.map_err(internal)?);
        }
        let outline = Case::open(case.id().clone(), case.opened_at(), case.mode());
        let mut value = serde_json::to_value(&outline).map_err(internal)?;
        let parts = [
            ("entries", serde_json::Value::Array(entries)),
            ("evidence", serde_json::to_value(case.evidence()).map_err(internal)?),
            ("changes", serde_json::to_value(case.changes()).map_err(internal)?),
        ];
        for (name, part) in parts {
            if let Some(slot) = value.get_mut(name) {
                *slot = part;
            }
        }
        // What cannot be read again was no case, and is scored as one in which nothing was found out.
        *case = serde_json::from_value(value).unwrap_or(outline);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// What users felt in a stretch of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Felt {
    users: Users,
    /// Share of failures; 1 where requests or steps were awaited and none came.
    failed: f64,
    p95: f64,
    requests: u64,
}

impl Felt {
    fn of(users: Users, mut tally: Tally) -> Self {
        let good = tally.codes.first().copied().unwrap_or(0);
        let requests = tally.codes.iter().sum::<u64>();
        let none = if users == Users::Waits { 0.0 } else { 1.0 };
        let failed = if requests == 0 { none } else { (requests - good) as f64 / requests as f64 };
        Self { users, failed, p95: quantile(&mut tally.durations, 0.95).unwrap_or(0.0), requests }
    }
}

impl crate::arena::sim::Simulator {
    /// How users fared since the last call, by what they do; `guilty` tenants are left out.
    pub(crate) fn felt_since(&mut self, guilty: &[EntityId]) -> Vec<Felt> {
        let mut requests = Tally::default();
        let names: Vec<String> = self.spec.tenants.iter().map(|t| t.name.clone()).collect();
        for (tally, name) in self.felt.iter_mut().zip(names) {
            let tally = std::mem::take(tally);
            let is_guilty =
                |e: &EntityId| e.kind() == aiops_core::model::EntityKind::Tenant && e.name() == name;
            if guilty.iter().any(is_guilty) {
                continue;
            }
            requests.codes.iter_mut().zip(tally.codes).for_each(|(sum, n)| *sum += n);
            requests.durations.extend(tally.durations);
        }
        let mut felt = vec![Felt::of(Users::Requests, requests)];
        let now = self.now;
        if let Some(job) = &mut self.fleet.training {
            felt.push(Felt::of(Users::Steps, job.take_felt(now)));
        }
        if self.spec.batch > 0.0 {
            felt.push(Felt::of(Users::Waits, self.fleet.queue.take_felt(now)));
        }
        felt
    }

    /// Services with fewer ready copies than at the start, or that were silenced by somebody.
    pub(crate) fn crippled(&self) -> Vec<EntityId> {
        let ours = self.services.iter().enumerate();
        let bad = ours.filter(|(i, s)| {
            let silenced = self.conditions.iter().any(|c| {
                c.on == crate::arena::sim::state::Place::Service(*i)
                    && c.does == crate::arena::sim::state::Trouble::Dark
                    && c.cures == [aiops_core::action::ActionKind::Custom]
            });
            s.wanted < s.spec.replicas || s.ready() == 0 || silenced
        });
        bad.map(|(_, s)| s.spec.entity()).collect()
    }
}
