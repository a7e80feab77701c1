use aiops_core::seam::{LanguageModel, Prompt};
use aiops_core::{Budget, Context, ErrorKind};

use super::report::{Outcome, Report, cancelled, ensure, late, refused};

/// What [`language_model`] asks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LanguageModelFixture {
    /// Context of all calls.
    pub ctx: Context,
    /// A prompt.
    pub prompt: Prompt,
}

impl LanguageModelFixture {
    /// A fixture.
    #[must_use]
    pub fn new(ctx: Context, prompt: Prompt) -> Self {
        Self { ctx, prompt }
    }
}

/// The contract of [`LanguageModel`]: 5 clauses.
pub async fn language_model(model: &dyn LanguageModel, fx: &LanguageModelFixture) -> Report {
    let mut report = Report::of("LanguageModel");
    report.clause("answers", answers(model, fx)).await;
    report.clause("pays", pays(model, fx)).await;
    report.clause("budget", budget(model, fx)).await;
    report.clause("cancelled", async { refused(model.complete(&fx.prompt, &cancelled(&fx.ctx)).await, ErrorKind::Cancelled) }).await;
    report.clause("deadline", async { refused(model.complete(&fx.prompt, &late(&fx.ctx)).await, ErrorKind::Timeout) }).await;
    report
}

async fn answers(model: &dyn LanguageModel, fx: &LanguageModelFixture) -> Outcome {
    let completion = model.complete(&fx.prompt, &fx.ctx).await?;
    ensure!(!completion.text.is_empty(), "an empty answer");
    ensure!(completion.tokens > 0, "an answer without tokens");
    Ok(())
}

/// What an answer cost is taken from the account of the context.
async fn pays(model: &dyn LanguageModel, fx: &LanguageModelFixture) -> Outcome {
    let account = Budget::of(1_000_000_000);
    let ctx = fx.ctx.clone().with_tokens(account.clone());
    let completion = model.complete(&fx.prompt, &ctx).await?;
    let taken = 1_000_000_000 - account.left();
    ensure!(taken == completion.tokens, "{} tokens used, {taken} paid", completion.tokens);
    Ok(())
}

async fn budget(model: &dyn LanguageModel, fx: &LanguageModelFixture) -> Outcome {
    let ctx = fx.ctx.clone().with_tokens(Budget::of(0));
    refused(model.complete(&fx.prompt, &ctx).await, ErrorKind::Limit)
}
