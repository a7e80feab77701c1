//! Changes of spans and log templates as findings of a briefing.

use std::collections::BTreeMap;
use std::sync::Arc;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, EvidenceKind, LogSeverity};

use super::Finding;
use super::text::number;
use crate::logs::window::Novelty;
use crate::logs::{LogChange, TemplateId};
use crate::traces::{ChangeKind, TraceFinding, TraceFindings};

/// What speaks against each service, as findings of a briefing since `since`: the service is the one to blame, which is
/// not always the one that was called (see [`ServiceFindings`](crate::traces::ServiceFindings)). `entity` says who a
/// service is.
///
/// A line scores its weight as evidence, times, for times, ln(1 + excess) over that of the largest excess anywhere, in ms:
/// 2 ms more do not explain 2 s more, however sure they are. The first line of a service scores the root of the sum of
/// squares over kinds of evidence, gaps counting once per peer: a slow network at a service shows towards all of them.
#[must_use]
pub fn trace_findings(
    changes: &TraceFindings,
    since: Timestamp,
    entity: impl Fn(&Arc<str>) -> EntityId,
) -> Vec<Finding> {
    let largest = changes.findings.iter().filter_map(excess).fold(0.0, f64::max).ln_1p();
    let mut findings = Vec::new();
    for service in &changes.services {
        let mut lines: Vec<(f64, &TraceFinding)> = Vec::new();
        let mut strongest: BTreeMap<(u8, Option<&str>), f64> = BTreeMap::new();
        for (at, weighted) in &service.evidence {
            let Some(change) = changes.findings.get(*at) else { continue };
            let size = excess(change).map_or(1.0, |excess| excess.ln_1p() / largest.max(f64::MIN_POSITIVE));
            let score = weighted * size;
            let best = strongest.entry(group(change, &service.service)).or_default();
            *best = best.max(score);
            lines.push((score, change));
        }
        // Stable: equal ones stay in the order of the evidence.
        lines.sort_by(|a, b| b.0.total_cmp(&a.0));
        let whole = strongest.values().map(|score| score * score).sum::<f64>().sqrt();
        let whom = entity(&service.service);
        for (rank, (score, change)) in lines.into_iter().enumerate() {
            let score = if rank == 0 { whole } else { score };
            findings.push(Finding::new(whom.clone(), EvidenceKind::Trace, since, score, call(change)));
        }
    }
    findings
}

/// By how much a time changed, ms; `None` for what is no time.
fn excess(change: &TraceFinding) -> Option<f64> {
    change.kind.is_time().then(|| (change.current - change.baseline).abs() / 1e6)
}

/// What is evidence of the same thing about `service`.
fn group<'f>(change: &'f TraceFinding, service: &str) -> (u8, Option<&'f str>) {
    match change.kind {
        ChangeKind::SelfTime => (0, None),
        ChangeKind::Gap => {
            let callee = Some(&*change.call.callee).filter(|callee| *callee != service);
            (1, callee.or(change.call.caller.service()))
        }
        ChangeKind::OwnErrors => (2, None),
        _ => (3, None),
    }
}

/// `own time of frontend → cart [GET /cart]: p95 3.1 → 210 ms (+9.8 σ, 40 calls)`.
fn call(change: &TraceFinding) -> String {
    let what = match change.kind {
        ChangeKind::SelfTime => "own time",
        ChangeKind::ChildTime => "time, callees included,",
        ChangeKind::Gap => "time between caller and callee",
        ChangeKind::OwnErrors => "own errors",
        ChangeKind::PassedErrors => "errors passed on",
        ChangeKind::MissingCall => "calls gone",
        ChangeKind::NewCall => "new calls",
        ChangeKind::CallShare => "share of traces with the call",
        ChangeKind::FanOut => "calls per trace",
        ChangeKind::Rate => "traces per minute",
    };
    let value = |value: f64| number(if change.kind.is_time() { value / 1e6 } else { value });
    let unit = if change.kind.is_time() { " ms" } else { "" };
    format!(
        "{what} of {}: {} → {}{unit} ({:.1} σ, n = {} → {})",
        change.call,
        value(change.baseline),
        value(change.current),
        change.sigma,
        change.baseline_count,
        change.current_count
    )
}

/// Changes of log templates as findings of a briefing; `first` is the beginning of what was compared, since when
/// vanished lines are missing. `text` gives a template's text; what has none is left out.
#[must_use]
pub fn log_findings(
    changes: &[LogChange],
    first: Timestamp,
    mut text: impl FnMut(TemplateId) -> Option<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for change in changes {
        let Some(template) = text(change.template) else { continue };
        let what = match change.novelty {
            Novelty::New => "new",
            Novelty::Vanished => "vanished",
            Novelty::Bursting => "more often",
            Novelty::Usual => "less often",
        };
        let severity = change.severity.filter(|s| *s >= LogSeverity::Warn).map(|s| format!("{s:?} ").to_lowercase());
        let since = if change.novelty == Novelty::New { change.since } else { first };
        let summary = format!(
            "{what} {}line, {} of {} → {} of {} ({:.1} σ): {template}",
            severity.unwrap_or_default(),
            change.baseline.0,
            change.baseline.1,
            change.current.0,
            change.current.1,
            change.sigma.abs(),
        );
        findings.push(Finding::new(change.entity.clone(), EvidenceKind::Log, since, change.score, summary));
    }
    findings
}
