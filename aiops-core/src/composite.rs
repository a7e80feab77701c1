//! Several sources as one.

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::BoxFuture;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CollectorHealth, FetchRequest, Signal, SignalSet, TelemetryWindow, time};
use crate::seam::{ChangeFeed, SourceCapability, TelemetrySource};

/// Merges sources by signal: each is asked for the signals it has, all at the same time.
///
/// A source that fails makes its signals a blind spot ([`CollectorHealth`] with the reason), not an empty answer; only when
/// every source fails, or when the answer exceeds the limits of the request, is the fetch an error. A signal counts as observed only when all sources that have it answered.
///
/// ```
/// use aiops_core::{CompositeSource, fake::InMemorySource};
/// let source = CompositeSource::new().with(InMemorySource::new());
/// # let _ = source;
/// ```
#[derive(Debug, Clone, Default)]
pub struct CompositeSource {
    sources: Vec<Arc<dyn TelemetrySource>>,
}

impl CompositeSource {
    /// No source yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One source more.
    #[must_use]
    pub fn with(mut self, source: impl TelemetrySource) -> Self {
        self.sources.push(Arc::new(source));
        self
    }

    /// Changes from a feed, looking back `look_back` before the range asked for (ING-04; 4 h is usual).
    #[must_use]
    pub fn with_changes(self, feed: impl ChangeFeed, look_back: std::time::Duration) -> Self {
        self.with(ChangeSource { feed, look_back })
    }
}

#[async_trait]
impl TelemetrySource for CompositeSource {
    fn capability(&self) -> SourceCapability {
        let signals = self.sources.iter().map(|s| s.capability().signals);
        SourceCapability::of(signals.fold(SignalSet::none(), |all, s| all.union(&s)))
    }

    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        let mut asked = Vec::new();
        for source in &self.sources {
            let signals = source.capability().signals.intersection(&request.signals);
            if !signals.is_empty() {
                let part = request.clone().with_signals(signals.clone());
                asked.push((signals, part, source));
            }
        }
        if asked.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, "no source has the signals asked for"));
        }
        let reads = asked.iter().map(|(_, part, source)| source.fetch(part, ctx)).collect();
        let answers = all(reads).await;

        let mut window = TelemetryWindow::new(request.range);
        let mut blind = SignalSet::none();
        let mut failures = Vec::new();
        for ((signals, ..), answer) in asked.iter().zip(answers) {
            match answer {
                Ok(part) => window.merge(part),
                // The request is at fault, not the source: a smaller one would be answered in full.
                Err(e) if e.kind() == ErrorKind::Limit => return Err(e),
                Err(e) => {
                    window.health.extend(signals.iter().map(|signal| blind_spot(signal, &e)));
                    blind = blind.union(signals);
                    failures.push(e);
                }
            }
        }
        if failures.len() == asked.len() {
            // The first failure stands for all; there is at least one.
            let first = failures.into_iter().next();
            return Err(first.unwrap_or_else(|| Error::new(ErrorKind::Internal, "no source answered")));
        }
        window.range = request.range;
        window.observed = window.observed.iter().filter(|s| !blind.contains(*s)).collect();
        // Each part kept to the bounds; together they may not.
        request.limits.check(&window)?;
        window.sort();
        Ok(window)
    }
}

fn blind_spot(signal: Signal, error: &Error) -> CollectorHealth {
    let mut health = CollectorHealth::new(signal);
    health.note = Some(error.to_string());
    health
}

/// Awaits all futures at the same time and keeps their order.
async fn all<T>(mut futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    futures_lite::future::poll_fn(move |cx| {
        let mut pending = false;
        for (future, slot) in futures.iter_mut().zip(&mut done) {
            if slot.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *slot = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(std::mem::take(&mut done).into_iter().flatten().collect())
    })
    .await
}

/// A change feed in the shape of a source.
#[derive(Debug)]
struct ChangeSource<F> {
    feed: F,
    look_back: std::time::Duration,
}

#[async_trait]
impl<F: ChangeFeed> TelemetrySource for ChangeSource<F> {
    fn capability(&self) -> SourceCapability {
        SourceCapability::of(Signal::Changes)
    }

    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        if !request.signals.contains(Signal::Changes) {
            return Err(Error::new(ErrorKind::Unsupported, "a change feed has changes only"));
        }
        let since = time::before(request.range.start(), self.look_back);
        let range = crate::model::TimeRange::new(since, request.range.end())?;
        let mut changes = self.feed.changes(range, ctx).await?;
        changes.retain(|c| request.selector.selects_entity(&c.entity));
        if changes.len() > request.limits.records {
            return Err(Error::new(ErrorKind::Limit, "more changes than asked for at most")
                .with("found", changes.len()));
        }
        let mut window = TelemetryWindow::new(request.range);
        window.changes = changes;
        window.observed = Signal::Changes.into();
        window.sort();
        Ok(window)
    }
}
