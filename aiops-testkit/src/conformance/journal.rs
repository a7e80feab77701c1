use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aiops_core::action::{
    ActionOutcome, ActionTrace, History, IdempotencyKey, IntentRecord, JournalEntry, Sequence,
};
use aiops_core::model::{EntityId, Recovery};
use aiops_core::seam::Journal;
use aiops_core::{Context, ErrorKind, Result};

use super::report::{Fault, Outcome, Report, cancelled, ensure, given, late, refused};
use crate::sample;

/// How [`journal`] reaches the store behind it.
#[non_exhaustive]
pub struct JournalFixture<'a> {
    /// Context of all calls.
    pub ctx: Context,
    /// Opens the same store once more, as after a restart. `None` for a journal that does not outlive its process.
    pub reopen: Option<&'a (dyn Fn() -> Result<Arc<dyn Journal>> + Send + Sync)>,
}

impl std::fmt::Debug for JournalFixture<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JournalFixture").field("reopen", &self.reopen.is_some()).finish_non_exhaustive()
    }
}

impl JournalFixture<'_> {
    /// A fixture of a journal that does not outlive its process.
    #[must_use]
    pub fn new(ctx: Context) -> Self {
        Self { ctx, reopen: None }
    }
}

/// Numbers of intents, so that no two share key or target.
static INTENTS: AtomicU64 = AtomicU64::new(0);

struct Stage<'a> {
    journal: &'a dyn Journal,
    ctx: &'a Context,
}

impl Stage<'_> {
    /// An intent on a target of its own.
    async fn intent(&self) -> Outcome<IntentRecord> {
        let n = INTENTS.fetch_add(1, Ordering::Relaxed);
        let target = EntityId::service(format!("conformance-{n}-{}", self.ctx.now().as_nanosecond()));
        Ok(sample::intent(&format!("intent-{n}"), target, self.ctx).await?)
    }

    async fn append(&self, entry: &JournalEntry, expected: Option<Sequence>) -> Result<Sequence> {
        self.journal.append(entry, expected, self.ctx).await
    }

    /// Appends a fresh intent and returns it.
    async fn appended(&self) -> Outcome<IntentRecord> {
        let intent = self.intent().await?;
        self.append(&entry(&intent), None).await?;
        Ok(intent)
    }

    async fn end(&self, key: &IdempotencyKey, outcome: ActionOutcome) -> Result<Sequence> {
        self.append(&JournalEntry::Outcome { key: key.clone(), outcome, at: self.ctx.now() }, None).await
    }

    async fn history(&self) -> Outcome<Arc<History>> {
        Ok(self.journal.history(self.ctx).await?)
    }

    async fn trace(&self, key: &IdempotencyKey) -> Outcome<ActionTrace> {
        let history = self.history().await?;
        history.get(key).cloned().ok_or_else(|| Fault::Fail(format!("{key} is not in the history")))
    }
}

fn entry(intent: &IntentRecord) -> JournalEntry {
    JournalEntry::Intent(Box::new(intent.clone()))
}

/// The contract of [`Journal`]: 15 clauses.
pub async fn journal(journal: &dyn Journal, fx: &JournalFixture<'_>) -> Report {
    let mut report = Report::of("Journal");
    let s = Stage { journal, ctx: &fx.ctx };
    report.clause("append", append(&s)).await;
    report.clause("intact", intact(&s)).await;
    report.clause("fence", fence(&s)).await;
    report.clause("stale_head", stale_head(&s)).await;
    report.clause("key_once", key_once(&s)).await;
    report.clause("held_target", held_target(&s)).await;
    report.clause("released_target", released_target(&s)).await;
    report.clause("unknown_outcome", unknown_outcome(&s)).await;
    report.clause("second_outcome", second_outcome(&s)).await;
    report.clause("repeated_outcome", repeated_outcome(&s)).await;
    report.clause("verified", verified(&s)).await;
    report.clause("concurrent", concurrent(&s)).await;
    report.clause("durable", durable(&s, fx)).await;
    report.clause("cancelled", ended(&s, &cancelled(&fx.ctx), ErrorKind::Cancelled)).await;
    report.clause("deadline", ended(&s, &late(&fx.ctx), ErrorKind::Timeout)).await;
    report
}

async fn append(s: &Stage<'_>) -> Outcome {
    let head = s.history().await?.head();
    let intent = s.intent().await?;
    let at = s.append(&entry(&intent), Some(head)).await?;
    ensure!(at == Sequence(head.0 + 1), "appended at {at:?} after {head:?}");
    let now = s.history().await?.head();
    ensure!(now == at, "the head is {now:?} after an append at {at:?}");
    Ok(())
}

async fn intact(s: &Stage<'_>) -> Outcome {
    let intent = s.appended().await?;
    let trace = s.trace(&intent.key).await?;
    ensure!(trace.intent == intent, "written {intent:?}, read {:?}", trace.intent);
    ensure!(trace.in_doubt(), "ended before its end was written");
    Ok(())
}

async fn fence(s: &Stage<'_>) -> Outcome {
    let intent = s.intent().await?;
    let at = s.append(&entry(&intent), None).await?;
    let fence = s.trace(&intent.key).await?.fence;
    ensure!(fence.0 == at.0, "fence {fence:?} of the entry at {at:?}");
    Ok(())
}

async fn stale_head(s: &Stage<'_>) -> Outcome {
    let stale = s.history().await?.head();
    s.appended().await?;
    let intent = s.intent().await?;
    refused(s.append(&entry(&intent), Some(stale)).await, ErrorKind::Conflict)?;
    ensure!(s.history().await?.get(&intent.key).is_none(), "refused, and yet written");
    Ok(())
}

async fn key_once(s: &Stage<'_>) -> Outcome {
    let intent = s.appended().await?;
    s.end(&intent.key, ActionOutcome::Completed).await?;
    refused(s.append(&entry(&intent), None).await, ErrorKind::Conflict)
}

/// The key is another, the target the same: only one action at a time.
async fn other_on_target(s: &Stage<'_>, first: &IntentRecord) -> Outcome<IntentRecord> {
    Ok(sample::intent("other", first.proposal.action.target.clone(), s.ctx).await?)
}

async fn held_target(s: &Stage<'_>) -> Outcome {
    let first = s.appended().await?;
    let second = other_on_target(s, &first).await?;
    refused(s.append(&entry(&second), None).await, ErrorKind::Conflict)
}

async fn released_target(s: &Stage<'_>) -> Outcome {
    let first = s.appended().await?;
    s.end(&first.key, ActionOutcome::Completed).await?;
    ensure!(!s.trace(&first.key).await?.in_doubt(), "ended, and still in doubt");
    let second = other_on_target(s, &first).await?;
    s.append(&entry(&second), None).await?;
    Ok(())
}

async fn unknown_outcome(s: &Stage<'_>) -> Outcome {
    let key = s.intent().await?.key;
    refused(s.end(&key, ActionOutcome::Completed).await, ErrorKind::NotFound)
}

async fn second_outcome(s: &Stage<'_>) -> Outcome {
    let intent = s.appended().await?;
    s.end(&intent.key, ActionOutcome::Completed).await?;
    let other = ActionOutcome::Failed { reason: "a second opinion".to_owned() };
    refused(s.end(&intent.key, other).await, ErrorKind::Conflict)?;
    let kept = s.trace(&intent.key).await?.outcome;
    ensure!(kept == Some(ActionOutcome::Completed), "the first outcome became {kept:?}");
    Ok(())
}

/// Two replicas may both settle what a third left behind.
async fn repeated_outcome(s: &Stage<'_>) -> Outcome {
    let intent = s.appended().await?;
    s.end(&intent.key, ActionOutcome::Completed).await?;
    s.end(&intent.key, ActionOutcome::Completed).await?;
    Ok(())
}

async fn verified(s: &Stage<'_>) -> Outcome {
    let intent = s.appended().await?;
    s.end(&intent.key, ActionOutcome::Completed).await?;
    let (key, recovery, at) = (intent.key.clone(), Recovery::NotRecovered, s.ctx.now());
    s.append(&JournalEntry::Verified { key, recovery, at }, None).await?;
    let kept = s.trace(&intent.key).await?.recovery;
    ensure!(kept == Some(recovery), "written {recovery:?}, read {kept:?}");
    Ok(())
}

/// Eight threads expect the same head.
async fn concurrent(s: &Stage<'_>) -> Outcome {
    let head = s.history().await?.head();
    let mut intents = Vec::new();
    for _ in 0..8 {
        intents.push(s.intent().await?);
    }
    let start = std::sync::Barrier::new(intents.len());
    let answers: Vec<Result<Sequence>> = std::thread::scope(|scope| {
        let write = |intent| {
            start.wait();
            futures_lite::future::block_on(s.append(&entry(intent), Some(head)))
        };
        let threads: Vec<_> = intents.iter().map(|i| scope.spawn(move || write(i))).collect();
        threads.into_iter().filter_map(|t| t.join().ok()).collect()
    });
    let won = answers.iter().filter(|a| a.is_ok()).count();
    ensure!(won == 1, "{won} of {} appends with one expectation were accepted", intents.len());
    let history = s.history().await?;
    let written = intents.iter().filter(|i| history.get(&i.key).is_some()).count();
    ensure!(written == 1, "{written} entries stand in the history");
    Ok(())
}

async fn durable(s: &Stage<'_>, fx: &JournalFixture<'_>) -> Outcome {
    let reopen = given(&fx.reopen, "way to reopen the store")?;
    let intent = s.appended().await?;
    s.end(&intent.key, ActionOutcome::Completed).await?;
    let before = s.history().await?;
    let after = reopen()?.history(s.ctx).await?;
    ensure!(*before == *after, "{:?} entries before, {:?} after a restart", before.head(), after.head());
    Ok(())
}

/// A context that ended before the call: an error, and nothing written.
async fn ended(s: &Stage<'_>, ctx: &Context, kind: ErrorKind) -> Outcome {
    let intent = s.intent().await?;
    refused(s.journal.append(&entry(&intent), None, ctx).await, kind)?;
    ensure!(s.history().await?.get(&intent.key).is_none(), "refused, and yet written");
    refused(s.journal.history(ctx).await.map(drop), kind)
}
