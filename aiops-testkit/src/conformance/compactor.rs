use std::collections::BTreeSet;

use aiops_core::model::{Briefing, TelemetryWindow, TokenBudget};
use aiops_core::seam::Compactor;
use aiops_core::{Context, ErrorKind};

use super::report::{Outcome, Report, alike, cancelled, ensure, given, late, refused};

/// What [`compactor`] shows to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CompactorFixture {
    /// Context of all calls.
    pub ctx: Context,
    /// A window in which several things stand out.
    pub window: TelemetryWindow,
    /// A budget that the window fits.
    pub budget: TokenBudget,
    /// A budget that it does not fit in full. `None` when the answer does not depend on the budget.
    pub tight: Option<TokenBudget>,
}

impl CompactorFixture {
    /// A fixture with the default budget and no tight one.
    #[must_use]
    pub fn new(ctx: Context, window: TelemetryWindow) -> Self {
        Self { ctx, window, budget: TokenBudget::default(), tight: None }
    }

    async fn ask(&self, compactor: &dyn Compactor) -> Outcome<Briefing> {
        Ok(compactor.compact(&self.window, self.budget, &self.ctx).await?)
    }
}

/// The contract of [`Compactor`]: 10 clauses.
pub async fn compactor(compactor: &dyn Compactor, fx: &CompactorFixture) -> Report {
    let mut report = Report::of("Compactor");
    report.clause("answers", answers(compactor, fx)).await;
    report.clause("range", range(compactor, fx)).await;
    report.clause("order", order(compactor, fx)).await;
    report.clause("references", references(compactor, fx)).await;
    report.clause("budget", budget(compactor, fx)).await;
    report.clause("stated_loss", stated_loss(compactor, fx)).await;
    report.clause("no_budget", no_budget(compactor, fx)).await;
    report.clause("deterministic", async { alike(&fx.ask(compactor).await?, &fx.ask(compactor).await?) }).await;
    let ask = |ctx: Context| async move { compactor.compact(&fx.window, fx.budget, &ctx).await };
    report.clause("cancelled", async { refused(ask(cancelled(&fx.ctx)).await, ErrorKind::Cancelled) }).await;
    report.clause("deadline", async { refused(ask(late(&fx.ctx)).await, ErrorKind::Timeout) }).await;
    report
}

/// No tokeniser makes fewer tokens than there are words.
fn fewest_tokens(briefing: &Briefing) -> usize {
    briefing.to_markdown().split_whitespace().filter(|w| w.chars().any(char::is_alphanumeric)).count()
}

async fn answers(compactor: &dyn Compactor, fx: &CompactorFixture) -> Outcome {
    ensure!(!fx.ask(compactor).await?.lines.is_empty(), "nothing stands out");
    Ok(())
}

async fn range(compactor: &dyn Compactor, fx: &CompactorFixture) -> Outcome {
    let briefing = fx.ask(compactor).await?;
    ensure!(briefing.range == fx.window.range, "a briefing of {}, not of {}", briefing.range, fx.window.range);
    Ok(())
}

async fn order(compactor: &dyn Compactor, fx: &CompactorFixture) -> Outcome {
    let briefing = fx.ask(compactor).await?;
    ensure!(briefing.lines.is_sorted_by(|a, b| a.weight >= b.weight), "lines are not ordered by weight");
    Ok(())
}

async fn references(compactor: &dyn Compactor, fx: &CompactorFixture) -> Outcome {
    let briefing = fx.ask(compactor).await?;
    let references: BTreeSet<_> = briefing.lines.iter().map(|l| &l.reference).collect();
    ensure!(references.len() == briefing.lines.len(), "two lines share a reference");
    Ok(())
}

async fn budget(compactor: &dyn Compactor, fx: &CompactorFixture) -> Outcome {
    let tight = *given(&fx.tight, "tight budget")?;
    let words = fewest_tokens(&compactor.compact(&fx.window, tight, &fx.ctx).await?);
    ensure!(words <= tight.0, "{words} words in a budget of {} tokens", tight.0);
    Ok(())
}

/// What did not fit is said.
async fn stated_loss(compactor: &dyn Compactor, fx: &CompactorFixture) -> Outcome {
    let tight = *given(&fx.tight, "tight budget")?;
    let all = fx.ask(compactor).await?;
    let part = compactor.compact(&fx.window, tight, &fx.ctx).await?;
    let stated: usize = part.cuts.iter().map(|c| c.count).sum();
    ensure!(part.lines.len() >= all.lines.len() || stated > 0, "lines were left out without a word");
    Ok(())
}

async fn no_budget(compactor: &dyn Compactor, fx: &CompactorFixture) -> Outcome {
    given(&fx.tight, "tight budget")?;
    refused(compactor.compact(&fx.window, TokenBudget(0), &fx.ctx).await, ErrorKind::Limit)
}
