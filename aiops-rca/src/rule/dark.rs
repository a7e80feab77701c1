//! What could not be seen (RCA-04): said always, and the verdict where nothing that is seen could tell the cause.

use std::collections::BTreeSet;

use aiops_core::Case;
use aiops_core::model::{
    Diagnosis, DiagnosisStatus, EdgeKind, EntityId, EntityKind, EvidenceKind, NullFinding, Signal,
    TelemetryWindow, mechanism, time,
};

use super::Scene;
use super::claim::Claim;
use crate::fusion::{FindingKind, kind_of};
use crate::picture::Symptom;
use crate::roles::MetricRole;

/// What each signal would tell of a cause.
const TELLS: [(Signal, &str); 4] = [
    (Signal::Metrics, "what runs out, restarts or is sent more"),
    (Signal::Traces, "whether time goes into work or is lost on the way"),
    (Signal::Logs, "what programs themselves say is wrong"),
    (Signal::Changes, "what was changed before"),
];

/// Signals nobody looked at, blind spots, and what the localiser could not see.
pub(super) fn unseen(case: &Case, window: &TelemetryWindow) -> Vec<String> {
    let there = |signal: Signal| match signal {
        Signal::Metrics => !window.metrics.is_empty(),
        Signal::Traces => !window.spans.is_empty(),
        Signal::Logs => !window.logs.is_empty(),
        Signal::Changes => !window.changes.is_empty(),
        _ => true,
    };
    let not_read = TELLS.iter().filter(|(signal, _)| !window.observed.contains(*signal) && !there(*signal));
    let mut unseen: Vec<String> =
        not_read.map(|(signal, tells)| format!("{signal} were not looked at: {tells}")).collect();
    for line in case.ranking().map(|r| r.unseen.as_slice()).unwrap_or_default() {
        if !unseen.contains(line) {
            unseen.push(line.clone());
        }
    }
    for gap in case.evidence().iter().filter(|e| e.kind == EvidenceKind::Gap) {
        let whose = gap.entity.as_ref().map(|e| format!(" of {e}")).unwrap_or_default();
        let line = format!("{}{whose} ({})", gap.statement, gap.id);
        if !unseen.contains(&line) {
            unseen.push(line);
        }
    }
    unseen
}

/// Kinds of signals that the suspect does not report: what is not measured cannot be ruled out.
pub(super) fn unmeasured(scene: &Scene<'_>) -> Vec<String> {
    let Some(group) = scene.picture.groups.get(&scene.system).filter(|g| g.has_metrics) else {
        return Vec::new();
    };
    let system = &scene.system;
    let parts = [
        (group.measures_resources, "no resource, pool, lock or queue"),
        (group.measures_serving, "neither latency nor errors of the answers"),
        (group.measures_traffic, "no count of requests or work"),
    ];
    let missing = parts.iter().filter(|(measured, _)| !measured);
    missing.map(|(_, what)| format!("{what} of {system} is measured")).collect()
}

/// What to instrument, where the suspect's trouble is felt and nothing that is seen of it, or of what it needs, could tell the
/// cause.
pub(super) fn verdict(scene: &Scene<'_>, claims: &[Claim]) -> Option<Vec<String>> {
    let system = &scene.system;
    let group = scene.picture.groups.get(system);
    let unheard = !group.is_some_and(|g| g.has_metrics) && scene.seen.is_empty();
    // Only callers speak of it, and what they say tells that it fails and not why.
    if ((unheard && system.kind() != EntityKind::Tenant) || is_blind(scene, system)) && !is_down(scene) {
        return Some(everything(scene, system));
    }
    // The most likely cause is somebody the suspect needs and of whom nothing is seen.
    let first = claims.iter().max_by(|a, b| a.support.total_cmp(&b.support));
    if let Some(accused) = first.and_then(|c| c.system.as_ref()).filter(|s| is_blind(scene, s)) {
        return Some(everything(scene, accused));
    }
    if let Some(missing) = unread_devices(scene) {
        return Some(missing);
    }
    // It answers late or wrongly, that is all that is known; and the reason may lie with those it needs, of whom nothing is.
    let only_felt = claims.iter().filter(|c| c.support > 0.0).all(|c| {
        let word = c.mechanism.as_deref();
        matches!(word, Some(mechanism::SLOW_WORK | mechanism::FAILING_RESPONSES)) && c.by_effect.is_empty()
    });
    let needed: Vec<&EntityId> = scene.picture.dark_callees(system).collect();
    let harmed = group.is_some_and(|g| g.symptoms.iter().any(Symptom::is_serving_trouble));
    let measured = group.is_some_and(|g| g.measures_resources);
    if !only_felt || !harmed || measured || needed.is_empty() || !scene.seen.is_empty() {
        return None;
    }
    let mut missing = vec![format!("processor, memory and saturation of {system}")];
    for callee in needed {
        missing.extend(of_requests(callee));
        missing.extend(gaps(scene, callee));
    }
    Some(missing)
}

/// Kinds of observations that tell why a job is slow, whatever its devices do.
const TELLING: [FindingKind; 4] =
    [FindingKind::Program, FindingKind::OutOfStep, FindingKind::LogErrors, FindingKind::Memory];

/// What to read of the devices a job works on, where nothing is read of any of them and nothing else tells why it is slow.
fn unread_devices(scene: &Scene<'_>) -> Option<Vec<String>> {
    let window = scene.case.window().filter(|_| scene.system.kind() == EntityKind::Job)?;
    if scene.seen.iter().any(|o| kind_of(&o.aspect).is_some_and(|kind| TELLING.contains(&kind))) {
        return None;
    }
    let edges = |kind: EdgeKind| window.topology.edges().filter(move |e| e.kind == kind);
    let its_own = |e: &EntityId| scene.picture.whole(e) == scene.system;
    let machines: BTreeSet<&EntityId> =
        edges(EdgeKind::RunsOn).filter(|e| its_own(&e.from)).map(|e| &e.to).collect();
    let devices: BTreeSet<&EntityId> = edges(EdgeKind::PartOf)
        .filter(|e| e.from.kind() == EntityKind::Gpu && machines.contains(&e.to))
        .map(|e| &e.from)
        .collect();
    let since = time::before(window.range.end(), STALE);
    let told = window
        .metrics
        .iter()
        .filter(|s| devices.contains(s.entity()))
        .any(|s| s.points().next_back().is_some_and(|(at, _)| at >= since));
    let read = window.observed.contains(Signal::Metrics) || !window.metrics.is_empty();
    if told || devices.is_empty() || !read {
        return None;
    }
    Some(machines.into_iter().map(|m| format!("temperature, clock and errors of the GPUs of {m}")).collect())
}

/// What to instrument, where the answer is about somebody of whom nothing is seen.
pub(super) fn of_answer(scene: &Scene<'_>) -> Option<Vec<String>> {
    (is_blind(scene, &scene.system) && !is_down(scene)).then(|| everything(scene, &scene.system))
}

/// Whether those who watch over it say that it is not there: then that is why it tells nothing.
fn is_down(scene: &Scene<'_>) -> bool {
    let group = scene.picture.groups.get(&scene.system).into_iter();
    let gone = |s: &Symptom<'_>| {
        s.class.role == MetricRole::Liveness
            && s.anomaly().ongoing
            && s.anomaly().value <= 0.0
            && s.anomaly().entity == scene.system
    };
    group.flat_map(|g| g.harmful()).any(gone)
}

/// Telemetry that is older than this, by the end of the window, tells nothing of what is the matter now.
const STALE: std::time::Duration = std::time::Duration::from_secs(300);

/// Whether `system`, which is ours, told nothing of itself lately: no metric of its own, no line and no span. What an orchestrator tells
/// of it (copies wanted and ready, restarts) is no telemetry of its own. Somebody else's service and a tenant have none to lose.
pub(super) fn is_blind(scene: &Scene<'_>, system: &EntityId) -> bool {
    if matches!(system.kind(), EntityKind::External | EntityKind::Tenant) {
        return false;
    }
    let Some(window) = scene.case.window() else { return false };
    let is_it = |entity: &EntityId| entity == system || scene.picture.whole(entity) == *system;
    let since = time::before(window.range.end(), STALE);
    let measured = scene.picture.groups.get(system).is_some_and(|g| {
        g.own.iter().any(|series| series.points().next_back().is_some_and(|(at, _)| at >= since))
    });
    let known = window.topology.get(system).is_some();
    let read = window.observed.contains(Signal::Metrics) || !window.metrics.is_empty();
    known
        && read
        && !measured
        && !window.logs.iter().any(|l| l.time >= since && is_it(&l.entity))
        && !window.spans.iter().any(|s| s.start >= since && is_it(&s.entity))
}

fn everything(scene: &Scene<'_>, system: &EntityId) -> Vec<String> {
    let mut missing = of_requests(system);
    missing.push(format!("processor, memory and saturation of {system}"));
    missing.extend(gaps(scene, system));
    missing
}

fn of_requests(entity: &EntityId) -> Vec<String> {
    vec![format!("request rate, errors and duration of {entity}")]
}

fn gaps(scene: &Scene<'_>, entity: &EntityId) -> Vec<String> {
    let lost =
        |e: &&aiops_core::model::Evidence| e.kind == EvidenceKind::Gap && e.entity.as_ref() == Some(entity);
    let gap = scene.case.evidence().iter().find(lost);
    gap.map(|gap| format!("what was lost: {} ({})", gap.statement, gap.id)).into_iter().collect()
}

/// An answer without a suspect. Where symptoms or blind spots are all there is, that is darkness and not health.
pub(super) fn nothing(case: &Case, why: &str) -> Diagnosis {
    let mut diagnosis = Diagnosis::new(Vec::new());
    diagnosis.null_findings.push(NullFinding { statement: why.to_owned() });
    let Some(window) = case.window() else { return diagnosis };
    diagnosis.unseen = unseen(case, window);
    let felt: BTreeSet<&EntityId> = case.anomalies().iter().map(|a| &a.anomaly.entity).collect();
    let gaps: Vec<String> = case
        .evidence()
        .iter()
        .filter(|e| e.kind == EvidenceKind::Gap)
        .map(|e| format!("what was lost: {} ({})", e.statement, e.id))
        .collect();
    if felt.is_empty() && gaps.is_empty() {
        return diagnosis;
    }
    let mut missing: Vec<String> = felt.into_iter().map(|e| format!("telemetry of what {e} needs")).collect();
    missing.extend(gaps);
    diagnosis.status = DiagnosisStatus::ObservabilityDark { missing };
    diagnosis
}
