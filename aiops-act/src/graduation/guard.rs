use std::path::Path;
use std::sync::Arc;

use aiops_core::action::{ActionTrace, Fence, GuardId, History, IdempotencyKey, Principal, Verdict};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;

use super::record::{GraduationConfig, Record, Seen, open};
use super::stages::{ActionClass, Assessment, Attestation, Stage, StageChange, Stages};
use crate::guards::{guard_id, is_own_revert};
use crate::ledger::Keeper;

/// The stages of all classes, in one file, and the guard that holds them to it. Clones share it.
///
/// # Errors
/// [`ErrorKind::Malformed`] with [`Damage`](crate::ledger::Damage) as its source when the file is not as it was written. A guard that cannot read the
/// file denies.
#[derive(Debug, Clone)]
pub struct Graduation {
    keeper: Keeper<Arc<Stages>>,
    config: GraduationConfig,
}

impl Graduation {
    /// Opens the stages at `path`, or creates them with every class at [`Stage::Suggest`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for settings out of range; [`ErrorKind::Malformed`] for a damaged file; [`ErrorKind::Unavailable`] for
    /// one that cannot be read.
    pub fn open(path: impl AsRef<Path>, config: GraduationConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self { keeper: Keeper::open(path.as_ref(), Arc::default())?, config })
    }

    /// How `class` stands, by what the journal and people say of it since its stage was last decided.
    ///
    /// # Errors
    /// The file's own.
    pub async fn assess(&self, class: ActionClass, seen: Seen<'_>, ctx: &Context) -> Result<Assessment> {
        let stages = self.stages(ctx).await?;
        let record = Record::of(&class, seen, stages.latest(&class));
        let lacking = self.config.lacking(&record, ctx.now());
        Ok(Assessment { class, stage: stages.stage(&class), record, lacking })
    }

    /// Lets `class` act alone, by the decision of `by`.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`], with what is lacking, when the record or what is vouched for is not enough; [`ErrorKind::Conflict`] when
    /// it acts alone already; [`ErrorKind::Invalid`] for a nameless decision; the file's own.
    pub async fn promote(
        &self,
        class: ActionClass,
        by: Principal,
        reason: impl Into<String>,
        attested: Attestation,
        seen: Seen<'_>,
        ctx: &Context,
    ) -> Result<StageChange> {
        let assessment = self.assess(class, seen, ctx).await?;
        let lacking: Vec<String> = assessment.lacking.into_iter().chain(attested.lacking()).collect();
        if !lacking.is_empty() {
            return Err(Error::new(ErrorKind::Denied, "the class is not ready to act alone")
                .with("class", class)
                .with("lacking", lacking.join("; ")));
        }
        let attested = Some(attested);
        let (reason, record, at) = (reason.into(), assessment.record, ctx.now());
        let (head, open) = (seen.history.head(), open(&class, seen.history));
        self.write(StageChange { class, to: Stage::Auto, by, reason, record, attested, at, head, open }).await
    }

    /// Lets `class` only suggest, by the decision of `by`. That needs no record.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when it only suggests already; [`ErrorKind::Invalid`] for a nameless decision; the file's own.
    pub async fn demote(
        &self,
        class: ActionClass,
        by: Principal,
        reason: impl Into<String>,
        history: &History,
        ctx: &Context,
    ) -> Result<StageChange> {
        let record = self.assess(class, Seen::of(history), ctx).await?.record;
        let (reason, at, to, attested) = (reason.into(), ctx.now(), Stage::Suggest, None);
        let (head, open) = (history.head(), open(&class, history));
        self.write(StageChange { class, to, by, reason, record, attested, at, head, open }).await
    }

    /// Demotes every class that failed since it was promoted, and says which. To be called when an incident is over; until then
    /// the guard asks a person anyway.
    ///
    /// # Errors
    /// The file's own.
    pub async fn review(&self, history: &History, ctx: &Context) -> Result<Vec<StageChange>> {
        let stages = self.stages(ctx).await?;
        let mut demoted = Vec::new();
        for promotion in stages.alone() {
            let class = promotion.class;
            let Some(key) = failed_since(promotion, history) else { continue };
            let reason = format!("action {key} did not help");
            let by = Principal::new("graduation");
            match self.demote(class, by, reason, history, ctx).await {
                Ok(change) => demoted.push(change),
                // Another replica was first.
                Err(e) if e.kind() == ErrorKind::Conflict => {}
                Err(e) => return Err(e),
            }
        }
        Ok(demoted)
    }

    /// Every decision so far, oldest first.
    ///
    /// # Errors
    /// The file's own.
    pub async fn decisions(&self, ctx: &Context) -> Result<Vec<StageChange>> {
        Ok(self.stages(ctx).await?.changes().to_vec())
    }

    async fn stages(&self, ctx: &Context) -> Result<Arc<Stages>> {
        ctx.check()?;
        self.keeper.view().await
    }

    async fn write(&self, change: StageChange) -> Result<StageChange> {
        let change = self.keeper.write(change).await?;
        tracing::warn!(class = %change.class, to = %change.to, by = %change.by, "a stage was decided");
        Ok(change)
    }
}

/// A remedy of the class that did not help, and was intended after its promotion, by the journal or by the clock, or was still open then.
/// Takes no longer the more was done before.
fn failed_since(promotion: &StageChange, history: &History) -> Option<IdempotencyKey> {
    let mine = |a: &&ActionTrace| a.is_remedy() && promotion.class.has(&a.intent.proposal.action);
    let by_order = history.that_did_not_help(Some(Fence(promotion.head.0))).filter(mine);
    // Where another journal took the place of the one that was decided on, its entries are counted anew.
    let by_clock = history.that_did_not_help_since(promotion.at).filter(|a| a.intent.at > promotion.at);
    let open = promotion.open.iter().filter_map(|key| history.get(key)).filter(|a| a.helped() == Some(false));
    let mut failed = by_order.chain(open).chain(by_clock.filter(mine)).map(|a| a.intent.key.clone());
    failed.next_back()
}

#[async_trait]
impl Guardrail for Graduation {
    fn id(&self) -> GuardId {
        guard_id("graduation")
    }

    async fn check(&self, review: &Review<'_>, ctx: &Context) -> Result<Verdict> {
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        let class = ActionClass::of(&review.proposal.action);
        let stages = self.stages(ctx).await?;
        Ok(match stages.latest(&class).filter(|change| change.to == Stage::Auto) {
            None => Verdict::needs_approval(format!("{class} only suggests")),
            // What is not written down yet holds already.
            Some(promotion) => match failed_since(promotion, review.history) {
                Some(key) => Verdict::needs_approval(format!("{class} failed since it acts alone: {key}")),
                None => Verdict::allow(format!("{class} acts alone since {}", promotion.at)),
            },
        })
    }
}
