use aiops_core::model::TelemetryWindow;
use aiops_core::seam::Detector;
use aiops_core::{Context, ErrorKind};

use super::report::{Outcome, Report, alike, cancelled, ensure, given, late, refused};

/// What [`detector`] shows to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DetectorFixture {
    /// Context of all calls.
    pub ctx: Context,
    /// A window in which at least two series left their norm.
    pub anomalous: TelemetryWindow,
    /// A window in which nothing did.
    pub normal: Option<TelemetryWindow>,
    /// A window with too little data to judge: no finding, and no error.
    pub thin: Option<TelemetryWindow>,
}

impl DetectorFixture {
    /// A fixture without a normal and a thin window.
    #[must_use]
    pub fn new(ctx: Context, anomalous: TelemetryWindow) -> Self {
        Self { ctx, anomalous, normal: None, thin: None }
    }
}

/// The contract of [`Detector`]: 11 clauses.
pub async fn detector(detector: &dyn Detector, fx: &DetectorFixture) -> Report {
    let mut report = Report::of("Detector");
    report.clause("identity", async { alike(&(detector.id(), detector.fitted()), &(detector.id(), detector.fitted())) }).await;
    report.clause("finds", finds(detector, fx)).await;
    report.clause("normal", nothing_in(detector, fx, given(&fx.normal, "normal window"))).await;
    report.clause("thin", nothing_in(detector, fx, given(&fx.thin, "thin window"))).await;
    report.clause("deterministic", deterministic(detector, fx)).await;
    report.clause("order", order(detector, fx)).await;
    report.clause("stamped", stamped(detector, fx)).await;
    report.clause("well_formed", well_formed(detector, fx)).await;
    report.clause("reread", reread(detector, fx)).await;
    report.clause("cancelled", async { refused(detector.detect(&fx.anomalous, &cancelled(&fx.ctx)).await, ErrorKind::Cancelled) }).await;
    report.clause("deadline", async { refused(detector.detect(&fx.anomalous, &late(&fx.ctx)).await, ErrorKind::Timeout) }).await;
    report
}

async fn finds(detector: &dyn Detector, fx: &DetectorFixture) -> Outcome {
    let found = detector.detect(&fx.anomalous, &fx.ctx).await?;
    ensure!(found.len() >= 2, "{} findings in the anomalous window", found.len());
    Ok(())
}

async fn nothing_in(detector: &dyn Detector, fx: &DetectorFixture, window: Outcome<&TelemetryWindow>) -> Outcome {
    let found = detector.detect(window?, &fx.ctx).await?;
    ensure!(found.is_empty(), "found {found:?}");
    Ok(())
}

/// Detecting must not change what is normal: the second look finds what the first found.
async fn deterministic(detector: &dyn Detector, fx: &DetectorFixture) -> Outcome {
    let fitted = detector.fitted();
    let first = detector.detect(&fx.anomalous, &fx.ctx).await?;
    alike(&first, &detector.detect(&fx.anomalous, &fx.ctx).await?)?;
    alike(&fitted, &detector.fitted())
}

async fn order(detector: &dyn Detector, fx: &DetectorFixture) -> Outcome {
    let found = detector.detect(&fx.anomalous, &fx.ctx).await?;
    let keys: Vec<_> = found.iter().map(|a| (&a.entity, &a.series, a.onset)).collect();
    ensure!(keys.is_sorted(), "not in the order of entity, series and onset: {keys:?}");
    Ok(())
}

async fn stamped(detector: &dyn Detector, fx: &DetectorFixture) -> Outcome {
    for a in detector.detect(&fx.anomalous, &fx.ctx).await? {
        ensure!(a.detector == detector.id(), "found by {}, not by {}", a.detector, detector.id());
        ensure!(a.fitted == detector.fitted(), "found with another fitted state: {:?}", a.fitted);
    }
    Ok(())
}

async fn well_formed(detector: &dyn Detector, fx: &DetectorFixture) -> Outcome {
    for a in detector.detect(&fx.anomalous, &fx.ctx).await? {
        ensure!(a.baseline.scale > 0.0, "σ of {} is {}", a.series, a.baseline.scale);
        ensure!(a.onset <= a.last, "{} ended before it began", a.series);
        ensure!(fx.anomalous.range.contains(a.onset), "onset {} outside the window", a.onset);
    }
    Ok(())
}

/// A verifier must be able to read the same signal again.
async fn reread(detector: &dyn Detector, fx: &DetectorFixture) -> Outcome {
    for a in detector.detect(&fx.anomalous, &fx.ctx).await? {
        let selector = &a.reread.selector;
        ensure!(selector.selects(&a.series.name, &a.entity, &a.series.labels), "re-reading misses {}", a.series);
        ensure!(!a.reread.signals.is_empty(), "re-reading {} asks for nothing", a.series);
    }
    Ok(())
}
