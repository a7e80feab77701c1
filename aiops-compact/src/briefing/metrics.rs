use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{
    Briefing, BriefingLine, Cut, EvidenceKind, Signal, TelemetryWindow, TimeRange, TokenBudget,
};
use aiops_core::seam::Compactor;
use aiops_core::{Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::builder::widest;
use super::estimate_tokens;
use super::fit::longest;
use super::text::{clock, number, one_line};
use crate::deviation::{
    Deviating, DeviationConfig, DeviationReport, Finding, References, Skipped, deviations, rank_entities,
    rank_metrics,
};
use crate::error::ConfigError;

/// Settings of the [`MetricCompactor`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompactorOptions {
    /// Entities that get lines, most deviating first; 1 to 10,000. Default 10.
    pub top_entities: usize,
    /// Metric names that get lines, most deviating first; 1 to 10,000. Default 20.
    pub top_metrics: usize,
    /// Lines of one entity; 1 to 10,000. Default 8.
    pub lines_per_entity: usize,
    /// Characters of a series' name and labels before they are cut; 16 to 10,000. Default 160.
    pub key_chars: usize,
    /// What counts as deviating.
    pub deviation: DeviationConfig,
}

impl Default for CompactorOptions {
    fn default() -> Self {
        let deviation = DeviationConfig::default();
        Self { top_entities: 10, top_metrics: 20, lines_per_entity: 8, key_chars: 160, deviation }
    }
}

/// Checked [`CompactorOptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CompactorOptions", into = "CompactorOptions")]
pub struct CompactorConfig(CompactorOptions);

impl CompactorConfig {
    /// The settings.
    #[must_use]
    pub fn options(&self) -> &CompactorOptions {
        &self.0
    }
}

impl From<CompactorConfig> for CompactorOptions {
    fn from(config: CompactorConfig) -> Self {
        config.0
    }
}

impl TryFrom<CompactorOptions> for CompactorConfig {
    type Error = ConfigError;

    fn try_from(options: CompactorOptions) -> Result<Self, ConfigError> {
        for (field, value) in [
            ("top_entities", options.top_entities),
            ("top_metrics", options.top_metrics),
            ("lines_per_entity", options.lines_per_entity),
        ] {
            if !(1..=10_000).contains(&value) {
                return Err(ConfigError::new(field, value, "1 to 10000"));
            }
        }
        if !(16..=10_000).contains(&options.key_chars) {
            return Err(ConfigError::new("key_chars", options.key_chars, "16 to 10000 characters"));
        }
        Ok(Self(options))
    }
}

/// Compacts the metrics of a window: one cited line per finding (shape, onset, from what to what), the most deviating
/// entities and metrics first, and what was left out. // CMP-03, CMP-06
///
/// The budget is hard: [`estimate_tokens`] of the briefing's Markdown never exceeds it.
///
/// Logs, spans and alerts of the window are not looked at; the briefing says so where there are any.
#[derive(Debug, Clone, Default)]
pub struct MetricCompactor {
    config: CompactorConfig,
    references: References,
}

/// A finding on its way to becoming a line.
struct Candidate<'a> {
    deviating: &'a Deviating<'a>,
    finding: &'a Finding,
}

impl MetricCompactor {
    /// Compares every window with its own earlier part.
    #[must_use]
    pub fn new(config: CompactorConfig) -> Self {
        Self { config, references: References::new() }
    }

    /// Compares the series in `references` with those instead.
    #[must_use]
    pub fn with_references(mut self, references: References) -> Self {
        self.references = references;
        self
    }

    /// The synchronous form of [`Compactor::compact`].
    ///
    /// # Errors
    /// [`Limit`](aiops_core::ErrorKind::Limit) when not even the stated loss fits `budget`.
    pub fn briefing(&self, window: &TelemetryWindow, budget: TokenBudget) -> Result<Briefing> {
        let options = self.config.options();
        let report = deviations(window, &self.references, &options.deviation);
        let (candidates, mut cuts) = self.select(&report);
        cuts.extend(losses(&report, &options.deviation));
        cuts.extend(unread(window));
        let lines: Vec<BriefingLine> = candidates
            .iter()
            .enumerate()
            .map(|(i, candidate)| self.line(i + 1, candidate, window.range))
            .collect();
        let build = |kept: usize| {
            let mut briefing = Briefing::new(window.range);
            briefing.lines.extend(lines.iter().take(kept).cloned());
            briefing.cuts.extend(cut("findings", lines.len() - kept, "token budget"));
            briefing.cuts.extend(cuts.iter().cloned());
            briefing
        };
        let needed = |briefing: &Briefing| estimate_tokens(&widest(briefing).to_markdown());
        longest(lines.len(), budget, build, needed)
    }

    /// The findings that get a line, most telling first, and what top-k left out.
    fn select<'a>(&self, report: &'a DeviationReport<'a>) -> (Vec<Candidate<'a>>, Vec<Cut>) {
        let options = self.config.options();
        let entities: BTreeSet<_> = rank_entities(&report.deviating, options.top_entities)
            .into_iter()
            .map(|rank| rank.entity)
            .collect();
        let metrics: BTreeSet<_> = rank_metrics(&report.deviating, options.top_metrics)
            .into_iter()
            .map(|rank| rank.metric)
            .collect();
        let mut candidates: Vec<Candidate<'a>> = report
            .deviating
            .iter()
            .flat_map(|deviating| {
                deviating.deviation.findings.iter().map(move |finding| Candidate { deviating, finding })
            })
            .collect();
        let all = candidates.len();
        candidates.retain(|c| entities.contains(c.deviating.series.entity()));
        let in_entities = candidates.len();
        candidates.retain(|c| metrics.contains(&c.deviating.series.key().name));
        let in_metrics = candidates.len();
        // Strongest first; the order of the report (entity, key, onset) decides between equals.
        candidates.sort_by(|a, b| b.finding.level_sigma.total_cmp(&a.finding.level_sigma));
        let mut of_entity: BTreeMap<_, usize> = BTreeMap::new();
        candidates.retain(|c| {
            let lines = of_entity.entry(c.deviating.series.entity().clone()).or_default();
            *lines += 1;
            *lines <= options.lines_per_entity
        });
        let mut cuts = Vec::new();
        cuts.extend(cut(
            "findings",
            all - in_entities,
            format!("not of the top {} entities", options.top_entities),
        ));
        cuts.extend(cut(
            "findings",
            in_entities - in_metrics,
            format!("not of the top {} metrics", options.top_metrics),
        ));
        cuts.extend(cut(
            "findings",
            in_metrics - candidates.len(),
            format!("more than {} of one entity", options.lines_per_entity),
        ));
        (candidates, cuts)
    }

    fn line(&self, number: usize, candidate: &Candidate<'_>, range: TimeRange) -> BriefingLine {
        let Candidate { deviating, finding } = candidate;
        let series = deviating.series;
        let key = one_line(&series.key().to_string(), self.config.options().key_chars);
        let text = format!("{key}: {}", describe(finding, deviating, range));
        BriefingLine::new(format!("m{number}"), series.entity().clone(), finding.level_sigma, text)
            .with_evidence(EvidenceKind::Anomaly, finding.onset)
    }
}

/// `level shift up since 00:00:10, 0.02 → 0.35 s (+16.5 σ), ongoing`.
pub(super) fn describe(finding: &Finding, deviating: &Deviating<'_>, range: TimeRange) -> String {
    let unit = match deviating.series.unit().0.as_str() {
        "" | "1" => String::new(),
        unit => format!(" {}", one_line(unit, 32)),
    };
    let center = deviating.deviation.reference.center;
    let (from, to) = (number(center), number(center + finding.magnitude));
    let until = match finding.cleared {
        None => ", ongoing".to_owned(),
        Some(cleared) => format!(", until {}", clock(cleared, range)),
    };
    let slope = finding.slope.map(|slope| format!(", {}{unit}/s", number(slope))).unwrap_or_default();
    format!(
        "{} since {}, {from} → {to}{unit} ({:+.1} σ){slope}{until}",
        finding.shape,
        clock(finding.onset, range),
        finding.magnitude_sigma
    )
}

fn cut(what: &str, count: usize, why: impl Into<String>) -> Option<Cut> {
    (count > 0).then(|| Cut::new(what, count, why))
}

/// Samples and series that never had a chance to become a line.
pub(super) fn losses(report: &DeviationReport<'_>, config: &DeviationConfig) -> Vec<Cut> {
    let alone = report.deviating.iter().filter(|d| d.deviation.findings.is_empty());
    let alone: usize = alone.map(|d| d.deviation.kept.len()).sum();
    let options = config.options();
    let mut cuts: Vec<Cut> = Vec::new();
    cuts.extend(cut(
        "samples",
        alone,
        format!("beyond {} σ, but neither persistent nor new for their series", options.persistence.sigma),
    ));
    for (reason, count) in &report.skipped {
        let why = match reason {
            Skipped::ShortReference => {
                format!("fewer than {} samples to compare with", options.min_reference)
            }
            Skipped::Silent => "no recent sample".to_owned(),
            Skipped::Counter => "running totals; read their rates".to_owned(),
        };
        cuts.extend(cut("series", *count, why));
    }
    cuts.extend(cut("samples", report.unusable_samples, "not a number, infinite or too large"));
    cuts
}

/// Signals of the window that this compactor does not read.
fn unread(window: &TelemetryWindow) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::new();
    for (signal, count) in [
        (Signal::Logs, window.logs.len()),
        (Signal::Traces, window.spans.len()),
        (Signal::Alerts, window.alerts.len()),
        (Signal::Changes, window.changes.len()),
    ] {
        cuts.extend(cut(&signal.to_string(), count, "only metrics are compacted here"));
    }
    cuts
}

#[async_trait]
impl Compactor for MetricCompactor {
    async fn compact(
        &self,
        window: &TelemetryWindow,
        budget: TokenBudget,
        ctx: &Context,
    ) -> Result<Briefing> {
        ctx.check().map_err(|e| e.at("Compactor::compact"))?;
        self.briefing(window, budget)
    }
}
