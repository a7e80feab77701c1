use std::collections::BTreeMap;
use std::sync::Arc;

use aiops_core::model::{EntityId, LogRecord, Span, TelemetryWindow, TimeRange};
use serde::{Deserialize, Serialize};

use super::Finding;
use super::changes::{log_findings, trace_findings};
use crate::deviation::{DeviationConfig, DeviationOptions, References, learn};
use crate::logs::{ChangeConfig, ChangeOptions, EntityLogs, LogMiner, MinerConfig, TemplateId, changes};
use crate::shape::Persistence;
use crate::traces::{
    CompareConfig, CompareOptions, SpanColumns, TraceCompactor, TraceConfig, TraceSummary, compare,
};

/// How each modality of a window is compared with what is normal; every part is checked by itself.
///
/// The thresholds are lower than those of the parts by themselves, which decide whether anything is wrong at all. Whoever
/// asks for a briefing knows that; the strongest findings come first in any case, and the budget cuts the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WindowConfig {
    /// Metrics, and which part of a window is the recent one. Default: 3 of 5 samples beyond 2 σ whose level is beyond
    /// any that the reference reached.
    pub deviation: DeviationConfig,
    /// Limits of spans.
    pub traces: TraceConfig,
    /// Changes of spans. Default: 2 σ, from 3 calls on; beyond 4 σ chance is out of the question, and only size counts.
    pub calls: CompareConfig,
    /// Templates of log lines.
    pub miner: MinerConfig,
    /// Changes of log templates. Default: 2 σ.
    pub templates: ChangeConfig,
}

impl Default for WindowConfig {
    fn default() -> Self {
        let persistence = Persistence { sigma: 2.0, ..Persistence::default() };
        let deviation =
            DeviationOptions { persistence, finding_sigma: 2.0, novelty: 1.0, ..DeviationOptions::default() };
        let calls = CompareOptions {
            finding_sigma: 2.0,
            full_sigma: 4.0,
            min_baseline: 3,
            ..CompareOptions::default()
        };
        let templates = ChangeOptions { finding_sigma: 2.0, ..ChangeOptions::default() };
        Self {
            // Constants that a test checks.
            deviation: DeviationConfig::try_from(deviation).unwrap_or_default(),
            traces: TraceConfig::default(),
            calls: CompareConfig::try_from(calls).unwrap_or_default(),
            miner: MinerConfig::default(),
            templates: ChangeConfig::try_from(templates).unwrap_or_default(),
        }
    }
}

/// What is normal in each modality.
///
/// Memory: one [`Reference`](crate::deviation::Reference) per series, a [`TraceSummary`], one entry per entity and log
/// template, and the templates; however long the window was.
#[derive(Debug, Clone)]
pub struct Baseline {
    pub(super) references: References,
    traces: TraceSummary,
    miner: LogMiner,
    logs: EntityLogs,
    /// Names in spans are names of these.
    names: BTreeMap<Arc<str>, EntityId>,
}

impl Baseline {
    /// Learns from a window that is known to be healthy, all of it.
    #[must_use]
    pub fn learn(window: &TelemetryWindow, config: &WindowConfig) -> Self {
        let (references, _) = learn(window, &config.deviation);
        let mut baseline = Self::of_events(&window.spans, &window.logs, config);
        baseline.references = references;
        baseline
    }

    /// Learns from spans and lines alone; metrics find their references in their own window.
    pub(super) fn of_events<'w>(
        spans: impl IntoIterator<Item = &'w Span>,
        logs: impl IntoIterator<Item = &'w LogRecord>,
        config: &WindowConfig,
    ) -> Self {
        let mut names = BTreeMap::new();
        let traces = summary(spans, config, &mut names);
        let mut miner = LogMiner::new(config.miner.clone());
        let logs = mine(logs, &mut miner);
        Self { references: References::new(), traces, miner, logs, names }
    }

    /// What changed in the spans and lines of `recent`, a part of `window`.
    pub(super) fn findings(
        &self,
        window: &TelemetryWindow,
        recent: TimeRange,
        config: &WindowConfig,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        let spans = || window.spans.iter().filter(|span| recent.contains(span.start));
        if let Some(first) = spans().map(|span| span.start).min() {
            let mut names = self.names.clone();
            let current = summary(spans(), config, &mut names);
            let entity = |name: &Arc<str>| {
                names.get(name).cloned().unwrap_or_else(|| EntityId::service(name.to_string()))
            };
            let found = compare(&self.traces, &current, &config.calls);
            findings.extend(trace_findings(&found, &current, first, entity));
        }
        let lines = || window.logs.iter().filter(|line| recent.contains(line.time));
        if let Some(first) = lines().map(|line| line.time).min() {
            // Templates of the baseline may join while the lines of now are mined.
            let mut miner = self.miner.clone();
            let current = mine(lines(), &mut miner);
            let resolve = |id: TemplateId| miner.resolve(id).unwrap_or(id);
            let (before, now) = (self.logs.clone().resolved(resolve), current.resolved(resolve));
            let text = |id| miner.template(id).map(|template| template.to_string());
            findings.extend(log_findings(&changes(&before, &now, &config.templates), first, text));
        }
        findings
    }
}

fn summary<'w>(
    spans: impl IntoIterator<Item = &'w Span>,
    config: &WindowConfig,
    names: &mut BTreeMap<Arc<str>, EntityId>,
) -> TraceSummary {
    let mut columns = SpanColumns::new();
    for span in spans {
        columns.push_span(span);
        if !names.contains_key(span.entity.name()) {
            names.insert(span.entity.name().into(), span.entity.clone());
        }
    }
    TraceCompactor::summarize(config.traces, &columns)
}

fn mine<'w>(lines: impl IntoIterator<Item = &'w LogRecord>, miner: &mut LogMiner) -> EntityLogs {
    let mut logs = EntityLogs::new();
    for line in lines {
        let template = miner.push(line.body.as_bytes());
        logs.observe(&line.entity, template, line.time, line.severity);
    }
    logs
}
