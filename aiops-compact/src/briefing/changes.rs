//! Changes of spans and log templates as findings of a briefing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, EvidenceKind, LogSeverity};

use super::Finding;
use super::text::{number, one_line};
use crate::logs::window::Novelty;
use crate::logs::{LogChange, TemplateId};
use crate::traces::{CallType, ChangeKind, Direction, TraceFinding, TraceFindings, TraceSummary};

/// What speaks against each service, as findings of a briefing since `since`: the service is the one to blame, which is
/// not always the one that was called (see [`ServiceFindings`](crate::traces::ServiceFindings)). `entity` says who a
/// service is.
///
/// A line scores its weight as evidence, times, for times, ln(1 + excess) over that of the largest excess anywhere, in ms:
/// 2 ms more do not explain 2 s more, however sure they are; and, for a gap, the share of the
/// service's peers in `current` towards which there is one, over the larger such share of both ends: a slow network at a
/// service shows towards all its peers, and the other end of a gap usually talks to others without one. The first line of a service scores the root of the sum of squares over kinds of evidence.
#[must_use]
pub fn trace_findings(
    changes: &TraceFindings,
    current: &TraceSummary,
    since: Timestamp,
    entity: impl Fn(&Arc<str>) -> EntityId,
) -> Vec<Finding> {
    let largest = changes.findings.iter().filter_map(excess).fold(0.0, f64::max).ln_1p();
    let peers = pairs(current.calls().keys());
    let slow = changes.findings.iter().filter(|change| is_slow_gap(change));
    let apart = pairs(slow.map(|change| &change.call));
    let towards = |service: &str| {
        let of = |pairs: &BTreeMap<&str, BTreeSet<&str>>| pairs.get(service).map_or(0, BTreeSet::len);
        of(&apart) as f64 / of(&peers).max(of(&apart)).max(1) as f64
    };
    let blame = |service: &str, change: &TraceFinding| {
        let ends = [Some(&*change.call.callee), change.call.caller.service()];
        let most = ends.into_iter().flatten().map(towards).fold(0.0, f64::max);
        if most > 0.0 { towards(service) / most } else { 1.0 }
    };
    let mut findings = Vec::new();
    for service in &changes.services {
        let mut lines: Vec<(f64, &TraceFinding)> = Vec::new();
        let mut strongest: BTreeMap<u8, f64> = BTreeMap::new();
        for (at, weighted) in &service.evidence {
            let Some(change) = changes.findings.get(*at) else { continue };
            let size = excess(change).map_or(1.0, |excess| excess.ln_1p() / largest.max(f64::MIN_POSITIVE));
            let shared = if is_slow_gap(change) { blame(&service.service, change) } else { 1.0 };
            let score = weighted * size * shared;
            let best = strongest.entry(group(change.kind)).or_default();
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

fn is_slow_gap(change: &TraceFinding) -> bool {
    change.kind == ChangeKind::Gap && change.direction == Direction::Up
}

/// Who talks to whom, either way.
fn pairs<'c>(calls: impl Iterator<Item = &'c CallType>) -> BTreeMap<&'c str, BTreeSet<&'c str>> {
    let mut pairs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for call in calls {
        if let Some(caller) = call.caller.service().filter(|caller| **caller != *call.callee) {
            pairs.entry(caller).or_default().insert(&call.callee);
            pairs.entry(&call.callee).or_default().insert(caller);
        }
    }
    pairs
}

/// Changes of one group are evidence of the same thing.
fn group(kind: ChangeKind) -> u8 {
    match kind {
        ChangeKind::SelfTime => 0,
        ChangeKind::Gap => 1,
        ChangeKind::OwnErrors => 2,
        _ => 3,
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

/// Characters shown of a template.
const TEMPLATE_CHARS: usize = 120;

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
        let template = one_line(&template, TEMPLATE_CHARS);
        let what = match change.novelty {
            Novelty::New => "new",
            Novelty::Vanished => "vanished",
            Novelty::Bursting => "more often",
            Novelty::Usual => "less often",
        };
        let severity =
            change.severity.filter(|s| *s >= LogSeverity::Warn).map(|s| format!("{s:?} ").to_lowercase());
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
