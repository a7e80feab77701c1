use std::path::Path;
use std::sync::Arc;

use aiops_core::action::{ActionTrace, GuardId, History, Principal, Verdict};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;

use super::book::{Book, Request};
use super::change::{Change, ChangeId, Evidence, Looser, Outcome};
use super::config::{HarmBelief, LearnedConfig};
use crate::approval::ApprovalLabel;
use crate::graduation::ActionClass;
use crate::guards::{guard_id, is_own_revert};
use crate::ledger::Keeper;

/// Who learns. Nobody decides anything under this name.
pub const LEARNER: &str = "learning";

/// What was learned, in one file, and the guard that asks a person where a diagnosis is less sure than the record of its class asks for. Clones
/// share it.
///
/// A remedy that did not help raises the floor as soon as the journal says so, before it is learned: at once in the guard, in writing
/// when its case is closed. Until then the guard asks for what it will ask for once everything in the journal is learned, so learning it changes
/// nothing that is asked for. The guard takes O(f log n) for f actions that ever did not help, of n; O(n log n) while one of its class is not learned.
///
/// # Errors
/// [`ErrorKind::Malformed`](aiops_core::ErrorKind::Malformed) with [`Damage`](crate::ledger::Damage) as its source when the file is not as it
/// was written. A guard that cannot read the file denies.
#[derive(Debug, Clone)]
pub struct Learned {
    keeper: Keeper<Arc<Book>>,
    config: LearnedConfig,
}

impl Learned {
    /// Opens the file at `path`, or creates it with nothing learned.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](aiops_core::ErrorKind::Invalid) for settings out of range; [`ErrorKind::Malformed`](aiops_core::ErrorKind::Malformed)
    /// for a damaged file; [`ErrorKind::Unavailable`](aiops_core::ErrorKind::Unavailable) for one that cannot be read.
    pub fn open(path: impl AsRef<Path>, config: LearnedConfig) -> Result<Self> {
        config.validate()?;
        let blank = Arc::new(Book::new(config.clone()));
        Ok(Self { keeper: Keeper::open(path.as_ref(), blank)?, config })
    }

    /// Learns from every remedy of `history` whose end is known, and from `labels` that call a diagnosis wrong. What taught before changes
    /// nothing, so it may be called as often as one likes, by any replica; only a remedy that taught as one that helped teaches again, when it
    /// turns out not to have. Everything is written, or nothing. O(m log m) for m actions and labels.
    ///
    /// An answer that calls the diagnosis of a remedy wrong which did not help either is evidence of its own, whichever comes first.
    ///
    /// # Errors
    /// The file's own.
    pub async fn learn(
        &self,
        history: &History,
        labels: &[ApprovalLabel],
        ctx: &Context,
    ) -> Result<Vec<Change>> {
        let acted = history.actions().filter_map(outcome_of);
        let said = labels.iter().filter(|l| l.diagnosis_right == Some(false)).map(|label| Outcome {
            class: ActionClass { action: label.action, target: label.target.kind() },
            evidence: Evidence::Answer { incident: label.incident.clone(), request: label.request.clone() },
            good: false,
            confidence: label.confidence.probability(),
        });
        let book = self.book(ctx).await?;
        let new: Vec<Outcome> = acted.chain(said).filter(|o| book.is_news(o)).collect();
        // Whoever writes while somebody reads copies.
        drop(book);
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let changes = self.write(Request::Learn(new, ctx.now())).await?;
        for change in &changes {
            tracing::info!(change = %change.id(), "a lesson was learned");
        }
        Ok(changes)
    }

    /// Lower floors that the record allows, in order of classes. None is in force.
    ///
    /// # Errors
    /// The file's own.
    pub async fn looser(&self, ctx: &Context) -> Result<Vec<Looser>> {
        Ok(self.book(ctx).await?.looser())
    }

    /// Lets the floor that `looser` proposes come into force, by the decision of `by`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](aiops_core::ErrorKind::Conflict) when it is not proposed any more: something was learned meanwhile;
    /// [`ErrorKind::Invalid`](aiops_core::ErrorKind::Invalid) for a nameless decision, [`ErrorKind::Denied`](aiops_core::ErrorKind::Denied)
    /// for one by [`LEARNER`]; the file's own.
    pub async fn accept(
        &self,
        looser: &Looser,
        by: Principal,
        reason: impl Into<String>,
        ctx: &Context,
    ) -> Result<Change> {
        ctx.check()?;
        let (looser, reason, at) = (Box::new(looser.clone()), reason.into(), ctx.now());
        self.decided(Request::Accept { looser, by, reason, at }).await
    }

    /// Takes the change `of` back, by the decision of `by`: everything is as if it had never been, floors that were lowered on its evidence
    /// among it, and that evidence does not teach again, unless it was of a remedy that helped and turns out not to have. O(changes).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](aiops_core::ErrorKind::NotFound); [`ErrorKind::Conflict`](aiops_core::ErrorKind::Conflict) for one that was
    /// taken back already; as [`accept`](Self::accept).
    pub async fn revert(
        &self,
        of: ChangeId,
        by: Principal,
        reason: impl Into<String>,
        ctx: &Context,
    ) -> Result<Change> {
        ctx.check()?;
        self.decided(Request::Revert { of, by, reason: reason.into(), at: ctx.now() }).await
    }

    /// Every change so far, oldest first, those that were taken back included.
    ///
    /// # Errors
    /// The file's own.
    pub async fn changes(&self, ctx: &Context) -> Result<Vec<Change>> {
        Ok(self.book(ctx).await?.changes().to_vec())
    }

    /// Belief in harm of `class`; the prior where nothing was learned.
    ///
    /// # Errors
    /// The file's own.
    pub async fn harm(&self, class: &ActionClass, ctx: &Context) -> Result<HarmBelief> {
        Ok(self.book(ctx).await?.of(class).harm)
    }

    /// Confidence below which a person is asked about `class`, by what was learned, 0..=1.
    ///
    /// # Errors
    /// The file's own.
    pub async fn floor(&self, class: &ActionClass, ctx: &Context) -> Result<f64> {
        Ok(self.book(ctx).await?.of(class).floor)
    }

    pub(super) async fn book(&self, ctx: &Context) -> Result<Arc<Book>> {
        ctx.check()?;
        self.keeper.view().await
    }

    async fn write(&self, request: Request) -> Result<Vec<Change>> {
        self.keeper.write(request).await
    }

    /// One line for one decision.
    async fn decided(&self, request: Request) -> Result<Change> {
        let none = || aiops_core::Error::new(aiops_core::ErrorKind::Internal, "a decision without a line");
        let change = self.write(request).await?.pop().ok_or_else(none)?;
        tracing::warn!(change = %change.id(), "a person decided on what was learned");
        Ok(change)
    }

    /// The floor for `class` once what `history` knows is learned.
    fn floor_now(&self, book: &Book, class: &ActionClass, history: &History) -> f64 {
        let mine = |a: &&ActionTrace| class.has(&a.intent.proposal.action);
        let mut failed = history.that_did_not_help(None).filter(mine).filter_map(outcome_of);
        let now = book.of(class);
        // By themselves successes move no floor that is in force.
        if !failed.any(|outcome| book.is_news(&outcome)) {
            return now.floor;
        }
        let known = history.actions().filter(mine).filter_map(outcome_of);
        let news = known.filter(|outcome| book.is_news(outcome));
        news.fold(now, |now, outcome| now.after(&outcome, &self.config)).floor
    }
}

/// What a remedy teaches, once its end is known.
fn outcome_of(action: &ActionTrace) -> Option<Outcome> {
    let proposal = &action.intent.proposal;
    let good = action.helped().filter(|_| action.is_remedy() && action.counts())?;
    let evidence = Evidence::Action { incident: proposal.incident.clone(), key: action.intent.key.clone() };
    let (class, confidence) = (ActionClass::of(&proposal.action), proposal.confidence.probability());
    Some(Outcome { class, evidence, good, confidence })
}

#[async_trait]
impl Guardrail for Learned {
    fn id(&self) -> GuardId {
        guard_id("learned")
    }

    async fn check(&self, review: &Review<'_>, ctx: &Context) -> Result<Verdict> {
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        let class = ActionClass::of(&review.proposal.action);
        let floor = self.floor_now(&*self.book(ctx).await?, &class, review.history);
        let confidence = &review.proposal.confidence;
        // What is less sure than the base is for the guards that know no record.
        Ok(if floor > self.config.base && confidence.probability() < floor {
            let percent = floor * 100.0;
            Verdict::needs_approval(format!(
                "{class} failed before: {percent:.0} % is asked for, not {confidence}"
            ))
        } else {
            Verdict::allow(format!("{confidence} is enough for the record of {class}"))
        })
    }
}
