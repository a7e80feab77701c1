use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use aiops_core::action::{
    Action, ActionKind, ActionOutcome, ActionStatus, IdempotencyKey, IncidentId, JournalEntry, Operation,
    Preview, Principal, Proposal, Share,
};
use aiops_core::fake::InMemoryJournal;
use aiops_core::guard::{GuardChain, Intended, Receipt};
use aiops_core::model::EntityId;
use aiops_core::seam::{Journal, Mitigator, MitigatorCapability};
use aiops_core::{Context, ErrorKind, Result};
use async_trait::async_trait;

use super::report::{Fault, Outcome, Report, alike, cancelled, ensure, late, refused};
use crate::sample;

/// What [`mitigator`] may do, and how it looks behind the scenes.
#[non_exhaustive]
pub struct MitigatorFixture<'a> {
    /// Context of all calls.
    pub ctx: Context,
    /// An action that works and may be repeated.
    pub action: Action,
    /// Number of effects that took place so far, counted behind the mitigator's back.
    pub effects: &'a (dyn Fn() -> u64 + Send + Sync),
    /// A chain in auto mode that allows everything and records in the given journal. Tokens have no other mint.
    pub chain: &'a (dyn Fn(InMemoryJournal) -> Result<GuardChain> + Send + Sync),
    /// Makes the reply to the next execution get lost.
    pub lose_reply: Option<&'a (dyn Fn() + Send + Sync)>,
    /// Makes the next execution fail half-way.
    pub fail: Option<&'a (dyn Fn() + Send + Sync)>,
}

impl std::fmt::Debug for MitigatorFixture<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MitigatorFixture").field("action", &self.action).finish_non_exhaustive()
    }
}

impl<'a> MitigatorFixture<'a> {
    /// A fixture that cannot make anything go wrong.
    pub fn new(
        ctx: Context,
        action: Action,
        effects: &'a (dyn Fn() -> u64 + Send + Sync),
        chain: &'a (dyn Fn(InMemoryJournal) -> Result<GuardChain> + Send + Sync),
    ) -> Self {
        Self { ctx, action, effects, chain, lose_reply: None, fail: None }
    }
}

/// A mitigator said to be capable of everything, so that the chain authorises what the real one must refuse.
#[derive(Debug)]
struct Boaster;

#[async_trait]
impl Mitigator for Boaster {
    fn capability(&self) -> MitigatorCapability {
        MitigatorCapability::of(KINDS)
    }
    async fn preview(&self, action: &Action, _: &Context) -> Result<Preview> {
        Ok(Preview::new(aiops_core::action::TargetState::existing(), action.to_string()))
    }
    async fn execute(&self, _: Intended<Action>, _: &Context) -> Result<Receipt> {
        Err(aiops_core::Error::new(ErrorKind::Unsupported, "boasts only"))
    }
    async fn status(&self, _: &IdempotencyKey, _: &Context) -> Result<ActionStatus> {
        Ok(ActionStatus::Unknown)
    }
}

/// Kinds whose default risk is not high, so that no person is needed.
const KINDS: [ActionKind; 7] = [
    ActionKind::RollingRestart,
    ActionKind::Scale,
    ActionKind::Rollback,
    ActionKind::CachePurge,
    ActionKind::LogRotation,
    ActionKind::Throttle,
    ActionKind::Concurrency,
];

/// Numbers of incidents, so that no two runs on one mitigator share a key.
static RUNS: AtomicU64 = AtomicU64::new(0);

struct Stage<'a> {
    mitigator: &'a dyn Mitigator,
    fx: &'a MitigatorFixture<'a>,
    journal: InMemoryJournal,
    chain: GuardChain,
    incident: IncidentId,
}

impl Stage<'_> {
    fn proposal(&self, id: &str, action: &Action) -> Outcome<Proposal> {
        let mut proposal = sample::proposal(id, action.clone())?;
        proposal.incident = self.incident.clone();
        proposal.proposed_by = Principal::new("conformance");
        Ok(proposal)
    }

    async fn intend_by(&self, chain: &GuardChain, id: &str, action: &Action) -> Outcome<Intended<Action>> {
        let ctx = &self.fx.ctx;
        let proposal = self.proposal(id, action)?;
        let authorized = chain.authorize(proposal, &Boaster, ctx).await.map_err(aiops_core::Error::from)?;
        Ok(authorized.record(ctx).await?)
    }

    async fn intend(&self, id: &str) -> Outcome<Intended<Action>> {
        self.intend_by(&self.chain, id, &self.fx.action).await
    }

    /// Writes that `key` ended, so that its target is free for the next clause.
    async fn settle(&self, journal: &InMemoryJournal, key: &IdempotencyKey) -> Outcome {
        let outcome = ActionOutcome::NotStarted { reason: "settled".to_owned() };
        let entry = JournalEntry::Outcome { key: key.clone(), outcome, at: self.fx.ctx.now() };
        Ok(journal.append(&entry, None, &self.fx.ctx).await.map(drop)?)
    }

    /// Executes `id` and settles it, whatever came out.
    async fn run(&self, id: &str) -> Outcome<(IdempotencyKey, Result<Receipt>)> {
        let intended = self.intend(id).await?;
        let key = intended.key().clone();
        let answer = self.mitigator.execute(intended, &self.fx.ctx).await;
        self.settle(&self.journal, &key).await?;
        Ok((key, answer))
    }

    fn effects(&self) -> u64 {
        (self.fx.effects)()
    }

    async fn status(&self, key: &IdempotencyKey) -> Outcome<ActionStatus> {
        Ok(self.mitigator.status(key, &self.fx.ctx).await?)
    }
}

/// The contract of [`Mitigator`]: 17 clauses.
///
/// Runs the fixture's action a dozen times, under the fences of a new journal: the mitigator must not have seen any yet.
pub async fn mitigator(mitigator: &dyn Mitigator, fx: &MitigatorFixture<'_>) -> Report {
    let mut report = Report::of("Mitigator");
    let journal = InMemoryJournal::new();
    let chain = match (fx.chain)(journal.clone()) {
        Ok(chain) => chain,
        Err(e) => {
            report.failed.push(("chain", e.to_string()));
            return report;
        }
    };
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let incident = IncidentId::new(format!("conformance-{run}-{}", fx.ctx.now().as_nanosecond()));
    let stage = Stage { mitigator, fx, journal, chain, incident };
    report.clause("capability", capability(&stage)).await;
    report.clause("preview_reads_only", preview_reads_only(&stage)).await;
    report.clause("preview_tells", preview_tells(&stage)).await;
    report.clause("preview_absent", preview_absent(&stage)).await;
    report.clause("executes", executes(&stage)).await;
    report.clause("receipt", receipt(&stage)).await;
    report.clause("status_after", status_after(&stage)).await;
    report.clause("not_started_is_a_promise", not_started_is_a_promise(&stage)).await;
    report.clause("at_most_once", at_most_once(&stage)).await;
    report.clause("stale_fence", stale_fence(&stage)).await;
    report.clause("kill_switch", kill_switch(&stage)).await;
    report.clause("absent_target", absent_target(&stage)).await;
    report.clause("unsupported_kind", unsupported_kind(&stage)).await;
    report.clause("lost_reply", lost_reply(&stage)).await;
    report.clause("failure_is_an_outcome", failure_is_an_outcome(&stage)).await;
    report.clause("cancelled", ended(&stage, &cancelled(&fx.ctx), ErrorKind::Cancelled)).await;
    report.clause("deadline", ended(&stage, &late(&fx.ctx), ErrorKind::Timeout)).await;
    report
}

async fn capability(s: &Stage<'_>) -> Outcome {
    let actions = s.mitigator.capability().actions;
    ensure!(actions.contains(&s.fx.action.kind()), "cannot {}", s.fx.action.operation);
    alike(&actions, &s.mitigator.capability().actions)
}

async fn preview_reads_only(s: &Stage<'_>) -> Outcome {
    let before = s.effects();
    let first = s.mitigator.preview(&s.fx.action, &s.fx.ctx).await?;
    let second = s.mitigator.preview(&s.fx.action, &s.fx.ctx).await?;
    ensure!(s.effects() == before, "a dry run had an effect");
    alike(&first.target.generation, &second.target.generation)
}

async fn preview_tells(s: &Stage<'_>) -> Outcome {
    let preview = s.mitigator.preview(&s.fx.action, &s.fx.ctx).await?;
    ensure!(preview.target.exists, "the target does not exist");
    ensure!(!preview.effect.trim().is_empty(), "does not say what would be done");
    Ok(())
}

fn absent(s: &Stage<'_>) -> Action {
    let mut action = s.fx.action.clone();
    action.target = EntityId::new(action.target.kind(), "conformance-no-such-target");
    action.preconditions.clear();
    action
}

async fn preview_absent(s: &Stage<'_>) -> Outcome {
    match s.mitigator.preview(&absent(s), &s.fx.ctx).await {
        Ok(preview) => ensure!(!preview.target.exists, "a target that is not there exists"),
        Err(e) => ensure!(e.kind() == ErrorKind::NotFound, "{e}"),
    }
    Ok(())
}

async fn executes(s: &Stage<'_>) -> Outcome {
    let before = s.effects();
    let (_, answer) = s.run("executes").await?;
    let receipt = answer?;
    ensure!(receipt.record().outcome == ActionOutcome::Completed, "ended as {:?}", receipt.record().outcome);
    ensure!(s.effects() == before + 1, "{} effects of one action", s.effects() - before);
    Ok(())
}

async fn receipt(s: &Stage<'_>) -> Outcome {
    let (key, answer) = s.run("receipt").await?;
    let record = answer?.into_record();
    ensure!(record.key == key, "a receipt for another key");
    ensure!(record.action == s.fx.action, "a receipt for another action: {}", record.action);
    ensure!(record.started_at <= record.finished_at, "ended before it began");
    Ok(())
}

async fn status_after(s: &Stage<'_>) -> Outcome {
    let (key, answer) = s.run("status").await?;
    let _receipt = answer?;
    let status = s.status(&key).await?;
    ensure!(status == ActionStatus::Completed, "carried out, but its status is {status:?}");
    Ok(())
}

async fn not_started_is_a_promise(s: &Stage<'_>) -> Outcome {
    let before = s.effects();
    let intended = s.intend("promise").await?;
    let key = intended.key().clone();
    let status = s.status(&key).await?;
    let answer = s.mitigator.execute(intended, &s.fx.ctx).await;
    s.settle(&s.journal, &key).await?;
    if status != ActionStatus::NotStarted {
        return Err(Fault::Skip(format!("it answers {status:?} for a key it never saw")));
    }
    ensure!(answer.is_err(), "ran a key it had called not started");
    ensure!(s.effects() == before, "an effect of a key it had called not started");
    Ok(())
}

/// The same key comes again from another journal, as when a journal was restored from a backup.
async fn at_most_once(s: &Stage<'_>) -> Outcome {
    let (_, answer) = s.run("once").await?;
    let _receipt = answer?;
    let fork = InMemoryJournal::new();
    let chain = (s.fx.chain)(fork.clone())?;
    let head = s.journal.history(&s.fx.ctx).await?.head();
    let filler = s.intend_by(&chain, "filler", &s.fx.action).await?;
    let filler = filler.key().clone();
    // A fence beyond any that it has seen, so that only the key can stop it.
    while fork.history(&s.fx.ctx).await?.head() <= head {
        s.settle(&fork, &filler).await?;
    }
    let before = s.effects();
    let again = s.intend_by(&chain, "once", &s.fx.action).await?;
    let answer = s.mitigator.execute(again, &s.fx.ctx).await;
    // The main journal must get ahead of the fork again, or later fences would be stale.
    let ahead = fork.history(&s.fx.ctx).await?.head();
    let last = s.intend("ahead").await?;
    while s.journal.history(&s.fx.ctx).await?.head() <= ahead {
        s.settle(&s.journal, last.key()).await?;
    }
    s.settle(&s.journal, last.key()).await?;
    ensure!(s.effects() == before, "one key had two effects");
    refused(answer, ErrorKind::Conflict)
}

/// A replica was paused between recording and executing; meanwhile another one gave it up and acted.
async fn stale_fence(s: &Stage<'_>) -> Outcome {
    let paused = s.intend("paused").await?;
    s.settle(&s.journal, paused.key()).await?;
    let (_, answer) = s.run("newer").await?;
    let _receipt = answer?;
    let before = s.effects();
    let answer = s.mitigator.execute(paused, &s.fx.ctx).await;
    ensure!(s.effects() == before, "acted under a stale fence");
    refused(answer, ErrorKind::Conflict)
}

/// What must not have had an effect is asked for with `ctx`; the error must be `kind`.
async fn without_effect(
    s: &Stage<'_>,
    intended: Intended<Action>,
    ctx: &Context,
    kind: ErrorKind,
) -> Outcome {
    let before = s.effects();
    let key = intended.key().clone();
    let answer = s.mitigator.execute(intended, ctx).await;
    s.settle(&s.journal, &key).await?;
    ensure!(s.effects() == before, "an effect in spite of everything");
    refused(answer, kind)
}

async fn kill_switch(s: &Stage<'_>) -> Outcome {
    let intended = s.intend("killed").await?;
    let by = Principal::new("conformance");
    s.chain.kill_switch().engage(&by, "a conformance clause");
    let outcome = without_effect(s, intended, &s.fx.ctx, ErrorKind::Killed).await;
    s.chain.kill_switch().release(&by);
    outcome
}

async fn absent_target(s: &Stage<'_>) -> Outcome {
    let intended = s.intend_by(&s.chain, "absent", &absent(s)).await?;
    without_effect(s, intended, &s.fx.ctx, ErrorKind::NotFound).await
}

async fn unsupported_kind(s: &Stage<'_>) -> Outcome {
    let can: BTreeSet<ActionKind> = s.mitigator.capability().actions;
    let operations = [
        Operation::CachePurge,
        Operation::LogRotation,
        Operation::Concurrency { limit: 8 },
        Operation::Throttle { to: Share::new(0.5)? },
    ];
    let Some(operation) = operations.into_iter().find(|o| !can.contains(&o.kind())) else {
        return Err(Fault::Skip("it can do everything that was tried".to_owned()));
    };
    let mut action = s.fx.action.clone();
    action.operation = operation;
    let intended = s.intend_by(&s.chain, "unsupported", &action).await?;
    without_effect(s, intended, &s.fx.ctx, ErrorKind::Unsupported).await
}

async fn lost_reply(s: &Stage<'_>) -> Outcome {
    let Some(lose) = s.fx.lose_reply else {
        return Err(Fault::Skip("replies cannot be made to get lost".to_owned()));
    };
    let before = s.effects();
    lose();
    let (key, answer) = s.run("lost").await?;
    refused(answer, ErrorKind::InDoubt)?;
    let status = s.status(&key).await?;
    let acted = s.effects() != before;
    ensure!(!(acted && status == ActionStatus::NotStarted), "acted, and calls it not started");
    Ok(())
}

async fn failure_is_an_outcome(s: &Stage<'_>) -> Outcome {
    let Some(fail) = s.fx.fail else {
        return Err(Fault::Skip("executions cannot be made to fail".to_owned()));
    };
    fail();
    let (key, answer) = s.run("fails").await?;
    let receipt = answer?;
    let failed = matches!(receipt.record().outcome, ActionOutcome::Failed { .. });
    ensure!(failed, "ended as {:?}", receipt.record().outcome);
    let status = s.status(&key).await?;
    ensure!(matches!(status, ActionStatus::Failed { .. }), "failed, but its status is {status:?}");
    Ok(())
}

/// A context that ended before the call: nothing is done.
async fn ended(s: &Stage<'_>, ctx: &Context, kind: ErrorKind) -> Outcome {
    let intended = s.intend(kind.as_str()).await?;
    without_effect(s, intended, ctx, kind).await
}
