//! What the field does about a cause, by whom it is about. The table stands at [`RemedyPlanner`](super::RemedyPlanner).

use aiops_core::Case;
use aiops_core::model::{EdgeKind, EntityId, EntityKind, FaultType, Hypothesis, Topology, mechanism};

/// What the diagnosis calls storage that fills.
const DISK: &str = "disk";
/// What it calls a busy processor.
const CPU: &str = "cpu";
/// What it calls ranks that wait for one that never arrives.
const HANG: &str = "collective hang";
/// What it calls jobs that wait though there is room for them.
const SCHEDULING: &str = "scheduling";

/// A remedy for the system of a cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Remedy {
    Restart,
    Purge,
    RotateLogs,
    Drain,
    Throttle,
    /// More copies of the system itself, or of somebody it sends its work to.
    MoreOf(EntityId),
}

/// Remedies for `cause` beside undoing its change, best first.
pub(super) fn remedies(case: &Case, cause: &Hypothesis) -> Vec<Remedy> {
    match cause.system.kind() {
        EntityKind::External => Vec::new(),
        EntityKind::Node | EntityKind::Host => machine(case, cause),
        EntityKind::Tenant => tenant(cause),
        EntityKind::Cache => cache(cause),
        EntityKind::Database => database(cause),
        _ => workload(case, cause),
    }
}

/// Work is moved away from what is broken. What only computes a lot, as a batch job does, ends by itself or by whoever sent it.
fn machine(case: &Case, cause: &Hypothesis) -> Vec<Remedy> {
    let another = case.window().is_some_and(|w| {
        let machines = w.topology.entities().filter(|e| e.id.kind() == cause.system.kind());
        machines.into_iter().any(|e| e.id != cause.system)
    });
    match cause.fault {
        FaultType::ResourceExhaustion if is(cause, DISK) => vec![Remedy::RotateLogs],
        FaultType::Hardware | FaultType::Network | FaultType::ResourceExhaustion if another => {
            vec![Remedy::Drain]
        }
        _ => Vec::new(),
    }
}

fn tenant(cause: &Hypothesis) -> Vec<Remedy> {
    match cause.fault {
        FaultType::Load | FaultType::Security => vec![Remedy::Throttle],
        _ => Vec::new(),
    }
}

fn cache(cause: &Hypothesis) -> Vec<Remedy> {
    let serves_badly = matches!(cause.fault, FaultType::ResourceExhaustion | FaultType::Dependency);
    if serves_badly || is(cause, mechanism::CRASH_LOOP) || restart_frees(cause) {
        vec![Remedy::Purge, Remedy::Restart]
    } else {
        Vec::new()
    }
}

fn database(cause: &Hypothesis) -> Vec<Remedy> {
    if cause.fault == FaultType::ResourceExhaustion && is(cause, DISK) {
        return vec![Remedy::RotateLogs];
    }
    let holds = [mechanism::MEMORY, mechanism::CONNECTION_POOL, mechanism::LOCK];
    let held = holds.iter().any(|m| is(cause, m));
    // A busy processor of a database is a query or a missing index; what answers late may wait for its replica.
    let ran_out = cause.fault == FaultType::ResourceExhaustion && !is(cause, CPU);
    if held || ran_out { vec![Remedy::Restart] } else { Vec::new() }
}

fn workload(case: &Case, cause: &Hypothesis) -> Vec<Remedy> {
    if cause.fault == FaultType::ResourceExhaustion && is(cause, DISK) {
        return vec![Remedy::RotateLogs];
    }
    if is(cause, mechanism::CRASH_LOOP) {
        // What a job starts from is its work up to its last checkpoint, and one more start is what it gets already.
        let job = cause.system.kind() == EntityKind::Job;
        return if job { Vec::new() } else { vec![Remedy::Purge, Remedy::Restart] };
    }
    let known = case.window().map(|w| &w.topology);
    let entry = known.is_some_and(|t| is_entry(t, &cause.system) && felt_there(t, cause));
    if is(cause, mechanism::TENANT_LOAD) && !entry {
        return vec![Remedy::Throttle];
    }
    if cause.fault == FaultType::Load || is(cause, mechanism::TENANT_LOAD) {
        let below = known.filter(|_| entry).map(|t| suffering(case, t, &cause.system)).unwrap_or_default();
        return below.into_iter().chain([cause.system.clone()]).map(Remedy::MoreOf).collect();
    }
    // What somebody burns or steals on purpose comes back with every start, and evidence is lost.
    let hostile = cause.fault == FaultType::Security;
    let ran_out = cause.fault == FaultType::ResourceExhaustion;
    let frees = ran_out || (restart_frees(cause) && !of_program(case, cause));
    if frees && !hostile { vec![Remedy::Restart] } else { Vec::new() }
}

/// Whether it is the program that answers wrongly, and nothing that one process holds: copies do not go wrong together by chance, so it lies
/// in what they share, code or data, which a fresh process reads anew. What one of several copies shows alone is that copy's. That its
/// callers find it failing is the same failure told again.
fn of_program(case: &Case, cause: &Hypothesis) -> bool {
    let fails = |h: &Hypothesis| is(h, mechanism::FAILING_RESPONSES);
    let hypotheses = case.diagnosis().map(|d| d.hypotheses.as_slice()).unwrap_or_default();
    let mut told = hypotheses.iter().take_while(|h| *h != cause).chain([cause]);
    let wrong =
        fails(cause) && told.any(|h| h.system == cause.system && h.fault == FaultType::Code && fails(h));
    let suspects = case.ranking().map(|r| r.suspects.as_slice()).unwrap_or_default();
    let whole = |e: &EntityId| case.window().map_or_else(|| e.clone(), |w| w.topology.whole(e).clone());
    let first = suspects.iter().find(|s| s.entity == cause.system || whole(&s.entity) == cause.system);
    wrong && first.is_none_or(|s| s.entity == cause.system)
}

/// What a fresh process is free of.
fn restart_frees(cause: &Hypothesis) -> bool {
    let transient = [
        mechanism::MEMORY,
        mechanism::CONNECTION_POOL,
        mechanism::LOCK,
        mechanism::SLOW_WORK,
        mechanism::FAILING_RESPONSES,
        // All ranks start from their last checkpoint; while they wait for each other nothing is lost by that.
        HANG,
        // Whoever waits in its queue is kept outside of its process.
        SCHEDULING,
    ];
    // A job that is slow, and not stuck, would only lose what it did since its checkpoint.
    let only_slow = cause.system.kind() == EntityKind::Job && is(cause, mechanism::SLOW_WORK);
    !only_slow && transient.iter().any(|m| is(cause, m))
}

fn is(cause: &Hypothesis, mechanism: &str) -> bool {
    cause.mechanism.as_deref() == Some(mechanism)
}

/// Nobody calls it, and it calls others: users arrive there.
fn is_entry(topology: &Topology, service: &EntityId) -> bool {
    topology.needed_by(service, EdgeKind::Calls).next().is_none()
        && topology.needs(service, EdgeKind::Calls).next().is_some()
}

/// Whether trouble is felt by its own callers alone. Of a worker that nobody calls it is felt by others, who share what it asks for.
fn felt_there(topology: &Topology, cause: &Hypothesis) -> bool {
    cause.path.last().is_none_or(|end| topology.whole(end) == &cause.system)
}

/// Services that `entry` sends work to and that are suspected themselves, most suspected first.
fn suffering(case: &Case, topology: &Topology, entry: &EntityId) -> Vec<EntityId> {
    let mut found: Vec<EntityId> = Vec::new();
    for suspect in case.ranking().map(|r| r.suspects.as_slice()).unwrap_or_default() {
        let whole = topology.whole(&suspect.entity);
        let below = whole != entry && topology.path(entry, whole).is_some();
        let troubled = suspect.score.is_finite() && suspect.score > 0.0;
        if whole.kind() == EntityKind::Service && below && troubled && !found.contains(whole) {
            found.push(whole.clone());
        }
    }
    found
}
