use std::sync::{Mutex, MutexGuard, PoisonError};

use aiops_core::model::{Anomaly, DetectorId, FittedHash, TelemetryWindow};
use aiops_core::seam::Detector;
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;

use super::book::{BookError, HeldId, Judgement};
use super::detector::EnsembleDetector;
use super::file::BookFile;

/// An ensemble of which only what is sure enough is told; the rest waits in a [`BookFile`] until a person judged it. // DET-08
///
/// What it tells is a function of the fitted state, the window, and what persons said: looking twice holds nothing twice. A finding
/// that is confirmed is told from the next look on, and handed out at once by [`judge`](Self::judge). Where the book cannot be
/// written, nothing is held: everything is told, and [`failures`](Self::failures) counts it, for a disk that is full must hide no incident.
#[derive(Debug)]
pub struct ValidatedEnsemble {
    ensemble: EnsembleDetector,
    book: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: BookFile,
    failures: u64,
}

impl ValidatedEnsemble {
    /// What `ensemble` tells goes through `book`.
    #[must_use]
    pub fn new(ensemble: EnsembleDetector, book: BookFile) -> Self {
        Self { ensemble, book: Mutex::new(State { file: book, failures: 0 }) }
    }

    /// The ensemble.
    #[must_use]
    pub fn ensemble(&self) -> &EnsembleDetector {
        &self.ensemble
    }

    /// A thread that panicked while it held the book left it whole: events are written before they count.
    fn state(&self) -> MutexGuard<'_, State> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks into the book.
    pub fn with_book<T>(&self, look: impl FnOnce(&BookFile) -> T) -> T {
        look(&self.state().file)
    }

    /// Findings that were told because they could not be held.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.state().failures
    }

    /// Judges what waits; what is confirmed is handed out.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when nothing waits under that number, [`ErrorKind::Invalid`] without a name,
    /// [`ErrorKind::Unavailable`] when the book cannot be written.
    pub fn judge(
        &self,
        id: HeldId,
        judgement: Judgement,
        by: &str,
        ctx: &Context,
    ) -> Result<Option<Anomaly>> {
        let at = ctx.clock().now();
        self.state().file.judge(id, judgement, by, at).map_err(|e| {
            let kind = match e {
                BookError::Unknown(_) => ErrorKind::NotFound,
                BookError::File { .. } => ErrorKind::Unavailable,
                _ => ErrorKind::Invalid,
            };
            Error::new(kind, "cannot judge a held finding").caused_by(e)
        })
    }
}

#[async_trait]
impl Detector for ValidatedEnsemble {
    fn id(&self) -> DetectorId {
        self.ensemble.id()
    }

    fn fitted(&self) -> FittedHash {
        self.ensemble.fitted()
    }

    async fn detect(&self, window: &TelemetryWindow, ctx: &Context) -> Result<Vec<Anomaly>> {
        let combined = self.ensemble.explain(window, ctx).await?;
        let at = ctx.clock().now();
        let mut state = self.state();
        let mut told = Vec::new();
        for c in combined {
            if !self.ensemble.is_told(&c) {
                continue;
            }
            match state.file.admit(&c.anomaly, c.confidence, at) {
                Ok(admission) if !admission.is_told() => {}
                Ok(_) => told.push(c.anomaly),
                Err(_) => {
                    state.failures += 1;
                    told.push(c.anomaly);
                }
            }
        }
        Ok(told)
    }
}
