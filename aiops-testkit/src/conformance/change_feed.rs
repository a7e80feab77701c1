use std::time::Duration;

use aiops_core::model::{Change, TimeRange, time};
use aiops_core::seam::ChangeFeed;
use aiops_core::{Context, ErrorKind};

use super::report::{Fault, Outcome, Report, alike, cancelled, ensure, late, refused};

/// What [`change_feed`] asks for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChangeFeedFixture {
    /// Context of all calls.
    pub ctx: Context,
    /// A closed range with at least two changes at different instants.
    pub busy: TimeRange,
    /// A closed range without changes.
    pub quiet: TimeRange,
}

impl ChangeFeedFixture {
    /// A fixture.
    #[must_use]
    pub fn new(ctx: Context, busy: TimeRange, quiet: TimeRange) -> Self {
        Self { ctx, busy, quiet }
    }

    async fn ask(&self, feed: &dyn ChangeFeed, range: TimeRange) -> Outcome<Vec<Change>> {
        Ok(feed.changes(range, &self.ctx).await?)
    }
}

/// The contract of [`ChangeFeed`]: 8 clauses.
pub async fn change_feed(feed: &dyn ChangeFeed, fx: &ChangeFeedFixture) -> Report {
    let mut report = Report::of("ChangeFeed");
    report.clause("answers", answers(feed, fx)).await;
    report.clause("order", order(feed, fx)).await;
    report.clause("starts_inclusive", starts_inclusive(feed, fx)).await;
    report.clause("ends_exclusive", ends_exclusive(feed, fx)).await;
    report.clause("quiet", quiet(feed, fx)).await;
    report.clause("deterministic", async { alike(&fx.ask(feed, fx.busy).await?, &fx.ask(feed, fx.busy).await?) }).await;
    report.clause("cancelled", async { refused(feed.changes(fx.busy, &cancelled(&fx.ctx)).await, ErrorKind::Cancelled) }).await;
    report.clause("deadline", async { refused(feed.changes(fx.busy, &late(&fx.ctx)).await, ErrorKind::Timeout) }).await;
    report
}

async fn answers(feed: &dyn ChangeFeed, fx: &ChangeFeedFixture) -> Outcome {
    let found = fx.ask(feed, fx.busy).await?.len();
    ensure!(found >= 2, "{found} changes in the busy range");
    Ok(())
}

async fn order(feed: &dyn ChangeFeed, fx: &ChangeFeedFixture) -> Outcome {
    ensure!(fx.ask(feed, fx.busy).await?.is_sorted_by_key(|c| c.time), "changes are not in order of time");
    Ok(())
}

/// The last change of the busy range.
async fn last(feed: &dyn ChangeFeed, fx: &ChangeFeedFixture) -> Outcome<Change> {
    let last = fx.ask(feed, fx.busy).await?.into_iter().max_by_key(|c| c.time);
    last.ok_or_else(|| Fault::Skip("there are no changes".to_owned()))
}

async fn starts_inclusive(feed: &dyn ChangeFeed, fx: &ChangeFeedFixture) -> Outcome {
    let last = last(feed, fx).await?;
    let range = TimeRange::new(last.time, time::after(last.time, Duration::from_nanos(1)))?;
    let found = fx.ask(feed, range).await?;
    ensure!(found.contains(&last), "a change at the start of the range is missing");
    Ok(())
}

async fn ends_exclusive(feed: &dyn ChangeFeed, fx: &ChangeFeedFixture) -> Outcome {
    let last = last(feed, fx).await?;
    let found = fx.ask(feed, TimeRange::new(fx.busy.start(), last.time)?).await?;
    ensure!(found.iter().all(|c| c.time < last.time), "a change at the end of the range is there");
    Ok(())
}

async fn quiet(feed: &dyn ChangeFeed, fx: &ChangeFeedFixture) -> Outcome {
    let found = fx.ask(feed, fx.quiet).await?;
    ensure!(found.is_empty(), "changes in the quiet range: {found:?}");
    Ok(())
}
