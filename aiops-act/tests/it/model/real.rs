//! The same steps, taken by real pipelines, chains, guards and tokens.
//!
//! Each replica is a real [`Pipeline`] whose journal, mitigator and approver wait at a gate before every call. A step of the machine
//! lets one call go and polls that replica until it waits at the next.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use aiops_act::guards::{ActionCap, BreakerConfig, CapConfig, CircuitBreaker, RiskTiers, TiersConfig};
use aiops_core::action::{
    Action, ActionKind, ActionOutcome, ActionStatus, ApprovalDecision, ApprovalRequest, Fence, History,
    IdempotencyKey, JournalEntry, Mode, Operation, Preview, Principal, Proposal, ReceiptRecord, RollbackPlan,
    Sequence, TargetState,
};
use aiops_core::fake::{
    InMemoryJournal, InMemorySource, ScriptedDetector, ScriptedLocalizer, ScriptedPlanner, ScriptedRca,
};
use aiops_core::guard::{ChainConfig, GuardChain, Intended, KillSwitch, Receipt};
use aiops_core::model::{Anomaly, EntityId, Recovery, RecoveryReport, SignalCheck};
use aiops_core::pipeline::{Look, Pipeline, PipelineConfig};
use aiops_core::seam::{Approver, Journal, Mitigator, MitigatorCapability, Verifier};
use aiops_core::{CaseStatus, Context, Error, ErrorKind, ManualClock, Result};
use aiops_testkit::sample;
use async_trait::async_trait;
use futures_lite::future::block_on;

use super::machine::Scenario;
use super::state::{ASKS, At, Close, Ended, Helped, Remote, State, Step, TARGET};
use crate::feed::slow;
use crate::support::{action, back_to, propose, restart, start};

/// A tick is longer than the life of a right and than an action may take, and shorter than the two after which a replica thinks that
/// nobody follows an action up.
const TICK: Duration = Duration::from_secs(101);
const ACTION: Duration = Duration::from_secs(100);
const VERIFY: Duration = Duration::from_secs(50);
const LONG: Duration = Duration::from_secs(100_000);

/// A call that a replica is about to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Decide(u8),
    Intend(u8),
    Execute(u8),
    Reply(u8),
    Status(u8),
    End(u8, Ended),
    Verified(u8, Helped),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stands {
    Idle,
    Dead,
    Before(Call),
    Closed(Close),
}

/// What can be seen from outside.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    replicas: [Stands; 2],
    journal: Vec<(u8, Option<Ended>, Option<Helped>)>,
    remote: [Remote; 3],
    killed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Pass {
    Go,
    Yes,
    No,
    Lose,
    Lie(Ended),
}

#[derive(Debug, Clone, Default)]
struct Gate(Arc<Mutex<GateState>>);

#[derive(Debug, Default)]
struct GateState {
    waiting: Option<Call>,
    pass: Option<Pass>,
    helped: Option<Helped>,
}

impl Gate {
    async fn wait(&self, call: Call) -> Pass {
        std::future::poll_fn(|_| {
            let mut state = self.0.lock().unwrap();
            match state.pass.take() {
                Some(pass) => Poll::Ready(pass),
                None => {
                    state.waiting = Some(call.clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

fn proposal(key: u8) -> Proposal {
    let target = EntityId::service(format!("t{}", TARGET[usize::from(key)]));
    let operation = if ASKS[usize::from(key)] { back_to("r1") } else { restart() };
    let reason = "a restart leaves nothing behind".to_owned();
    let action = action(operation, target).with_rollback(RollbackPlan::NotNeeded { reason });
    propose(&format!("k{key}"), "inc", action)
}

fn number(key: &IdempotencyKey) -> u8 {
    (0..3).find(|k| proposal(*k).idempotency_key().unwrap() == *key).expect("a known key")
}

fn as_ended(outcome: &ActionOutcome) -> Ended {
    match outcome {
        ActionOutcome::Completed => Ended::Completed,
        ActionOutcome::Failed { .. } => Ended::Failed,
        ActionOutcome::NotStarted { reason } => {
            Ended::NotStarted { settled: reason.contains("the action was interrupted") }
        }
    }
}

fn as_helped(recovery: Recovery) -> Helped {
    match recovery {
        Recovery::Recovered => Helped::Yes,
        Recovery::NotRecovered => Helped::No,
        Recovery::Inconclusive => Helped::Unclear,
    }
}

#[derive(Debug)]
struct GatedJournal {
    gate: Gate,
    inner: InMemoryJournal,
}

#[async_trait]
impl Journal for GatedJournal {
    async fn append(
        &self,
        entry: &JournalEntry,
        expected: Option<Sequence>,
        ctx: &Context,
    ) -> Result<Sequence> {
        let call = match entry {
            JournalEntry::Intent(intent) => Call::Intend(number(&intent.key)),
            JournalEntry::Outcome { key, outcome, .. } => Call::End(number(key), as_ended(outcome)),
            JournalEntry::Verified { key, recovery, .. } => Call::Verified(number(key), as_helped(*recovery)),
        };
        self.gate.wait(call).await;
        self.inner.append(entry, expected, ctx).await
    }
    async fn history(&self, ctx: &Context) -> Result<Arc<History>> {
        self.inner.history(ctx).await
    }
}

/// What both replicas act on: it runs a key once, refuses stale fences and what it called not started, and takes its time.
#[derive(Debug, Default)]
struct World {
    remote: [Remote; 3],
    refused: BTreeSet<u8>,
    fences: [Option<Fence>; 2],
    generation: u8,
}

#[derive(Debug)]
struct GatedMitigator {
    gate: Gate,
    world: Arc<Mutex<World>>,
}

#[async_trait]
impl Mitigator for GatedMitigator {
    fn capability(&self) -> MitigatorCapability {
        MitigatorCapability::of([ActionKind::RollingRestart, ActionKind::Rollback])
    }

    async fn preview(&self, action: &Action, ctx: &Context) -> Result<Preview> {
        ctx.check()?;
        let mut target = TargetState::existing();
        // Only what a person is asked about changes under our hands.
        let changes = matches!(action.operation, Operation::Rollback { .. });
        let generation = if changes { self.world.lock().unwrap().generation } else { 0 };
        target.generation = Some(generation.to_string());
        Ok(Preview::new(target, "a preview"))
    }

    async fn execute(&self, intended: Intended<Action>, ctx: &Context) -> Result<Receipt> {
        let key = number(intended.key());
        self.gate.wait(Call::Execute(key)).await;
        let (_, spent) = intended.spend(ctx)?;
        {
            let mut world = self.world.lock().unwrap();
            let (k, t) = (usize::from(key), usize::from(TARGET[usize::from(key)]));
            let stale = world.fences[t].is_some_and(|newest| spent.fence() < newest);
            if world.refused.contains(&key) || world.remote[k] != Remote::Nothing || stale {
                return Err(Error::new(ErrorKind::Conflict, "dealt with before"));
            }
            world.fences[t] = Some(spent.fence());
            world.remote[k] = Remote::Flying;
        }
        if self.gate.wait(Call::Reply(key)).await == Pass::Lose {
            return Err(Error::new(ErrorKind::InDoubt, "the reply was lost"));
        }
        let outcome = match self.world.lock().unwrap().remote[usize::from(key)] {
            Remote::Failed => ActionOutcome::Failed { reason: "it broke".to_owned() },
            _ => ActionOutcome::Completed,
        };
        Ok(Receipt::new(spent, outcome, ""))
    }

    async fn status(&self, key: &IdempotencyKey, ctx: &Context) -> Result<ActionStatus> {
        let key = number(key);
        let pass = self.gate.wait(Call::Status(key)).await;
        ctx.check()?;
        let mut world = self.world.lock().unwrap();
        if let Pass::Lie(lie) = pass {
            let completed = lie == Ended::Completed;
            return Ok(if completed { ActionStatus::Completed } else { ActionStatus::NotStarted });
        }
        Ok(match world.remote[usize::from(key)] {
            Remote::Done => ActionStatus::Completed,
            Remote::Failed => ActionStatus::Failed { reason: "it broke".to_owned() },
            Remote::Flying => ActionStatus::Running,
            Remote::Lost => ActionStatus::Unknown,
            Remote::Nothing => {
                world.refused.insert(key);
                ActionStatus::NotStarted
            }
        })
    }
}

#[derive(Debug)]
struct Person(Gate);

#[async_trait]
impl Approver for Person {
    async fn decide(&self, request: &ApprovalRequest, ctx: &Context) -> Result<ApprovalDecision> {
        let key = number(&request.proposal.idempotency_key()?);
        let granted = self.0.wait(Call::Decide(key)).await == Pass::Yes;
        Ok(ApprovalDecision {
            approver: Principal::new("ann"),
            granted,
            reason: String::new(),
            at: ctx.now(),
        })
    }
}

#[derive(Debug)]
struct Said(Gate);

#[async_trait]
impl Verifier for Said {
    async fn verify(&self, receipt: &ReceiptRecord, _: &[Anomaly], ctx: &Context) -> Result<RecoveryReport> {
        let recovery = match self.0.0.lock().unwrap().helped {
            Some(Helped::Yes) => Recovery::Recovered,
            Some(Helped::No) => Recovery::NotRecovered,
            Some(Helped::Unclear) | None => Recovery::Inconclusive,
        };
        let entity = receipt.action.target.clone();
        let check = SignalCheck { entity, what: "told".to_owned(), recovery, detail: String::new() };
        Ok(RecoveryReport::from_checks(ctx.now(), vec![check]))
    }
}

/// Whether a replica wants to be polled again.
#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Task = Pin<Box<dyn Future<Output = Option<Close>>>>;

struct Replica {
    gate: Gate,
    pipeline: Option<Arc<Pipeline>>,
    task: Option<Task>,
    closed: Option<Close>,
}

pub(super) struct Real {
    scenario: Scenario,
    clock: ManualClock,
    ctx: Context,
    journal: InMemoryJournal,
    world: Arc<Mutex<World>>,
    /// One for both, as if each watched one kill file: a switch engaged by call stops its own process only.
    kill_switch: KillSwitch,
    replicas: [Replica; 2],
}

impl fmt::Debug for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Real").finish_non_exhaustive()
    }
}

impl Real {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let clock = ManualClock::at(start());
        let replica = || Replica { gate: Gate::default(), pipeline: None, task: None, closed: None };
        let mut real = Self {
            scenario: scenario.clone(),
            ctx: Context::new(Arc::new(clock.clone())),
            clock,
            journal: InMemoryJournal::new(),
            world: Arc::default(),
            kill_switch: KillSwitch::new(),
            replicas: [replica(), replica()],
        };
        (0..2).for_each(|r| real.boot(r));
        real
    }

    fn boot(&mut self, r: usize) {
        let gate = Gate::default();
        let journal = GatedJournal { gate: gate.clone(), inner: self.journal.clone() };
        let cap = CapConfig { remedies: self.scenario.cap, reverts: 0 };
        let tiers = TiersConfig { wait: LONG, ..TiersConfig::default() };
        let mut chain = GuardChain::builder(journal)
            .guard(ActionCap::new(cap).unwrap())
            .guard(RiskTiers::new(tiers).unwrap())
            .approver(Person(gate.clone()))
            .kill_switch(self.kill_switch.clone())
            .config(ChainConfig::in_mode(Mode::Auto));
        if self.scenario.breaker {
            let config = BreakerConfig { failures: 1, open_for: LONG };
            chain = chain.guard(CircuitBreaker::new(config).unwrap());
        }
        let plans = &self.scenario.plans[r];
        let rounds = plans.iter().map(|round| round.iter().map(|k| proposal(*k)).collect::<Vec<_>>());
        let mut config = PipelineConfig::default();
        (config.confirmations, config.rounds) = (1, u32::try_from(plans.len().max(1)).unwrap());
        (config.action_timeout, config.verify_timeout) = (ACTION, VERIFY);
        (config.stage_timeout, config.case_timeout) = (LONG, LONG);
        let case = sample::case();
        let pipeline = Pipeline::builder()
            .source(InMemorySource::holding(sample::window()))
            .detector(ScriptedDetector::of([vec![slow()]]))
            .localizer(ScriptedLocalizer::of([sample::ranking(&case)]))
            .rca(ScriptedRca::of([sample::diagnosis(&case).unwrap()]))
            .planner(ScriptedPlanner::of(rounds))
            .guards(chain.build().unwrap())
            .mitigator(GatedMitigator { gate: gate.clone(), world: Arc::clone(&self.world) })
            .verifier(Said(gate.clone()))
            .config(config)
            .build()
            .unwrap();
        let pipeline = Some(Arc::new(pipeline));
        self.replicas[r] = Replica { gate, pipeline, task: None, closed: None };
    }

    /// Lets the replica go on until it waits again.
    fn poll(&mut self, r: usize, pass: Option<Pass>) {
        let replica = &mut self.replicas[r];
        {
            let mut gate = replica.gate.0.lock().unwrap();
            (gate.waiting, gate.pass) = (None, pass);
        }
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut polling = TaskContext::from_waker(&waker);
        loop {
            let Some(task) = &mut replica.task else { return };
            woken.0.store(false, Ordering::SeqCst);
            match task.as_mut().poll(&mut polling) {
                Poll::Ready(closed) => {
                    replica.task = None;
                    replica.closed = closed.or(replica.closed);
                }
                Poll::Pending if woken.0.load(Ordering::SeqCst) => {}
                Poll::Pending => return,
            }
        }
    }

    fn start(&mut self, r: usize) {
        let (pipeline, ctx) = (self.replicas[r].pipeline.clone().expect("it lives"), self.ctx.clone());
        self.replicas[r].task = Some(Box::pin(async move {
            let Look::Incident(case) = pipeline.step(&ctx).await.unwrap() else { panic!("no incident") };
            Some(match case.status().expect("it is closed") {
                CaseStatus::Recovered => Close::Recovered,
                CaseStatus::Yielded { .. } => Close::Yielded,
                CaseStatus::Escalated { .. } => Close::Escalated,
            })
        }));
        self.poll(r, None);
    }

    pub(super) fn take(&mut self, step: Step) {
        match step {
            Step::Start(r) => self.start(r),
            Step::Answer(r, yes) => self.poll(r, Some(if yes { Pass::Yes } else { Pass::No })),
            Step::Record(r) | Step::Execute(r) | Step::Reply(r) | Step::Verified(r) => {
                self.poll(r, Some(Pass::Go));
            }
            Step::LoseReply(r) => self.poll(r, Some(Pass::Lose)),
            Step::TimeOut(r) => self.poll(r, None),
            Step::Status(r, lie) => self.poll(r, Some(lie.map_or(Pass::Go, Pass::Lie))),
            Step::End(r, helped) => {
                self.replicas[r].gate.0.lock().unwrap().helped = Some(helped);
                self.poll(r, Some(Pass::Go));
            }
            Step::Recover(r) => {
                let (pipeline, ctx) =
                    (self.replicas[r].pipeline.clone().expect("it lives"), self.ctx.clone());
                self.replicas[r].task = Some(Box::pin(async move {
                    drop(pipeline.recover(&ctx).await.unwrap());
                    None
                }));
                self.poll(r, None);
            }
            Step::Crash(r) => (self.replicas[r].task, self.replicas[r].pipeline) = (None, None),
            Step::Restart(r) => self.boot(r),
            Step::Land(key, well) => {
                let landed = if well { Remote::Done } else { Remote::Failed };
                self.world.lock().unwrap().remote[usize::from(key)] = landed;
            }
            Step::Die(key) => self.world.lock().unwrap().remote[usize::from(key)] = Remote::Lost,
            Step::Kill => self.kill_switch.engage(&Principal::new("operator"), "a step"),
            Step::Release => self.kill_switch.release(&Principal::new("operator")),
            Step::Tick => self.clock.advance(TICK),
            Step::Tamper => self.world.lock().unwrap().generation += 1,
        }
    }

    pub(super) fn observed(&self) -> Seen {
        let history = block_on(self.journal.history(&self.ctx)).unwrap();
        let journal = history
            .actions()
            .map(|a| (number(&a.intent.key), a.outcome.as_ref().map(as_ended), a.recovery.map(as_helped)));
        let replicas = self.replicas.each_ref().map(|r| match (&r.pipeline, &r.task, r.closed) {
            (None, ..) => Stands::Dead,
            (_, Some(_), _) => {
                Stands::Before(r.gate.0.lock().unwrap().waiting.clone().expect("it waits at a gate"))
            }
            (_, None, Some(close)) => Stands::Closed(close),
            (_, None, None) => Stands::Idle,
        });
        let (remote, killed) = (self.world.lock().unwrap().remote, self.kill_switch.is_engaged());
        Seen { replicas, journal: journal.collect(), remote, killed }
    }

    /// What must be seen where the machine is in `state`.
    pub(super) fn expected(scenario: &Scenario, state: &State) -> Seen {
        let key = |r, work| scenario.key(r, work).expect("a key");
        let stands = |r: usize| match &state.at[r] {
            At::Idle => Stands::Idle,
            At::Dead => Stands::Dead,
            At::Closed(close) => Stands::Closed(*close),
            At::Asked { work, .. } => Stands::Before(Call::Decide(key(r, *work))),
            At::Recording { work, .. } => Stands::Before(Call::Intend(key(r, *work))),
            At::Executing { work, .. } => Stands::Before(Call::Execute(key(r, *work))),
            At::Waiting { work, .. } => Stands::Before(Call::Reply(key(r, *work))),
            At::Doubting { work } => Stands::Before(Call::Status(key(r, *work))),
            At::Ending { work, ended } => Stands::Before(Call::End(key(r, *work), *ended)),
            At::Verifying { work, helped } => Stands::Before(Call::Verified(key(r, *work), *helped)),
            At::Settling { keys, write: None, .. } => Stands::Before(Call::Status(keys[0])),
            At::Settling { keys, write: Some(ended), .. } => Stands::Before(Call::End(keys[0], *ended)),
        };
        let journal = state.journal.iter().map(|t| (t.key, t.ended, t.helped)).collect();
        Seen { replicas: [stands(0), stands(1)], journal, remote: state.remote, killed: state.killed }
    }
}
