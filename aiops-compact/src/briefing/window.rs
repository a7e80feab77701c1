use aiops_core::model::{
    Alert, Briefing, Change, Cut, EvidenceKind, Severity, Signal, TelemetryWindow, TokenBudget,
};
use aiops_core::seam::Compactor;
use aiops_core::{Context, Result};
use async_trait::async_trait;

use super::metrics::{losses, metric_findings};
use super::{Baseline, BriefingBuilder, Finding, WindowConfig};
use crate::deviation::{References, deviations, recent_part};

/// Compacts a whole window: deviating metrics, changed calls and log templates, alerts and changes, fused into one
/// briefing; findings that were made elsewhere are handed in. // CMP-06
///
/// The recent part of the window is compared with a [`Baseline`], without one with the earlier part.
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
    builder: BriefingBuilder,
    config: WindowConfig,
    baseline: Option<Baseline>,
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
        self.baseline = Some(baseline);
        self
    }

    /// The synchronous form of [`Compactor::compact`]; `others` are findings of modalities that are compacted elsewhere.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`](aiops_core::ErrorKind::Limit) when not even the stated loss fits `budget`.
    pub fn briefing(
        &self,
        window: &TelemetryWindow,
        others: Vec<Finding>,
        budget: TokenBudget,
    ) -> Result<Briefing> {
        let config = &self.config;
        let none = References::new();
        let references = self.baseline.as_ref().map_or(&none, |baseline| &baseline.references);
        let report = deviations(window, references, &config.deviation);
        let mut findings = metric_findings(&report);
        findings.extend(self.events(window));
        findings.extend(others);
        let mut cuts = losses(&report, &config.deviation);
        for (signal, kind, count) in [
            (Signal::Logs, EvidenceKind::Log, window.logs.len()),
            (Signal::Traces, EvidenceKind::Trace, window.spans.len()),
        ] {
            if count > 0 && !findings.iter().any(|finding| finding.kind == kind) {
                cuts.push(Cut::new(
                    signal.to_string(),
                    count,
                    "nothing among them changed, or too few to tell",
                ));
            }
        }
        findings.extend(window.alerts.iter().map(of_alert));
        findings.extend(window.changes.iter().map(of_change));
        self.builder.build(window.range, findings, cuts, budget)
    }

    /// What changed among spans and lines.
    fn events(&self, window: &TelemetryWindow) -> Vec<Finding> {
        if window.spans.is_empty() && window.logs.is_empty() {
            return Vec::new();
        }
        let recent = recent_part(window.range, &self.config.deviation);
        if let Some(baseline) = &self.baseline {
            return baseline.findings(window, recent, &self.config);
        }
        let earlier = |time| time < recent.start();
        let spans = window.spans.iter().filter(|span| earlier(span.start));
        let lines = window.logs.iter().filter(|line| earlier(line.time));
        Baseline::of_events(spans, lines, &self.config).findings(window, recent, &self.config)
    }
}

fn of_alert(alert: &Alert) -> Finding {
    let (score, severity) = match alert.severity {
        Severity::Info => (1.0, "info"),
        Severity::Warning => (2.0, "warning"),
        Severity::Critical => (3.0, "critical"),
    };
    let summary = format!("alert {} ({severity})", alert.name);
    Finding::new(alert.entity.clone(), EvidenceKind::Alert, alert.started_at, score, summary)
}

/// The later a change, the more it tells of what is wrong now.
fn of_change(change: &Change) -> Finding {
    let revision = change
        .revision
        .as_ref()
        .map(|revision| format!(" ({} → {})", revision.from.as_deref().unwrap_or("?"), revision.to));
    let summary = format!("change: {}{}", change.summary, revision.unwrap_or_default());
    let score = change.time.as_second() as f64;
    Finding::new(change.entity.clone(), EvidenceKind::Change, change.time, score, summary)
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
