use aiops_core::seam::{KnowledgeBase, Passage};
use aiops_core::{Context, ErrorKind};

use super::report::{Outcome, Report, alike, cancelled, ensure, late, refused};

/// What [`knowledge`] asks for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KnowledgeFixture {
    /// Context of all calls.
    pub ctx: Context,
    /// A query with at least three answers of different fit.
    pub query: String,
    /// Source of the best answer.
    pub best: String,
    /// A query that nothing answers.
    pub unknown: String,
}

impl KnowledgeFixture {
    /// A fixture.
    pub fn new(ctx: Context, query: impl Into<String>, best: impl Into<String>, unknown: impl Into<String>) -> Self {
        Self { ctx, query: query.into(), best: best.into(), unknown: unknown.into() }
    }

    async fn ask(&self, base: &dyn KnowledgeBase, top: usize) -> Outcome<Vec<Passage>> {
        Ok(base.search(&self.query, top, &self.ctx).await?)
    }
}

/// The contract of [`KnowledgeBase`]: 9 clauses.
pub async fn knowledge(base: &dyn KnowledgeBase, fx: &KnowledgeFixture) -> Report {
    let mut report = Report::of("KnowledgeBase");
    report.clause("finds", finds(base, fx)).await;
    report.clause("order", order(base, fx)).await;
    report.clause("top", top(base, fx)).await;
    report.clause("prefix", prefix(base, fx)).await;
    report.clause("unknown", unknown(base, fx)).await;
    report.clause("hostile_query", hostile_query(base, fx)).await;
    report.clause("deterministic", async { alike(&fx.ask(base, 10).await?, &fx.ask(base, 10).await?) }).await;
    report.clause("cancelled", async { refused(base.search(&fx.query, 3, &cancelled(&fx.ctx)).await, ErrorKind::Cancelled) }).await;
    report.clause("deadline", async { refused(base.search(&fx.query, 3, &late(&fx.ctx)).await, ErrorKind::Timeout) }).await;
    report
}

async fn finds(base: &dyn KnowledgeBase, fx: &KnowledgeFixture) -> Outcome {
    let found = fx.ask(base, 10).await?;
    ensure!(found.len() >= 3, "{} passages", found.len());
    ensure!(found.iter().any(|p| p.source == fx.best), "{} is not among them", fx.best);
    Ok(())
}

async fn order(base: &dyn KnowledgeBase, fx: &KnowledgeFixture) -> Outcome {
    let found = fx.ask(base, 10).await?;
    ensure!(found.is_sorted_by(|a, b| a.score >= b.score), "passages are not ordered by score");
    Ok(())
}

async fn top(base: &dyn KnowledgeBase, fx: &KnowledgeFixture) -> Outcome {
    for top in [0, 1, 2] {
        let found = fx.ask(base, top).await?.len();
        ensure!(found <= top, "asked for {top} passages, got {found}");
    }
    Ok(())
}

/// Fewer are the best of more.
async fn prefix(base: &dyn KnowledgeBase, fx: &KnowledgeFixture) -> Outcome {
    let mut more = fx.ask(base, 3).await?;
    more.truncate(2);
    let fewer: Vec<_> = fx.ask(base, 2).await?.into_iter().take(2).map(|p| p.source).collect();
    alike(&more.into_iter().map(|p| p.source).collect(), &fewer)
}

async fn unknown(base: &dyn KnowledgeBase, fx: &KnowledgeFixture) -> Outcome {
    let found = base.search(&fx.unknown, 10, &fx.ctx).await?;
    ensure!(found.is_empty(), "found for an unknown query: {found:?}");
    Ok(())
}

/// A query is text, not a query language: whatever it holds, it is no error.
async fn hostile_query(base: &dyn KnowledgeBase, fx: &KnowledgeFixture) -> Outcome {
    for query in ["", " ", "\"", "(((", "a AND OR NOT", "*:*", "\u{0}'; DROP TABLE x; --", &"x ".repeat(5_000)] {
        base.search(query, 3, &fx.ctx).await?;
    }
    Ok(())
}
