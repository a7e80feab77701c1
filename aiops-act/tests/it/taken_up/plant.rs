//! What everything outside a pipeline does, at random, and what it saw.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use aiops_core::action::{
    Action, ActionKind, ActionOutcome, ActionStatus, ApprovalDecision, ApprovalRequest, History,
    IdempotencyKey, JournalEntry, Operation, Preview, Principal, Proposal, ProposalId, ReceiptRecord,
    RollbackPlan, Sequence, TargetState,
};
use aiops_core::fake::InMemoryJournal;
use aiops_core::guard::{Intended, KillSwitch, Receipt};
use aiops_core::model::{
    Anomaly, DetectorId, EntityId, FetchRequest, FittedHash, Recovery, RecoveryReport, Signal, SignalCheck,
    TelemetryWindow,
};
use aiops_core::pipeline::CaseListener;
use aiops_core::seam::{
    Approver, Detector, Journal, Mitigator, MitigatorCapability, Notification, NotificationKind, Notifier,
    Planner, SourceCapability, TelemetrySource, Verifier,
};
use aiops_core::{Case, CaseEntry, CasePart, CaseStatus, Context, Error, ErrorKind, Result};
use aiops_testkit::sample;
use async_trait::async_trait;
use futures_lite::future::block_on;

use crate::feed::slow;
use crate::support::{action, back_to, propose, restart, secs, sure};

/// What the plant did under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Done,
    Failed,
    /// It lost track of it.
    Lost,
}

#[derive(Debug)]
struct Inner {
    random: fastrand::Rng,
    /// Calls until the process dies; `None` while it lives on.
    fuse: Option<u32>,
    blown: bool,
    calls: u64,
    symptoms: bool,
    jobs: BTreeMap<IdempotencyKey, Work>,
    /// Keys it called not started, and so runs no more.
    refused: BTreeSet<IdempotencyKey>,
    told: BTreeSet<String>,
    /// Open cases, as the listener wrote them down.
    cases: BTreeMap<String, Case>,
    closed: Vec<Case>,
    seen: BTreeMap<&'static str, u64>,
    broken: Vec<String>,
    resuming: bool,
}

/// The outside. Clones share it.
#[derive(Clone)]
pub(super) struct Plant {
    inner: Arc<Mutex<Inner>>,
    pub(super) journal: InMemoryJournal,
    pub(super) switch: KillSwitch,
    /// Runs everything twice, to see that it is found out.
    careless: bool,
}

impl fmt::Debug for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plant").finish_non_exhaustive()
    }
}

impl Plant {
    pub(super) fn new(seed: u64, careless: bool) -> Self {
        let inner = Inner {
            random: fastrand::Rng::with_seed(seed),
            fuse: None,
            blown: false,
            calls: 0,
            symptoms: true,
            jobs: BTreeMap::new(),
            refused: BTreeSet::new(),
            told: BTreeSet::new(),
            cases: BTreeMap::new(),
            closed: Vec::new(),
            seen: BTreeMap::new(),
            broken: Vec::new(),
            resuming: false,
        };
        let (journal, switch) = (InMemoryJournal::new(), KillSwitch::new());
        Self { inner: Arc::new(Mutex::new(inner)), journal, switch, careless }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(super) fn below(&self, n: u32) -> u32 {
        self.lock().random.u32(0..n)
    }

    pub(super) fn saw(&self, what: &'static str) {
        *self.lock().seen.entry(what).or_default() += 1;
    }

    fn breaks(&self, what: String) {
        self.lock().broken.push(what);
    }

    /// A new process, which dies after `fuse` calls.
    pub(super) fn begin(&self, fuse: Option<u32>, resuming: bool) {
        let mut inner = self.lock();
        (inner.fuse, inner.blown, inner.resuming) = (fuse, false, resuming);
    }

    /// What comes now belongs to no former run.
    pub(super) fn begin_looking(&self) {
        self.lock().resuming = false;
    }

    pub(super) fn died(&self) -> bool {
        self.lock().blown
    }

    pub(super) fn left_open(&self) -> Vec<Case> {
        self.lock().cases.values().cloned().collect()
    }

    pub(super) fn calls(&self) -> u64 {
        self.lock().calls
    }

    pub(super) fn seen(&self) -> BTreeMap<&'static str, u64> {
        self.lock().seen.clone()
    }

    pub(super) fn history(&self) -> Arc<History> {
        block_on(self.journal.history(&Context::system())).unwrap()
    }

    /// Every call from inside comes by here: the process may die at it, or somebody engage or release the kill switch.
    async fn call(&self, what: &'static str) {
        {
            let mut inner = self.lock();
            inner.calls += 1;
            match inner.random.u32(0..200) {
                0 => self.switch.engage(&Principal::new("operator"), "at random"),
                1..=20 => self.switch.release(&Principal::new("operator")),
                _ => {}
            }
            match &mut inner.fuse {
                Some(0) => inner.blown = true,
                Some(left) => *left -= 1,
                None => {}
            }
            if !inner.blown {
                return;
            }
            *inner.seen.entry(what).or_default() += 1;
        }
        std::future::pending::<()>().await;
    }

    /// What holds of an effect at the instant it begins.
    fn check_effect(&self, key: &IdempotencyKey) {
        let history = self.history();
        if self.switch.is_engaged() {
            self.breaks(format!("{key} began while the kill switch was engaged"));
        }
        if self.lock().jobs.contains_key(key) {
            self.breaks(format!("{key} ran twice"));
        }
        let Some(mine) = history.get(key).filter(|a| a.in_doubt()) else {
            return self.breaks(format!("{key} ran without an intent that stood open in the journal"));
        };
        let incident = &mine.intent.proposal.incident;
        for earlier in history.for_incident(incident).filter(|a| a.fence < mine.fence && a.counts()) {
            if earlier.in_doubt()
                && earlier.intent.proposal.action.target == mine.intent.proposal.action.target
            {
                self.breaks(format!("{key} ran while {} was in doubt", earlier.intent.key));
            }
            let done = matches!(earlier.outcome, Some(ActionOutcome::Completed));
            if done && earlier.is_remedy() && earlier.recovery.is_none() {
                self.breaks(format!("{key} ran before anybody looked whether {} helped", earlier.intent.key));
            }
            if earlier.recovery == Some(Recovery::Recovered) && earlier.is_remedy() {
                self.breaks(format!("{key} ran although {} had helped", earlier.intent.key));
            }
        }
        let first = history.for_incident(incident).filter(|a| a.counts()).count() == 1;
        if first && !self.lock().symptoms {
            self.breaks(format!("{key} ran as the first of its case while no symptom showed"));
        }
    }

    /// What holds once everything came to its end.
    pub(super) fn check_end(&self, cap: usize) -> std::result::Result<(), String> {
        let history = self.history();
        let inner = self.lock();
        let mut broken = inner.broken.clone();
        for doubt in history.in_doubt() {
            let (key, incident) = (&doubt.intent.key, doubt.intent.proposal.incident.as_str());
            if inner.jobs.get(key) != Some(&Work::Lost) || !inner.told.contains(incident) {
                broken.push(format!("{key} is in doubt, and nobody was told or the plant knows better"));
            }
        }
        for action in history.actions() {
            let truth = inner.jobs.get(&action.intent.key);
            let fits = match &action.outcome {
                None => true,
                Some(ActionOutcome::Completed) => truth == Some(&Work::Done),
                Some(ActionOutcome::Failed { .. }) => truth == Some(&Work::Failed),
                Some(ActionOutcome::NotStarted { .. }) => truth.is_none(),
            };
            if !fits {
                broken.push(format!("{}: {:?}, in truth {truth:?}", action.intent.key, action.outcome));
            }
        }
        broken.extend(
            inner
                .jobs
                .keys()
                .filter(|k| history.get(k).is_none())
                .map(|k| format!("{k} is nowhere on record")),
        );
        for case in &inner.closed {
            let actions = || history.for_incident(case.id()).filter(|a| a.counts() && a.is_remedy());
            if actions().count() > cap {
                broken.push(format!("{}: more than {cap} remedies", case.id()));
            }
            let helped = actions().next_back().is_some_and(|a| a.recovery == Some(Recovery::Recovered));
            if case.status() == Some(&CaseStatus::Recovered) && !helped {
                broken.push(format!("{}: called recovered, and telemetry did not say so", case.id()));
            }
        }
        if let Some(open) = inner.cases.keys().next() {
            broken.push(format!("{open} is still open"));
        }
        if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
    }
}

#[async_trait]
impl TelemetrySource for Plant {
    fn capability(&self) -> SourceCapability {
        SourceCapability::of(Signal::Metrics)
    }

    async fn fetch(&self, _: &FetchRequest, _: &Context) -> Result<TelemetryWindow> {
        self.call("died reading").await;
        if self.below(40) == 0 {
            return Err(Error::new(ErrorKind::Unavailable, "no telemetry"));
        }
        Ok(sample::window())
    }
}

#[async_trait]
impl Detector for Plant {
    fn id(&self) -> DetectorId {
        slow().detector
    }

    fn fitted(&self) -> FittedHash {
        slow().fitted
    }

    async fn detect(&self, _: &TelemetryWindow, ctx: &Context) -> Result<Vec<Anomaly>> {
        let symptoms = self.below(5) > 0;
        self.lock().symptoms = symptoms;
        // Every case has an onset, and so an id, of its own.
        let mut slow = slow();
        slow.onset = ctx.now();
        Ok(if symptoms { vec![slow] } else { Vec::new() })
    }
}

#[async_trait]
impl Planner for Plant {
    /// Nothing, or one or two remedies; the same again under the same name while the case did not move.
    async fn plan(&self, case: &Case, _: &Context) -> Result<Vec<Proposal>> {
        self.call("died planning").await;
        let looks = case.entries().iter().filter(|e| matches!(e.part, CasePart::Detected(_))).count();
        let remedy = |n: u32, kind: u32| {
            let target = EntityId::service(format!("service-{n}"));
            let back = RollbackPlan::Operation(Box::new(back_to("r2")));
            let wanted = match kind {
                0 => action(back_to("r1"), target).with_rollback(back),
                _ => action(restart(), target)
                    .with_rollback(RollbackPlan::NotNeeded { reason: "starts anew".to_owned() }),
            };
            let id = format!("{}-{}-{looks}-{n}", case.id(), case.attempts().count());
            let mut proposal = propose(&id, case.id().as_str(), wanted.with_cooldown(secs(0)));
            proposal.id = ProposalId::new(id);
            proposal.confidence = sure(0.95);
            proposal
        };
        let many = self.below(3);
        Ok((0..many).map(|n| remedy(n, self.below(2))).collect())
    }
}

#[async_trait]
impl Mitigator for Plant {
    fn capability(&self) -> MitigatorCapability {
        MitigatorCapability::of([ActionKind::RollingRestart, ActionKind::Rollback])
    }

    async fn preview(&self, _: &Action, _: &Context) -> Result<Preview> {
        self.call("died previewing").await;
        let mut target = TargetState::existing();
        (target.replicas, target.ready, target.fleet) = (Some(4), Some(4), Some(400));
        target.revision = Some("r2".to_owned());
        Ok(Preview::new(target, "would do it"))
    }

    async fn execute(&self, intended: Intended<Action>, ctx: &Context) -> Result<Receipt> {
        self.call("died between intent and call").await;
        let (action, spent) = intended.spend(ctx)?;
        let key = spent.key().clone();
        if self.lock().refused.contains(&key) {
            return Err(Error::new(ErrorKind::Conflict, "it was called not started"));
        }
        for _ in 0..if self.careless { 2 } else { 1 } {
            self.check_effect(&key);
            let work = match self.below(12) {
                0 => Work::Failed,
                1 => Work::Lost,
                _ => Work::Done,
            };
            self.lock().jobs.insert(key.clone(), work);
        }
        if let Operation::Rollback { .. } = action.operation {
            self.saw("a remedy with a way back ran");
        }
        self.call("died between effect and reply").await;
        let work = self.lock().jobs.get(&key).copied();
        match (self.below(8), work) {
            (0, _) => {
                self.saw("a reply was lost");
                Err(Error::new(ErrorKind::InDoubt, "the reply was lost"))
            }
            (1, _) => {
                self.saw("a reply came too late");
                ctx.sleep(secs(10_000)).await?;
                Err(Error::new(ErrorKind::InDoubt, "too late"))
            }
            (_, Some(Work::Done)) => Ok(Receipt::new(spent, ActionOutcome::Completed, "")),
            (_, Some(Work::Failed)) => {
                Ok(Receipt::new(spent, ActionOutcome::Failed { reason: "it broke".to_owned() }, ""))
            }
            _ => Err(Error::new(ErrorKind::InDoubt, "nobody knows")),
        }
    }

    async fn status(&self, key: &IdempotencyKey, _: &Context) -> Result<ActionStatus> {
        self.call("died asking what became of it").await;
        let mut inner = self.lock();
        Ok(match inner.jobs.get(key).copied() {
            Some(Work::Done) => ActionStatus::Completed,
            Some(Work::Failed) => ActionStatus::Failed { reason: "it broke".to_owned() },
            Some(Work::Lost) => ActionStatus::Unknown,
            None => {
                inner.refused.insert(key.clone());
                ActionStatus::NotStarted
            }
        })
    }
}

#[async_trait]
impl Verifier for Plant {
    async fn verify(&self, receipt: &ReceiptRecord, _: &[Anomaly], ctx: &Context) -> Result<RecoveryReport> {
        self.call("died verifying").await;
        let recovery = match self.below(8) {
            0..=2 => Recovery::Recovered,
            3 => Recovery::Inconclusive,
            _ => Recovery::NotRecovered,
        };
        if self.lock().resuming {
            self.saw("what a former run did was verified");
        }
        let entity = receipt.action.target.clone();
        let check = SignalCheck { entity, what: "told".to_owned(), recovery, detail: String::new() };
        Ok(RecoveryReport::from_checks(ctx.now(), vec![check]))
    }
}

#[async_trait]
impl Approver for Plant {
    async fn decide(&self, _: &ApprovalRequest, ctx: &Context) -> Result<ApprovalDecision> {
        self.call("died waiting for a person").await;
        let granted = self.below(6) > 0;
        let reason = String::new();
        Ok(ApprovalDecision { approver: Principal::new("ann"), granted, reason, at: ctx.now() })
    }
}

#[async_trait]
impl Notifier for Plant {
    async fn notify(&self, notification: &Notification, _: &Context) -> Result<()> {
        if notification.kind == NotificationKind::Escalation {
            self.lock().told.insert(notification.incident.as_str().to_owned());
        }
        Ok(())
    }
}

#[async_trait]
impl Journal for Plant {
    async fn append(
        &self,
        entry: &JournalEntry,
        expected: Option<Sequence>,
        ctx: &Context,
    ) -> Result<Sequence> {
        let (before, after) = match entry {
            JournalEntry::Intent(_) => ("died before an intent", "died after an intent"),
            JournalEntry::Outcome { .. } => ("died before an outcome", "died after an outcome"),
            JournalEntry::Verified { .. } => ("died before a verification", "died after a verification"),
        };
        self.call(before).await;
        let written = self.journal.append(entry, expected, ctx).await?;
        self.call(after).await;
        Ok(written)
    }

    async fn history(&self, ctx: &Context) -> Result<Arc<History>> {
        self.journal.history(ctx).await
    }
}

impl CaseListener for Plant {
    fn appended(&self, case: &Case, entry: &CaseEntry) {
        let mut inner = self.lock();
        // What a process writes it writes while it lives.
        if inner.blown {
            return;
        }
        let id = case.id().as_str().to_owned();
        match &entry.part {
            CasePart::Closed(status) => {
                inner.cases.remove(&id);
                let resumed = inner.resuming;
                let what = match (status, resumed) {
                    (CaseStatus::Recovered, false) => "recovered",
                    (CaseStatus::Recovered, true) => "recovered after it was taken up",
                    (_, false) => "a person took over",
                    (_, true) => "a person took over after it was taken up",
                };
                *inner.seen.entry(what).or_default() += 1;
                inner.closed.push(case.clone());
            }
            part => {
                // Writing a case down may fail; the next entry writes all of it again.
                if matches!(part, CasePart::Observed(_)) || inner.random.u32(0..10) > 0 {
                    inner.cases.insert(id, case.clone());
                }
                let acted = matches!(part, CasePart::Acted(_));
                let mut waited = case.entries().iter().filter(|e| matches!(e.part, CasePart::Planned(_)));
                let none = |e: &CaseEntry| matches!(&e.part, CasePart::Planned(p) if p.is_empty());
                if acted && case.attempts().count() == 1 && waited.any(none) {
                    *inner.seen.entry("acted after it was looked at again").or_default() += 1;
                }
            }
        }
    }
}
