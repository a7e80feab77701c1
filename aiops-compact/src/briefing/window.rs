use aiops_core::model::{Briefing, TelemetryWindow, TimeRange, TokenBudget};
use aiops_core::seam::Compactor;
use aiops_core::{Context, Result};
use async_trait::async_trait;

use super::{Baseline, BriefingBuilder, Finding, WindowConfig, WindowStream};

/// Compacts a whole window: deviating metrics, changed calls and log templates, alerts and changes, fused into one
/// briefing; findings that were made elsewhere are handed in. // CMP-06
///
/// The recent part of the window is compared with a [`Baseline`], without one with the earlier part.
///
/// # Method
/// Every modality gives findings with a strength on one scale, ln(1 + σ / 3) times what matters in it (see
/// [`WeightOptions`](super::WeightOptions)):
/// - spans: time added within services and between them, each place by its share of all time added, so that who waits is not
///   blamed for whom it waits for; work that an operation always did and does no more; new work; own failures;
/// - lines: new errors, other new lines, lines missing although the operation that wrote them is there;
/// - metrics: persistent deviations by what the metric speaks of; latency and failures by what requests lose there and not at
///   the services called.
///
/// What a caller suffers counts as far as nobody it needs suffers as much of the same kind. The strongest findings of each
/// aspect of an entity add up.
///
/// ```
/// use aiops_compact::briefing::WindowCompactor;
/// use aiops_core::model::{EntityId, Change, ChangeKind, TelemetryWindow, TimeRange, TokenBudget};
///
/// let at = "2026-01-01T00:00:00Z".parse()?;
/// let mut window = TelemetryWindow::new(TimeRange::new(at, "2026-01-01T00:10:00Z".parse()?)?);
/// window.changes.push(Change::new("c1", at, ChangeKind::Deployment, EntityId::service("orders"), "orders 1.4"));
/// let briefing = WindowCompactor::default().briefing(&window, Vec::new(), TokenBudget(200))?;
/// assert!(briefing.to_markdown().contains("**service/orders** change: orders 1.4"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct WindowCompactor {
    pub(super) builder: BriefingBuilder,
    pub(super) config: WindowConfig,
    pub(super) baseline: Option<std::sync::Arc<Baseline>>,
}

impl WindowCompactor {
    /// Compares with the earlier part of the window.
    #[must_use]
    pub fn new(builder: BriefingBuilder, config: WindowConfig) -> Self {
        Self { builder, config, baseline: None }
    }

    /// Compares with `baseline` instead; a series it does not know still with the earlier part of the window.
    #[must_use]
    pub fn with_baseline(mut self, baseline: Baseline) -> Self {
        self.baseline = Some(std::sync::Arc::new(baseline));
        self
    }

    /// Takes in the window `range` as it arrives.
    #[must_use]
    pub fn stream(&self, range: TimeRange) -> WindowStream {
        WindowStream::new(self.clone(), range, false)
    }

    /// The synchronous form of [`Compactor::compact`]; `others` are findings of modalities that are compacted elsewhere. The same
    /// as a [`stream`](Self::stream) of the window, but that traces are held to the end.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`](aiops_core::ErrorKind::Limit) when not even the stated loss fits `budget`.
    pub fn briefing(
        &self,
        window: &TelemetryWindow,
        others: Vec<Finding>,
        budget: TokenBudget,
    ) -> Result<Briefing> {
        let mut stream = WindowStream::new(self.clone(), window.range, true);
        window.metrics.iter().for_each(|series| stream.push_metrics(series));
        window.spans.iter().for_each(|span| stream.push_span(span));
        window.logs.iter().for_each(|line| stream.push_line(line));
        window.changes.iter().for_each(|change| stream.push_change(change));
        window.alerts.iter().for_each(|alert| stream.push_alert(alert));
        stream.push_topology(&window.topology);
        stream.finish(others, budget)
    }
}

#[async_trait]
impl Compactor for WindowCompactor {
    async fn compact(
        &self,
        window: &TelemetryWindow,
        budget: TokenBudget,
        ctx: &Context,
    ) -> Result<Briefing> {
        ctx.check().map_err(|e| e.at("Compactor::compact"))?;
        self.briefing(window, Vec::new(), budget)
    }
}
