use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use aiops_core::action::*;
use aiops_core::fake::{FixedGuard, InMemoryJournal, InMemoryMitigator, Mishap, ScriptedApprover};
use aiops_core::guard::{Intended, Receipt};
use aiops_core::jiff::Timestamp;
use aiops_core::seam::{Approver, Guardrail, Journal, Mitigator, MitigatorCapability, Review};
use aiops_core::{Context, Error, ErrorKind, Result};
use aiops_testkit::{conformance, sample};
use async_trait::async_trait;
use futures_lite::future::block_on;

use super::{Fault, hunt, with};
use crate::fixtures as fx;

#[derive(Debug)]
struct Guard(Fault, FixedGuard);

#[async_trait]
impl Guardrail for Guard {
    fn id(&self) -> GuardId {
        if self.0.is("identity") { GuardId(String::new()) } else { self.1.id() }
    }
    async fn check(&self, review: &Review<'_>, ctx: &Context) -> Result<Verdict> {
        let Self(fault, inner) = self;
        match (fault.clause, review.mode) {
            ("reason", Mode::Observe) => Ok(Verdict::deny(" ")),
            ("wait", Mode::Suggest) => {
                Ok(Verdict::NeedsApproval { reason: "at once".to_owned(), wait: Duration::ZERO })
            }
            ("hearings_do_not_count", _) if fault.count() > 9 => Ok(Verdict::deny("often enough")),
            _ => inner.check(review, ctx).await,
        }
    }
}

#[test]
fn guardrail() {
    hunt(4, |clause| {
        let inner = FixedGuard::new("fixed", Verdict::allow("always"));
        block_on(conformance::guardrail(&Guard(Fault::in_clause(clause), inner), &fx::guardrail()))
    });
}

#[derive(Debug)]
struct Boss(Fault, ScriptedApprover);

#[async_trait]
impl Approver for Boss {
    async fn decide(&self, request: &ApprovalRequest, ctx: &Context) -> Result<ApprovalDecision> {
        let Self(fault, inner) = self;
        with(inner.decide(request, &fault.heed(ctx)).await, |decision| match fault.clause {
            "answer" => decision.granted = !decision.granted,
            "who" => decision.approver = request.proposal.proposed_by.clone(),
            "when" => decision.at = Timestamp::UNIX_EPOCH,
            _ => {}
        })
    }
}

#[test]
fn approver() {
    hunt(5, |clause| {
        let inner = ScriptedApprover::of(Principal::new("ann"), [true]);
        block_on(conformance::approver(&Boss(Fault::in_clause(clause), inner), &fx::approver()))
    });
}

#[derive(Debug)]
struct Book {
    fault: Fault,
    inner: InMemoryJournal,
    home: ThreadId,
}

#[async_trait]
impl Journal for Book {
    async fn append(
        &self,
        entry: &JournalEntry,
        expected: Option<Sequence>,
        ctx: &Context,
    ) -> Result<Sequence> {
        let (fault, inner) = (&self.fault, &self.inner);
        let ctx = &fault.heed(ctx);
        let history = inner.history(ctx).await?;
        let at_home = std::thread::current().id() == self.home;
        let mut entry = entry.clone();
        let mut expected = expected;
        match (fault.clause, &mut entry) {
            ("intact", JournalEntry::Intent(intent)) => "cleaned".clone_into(&mut intent.proposal.reason),
            ("stale_head", _) if at_home => expected = None,
            ("concurrent", _) if !at_home => expected = None,
            ("released_target", JournalEntry::Intent(intent))
                if history.for_target(&intent.proposal.action.target).next().is_some() =>
            {
                return Err(Error::new(ErrorKind::Conflict, "once touched, held for ever"));
            }
            ("repeated_outcome", JournalEntry::Outcome { key, .. })
                if history.get(key).is_some_and(|a| !a.in_doubt()) =>
            {
                return Err(Error::new(ErrorKind::Conflict, "said before"));
            }
            ("verified", JournalEntry::Verified { .. }) => return Ok(history.head()),
            _ => {}
        }
        let known = matches!(&entry, JournalEntry::Intent(i) if history.get(&i.key).is_some());
        let swallowed = match (fault.clause, &entry) {
            ("key_once", JournalEntry::Intent(_)) => known,
            ("held_target", JournalEntry::Intent(_)) => !known && expected.is_none(),
            ("unknown_outcome", JournalEntry::Outcome { key, .. }) => history.get(key).is_none(),
            ("second_outcome", JournalEntry::Outcome { key, .. }) => history.get(key).is_some(),
            _ => false,
        };
        match inner.append(&entry, expected, ctx).await {
            Err(_) if swallowed => Ok(history.head()),
            Ok(at) if fault.is("append") && expected.is_some() && at_home => {
                // One entry more than asked for.
                let JournalEntry::Intent(intent) = &entry else { return Ok(at) };
                let (key, recovery) = (intent.key.clone(), aiops_core::model::Recovery::Inconclusive);
                inner.append(&JournalEntry::Verified { key, recovery, at: ctx.now() }, None, ctx).await?;
                Ok(at)
            }
            Ok(at) if fault.is("fence") && expected.is_none() => Ok(Sequence(at.0 + 1)),
            answer => answer,
        }
    }

    async fn history(&self, ctx: &Context) -> Result<Arc<History>> {
        self.inner.history(&self.fault.heed(ctx)).await
    }
}

#[test]
fn journal() {
    hunt(15, |clause| {
        let inner = InMemoryJournal::new();
        let reopen = || -> Result<Arc<dyn Journal>> {
            Ok(Arc::new(if clause == "durable" { InMemoryJournal::new() } else { inner.clone() }))
        };
        let mut fixture = conformance::JournalFixture::new(fx::ctx());
        fixture.reopen = Some(&reopen);
        let book =
            Book { fault: Fault::in_clause(clause), inner: inner.clone(), home: std::thread::current().id() };
        block_on(conformance::journal(&book, &fixture))
    });
}

#[derive(Debug)]
struct Hand {
    fault: Fault,
    inner: InMemoryMitigator,
    /// Effects that the healthy one would not have had.
    extra: Arc<AtomicU64>,
    executed: Mutex<BTreeSet<IdempotencyKey>>,
    asked: Mutex<BTreeSet<IdempotencyKey>>,
    other: Mutex<Receipt>,
}

#[async_trait]
impl Mitigator for Hand {
    fn capability(&self) -> MitigatorCapability {
        // The clause is the first to ask.
        if self.fault.is("capability") && self.fault.count() == 0 {
            return MitigatorCapability::of([]);
        }
        self.inner.capability()
    }

    async fn preview(&self, action: &Action, ctx: &Context) -> Result<Preview> {
        if self.fault.is("preview_reads_only") {
            self.inner.tamper(&action.target, |w| w.restarts += 1);
        }
        with(self.inner.preview(action, ctx).await, |preview| match self.fault.clause {
            "preview_tells" => preview.effect.clear(),
            "preview_absent" => preview.target.exists = true,
            _ => {}
        })
    }

    async fn execute(&self, action: Intended<Action>, ctx: &Context) -> Result<Receipt> {
        let key = action.key().clone();
        let answer = self.inner.execute(action, &self.fault.heed(ctx)).await;
        let kind = answer.as_ref().err().map(Error::kind);
        let (before, asked) =
            (self.executed.lock().unwrap().contains(&key), self.asked.lock().unwrap().contains(&key));
        self.executed.lock().unwrap().insert(key);
        let conflict = kind == Some(ErrorKind::Conflict);
        let extra = match self.fault.clause {
            "executes" => kind.is_none(),
            "at_most_once" => conflict && before,
            "stale_fence" => conflict && !before && !asked,
            "kill_switch" => kind == Some(ErrorKind::Killed),
            _ => false,
        };
        self.extra.fetch_add(extra.into(), Ordering::SeqCst);
        let completed = answer.as_ref().is_ok_and(|r| r.record().outcome == ActionOutcome::Completed);
        match (self.fault.clause, kind) {
            ("absent_target", Some(ErrorKind::NotFound))
            | ("unsupported_kind", Some(ErrorKind::Unsupported))
            | ("lost_reply", Some(ErrorKind::InDoubt)) => {
                Err(Error::new(ErrorKind::Unavailable, "something"))
            }
            ("failure_is_an_outcome", None) if !completed => {
                Err(Error::new(ErrorKind::Internal, "it failed"))
            }
            // From the second action on it hands out the receipt of another one.
            ("receipt", None) if completed && self.fault.count() > 0 => {
                Ok(std::mem::replace(&mut *self.other.lock().unwrap(), answer?))
            }
            _ => answer,
        }
    }

    async fn status(&self, key: &IdempotencyKey, ctx: &Context) -> Result<ActionStatus> {
        self.asked.lock().unwrap().insert(key.clone());
        if self.fault.is("not_started_is_a_promise") && !self.executed.lock().unwrap().contains(key) {
            return Ok(ActionStatus::NotStarted);
        }
        with(self.inner.status(key, ctx).await, |status| {
            if self.fault.is("status_after") && *status == ActionStatus::Completed {
                *status = ActionStatus::Unknown;
            }
        })
    }
}

/// A receipt of an action elsewhere.
fn foreign_receipt() -> Receipt {
    block_on(async {
        let (ctx, elsewhere) = (sample::context(), sample::workloads([sample::store()]));
        let proposal = sample::proposal("elsewhere", sample::action()?)?;
        let intended = sample::intended(proposal, InMemoryJournal::new(), &elsewhere, &ctx).await?;
        elsewhere.execute(intended, &ctx).await
    })
    .unwrap()
}

#[test]
fn mitigator() {
    hunt(17, |clause| {
        let (inner, extra) = (sample::workloads([sample::store()]), Arc::new(AtomicU64::new(0)));
        let hand = Hand {
            fault: Fault::in_clause(clause),
            inner: inner.clone(),
            extra: extra.clone(),
            executed: Mutex::default(),
            asked: Mutex::default(),
            other: Mutex::new(foreign_receipt()),
        };
        let effects = || inner.executed().len() as u64 + extra.load(Ordering::SeqCst);
        let lose = || inner.set_mishap(Some(Mishap::LostReply));
        let fail = || inner.set_mishap(Some(Mishap::Failure));
        let chain = |journal| sample::chain(journal);
        let action = sample::action().unwrap();
        let mut fixture = conformance::MitigatorFixture::new(fx::ctx(), action, &effects, &chain);
        fixture.lose_reply = Some(&lose);
        fixture.fail = Some(&fail);
        block_on(conformance::mitigator(&hand, &fixture))
    });
}
