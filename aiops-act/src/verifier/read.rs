//! Reads of the verifier, and what it takes from a series.

use std::time::Duration;

use aiops_core::model::{Anomaly, FetchRequest, MetricSeries, Signal, TimeRange};
use aiops_core::seam::TelemetrySource;
use aiops_core::{Context, Result};
use jiff::Timestamp;

/// Distance of samples where no finding tells another.
const USUAL_STEP: Duration = Duration::from_secs(15);

/// One look at the last `hold` before `range.end()`.
#[derive(Debug, Clone)]
pub(super) struct Look<'a> {
    pub(super) source: &'a dyn TelemetrySource,
    pub(super) range: TimeRange,
    /// Ends when the look must, so that a source that hangs cannot hold the verdict up.
    pub(super) limited: Context,
    /// Steps after which a series that stopped is silent.
    pub(super) silent_after: u32,
}

impl Look<'_> {
    /// The series that `request` shows; an error text when they cannot be read.
    ///
    /// # Errors
    /// Only when the caller's context ended: everything else is for the check to report as inconclusive.
    pub(super) async fn metrics(
        &self,
        request: &FetchRequest,
        ctx: &Context,
    ) -> Result<Result<Vec<MetricSeries>, String>> {
        match self.limited.bound(self.source.fetch(request, &self.limited)).await {
            // What was not looked at differs from what is not there.
            Ok(window) if !window.observed.contains(Signal::Metrics) => {
                Ok(Err("the source did not read metrics".to_owned()))
            }
            Ok(window) => Ok(Ok(window.metrics)),
            Err(e) => {
                ctx.check()?;
                Ok(Err(e.to_string()))
            }
        }
    }

    /// Whether a sample taken at `at`, every `step`, still tells of the end of the range.
    pub(super) fn is_fresh(&self, at: Timestamp, step: Duration) -> bool {
        aiops_core::model::time::elapsed(at, self.range.end()) <= step.saturating_mul(self.silent_after)
    }

    /// The newest sample of `series` that is a number, if it is fresh.
    pub(super) fn newest(&self, series: &MetricSeries, step: Duration) -> Option<f64> {
        let (at, value) = series.points().rfind(|(_, value)| !value.is_nan())?;
        self.is_fresh(at, step).then_some(value)
    }
}

/// Distance of the samples that showed the incident.
pub(super) fn step_of(detected: &[Anomaly]) -> Duration {
    detected.iter().map(|a| a.reread.step).find(|step| !step.is_zero()).unwrap_or(USUAL_STEP)
}

/// How many samples, one every `step`, a whole `range` holds.
pub(super) fn slots(range: TimeRange, step: Duration) -> usize {
    let whole = range.length().as_nanos().checked_div(step.as_nanos()).unwrap_or(0);
    usize::try_from(whole).unwrap_or(usize::MAX).max(1)
}
