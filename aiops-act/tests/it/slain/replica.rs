//! A replica of a service, as it would be deployed: journal, lease and audit log on disk, real guards, a real pipeline that runs for ever.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aiops_act::audit::{AuditConfig, FileAudit};
use aiops_act::guards::{
    ActionCap, AllowList, BlastRadiusCap, ConfidenceBands, Cooldown, HardRules, RiskTiers, RollbackRequired,
};
use aiops_act::lease::{FileLease, Lease, LeaseConfig, Term, hold};
use aiops_act::{CaseFolder, FileJournal, Policy, PolicyTable};
use aiops_core::action::{
    Action, ActionKind, ActionOutcome, ActionStatus, ActionTrace, History, IdempotencyKey, JournalEntry,
    Mode, Preview, Principal, Proposal, ProposalId, Sequence, TargetState,
};
use aiops_core::fake::{InMemorySource, ScriptedLocalizer, ScriptedRca, ScriptedVerifier};
use aiops_core::guard::{ChainConfig, GuardChain, Intended, Receipt};
use aiops_core::model::{
    Anomaly, DetectorId, EntityId, FittedHash, Recovery, RecoveryReport, SeriesKey, SignalCheck,
    TelemetryWindow,
};
use aiops_core::pipeline::{Pipeline, PipelineConfig};
use aiops_core::seam::{
    Detector, Journal, Mitigator, MitigatorCapability, Notification, NotificationKind, Notifier, Planner,
};
use aiops_core::{BoxFuture, Cancellation, Case, Clock, Context, Error, ErrorKind, Result, SystemClock};
use aiops_testkit::sample;
use async_trait::async_trait;
use futures_lite::future::block_on;
use jiff::Timestamp;

use super::wire::{Answer, Line, Phase, Request};
use crate::feed::slow;
use crate::support::{at, restart_of, secs, start, sure};

/// Seconds that pass in one of the machine's.
const SPEED: i128 = 20;
/// The shortest there is: a twentieth of it passes between a kill and the next leader.
const TERM: Duration = Duration::from_secs(2);
/// Younger actions are not asked about: somebody may be at them.
const ACTION: Duration = Duration::from_secs(2);

/// The machine's time, faster, so that nobody waits half a minute for a lease.
#[derive(Debug, Clone, Copy)]
struct Hurried;

impl Clock for Hurried {
    fn now(&self) -> Timestamp {
        let passed = SystemClock.now().as_nanosecond() - start().as_nanosecond();
        Timestamp::from_nanosecond(start().as_nanosecond() + passed * SPEED).unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        SystemClock.sleep(duration / u32::try_from(SPEED).unwrap())
    }
}

/// Says what is written, before it is.
#[derive(Debug)]
struct Told {
    journal: FileJournal,
    line: Line,
}

#[async_trait]
impl Journal for Told {
    async fn append(
        &self,
        entry: &JournalEntry,
        expected: Option<Sequence>,
        ctx: &Context,
    ) -> Result<Sequence> {
        let settles = self.line.last_said() == Phase::Settles;
        let (before, after) = match entry {
            JournalEntry::Intent(_) => (Phase::Intends, Phase::Intended),
            JournalEntry::Outcome { .. } if settles => (Phase::Settles, Phase::Decides),
            JournalEntry::Outcome { .. } => (Phase::Ends, Phase::Verifies),
            JournalEntry::Verified { .. } => (Phase::Verifies, Phase::Decides),
        };
        self.line.say(before);
        let written = self.journal.append(entry, expected, ctx).await?;
        self.line.say(after);
        Ok(written)
    }

    async fn history(&self, ctx: &Context) -> Result<Arc<History>> {
        self.journal.history(ctx).await
    }
}

/// Hands over to the plant.
#[derive(Debug)]
struct Hand {
    line: Line,
    careless: bool,
}

#[async_trait]
impl Mitigator for Hand {
    fn capability(&self) -> MitigatorCapability {
        MitigatorCapability::of([ActionKind::RollingRestart])
    }

    async fn preview(&self, _: &Action, ctx: &Context) -> Result<Preview> {
        ctx.check()?;
        let mut target = TargetState::existing();
        (target.replicas, target.ready, target.fleet) = (Some(4), Some(4), Some(400));
        Ok(Preview::new(target, "would restart it"))
    }

    async fn execute(&self, intended: Intended<Action>, ctx: &Context) -> Result<Receipt> {
        // A look at the target first, which takes its time.
        SystemClock.sleep(Duration::from_micros(fastrand::u64(0..3_000))).await;
        let (action, spent) = intended.spend(ctx)?;
        let key = spent.key().as_str().to_owned();
        self.line.say(Phase::Calls(key.clone()));
        let (by, fence, target) = (std::process::id(), spent.fence().0, action.target.to_string());
        let run = || Request::Run { by, key: key.clone(), fence, target: target.clone() };
        if self.careless {
            self.line.ask(run()).await?;
        }
        let answer = self.line.ask(run()).await?;
        self.line.say(Phase::Answered);
        match answer {
            Answer::Done => Ok(Receipt::new(spent, ActionOutcome::Completed, "")),
            _ => Err(Error::new(ErrorKind::Conflict, "it was called not started")),
        }
    }

    async fn status(&self, key: &IdempotencyKey, _: &Context) -> Result<ActionStatus> {
        self.line.say(Phase::Settles);
        Ok(match self.line.ask(Request::Status(key.as_str().to_owned())).await? {
            Answer::Done => ActionStatus::Completed,
            Answer::Running => ActionStatus::Running,
            Answer::NotStarted => ActionStatus::NotStarted,
            Answer::Refused | Answer::Unknown | Answer::Heard => ActionStatus::Unknown,
        })
    }
}

#[async_trait]
impl Notifier for Line {
    async fn notify(&self, notification: &Notification, _: &Context) -> Result<()> {
        if notification.kind == NotificationKind::Escalation && notification.title.starts_with("nobody knows")
        {
            self.ask(Request::Told(notification.incident.as_str().to_owned())).await?;
        }
        Ok(())
    }
}

/// Always knows something else to restart. Two replicas that know the same propose the same, under the same key.
#[derive(Debug)]
struct Endless {
    journal: FileJournal,
    line: Line,
}

#[async_trait]
impl Planner for Endless {
    async fn plan(&self, case: &Case, ctx: &Context) -> Result<Vec<Proposal>> {
        self.line.say(Phase::Decides);
        let history = self.journal.history(ctx).await?;
        let head = history.head().0;
        let held = |target: &EntityId| history.in_doubt().any(|a| a.intent.proposal.action.target == *target);
        let targets = (head % 5..).map(|n| EntityId::service(format!("service-{n}")));
        let free = targets.filter(|target| !held(target)).take(1);
        let (id, incident) = (ProposalId::new(format!("p{head}")), case.id().clone());
        let propose = |target| {
            let action = restart_of(target).with_cooldown(Duration::from_millis(100));
            let who = Principal::new("planner");
            Proposal::new(id.clone(), incident.clone(), action, who, sure(0.95), "it leaks")
        };
        Ok(free.map(propose).collect())
    }
}

/// Sees the same trouble whenever it looks, each time a new one: every case has an id of its own.
#[derive(Debug)]
struct Always;

#[async_trait]
impl Detector for Always {
    fn id(&self) -> DetectorId {
        slow().detector
    }

    fn fitted(&self) -> FittedHash {
        slow().fitted
    }

    async fn detect(&self, _: &TelemetryWindow, ctx: &Context) -> Result<Vec<Anomaly>> {
        let mut slow = slow();
        slow.onset = ctx.now();
        // Ids are of minutes, and a case is over in less.
        slow.series = SeriesKey::new(format!("latency_{}", ctx.now().as_millisecond()));
        Ok(vec![slow])
    }
}

pub(super) struct Replica {
    line: Line,
    careless: bool,
    cases: CaseFolder,
    lease: FileLease,
    journal: FileJournal,
    audit: FileAudit,
    ctx: Context,
}

impl Replica {
    pub(super) fn open(folder: &Path, socket: &Path, careless: bool) -> Self {
        let mut config = LeaseConfig::default();
        config.term = TERM;
        let mut often = AuditConfig::default();
        often.checkpoint_every = 50;
        Self {
            line: Line::open(socket),
            careless,
            cases: CaseFolder::open(folder.join("cases"), 2_000).unwrap(),
            lease: FileLease::open(folder.join("lease"), config).unwrap(),
            journal: FileJournal::open(folder.join("journal")).unwrap(),
            audit: FileAudit::open(folder.join("audit"), often).unwrap(),
            ctx: Context::new(Arc::new(Hurried)),
        }
    }

    fn pipeline(&self, term: &Term) -> Pipeline {
        let journal = block_on(self.journal.begin_term(term, &self.ctx)).unwrap();
        let listed = r#"[{"id": "all", "actions": ["rolling_restart"], "target_kind": "service", "targets": ["service-*"]}]"#;
        let policy: Policy = toml::from_str(
            r#"rules = [{ id = "restarts", effect = "allow", actions = ["rolling_restart"], min_confidence = 0.85, max_replicas = 4 }]"#,
        )
        .unwrap();
        let chain = GuardChain::builder(Told { journal: journal.clone(), line: self.line.clone() })
            .guard(AllowList::new(serde_json::from_str(listed).unwrap()).unwrap())
            .guard(PolicyTable::new(&policy).unwrap())
            .guard(HardRules)
            .guard(RiskTiers::default())
            .guard(ConfidenceBands::default())
            .guard(ActionCap::default())
            .guard(Cooldown)
            .guard(BlastRadiusCap::default())
            .guard(RollbackRequired)
            .config(ChainConfig::in_mode(Mode::Auto))
            .build()
            .unwrap();
        let mut config = PipelineConfig::default();
        (config.confirmations, config.rounds) = (1, 1);
        (config.interval, config.hold_off) = (Duration::from_millis(20), Duration::ZERO);
        (config.action_timeout, config.look_again) = (ACTION, secs(1));
        let case = sample::case();
        let over = SignalCheck {
            entity: EntityId::service("service"),
            what: "latency".to_owned(),
            recovery: Recovery::Recovered,
            detail: "back".to_owned(),
        };
        Pipeline::builder()
            .source(InMemorySource::holding(sample::window()))
            .detector(Always)
            .localizer(ScriptedLocalizer::of([sample::ranking(&case)]))
            .rca(ScriptedRca::of([sample::diagnosis(&case).unwrap()]))
            .planner(Endless { journal, line: self.line.clone() })
            .guards(chain)
            .mitigator(Hand { line: self.line.clone(), careless: self.careless })
            .verifier(ScriptedVerifier::of([RecoveryReport::from_checks(at(0), vec![over])]))
            .audit(self.audit.clone())
            .notifier(self.line.clone())
            .listener(self.cases.clone())
            .config(config)
            .build()
            .unwrap()
    }

    /// Waits for a term.
    fn lead(&self) -> Term {
        loop {
            // Every process has the same name, as replicas of one deployment do.
            match block_on(self.lease.acquire(&Principal::new("replica"), &self.ctx)) {
                Ok(term) => return term,
                Err(e) if e.kind() == ErrorKind::Conflict => {
                    block_on(SystemClock.sleep(Duration::from_millis(5)));
                }
                Err(e) => panic!("the lease: {e}"),
            }
        }
    }

    /// Leads and acts whenever it can, until it is killed.
    pub(super) fn act(&self) {
        loop {
            self.line.say(Phase::Waits);
            let term = self.lead();
            let (pipeline, lost) = (self.pipeline(&term), Cancellation::new());
            std::thread::scope(|scope| {
                // A thread of its own, as the lease must be renewed whatever the pipeline is at.
                scope.spawn(|| block_on(hold(&self.lease, &term, TERM / 3, &lost, &self.ctx)));
                block_on(self.take_up(&pipeline, &lost));
                block_on(pipeline.run(&self.ctx, &lost)).unwrap();
            });
        }
    }

    /// Brings to their end the cases that whoever led before left open.
    async fn take_up(&self, pipeline: &Pipeline, lost: &Cancellation) {
        let ctx = self.ctx.clone().with_cancellation(lost.clone());
        let left = self.cases.left_open().unwrap();
        if self.journal.history(&self.ctx).await.unwrap().in_doubt().next().is_some() {
            // Younger actions are not asked about yet.
            drop(ctx.sleep(ACTION).await);
        }
        // A term that ends meanwhile ends this too; the next leader goes on.
        drop(pipeline.recover(&ctx).await);
        self.line.say(Phase::Decides);
        for case in left {
            drop(pipeline.resume(case, &ctx).await);
        }
    }

    /// Acts on nothing any more: settles what can be, and returns what cannot.
    pub(super) fn finish(&self) -> Vec<ActionTrace> {
        self.line.say(Phase::Waits);
        let term = self.lead();
        let pipeline = self.pipeline(&term);
        loop {
            let unsettled = block_on(pipeline.recover(&self.ctx)).unwrap();
            let history = block_on(self.journal.history(&self.ctx)).unwrap();
            // What still runs will be known soon; what the plant lost never will.
            let lost = |action: &&ActionTrace| {
                let key = action.intent.key.as_str().to_owned();
                block_on(self.line.ask(Request::Status(key))).unwrap() == Answer::Unknown
            };
            if history.in_doubt().count() == unsettled.iter().filter(lost).count() {
                block_on(self.lease.release(&term, &self.ctx)).unwrap();
                return unsettled;
            }
            block_on(self.ctx.sleep(secs(1))).unwrap();
        }
    }
}
