//! Keeps the telemetry of a run, so that detectors can be replayed on it.

use std::path::Path;
use std::time::Duration;

use aiops_core::model::{FetchRequest, Signal, TimeRange};
use aiops_core::recording::write_window;
use aiops_core::seam::TelemetrySource as _;
use aiops_core::{Cancellation, CompositeSource, Context};
use tokio::task::JoinHandle;

use super::RunError;
use super::watch::{SCRAPE, Telemetry};

/// Time between two windows.
const EVERY: Duration = Duration::from_secs(20);
/// Each window reaches this far into the one before: the reader joins them without gaps.
const OVERLAP: Duration = Duration::from_secs(2);

/// A recorder at work.
#[derive(Debug)]
pub(super) struct Recorder {
    stop: Cancellation,
    task: JoinHandle<Result<(), RunError>>,
}

/// Begins to write windows to `path`, one JSON document a line.
///
/// # Errors
/// The file cannot be created.
pub(super) fn start(path: &Path, telemetry: &Telemetry, ctx: &Context) -> Result<Recorder, RunError> {
    let file = std::fs::File::create(path)?;
    let stop = Cancellation::new();
    let recording = ctx.clone().with_cancellation(stop.clone());
    let task = tokio::spawn(record(telemetry.source(), file, recording, ctx.clone()));
    Ok(Recorder { stop, task })
}

impl Recorder {
    /// Writes what is left and ends.
    ///
    /// # Errors
    /// What kept the recorder from writing everything: a recording with holes must not pass for a whole one.
    pub(super) async fn stop(self) -> Result<(), RunError> {
        self.stop.cancel();
        self.task.await?
    }
}

async fn record(
    source: CompositeSource,
    mut file: std::fs::File,
    until: Context,
    ctx: Context,
) -> Result<(), RunError> {
    loop {
        // The last window is read after the recorder was told to stop.
        let stopped = until.sleep(EVERY).await.is_err();
        let request = FetchRequest::new(TimeRange::ending_at(ctx.now(), EVERY.saturating_add(OVERLAP)))
            .with_step(SCRAPE)
            .with_signals(Signal::Metrics.into());
        let window = source.fetch(&request, &ctx).await?;
        write_window(&mut file, &window)?;
        if stopped {
            return Ok(());
        }
    }
}
