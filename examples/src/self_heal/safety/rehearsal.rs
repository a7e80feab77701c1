//! What rehearsed runs say of each class of action.

use std::collections::BTreeSet;
use std::sync::Arc;

use aiops_act::Graduation;
use aiops_act::approval::ApprovalLabel;
use aiops_act::graduation::{ActionClass, Seen, Stage};
use aiops_core::action::{
    Action, ActionKind, ActionOutcome, ActionStatus, BlastRadius, History, IdempotencyKey, IncidentId,
    JournalEntry, Mode, Operation, Preview, Principal, Proposal, ProposalId, RollbackPlan, Share,
    TargetState, Verdict,
};
use aiops_core::fake::{FixedGuard, InMemoryJournal};
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::guard::{Intended, Receipt};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{Confidence, EntityId, Recovery};
use aiops_core::seam::{Journal as _, Mitigator, MitigatorCapability};
use aiops_core::{Context, Error, ErrorKind, ManualClock};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::config::Promotion;
use crate::self_heal::RunError;

/// Remedies of the series in `benches/records/2026-11-21-self-heal.md`; made by `self_heal_report DIR… --rehearsals FILE`.
const SHIPPED: &str = include_str!("../../../rehearsals.json");

/// One remedy of a recorded run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::self_heal) struct Rehearsed {
    pub(in crate::self_heal) at: Timestamp,
    pub(in crate::self_heal) action: ActionKind,
    pub(in crate::self_heal) service: String,
    /// What the verifier said.
    pub(in crate::self_heal) recovery: Recovery,
    /// Whether the diagnosis behind it was right, which is known because the fault was injected.
    pub(in crate::self_heal) diagnosis_right: bool,
}

/// Lets every class act alone whose rehearsals are enough, in the name of `promotion`. The rest go on asking, and so does one that was ever
/// decided on in this file: what was taken back is not given again by the same record.
pub(super) async fn promote(
    graduation: &Graduation,
    promotion: &Promotion,
    ctx: &Context,
) -> Result<Vec<String>, RunError> {
    let rehearsed: Vec<Rehearsed> = serde_json::from_str(SHIPPED)?;
    let decided: BTreeSet<ActionClass> = graduation.decisions(ctx).await?.iter().map(|d| d.class).collect();
    let (history, labels) = (history(&rehearsed).await?, labels(&rehearsed)?);
    let seen = Seen::of(&history).with_labels(&labels);
    let classes: BTreeSet<ActionClass> =
        history.actions().map(|a| ActionClass::of(&a.intent.proposal.action)).collect();
    let mut told = Vec::new();
    for class in classes {
        let assessment = graduation.assess(class, seen, ctx).await?;
        if assessment.lacking.is_empty() && assessment.stage == Stage::Suggest && !decided.contains(&class) {
            let Promotion { by, reason, attested } = promotion.clone();
            let change = graduation.promote(class, by, reason, attested, seen, ctx).await?;
            let record = &change.record;
            let ended = record.recovered + record.not_recovered;
            told.push(format!(
                "{class} acts alone: {} of {ended} rehearsed remedies helped",
                record.recovered
            ));
        }
    }
    Ok(told)
}

/// What was rehearsed, as it is shipped.
#[cfg(test)]
pub(super) async fn played() -> Result<Arc<History>, RunError> {
    history(&serde_json::from_str::<Vec<Rehearsed>>(SHIPPED)?).await
}

/// The rehearsals as a journal has them: played again on fakes, at their own times.
async fn history(rehearsed: &[Rehearsed]) -> Result<Arc<History>, RunError> {
    let journal = InMemoryJournal::new();
    let chain = GuardChain::builder(journal.clone())
        .guard(FixedGuard::new("rehearsal", Verdict::allow("it was rehearsed")))
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()?;
    let mut played = Context::system();
    for (n, one) in rehearsed.iter().enumerate() {
        let clock = ManualClock::at(one.at);
        played = Context::new(Arc::new(clock));
        let right = chain.authorize(proposal(n, one)?, &Played, &played).await?;
        let intended = right.record(&played).await?;
        let (key, at) = (intended.key().clone(), one.at);
        // It ran in a rehearsal; here only its record comes about.
        drop(intended);
        let outcome = ActionOutcome::Completed;
        journal.append(&JournalEntry::Outcome { key: key.clone(), outcome, at }, None, &played).await?;
        let verified = JournalEntry::Verified { key, recovery: one.recovery, at };
        journal.append(&verified, None, &played).await?;
    }
    Ok(journal.history(&played).await?)
}

fn proposal(n: usize, one: &Rehearsed) -> Result<Proposal, RunError> {
    let operation = match one.action {
        ActionKind::RollingRestart => Operation::RollingRestart { max_unavailable: 1, max_surge: 0 },
        ActionKind::Rollback => Operation::Rollback { to: "r1".to_owned() },
        ActionKind::CachePurge => Operation::CachePurge,
        ActionKind::Throttle => Operation::Throttle { to: Share::new(0.25)? },
        other => return Err(format!("{other} was never rehearsed").into()),
    };
    let radius = BlastRadius { replicas: 2, share_of_fleet: Share::new(0.25)? };
    let action = Action::new(operation, EntityId::service(one.service.clone()), radius)
        .with_rollback(RollbackPlan::Impossible);
    Ok(Proposal::new(
        ProposalId::new(format!("rehearsal-{n}")),
        IncidentId::new(format!("rehearsal-{n}")),
        action,
        Principal::new("remedy-planner"),
        Confidence::calibrated(1.0, "rehearsed")?,
        "the fault was injected",
    ))
}

/// Whoever injected the fault knows whether the diagnosis was right.
fn labels(rehearsed: &[Rehearsed]) -> Result<Vec<ApprovalLabel>, RunError> {
    // As a desk would have them in its file.
    let label = |(n, one): (usize, &Rehearsed)| {
        let name = format!("rehearsal-{n}");
        Ok(serde_json::from_value(serde_json::json!({
            "request": name,
            "incident": name,
            "proposal": name,
            "action": one.action,
            "target": EntityId::service(one.service.clone()),
            "confidence": Confidence::calibrated(1.0, "rehearsed")?,
            "granted": true,
            "diagnosis_right": one.diagnosis_right,
            "at": one.at,
        }))?)
    };
    rehearsed.iter().enumerate().map(label).collect()
}

/// What was rehearsed is over: nothing is done here.
#[derive(Debug)]
struct Played;

#[async_trait]
impl Mitigator for Played {
    fn capability(&self) -> MitigatorCapability {
        MitigatorCapability::of([
            ActionKind::RollingRestart,
            ActionKind::Rollback,
            ActionKind::CachePurge,
            ActionKind::Throttle,
        ])
    }

    async fn preview(&self, action: &Action, _: &Context) -> aiops_core::Result<Preview> {
        Ok(Preview::new(TargetState::existing(), format!("rehearsed: {action}")))
    }

    async fn execute(&self, _: Intended<Action>, _: &Context) -> aiops_core::Result<Receipt> {
        Err(Error::new(ErrorKind::Unsupported, "a rehearsal is not repeated"))
    }

    async fn status(&self, _: &IdempotencyKey, _: &Context) -> aiops_core::Result<ActionStatus> {
        Ok(ActionStatus::NotStarted)
    }
}

#[cfg(test)]
mod tests {
    use aiops_act::GraduationConfig;
    use aiops_core::action::Principal;
    use aiops_core::seam::{Guardrail as _, Review};

    use super::*;
    use crate::self_heal::safety::SafetyConfig;

    fn class(action: ActionKind) -> ActionClass {
        ActionClass { action, target: aiops_core::model::EntityKind::Service }
    }

    /// The settings that are shipped, and the rehearsals: what is of low risk acts alone by them, and nobody is promoted twice by one record.
    #[tokio::test]
    async fn what_was_rehearsed_acts_alone_until_it_is_taken_back() {
        let (folder, ctx) = (tempfile::tempdir().unwrap(), Context::system());
        let config = SafetyConfig::load(None).unwrap();
        let graduation = Graduation::open(folder.path().join("stages"), config.graduation).unwrap();
        let told = promote(&graduation, &config.promotion, &ctx).await.unwrap();
        for kind in ["rolling_restart", "cache_purge"] {
            assert!(told.iter().any(|line| line.starts_with(kind)), "{kind}: {told:?}");
        }
        let history = History::new();
        let by = Principal::new("ada");
        graduation
            .demote(class(ActionKind::CachePurge), by, "it is not what it was", &history, &ctx)
            .await
            .unwrap();
        assert_eq!(promote(&graduation, &config.promotion, &ctx).await.unwrap(), Vec::<String>::new());

        let one = |action, service: &str| Rehearsed {
            at: Timestamp::UNIX_EPOCH,
            action,
            service: service.to_owned(),
            recovery: Recovery::Recovered,
            diagnosis_right: true,
        };
        for (kind, alone) in [(ActionKind::RollingRestart, true), (ActionKind::CachePurge, false)] {
            let proposal = proposal(0, &one(kind, "orders")).unwrap();
            let preview = Played.preview(&proposal.action, &ctx).await.unwrap();
            let review = Review {
                proposal: &proposal,
                preview: &preview,
                history: &history,
                mode: Mode::Auto,
                now: ctx.now(),
                revert_window: std::time::Duration::ZERO,
            };
            let verdict = graduation.check(&review, &ctx).await.unwrap();
            assert_eq!(matches!(verdict, Verdict::Allow { .. }), alone, "{kind}: {verdict:?}");
        }
    }

    #[tokio::test]
    async fn too_few_rehearsals_promote_nobody() {
        let (folder, ctx) = (tempfile::tempdir().unwrap(), Context::system());
        let config = SafetyConfig::load(None).unwrap();
        let strict = GraduationConfig { actions: 10_000, ..config.graduation };
        let graduation = Graduation::open(folder.path().join("stages"), strict).unwrap();
        assert_eq!(promote(&graduation, &config.promotion, &ctx).await.unwrap(), Vec::<String>::new());
    }
}
