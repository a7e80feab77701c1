use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::{
    Action, ActionOutcome, ActionStatus, IdempotencyKey, JournalEntry, Proposal, ProposalId, ReceiptRecord,
    RollbackPlan,
};
use aiops_core::guard::GuardChain;
use aiops_core::model::{Anomaly, Recovery, RecoveryReport};
use aiops_core::seam::{Mitigator, Verifier};
use aiops_core::{Context, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::direction::direction;
use crate::config::require;

/// Settings of a [`Trial`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrialConfig {
    /// Longest time for one action, more than 0 s; default 5 min. Later it is in doubt.
    #[serde(with = "aiops_core::model::duration")]
    pub action: Duration,
    /// Longest time for one verification, more than 0 s; default 20 min. Later its effect is unclear.
    #[serde(with = "aiops_core::model::duration")]
    pub verification: Duration,
}

impl Default for TrialConfig {
    fn default() -> Self {
        Self { action: Duration::from_secs(300), verification: Duration::from_secs(1200) }
    }
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trialled {
    /// The guards did not allow it, or the kill switch stopped it before it was begun.
    NotDone {
        /// Why.
        reason: String,
    },
    /// Telemetry shows what was wanted.
    Kept {
        /// What was done.
        key: IdempotencyKey,
    },
    /// Nobody could see whether it had an effect; it added capacity, and that stays: [`Trial`] says why.
    KeptUnseen {
        /// What was done.
        key: IdempotencyKey,
    },
    /// It had no effect, or took away capacity and nobody could see with what effect; what was before is back.
    Reverted {
        /// What was done.
        key: IdempotencyKey,
        /// What took it back.
        by: IdempotencyKey,
    },
    /// A person must look: it failed, nobody knows what became of it, or it was to be taken back and could not be.
    Stuck {
        /// What was done.
        key: IdempotencyKey,
        /// What is wrong.
        reason: String,
    },
}

/// Carries proposals out that no incident asks for, one at a time: guards, journal, mitigator, verifier, and back if it did not do what it was for.
///
/// Where nobody can see whether it did, the larger capacity of the two stays: blind, too much costs money and too little an outage. So more is kept
/// ([`Trialled::KeptUnseen`]), and less is taken back, as is what tells no way back to another capacity.
///
/// An action whose end nobody knows stays in doubt in the journal and holds its target, until
/// [`Pipeline::recover`](aiops_core::pipeline::Pipeline::recover) on the same journal settles it.
#[derive(Debug)]
pub struct Trial {
    chain: GuardChain,
    mitigator: Arc<dyn Mitigator>,
    verifier: Arc<dyn Verifier>,
    config: TrialConfig,
}

/// How one action ended.
enum Attempt {
    NotDone(String),
    InDoubt(IdempotencyKey, String),
    Ran(Box<ReceiptRecord>),
}

impl Trial {
    /// On the journal of `chain`.
    ///
    /// # Errors
    /// When a field of `config` is out of range.
    pub fn new(
        chain: GuardChain,
        mitigator: impl Mitigator,
        verifier: impl Verifier,
        config: TrialConfig,
    ) -> Result<Self> {
        for (field, time) in [("action", config.action), ("verification", config.verification)] {
            require(!time.is_zero(), field, format!("{time:?}"), "more than 0 s")?;
        }
        Ok(Self { chain, mitigator: Arc::new(mitigator), verifier: Arc::new(verifier), config })
    }

    /// Tries `proposal`. `watched` is what telemetry shows the effect, as findings that must be gone: the signals that open a case when the objective is
    /// missed.
    ///
    /// # Errors
    /// Those of the journal. What was intended then stays in doubt.
    pub async fn run(&self, proposal: &Proposal, watched: &[Anomaly], ctx: &Context) -> Result<Trialled> {
        let receipt = match self.carry_out(proposal, ctx).await? {
            Attempt::NotDone(reason) => return Ok(Trialled::NotDone { reason }),
            Attempt::InDoubt(key, reason) => return Ok(Trialled::Stuck { key, reason }),
            Attempt::Ran(receipt) => receipt,
        };
        let key = receipt.key.clone();
        if let ActionOutcome::Failed { reason } = &receipt.outcome {
            return Ok(Trialled::Stuck { key, reason: format!("the action failed: {reason}") });
        }
        let what = match self.verify(&receipt, watched, ctx).await? {
            Recovery::Recovered => return Ok(Trialled::Kept { key }),
            Recovery::Inconclusive if direction(&proposal.action) == Some(Ordering::Greater) => {
                return Ok(Trialled::KeptUnseen { key });
            }
            Recovery::Inconclusive => "nobody could see its effect",
            Recovery::NotRecovered => "it had no effect",
        };
        let stuck = |key, reason: String| Trialled::Stuck { key, reason: format!("{what}; {reason}") };
        let Some(revert) = revert_of(proposal, &key) else {
            return Ok(stuck(key, "there is no way back".to_owned()));
        };
        Ok(match self.carry_out(&revert, ctx).await? {
            Attempt::NotDone(reason) | Attempt::InDoubt(_, reason) => stuck(key, reason),
            Attempt::Ran(back) => match back.outcome {
                ActionOutcome::Completed => Trialled::Reverted { key, by: back.key },
                other => stuck(key, format!("taking it back: {other:?}")),
            },
        })
    }

    async fn carry_out(&self, proposal: &Proposal, ctx: &Context) -> Result<Attempt> {
        let authorized = match self.chain.authorize(proposal.clone(), &*self.mitigator, ctx).await {
            Ok(authorized) => authorized,
            Err(denied) => return Ok(Attempt::NotDone(denied.reason().to_owned())),
        };
        let intended = match authorized.record(ctx).await {
            Ok(intended) => intended,
            // Something came in between; the forecast is made again soon.
            Err(e) if e.kind() == ErrorKind::Conflict => return Ok(Attempt::NotDone(e.to_string())),
            Err(e) => return Err(e),
        };
        let key = intended.key().clone();
        let late = async {
            ctx.clock().sleep(self.config.action).await;
            Err(Error::new(ErrorKind::InDoubt, "the action did not end in time"))
        };
        let receipt = match futures_lite::future::or(self.mitigator.execute(intended, ctx), late).await {
            Ok(receipt) if receipt.record().key == key => receipt.into_record(),
            other => {
                let why =
                    other.err().map_or_else(|| "the receipt of another action".to_owned(), |e| e.to_string());
                return self.unless_begun(key, why, ctx).await;
            }
        };
        self.write_outcome(key, receipt.outcome.clone(), ctx).await?;
        Ok(match &receipt.outcome {
            ActionOutcome::NotStarted { reason } => Attempt::NotDone(reason.clone()),
            ActionOutcome::Completed | ActionOutcome::Failed { .. } => Attempt::Ran(Box::new(receipt)),
        })
    }

    /// What was surely not begun is written down as such. Everything else without a receipt stays in doubt.
    async fn unless_begun(&self, key: IdempotencyKey, why: String, ctx: &Context) -> Result<Attempt> {
        let late = ctx.detached(self.config.action);
        let status = late.bound(self.mitigator.status(&key, &late)).await;
        if !matches!(status, Ok(ActionStatus::NotStarted)) {
            return Ok(Attempt::InDoubt(key, format!("nobody saw how it ended: {why}")));
        }
        self.write_outcome(key, ActionOutcome::NotStarted { reason: why.clone() }, ctx).await?;
        Ok(Attempt::NotDone(why))
    }

    /// What was done is written down although the caller gave up meanwhile.
    async fn write_outcome(&self, key: IdempotencyKey, outcome: ActionOutcome, ctx: &Context) -> Result<()> {
        let late = ctx.detached(self.config.action);
        let entry = JournalEntry::Outcome { key, outcome, at: ctx.now() };
        self.chain.journal().append(&entry, None, &late).await.map(drop)
    }

    async fn verify(&self, receipt: &ReceiptRecord, watched: &[Anomaly], ctx: &Context) -> Result<Recovery> {
        let limited = ctx.with_timeout(self.config.verification);
        let report = limited.bound(self.verifier.verify(receipt, watched, &limited)).await;
        let report = report.unwrap_or_else(|_| RecoveryReport::from_checks(ctx.now(), Vec::new()));
        let (key, recovery) = (receipt.key.clone(), report.recovery);
        let late = ctx.detached(self.config.action);
        let entry = JournalEntry::Verified { key, recovery, at: ctx.now() };
        self.chain.journal().append(&entry, None, &late).await?;
        Ok(recovery)
    }
}

fn revert_of(proposal: &Proposal, key: &IdempotencyKey) -> Option<Proposal> {
    let RollbackPlan::Operation(back) = &proposal.action.rollback else { return None };
    let mut revert = proposal.clone();
    revert.action =
        Action::new((**back).clone(), proposal.action.target.clone(), proposal.action.blast_radius);
    revert.id = ProposalId::new(format!("{}-revert", proposal.id));
    Some(revert.reverting(key.clone()))
}
