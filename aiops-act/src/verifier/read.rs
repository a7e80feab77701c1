use aiops_core::model::{FetchRequest, MetricSeries};
use aiops_core::seam::TelemetrySource;
use aiops_core::{Context, Result};

/// The series that `request` shows; an error text when they cannot be read.
///
/// # Errors
/// Only when the context ended: everything else is for the check to report as inconclusive.
pub(super) async fn metrics(
    source: &dyn TelemetrySource,
    request: &FetchRequest,
    ctx: &Context,
) -> Result<Result<Vec<MetricSeries>, String>> {
    match source.fetch(request, ctx).await {
        Ok(window) => Ok(Ok(window.metrics)),
        Err(e) => {
            ctx.check()?;
            Ok(Err(e.to_string()))
        }
    }
}
