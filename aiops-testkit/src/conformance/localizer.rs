use std::collections::BTreeSet;

use aiops_core::model::{Ranking, TelemetryWindow};
use aiops_core::seam::Localizer;
use aiops_core::{CitedAnomaly, Context, ErrorKind};

use super::report::{Outcome, Report, alike, cancelled, ensure, given, late, refused};

/// What [`localizer`] shows to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LocalizerFixture {
    /// Context of all calls.
    pub ctx: Context,
    /// The telemetry of an incident that at least two entities suffered from.
    pub window: TelemetryWindow,
    /// What was found in it.
    pub anomalies: Vec<CitedAnomaly>,
    /// Whether the answer depends on what it is shown; a scripted one's does not.
    pub scripted: bool,
}

impl LocalizerFixture {
    /// A fixture for a localiser that looks at its input.
    #[must_use]
    pub fn new(ctx: Context, window: TelemetryWindow, anomalies: Vec<CitedAnomaly>) -> Self {
        Self { ctx, window, anomalies, scripted: false }
    }

    async fn ask(&self, localizer: &dyn Localizer) -> Outcome<Ranking> {
        Ok(localizer.localize(&self.window, &self.anomalies, &self.ctx).await?)
    }
}

/// The contract of [`Localizer`]: 10 clauses.
pub async fn localizer(localizer: &dyn Localizer, fx: &LocalizerFixture) -> Report {
    let mut report = Report::of("Localizer");
    report.clause("answers", answers(localizer, fx)).await;
    report.clause("no_anomalies", no_anomalies(localizer, fx)).await;
    report.clause("order", order(localizer, fx)).await;
    report.clause("unique", unique(localizer, fx)).await;
    report.clause("cites", cites(localizer, fx)).await;
    report.clause("path", path(localizer, fx)).await;
    report.clause("blind", blind(localizer, fx)).await;
    report
        .clause("deterministic", async { alike(&fx.ask(localizer).await?, &fx.ask(localizer).await?) })
        .await;
    let ask = |ctx: Context| async move { localizer.localize(&fx.window, &fx.anomalies, &ctx).await };
    report.clause("cancelled", async { refused(ask(cancelled(&fx.ctx)).await, ErrorKind::Cancelled) }).await;
    report.clause("deadline", async { refused(ask(late(&fx.ctx)).await, ErrorKind::Timeout) }).await;
    report
}

async fn answers(localizer: &dyn Localizer, fx: &LocalizerFixture) -> Outcome {
    let ranking = fx.ask(localizer).await?;
    ensure!(!ranking.suspects.is_empty(), "nobody is suspected");
    Ok(())
}

fn sees(fx: &LocalizerFixture) -> Outcome<&LocalizerFixture> {
    let seeing = (!fx.scripted).then_some(fx);
    given(&seeing, "localiser that looks at its input").copied()
}

async fn no_anomalies(localizer: &dyn Localizer, fx: &LocalizerFixture) -> Outcome {
    let ranking = localizer.localize(&sees(fx)?.window, &[], &fx.ctx).await?;
    ensure!(ranking.suspects.is_empty(), "suspects without anomalies: {:?}", ranking.suspects);
    Ok(())
}

async fn order(localizer: &dyn Localizer, fx: &LocalizerFixture) -> Outcome {
    let ranking = fx.ask(localizer).await?;
    alike(&ranking.suspects, &Ranking::new(ranking.suspects.clone()).suspects)
}

async fn unique(localizer: &dyn Localizer, fx: &LocalizerFixture) -> Outcome {
    let ranking = fx.ask(localizer).await?;
    let entities: BTreeSet<_> = ranking.suspects.iter().map(|s| &s.entity).collect();
    ensure!(entities.len() == ranking.suspects.len(), "an entity is suspected twice");
    Ok(())
}

async fn cites(localizer: &dyn Localizer, fx: &LocalizerFixture) -> Outcome {
    let known: BTreeSet<_> = fx.anomalies.iter().map(|a| &a.id).collect();
    for suspect in &fx.ask(localizer).await?.suspects {
        let rests = !suspect.evidence.is_empty() || !suspect.observations.is_empty();
        ensure!(rests, "{} is suspected without evidence", suspect.entity);
        let before_the_case = suspect.observations.iter().all(|o| o.id.is_none());
        ensure!(before_the_case, "{} has observations that call themselves evidence", suspect.entity);
        ensure!(
            suspect.evidence.iter().all(|e| known.contains(e)),
            "{} rests on unknown evidence",
            suspect.entity
        );
    }
    Ok(())
}

async fn path(localizer: &dyn Localizer, fx: &LocalizerFixture) -> Outcome {
    for suspect in &fx.ask(localizer).await?.suspects {
        let first = suspect.path.first();
        ensure!(
            first.is_none_or(|f| *f == suspect.entity),
            "the path of {} starts at {first:?}",
            suspect.entity
        );
    }
    Ok(())
}

/// A window in which nothing was looked at degrades the answer; it is no error, and it is said.
async fn blind(localizer: &dyn Localizer, fx: &LocalizerFixture) -> Outcome {
    let blind = TelemetryWindow::new(sees(fx)?.window.range);
    let ranking = localizer.localize(&blind, &fx.anomalies, &fx.ctx).await?;
    ensure!(!ranking.unseen.is_empty(), "blind, and does not say so");
    Ok(())
}
