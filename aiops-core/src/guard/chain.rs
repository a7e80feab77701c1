//! The chain of guards: the only mint.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::{
    Action, ApprovalDecision, ApprovalRequest, DecisionOutcome, DecisionRecord, GuardId, GuardVerdict,
    History, IdempotencyKey, Mode, Preview, Proposal, Risk, Verdict,
};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::control::{KillSwitch, LONGEST_TOKEN_LIFE, Revocations};
use crate::guard::token::{Authorized, Control};
use crate::model::time::{after, before};
use crate::seam::{Approver, Guardrail, Journal, Mitigator, Review};

/// An authorisation does not cover an undoing on another day.
const LONGEST_REVERT_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Settings of a [`GuardChain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ChainConfig {
    /// What the system may do by itself; default [`Mode::Suggest`].
    pub mode: Mode,
    /// How long a minted right can be spent; default 30 s, at most 1 h.
    #[serde(with = "crate::model::duration")]
    pub token_life: Duration,
    /// How long after an action its undoing counts as authorised with it; default 30 min: a verification of 15 min to
    /// its end, the action itself, and the time to decide. At most 24 h; zero never does.
    #[serde(with = "crate::model::duration")]
    pub revert_window: Duration,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Suggest,
            token_life: Duration::from_secs(30),
            revert_window: Duration::from_secs(1800),
        }
    }
}

impl ChainConfig {
    /// Defaults in `mode`.
    #[must_use]
    pub fn in_mode(mode: Mode) -> Self {
        Self { mode, ..Self::default() }
    }

    fn validate(&self) -> Result<()> {
        if self.token_life.is_zero() || self.token_life > LONGEST_TOKEN_LIFE {
            return Err(Error::new(ErrorKind::Invalid, "token_life lies between 1 ns and 1 h")
                .with("token_life", format!("{:?}", self.token_life)));
        }
        if self.revert_window > LONGEST_REVERT_WINDOW {
            return Err(Error::new(ErrorKind::Invalid, "revert_window lies between 0 s and 24 h")
                .with("revert_window", format!("{:?}", self.revert_window)));
        }
        Ok(())
    }
}

/// A proposal that was not allowed, with everything the decision rests on.
#[derive(Debug, Clone)]
pub struct Denied(Box<DecisionRecord>);

impl Denied {
    /// What the decision rests on.
    #[must_use]
    pub fn record(&self) -> &DecisionRecord {
        &self.0
    }

    /// Why, in one sentence.
    #[must_use]
    pub fn reason(&self) -> &str {
        match &self.0.outcome {
            DecisionOutcome::Denied { reason } => reason,
            DecisionOutcome::Authorized { .. } => "",
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proposal {} denied: {}", self.0.proposal, self.reason())
    }
}

impl std::error::Error for Denied {}

impl From<Denied> for Error {
    fn from(d: Denied) -> Self {
        Error::new(ErrorKind::Denied, d.reason().to_owned()).with("proposal", &d.0.proposal)
    }
}

/// State of a builder that has no guard yet; it cannot build.
#[derive(Debug)]
pub struct Unguarded;
/// State of a builder with at least one guard.
#[derive(Debug)]
pub struct Guarded;

/// Builds a [`GuardChain`]. Without a guard there is no `build`.
#[derive(Debug)]
pub struct GuardChainBuilder<S> {
    journal: Arc<dyn Journal>,
    guards: Vec<Arc<dyn Guardrail>>,
    approver: Option<Arc<dyn Approver>>,
    kill_switch: KillSwitch,
    revocations: Revocations,
    config: ChainConfig,
    state: PhantomData<S>,
}

impl<S> GuardChainBuilder<S> {
    /// Adds a guard; all must agree.
    pub fn guard(mut self, guard: impl Guardrail) -> GuardChainBuilder<Guarded> {
        self.guards.push(Arc::new(guard));
        GuardChainBuilder {
            journal: self.journal,
            guards: self.guards,
            approver: self.approver,
            kill_switch: self.kill_switch,
            revocations: self.revocations,
            config: self.config,
            state: PhantomData,
        }
    }

    /// Whom to ask where a guard wants a person. Without one, such proposals are denied.
    #[must_use]
    pub fn approver(mut self, approver: impl Approver) -> Self {
        self.approver = Some(Arc::new(approver));
        self
    }

    /// Shares a kill switch, so that others can engage it.
    #[must_use]
    pub fn kill_switch(mut self, kill_switch: KillSwitch) -> Self {
        self.kill_switch = kill_switch;
        self
    }

    /// Shares a revocation list.
    #[must_use]
    pub fn revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = revocations;
        self
    }

    /// Sets mode and token life.
    #[must_use]
    pub fn config(mut self, config: ChainConfig) -> Self {
        self.config = config;
        self
    }
}

impl GuardChainBuilder<Guarded> {
    /// The chain.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the configuration is out of range.
    pub fn build(self) -> Result<GuardChain> {
        self.config.validate()?;
        Ok(GuardChain {
            journal: self.journal,
            guards: self.guards,
            approver: self.approver,
            kill_switch: self.kill_switch,
            revocations: self.revocations,
            config: self.config,
        })
    }
}

/// Guards, an approver and a journal: together they turn a proposal into a right, or not.
#[derive(Debug)]
pub struct GuardChain {
    journal: Arc<dyn Journal>,
    guards: Vec<Arc<dyn Guardrail>>,
    approver: Option<Arc<dyn Approver>>,
    kill_switch: KillSwitch,
    revocations: Revocations,
    config: ChainConfig,
}

/// What all guards together want.
enum Consensus {
    Clear,
    Ask { reasons: Vec<String>, wait: Duration },
    Refused(String),
}

/// One look at the target, the history and what the guards say to them.
struct Hearing {
    preview: Preview,
    history: Arc<History>,
    verdicts: Vec<GuardVerdict>,
    consensus: Consensus,
}

impl GuardChain {
    /// A builder. The journal is the chain's own: guards decide on it and intents are recorded in it.
    pub fn builder(journal: impl Journal) -> GuardChainBuilder<Unguarded> {
        GuardChainBuilder {
            journal: Arc::new(journal),
            guards: Vec::new(),
            approver: None,
            kill_switch: KillSwitch::new(),
            revocations: Revocations::new(),
            config: ChainConfig::default(),
            state: PhantomData,
        }
    }

    /// The journal that intents are recorded in.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// The switch that stops everything not yet spent.
    #[must_use]
    pub fn kill_switch(&self) -> &KillSwitch {
        &self.kill_switch
    }

    /// What the system may do by itself.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.config.mode
    }

    /// Decides on `proposal`; the only way to an [`Authorized`].
    ///
    /// All guards are heard on the target as it is; where one wants a person the approver is asked; then the
    /// target is looked at again, all guards are heard again, and the preconditions are checked. An approval
    /// counts for the generation of the target it was given for, and for the guards that asked for it. Whatever goes
    /// wrong is a denial.
    ///
    /// # Errors
    /// [`Denied`] with every verdict and the answer of the approver.
    pub async fn authorize(
        &self,
        proposal: Proposal,
        mitigator: &dyn Mitigator,
        ctx: &Context,
    ) -> Result<Authorized<Action>, Denied> {
        let mut record = DecisionRecord {
            proposal: proposal.id.clone(),
            mode: self.config.mode,
            verdicts: Vec::new(),
            approval: None,
            at: ctx.now(),
            outcome: DecisionOutcome::Denied { reason: String::new() },
        };
        let granted = self.decide(&proposal, mitigator, ctx, &mut record).await;
        record.at = ctx.now();
        match granted {
            Ok((key, history)) => {
                let expires_at = after(record.at, self.config.token_life);
                record.outcome = DecisionOutcome::Authorized { expires_at };
                tracing::info!(proposal = %proposal.id, action = %proposal.action, "authorised");
                let control = Control {
                    earliest: before(record.at, self.config.token_life),
                    journal: Arc::clone(&self.journal),
                    kill_switch: self.kill_switch.clone(),
                    revocations: self.revocations.clone(),
                    clock: Arc::clone(ctx.clock()),
                    expires_at,
                };
                Ok(Authorized::mint(proposal, record, key, history.head(), control))
            }
            Err(reason) => {
                tracing::info!(proposal = %proposal.id, action = %proposal.action, reason, "denied");
                record.outcome = DecisionOutcome::Denied { reason };
                Err(Denied(Box::new(record)))
            }
        }
    }

    /// Fills `record` as it goes, so that a denial shows how far it came.
    async fn decide(
        &self,
        proposal: &Proposal,
        mitigator: &dyn Mitigator,
        ctx: &Context,
        record: &mut DecisionRecord,
    ) -> Result<(IdempotencyKey, Arc<History>), String> {
        let say = |e: Error| e.to_string();
        let key = proposal.idempotency_key().map_err(say)?;
        if !mitigator.capability().actions.contains(&proposal.action.kind()) {
            return Err(format!("the mitigator cannot {}", proposal.action.operation));
        }
        let first = self.hear(proposal, mitigator, ctx).await.map_err(say)?;
        record.verdicts.clone_from(&first.verdicts);
        let approved_for = match first.consensus {
            Consensus::Refused(reason) => return Err(reason),
            Consensus::Clear => None,
            Consensus::Ask { reasons, wait } => {
                let answer = self.ask(proposal, &first.preview, reasons, wait, ctx).await?;
                record.approval = Some(answer.clone());
                check_answer(proposal, &answer)?;
                Some(first.preview.target)
            }
        };

        let second = self.hear(proposal, mitigator, ctx).await.map_err(say)?;
        record.verdicts.clone_from(&second.verdicts);
        if let Consensus::Refused(reason) = second.consensus {
            return Err(reason);
        }
        // A person consented to what the first hearing asked about, and to nothing else.
        if let Some(guard) =
            asking(&second.verdicts).find(|g| asking(&first.verdicts).all(|asked| asked != *g))
        {
            return Err(format!("{}: asked for a person only at the second hearing", guard.0));
        }
        if approved_for.is_some_and(|approved| !approved.is_same_generation(&second.preview.target)) {
            return Err("the target changed after the approval".to_owned());
        }
        let unmet = proposal.action.preconditions.iter().find(|p| !second.preview.target.fulfils(p));
        if let Some(precondition) = unmet {
            return Err(format!("precondition not met: {precondition:?}"));
        }
        self.kill_switch.check().and_then(|()| ctx.check()).map_err(say)?;
        Ok((key, second.history))
    }

    async fn hear(&self, proposal: &Proposal, mitigator: &dyn Mitigator, ctx: &Context) -> Result<Hearing> {
        self.kill_switch.check()?;
        let preview = ctx.bound(mitigator.preview(&proposal.action, ctx)).await?;
        let history = ctx.bound(self.journal.history(ctx)).await?;
        let review = Review {
            proposal,
            preview: &preview,
            history: &history,
            mode: self.config.mode,
            now: ctx.now(),
            revert_window: self.config.revert_window,
        };
        let mut verdicts = built_in_verdicts(&review);
        for guard in &self.guards {
            let verdict = match ctx.bound(guard.check(&review, ctx)).await {
                Ok(verdict) => verdict,
                Err(e) => Verdict::deny(format!("the guard failed: {e}")),
            };
            verdicts.push(GuardVerdict { guard: guard.id(), verdict });
        }
        let consensus = consensus(&verdicts);
        Ok(Hearing { preview, history, verdicts, consensus })
    }

    async fn ask(
        &self,
        proposal: &Proposal,
        preview: &Preview,
        reasons: Vec<String>,
        wait: Duration,
        ctx: &Context,
    ) -> Result<ApprovalDecision, String> {
        let Some(approver) = &self.approver else {
            return Err(format!("needs approval and there is no approver: {}", reasons.join("; ")));
        };
        let request = ApprovalRequest {
            proposal: proposal.clone(),
            preview: preview.clone(),
            reasons,
            expires_at: after(ctx.now(), wait),
        };
        let limited = ctx.with_timeout(wait);
        // Nobody is asked any longer for what may not be done any more.
        let killed =
            async { Err(Error::new(ErrorKind::Killed, self.kill_switch.engaged(&**ctx.clock()).await)) };
        let asked = futures_lite::future::or(approver.decide(&request, &limited), killed);
        let answer = limited.bound(asked).await;
        let answer = answer.map_err(|e| format!("no approval: {e}"))?;
        // A machine that was asleep meanwhile finds the answer and the end of the wait at once.
        if answer.granted && ctx.now() >= request.expires_at {
            return Err("no approval: the answer came too late".to_owned());
        }
        Ok(answer)
    }
}

/// Rules that no configuration removes.
fn built_in_verdicts(review: &Review<'_>) -> Vec<GuardVerdict> {
    let undoing = review.reverts_own_action().is_some();
    let ask_unless_undoing = |fine: bool, yes: &str, no: &str| match (fine, undoing) {
        (true, _) => Verdict::allow(yes),
        (false, true) => Verdict::allow("undoes our own action and was authorised with it"),
        (false, false) => Verdict::needs_approval(no),
    };
    let mode = match review.mode {
        Mode::Observe => Verdict::deny("observing only"),
        mode => ask_unless_undoing(
            mode == Mode::Auto,
            "may act by itself",
            "every action is a suggestion in this mode",
        ),
    };
    let calibration = ask_unless_undoing(
        review.proposal.confidence.is_calibrated(),
        "the confidence is calibrated",
        "the confidence was never held against outcomes",
    );
    let risk = ask_unless_undoing(
        review.proposal.action.risk() < Risk::High,
        "not of high risk",
        "high risk is always for a person",
    );
    [("mode", mode), ("calibration", calibration), ("high-risk", risk)]
        .map(|(guard, verdict)| GuardVerdict { guard: GuardId(guard.to_owned()), verdict })
        .into()
}

/// One no is a no; otherwise everyone who asks for a person is heard, within the shortest wait.
fn consensus(verdicts: &[GuardVerdict]) -> Consensus {
    let mut reasons = Vec::new();
    let mut shortest: Option<Duration> = None;
    for GuardVerdict { guard, verdict } in verdicts {
        match verdict {
            Verdict::Deny { reason } => return Consensus::Refused(format!("{}: {reason}", guard.0)),
            Verdict::NeedsApproval { reason, wait } => {
                reasons.push(format!("{}: {reason}", guard.0));
                shortest = Some(shortest.map_or(*wait, |s| s.min(*wait)));
            }
            Verdict::Allow { .. } => {}
        }
    }
    shortest.map_or(Consensus::Clear, |wait| Consensus::Ask { reasons, wait })
}

/// Guards that want a person.
fn asking(verdicts: &[GuardVerdict]) -> impl Iterator<Item = &GuardId> {
    verdicts.iter().filter(|v| matches!(v.verdict, Verdict::NeedsApproval { .. })).map(|v| &v.guard)
}

fn check_answer(proposal: &Proposal, answer: &ApprovalDecision) -> Result<(), String> {
    if !answer.granted {
        return Err(format!("{} said no: {}", answer.approver, answer.reason));
    }
    // The word of several people bears all their names, with commas between them.
    let (approver, proposer) = (answer.approver.as_str(), proposal.proposed_by.as_str());
    if approver == proposer || approver.split(',').any(|name| name.trim().eq_ignore_ascii_case(proposer)) {
        return Err("nobody approves a proposal of their own".to_owned());
    }
    Ok(())
}
