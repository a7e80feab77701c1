use std::sync::Arc;

use aiops_core::Context;
use aiops_core::action::{History, Mode, Preview, Proposal, Verdict};
use aiops_core::guard::ChainConfig;
use aiops_core::seam::{Guardrail, Review};

use super::report::{Outcome, Report, alike, ensure};

/// What [`guardrail`] shows to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GuardrailFixture {
    /// Context of all calls.
    pub ctx: Context,
    /// A proposal.
    pub proposal: Proposal,
    /// Its dry run.
    pub preview: Preview,
    /// What was done before.
    pub history: Arc<History>,
}

impl GuardrailFixture {
    /// A fixture without a history.
    #[must_use]
    pub fn new(ctx: Context, proposal: Proposal, preview: Preview) -> Self {
        Self { ctx, proposal, preview, history: Arc::default() }
    }

    async fn ask(&self, guard: &dyn Guardrail, mode: Mode) -> Outcome<Verdict> {
        let (proposal, preview, history) = (&self.proposal, &self.preview, &*self.history);
        let review = Review {
            proposal,
            preview,
            history,
            mode,
            now: self.ctx.now(),
            revert_window: ChainConfig::default().revert_window,
        };
        Ok(guard.check(&review, &self.ctx).await?)
    }
}

/// The contract of [`Guardrail`]: 4 clauses. A guard need not heed the end of its context, since the chain bounds it.
pub async fn guardrail(guard: &dyn Guardrail, fx: &GuardrailFixture) -> Report {
    let mut report = Report::of("Guardrail");
    report.clause("identity", identity(guard)).await;
    report.clause("reason", reason(guard, fx)).await;
    report.clause("wait", wait(guard, fx)).await;
    report.clause("hearings_do_not_count", hearings_do_not_count(guard, fx)).await;
    report
}

const MODES: [Mode; 3] = [Mode::Observe, Mode::Suggest, Mode::Auto];

async fn identity(guard: &dyn Guardrail) -> Outcome {
    ensure!(!guard.id().0.is_empty(), "a guard without a name");
    alike(&guard.id(), &guard.id())
}

async fn reason(guard: &dyn Guardrail, fx: &GuardrailFixture) -> Outcome {
    for mode in MODES {
        let verdict = fx.ask(guard, mode).await?;
        ensure!(!verdict.reason().trim().is_empty(), "no reason for {verdict:?}");
    }
    Ok(())
}

async fn wait(guard: &dyn Guardrail, fx: &GuardrailFixture) -> Outcome {
    for mode in MODES {
        if let Verdict::NeedsApproval { wait, .. } = fx.ask(guard, mode).await? {
            ensure!(!wait.is_zero(), "a person gets no time to answer");
        }
    }
    Ok(())
}

/// Hearing is not acting: however often it is asked, the answer to the same question stays.
async fn hearings_do_not_count(guard: &dyn Guardrail, fx: &GuardrailFixture) -> Outcome {
    for mode in MODES {
        let first = fx.ask(guard, mode).await?;
        for _ in 0..20 {
            alike(&first, &fx.ask(guard, mode).await?)?;
        }
    }
    Ok(())
}
