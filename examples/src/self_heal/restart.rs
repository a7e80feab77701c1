//! A pipeline that dies in the middle of an action, and the next one that takes it up.

use std::future::Future;
use std::time::{Duration, Instant};

use aiops_act::FileJournal;
use aiops_act::incident::{NextStep, incidents};
use aiops_core::pipeline::{Look, Pipeline};
use aiops_core::seam::Journal;
use aiops_core::{Context, Result};
use tokio::sync::Notify;

use super::compose::{self, Parts};
use super::{RunError, sample, stage};

/// From the permission to the death: the intent is on disk, and the mitigator at work.
const INTO_THE_ACTION: Duration = Duration::from_millis(200);
/// A run with a death in it may take so much longer: nobody touches what may still be under way for 15 s.
pub(super) const DELAY: Duration = Duration::from_secs(30);

/// The look, or `None` when its pipeline died: all it held in memory is gone, as by `kill -9`.
pub(super) async fn dies_while_acting(
    step: impl Future<Output = Result<Look>>,
    allowed: &Notify,
) -> Option<Result<Look>> {
    let death = async {
        allowed.notified().await;
        tokio::time::sleep(INTO_THE_ACTION).await;
    };
    tokio::select! {
        () = death => None,
        look = step => Some(look),
    }
}

/// A new pipeline, once what the dead one left in doubt is settled.
pub(super) async fn taken_up(parts: &Parts<'_>, ctx: &Context) -> Result<Pipeline, RunError> {
    let Parts { options, shop, view, .. } = parts;
    stage(view, "died", "the pipeline, in the middle of an action");
    let path = compose::journal(options, shop);
    let history = FileJournal::open(&path)?.history(ctx).await?;
    for incident in incidents(&history) {
        let action = |key| history.get(key).map(|a| a.intent.proposal.action.to_string()).unwrap_or_default();
        let what = match &incident.next {
            NextStep::Settle(key) => format!("nobody knows what became of: {}", action(key)),
            NextStep::Verify(key) => format!("nobody looked whether it helped: {}", action(key)),
            other => format!("{other:?}"),
        };
        stage(view, "restart", &format!("incident {}: {what}", incident.id));
    }
    let pipeline = compose::pipeline(parts)?;
    // Its own files are all it knows. Until the doubt is settled the target is held: nothing runs twice.
    let patience = Instant::now() + DELAY;
    while Instant::now() < patience
        && (!pipeline.recover(ctx).await?.is_empty() || is_in_doubt(&pipeline, ctx).await?)
    {
        sample(view, shop);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    for action in pipeline.guards().journal().history(ctx).await?.actions().rev().take(1) {
        let ended =
            format!("{}: {:?}, as the mitigator tells", action.intent.proposal.action, action.outcome);
        stage(view, "settled", &ended);
    }
    Ok(pipeline)
}

async fn is_in_doubt(pipeline: &Pipeline, ctx: &Context) -> Result<bool> {
    Ok(pipeline.guards().journal().history(ctx).await?.in_doubt().next().is_some())
}
