//! How far a root cause looks around an onset (RCA-10).

use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    CollectorHealth, EntityId, FetchRequest, LogRecord, Selector, Signal, SignalSet, TelemetryWindow,
    TimeRange, duration, time,
};
use aiops_core::seam::TelemetrySource;
use aiops_core::{Context, Error, ErrorKind, Result};
use futures_lite::future;
use serde::{Deserialize, Serialize};

use crate::config::{out_of_range, positive};

/// The evidence windows around an onset, as reads that any [`TelemetrySource`](aiops_core::seam::TelemetrySource) answers.
///
/// ```
/// use aiops_core::model::{EntityId, Signal};
/// use aiops_rca::EvidenceWindows;
/// let onset = "2026-03-01T12:00:00Z".parse()?;
/// let read = EvidenceWindows::default().request(Signal::Logs, onset, [EntityId::service("orders")]);
/// assert_eq!(read.range.start(), "2026-03-01T11:55:00Z".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct EvidenceWindows {
    /// Metrics and spans before the onset; default 30 min, more than 0 s.
    #[serde(with = "duration")]
    pub before: Duration,
    /// All telemetry after the onset; default 10 min, more than 0 s.
    #[serde(with = "duration")]
    pub after: Duration,
    /// Log lines before the onset; default 5 min, more than 0 s.
    #[serde(with = "duration")]
    pub logs_before: Duration,
    /// Log lines that [`gather`](Self::gather) keeps, the most severe, of equal ones the nearest to the onset; default 100, 1 or more.
    pub log_lines: usize,
    /// Changes before the onset; default 4 h, more than 0 s.
    #[serde(with = "duration")]
    pub changes_before: Duration,
    /// Distance of metric samples; default 15 s, more than 0 s.
    #[serde(with = "duration")]
    pub step: Duration,
}

impl Default for EvidenceWindows {
    fn default() -> Self {
        Self {
            before: Duration::from_secs(30 * 60),
            after: Duration::from_secs(10 * 60),
            logs_before: Duration::from_secs(5 * 60),
            log_lines: 100,
            changes_before: Duration::from_secs(4 * 3600),
            step: Duration::from_secs(15),
        }
    }
}

impl EvidenceWindows {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`Invalid`](aiops_core::ErrorKind::Invalid) with the field, its value and the allowed range.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [
            ("windows.before", self.before),
            ("windows.after", self.after),
            ("windows.logs_before", self.logs_before),
            ("windows.changes_before", self.changes_before),
            ("windows.step", self.step),
        ] {
            positive(field, value)?;
        }
        if self.log_lines == 0 {
            return Err(out_of_range("windows.log_lines", self.log_lines, "1 or more"));
        }
        Ok(())
    }

    /// The read of `signal` about `entities` (all, where there are none) around `onset`.
    #[must_use]
    pub fn request(
        &self,
        signal: Signal,
        onset: Timestamp,
        entities: impl IntoIterator<Item = EntityId>,
    ) -> FetchRequest {
        let before = match signal {
            Signal::Logs => self.logs_before,
            Signal::Changes => self.changes_before,
            _ => self.before,
        };
        // A cause comes before what it causes, so changes after the onset are none.
        let end = if signal == Signal::Changes { onset } else { time::after(onset, self.after) };
        let start = time::before(onset, before);
        // INVARIANT: `start` ≤ `onset` ≤ `end`, since `time` saturates.
        let range = TimeRange::new(start, end).unwrap_or(TimeRange::ending_at(end, before));
        let selector = entities.into_iter().fold(Selector::all(), Selector::with_entity);
        FetchRequest::new(range)
            .with_step(self.step)
            .with_signals(SignalSet::from(signal))
            .with_selector(selector)
    }

    /// Reads metrics, spans, lines and changes about `entities` around `onset`, all at the same time. What cannot be read is a blind
    /// spot of the answer ([`TelemetryWindow::health`]), not an error.
    ///
    /// # Errors
    /// [`Cancelled`](aiops_core::ErrorKind::Cancelled) and [`Timeout`](aiops_core::ErrorKind::Timeout) of the context.
    pub async fn gather(
        &self,
        source: &dyn TelemetrySource,
        onset: Timestamp,
        entities: &[EntityId],
        ctx: &Context,
    ) -> Result<TelemetryWindow> {
        ctx.check()?;
        let read = |signal: Signal| async move {
            if !source.capability().signals.contains(signal) {
                return Err(Error::new(ErrorKind::Unsupported, "the source does not have it"));
            }
            let request = self.request(signal, onset, entities.iter().cloned());
            ctx.bound(source.fetch(&request, ctx)).await
        };
        let ((metrics, spans), (logs, changes)) = future::zip(
            future::zip(read(Signal::Metrics), read(Signal::Traces)),
            future::zip(read(Signal::Logs), read(Signal::Changes)),
        )
        .await;
        ctx.check()?;
        let whole = self.request(Signal::Metrics, onset, entities.iter().cloned()).range;
        let mut window = TelemetryWindow::new(whole);
        let mut blind = SignalSet::none();
        let answers = [
            (Signal::Metrics, metrics),
            (Signal::Traces, spans),
            (Signal::Logs, logs),
            (Signal::Changes, changes),
        ];
        for (signal, answer) in answers {
            match answer {
                Ok(mut part) => {
                    self.nearest(&mut part.logs, onset);
                    window.merge(part);
                }
                Err(e) => {
                    let mut health = CollectorHealth::new(signal);
                    health.note = Some(e.to_string());
                    window.health.push(health);
                    blind = blind.union(&signal.into());
                }
            }
        }
        window.observed = window.observed.iter().filter(|s| !blind.contains(*s)).collect();
        Ok(window)
    }

    /// Keeps the most severe lines, of equal ones those nearest to `onset`, in order of time.
    fn nearest(&self, lines: &mut Vec<LogRecord>, onset: Timestamp) {
        let distance = |line: &LogRecord| line.time.duration_since(onset).unsigned_abs();
        lines.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| distance(a).cmp(&distance(b))));
        lines.truncate(self.log_lines);
        lines.sort_by_key(|line| line.time);
    }
}
