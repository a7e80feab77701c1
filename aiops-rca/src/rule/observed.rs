//! What the localiser observed beside the anomalies, as claims.

use std::collections::BTreeMap;

use aiops_core::model::{
    EntityId, EntityKind, EvidenceId, FaultType, Observation, Signal, mechanism as word,
};

use super::Scene;
use super::claim::{Claim, corroborated};
use super::{calls, fleet, mechanisms};
use crate::fusion::{Effect, FindingKind, fault_of, kind_of};
use crate::roles::Words;

/// Path between caller and callee, in the word of [`mechanisms`](super::mechanisms).
pub(super) const NETWORK_PATH: &str = "network path";
/// It does what it did not, or no longer does what it did.
const CHANGED_WORK: &str = "changed work";

/// The localiser's word for what is asked for from outside.
const LOAD: &str = "load";
/// More is asked of it than it can do.
const OVERLOAD: &str = "overload";

/// What one observation says of the cause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cause {
    /// Whose it is, where it is not the suspect's.
    system: Option<EntityId>,
    fault: FaultType,
    mechanism: String,
}

/// Words by which programs name what is wrong, in what they write. First match wins: the narrower before the wider.
const SPOKEN: [(FaultType, &str, &[&str]); 16] = [
    (FaultType::Hardware, "gpu", &["xid", "nvlink", "fallen off the bus", "nvswitch"]),
    (
        FaultType::Hardware,
        "hardware",
        &["ecc", "machine check", "hardware error", "bad sector", "medium error", "i o error"],
    ),
    (
        FaultType::Security,
        "authentication",
        &[
            "failed password",
            "invalid user",
            "brute force",
            "authentication failure",
            "authentication failed",
        ],
    ),
    (
        FaultType::Security,
        "intrusion",
        &[
            "intrusion",
            "exploit",
            "malware",
            "sql injection",
            "path traversal",
            "privilege escalation",
            "cve",
        ],
    ),
    (
        FaultType::ResourceExhaustion,
        word::MEMORY,
        &["out of memory", "outofmemoryerror", "out of memory error", "oom"],
    ),
    (FaultType::ResourceExhaustion, "disk", &["no space left", "disk full", "disk quota exceeded"]),
    (FaultType::ResourceExhaustion, "file descriptors", &["too many open files"]),
    (
        FaultType::ResourceExhaustion,
        word::CONNECTION_POOL,
        &[
            "pool exhausted",
            "too many connections",
            "connection pool timeout",
            "unable to acquire connection",
        ],
    ),
    (FaultType::ResourceExhaustion, word::LOCK, &["deadlock", "lock wait timeout"]),
    (FaultType::Load, "overload", &["too many requests", "rate limit", "overloaded", "queue full"]),
    (
        FaultType::Network,
        "name resolution",
        &["name resolution", "nxdomain", "no such host", "unknown host", "unknownhostexception"],
    ),
    (
        FaultType::Network,
        NETWORK_PATH,
        &[
            "no route to host",
            "network is unreachable",
            "network unreachable",
            "connection reset",
            "broken pipe",
        ],
    ),
    (
        FaultType::Config,
        "credentials",
        &[
            "certificate has expired",
            "certificate expired",
            "certificate verify failed",
            "credential expired",
        ],
    ),
    (
        FaultType::Config,
        "setting",
        &[
            "invalid configuration",
            "configuration error",
            "missing environment variable",
            "unknown property",
            "config error",
        ],
    ),
    (
        FaultType::Dependency,
        word::FAILING_RESPONSES,
        &["connection refused", "bad gateway", "upstream", "service unavailable", "circuit open"],
    ),
    (
        FaultType::Code,
        "exception",
        &[
            "nullpointerexception",
            "null pointer",
            "panicked",
            "segmentation fault",
            "stack overflow",
            "assertion",
        ],
    ),
];

/// Observations of the system and its parts, each told once.
pub(super) fn of_system<'c>(scene: &Scene<'c>) -> Vec<&'c Observation> {
    let suspects = scene.case.ranking().map(|r| r.suspects.as_slice()).unwrap_or_default();
    let own = suspects.iter().filter(|s| scene.picture.whole(&s.entity) == scene.system);
    let mut seen: Vec<&Observation> = Vec::new();
    for observation in own.flat_map(|s| &s.observations) {
        let told = |o: &&Observation| {
            (o.signal, &o.aspect, &o.statement)
                == (observation.signal, &observation.aspect, &observation.statement)
        };
        // Nothing that is not evidence of the case may be concluded from.
        let citable = observation.id.as_ref().is_some_and(|id| scene.case.cited(id).is_some());
        if citable && observation.strength.is_finite() && observation.strength > 0.0 && !seen.iter().any(told)
        {
            seen.push(observation);
        }
    }
    seen
}

/// Claims from what was observed, by cause; of one symptom the strongest sight counts, and symptoms corroborate each other.
pub(super) fn claims(scene: &Scene<'_>) -> Vec<Claim> {
    let mut spoken: Vec<(Cause, Sight<'_>)> = Vec::new();
    let mut silent: Vec<(FindingKind, &Observation)> = Vec::new();
    for seen in &scene.seen {
        if let Some(said) = calls::about(scene, seen) {
            let cause =
                Cause { system: said.system, fault: said.fault, mechanism: said.mechanism.to_owned() };
            spoken.push((cause, (Effect::Answers, *seen)));
        } else if seen.aspect == LOAD {
            spoken.push((asked_for(scene), (Effect::Traffic, *seen)));
        } else if let Some((kind, fault, mechanism)) = fleet::cause(scene, seen) {
            let cause = Cause { system: None, fault, mechanism: mechanism.to_owned() };
            spoken.push((cause, (kind.effect(), *seen)));
        } else if takes_longer(scene, seen) {
            let cause = Cause { system: None, fault: FaultType::Hardware, mechanism: "disk".to_owned() };
            spoken.push((cause, (Effect::Usage, *seen)));
        } else if let Some(cause) = named(scene, seen) {
            // What a program says when it fails is its failure, in whichever line or span it says so.
            spoken.push((cause, (Effect::Answers, *seen)));
        } else if let Some(kind) = kind_of(&seen.aspect) {
            silent.push((kind, *seen));
        }
        // Anything else is the word of another localiser: evidence of trouble, and of nothing in particular.
    }
    silent.retain(|(kind, _)| !fleet::explains(scene, *kind));
    // Who names a failure tells what others only count: failures no stronger than the one that is named are that one.
    let loudest = spoken.iter().map(|(_, (_, seen))| seen.strength).fold(0.0, f64::max);
    silent.retain(|(kind, seen)| !FAILURES.contains(kind) || seen.strength > loudest);
    let mut causes: BTreeMap<Cause, (f64, Vec<Sight<'_>>)> = BTreeMap::new();
    for (cause, sight) in spoken {
        causes.entry(cause).or_insert((1.0, Vec::new())).1.push(sight);
    }
    let (leading, decided_by) = leading(scene, &silent, loudest);
    for (fault, kinds) in FAMILIES {
        let of_it: Vec<&(FindingKind, &Observation)> =
            silent.iter().filter(|s| kinds.contains(&s.0)).collect();
        let strongest = of_it.iter().max_by(|a, b| a.1.strength.total_cmp(&b.1.strength));
        let Some((kind, _)) = strongest else { continue };
        let decided = decided_by.filter(|_| fault == leading).unwrap_or(*kind);
        let cause = by_nature(scene.system.kind(), fault, decided);
        // What it waits for is measured where something it uses is used up.
        let used = leading == FaultType::ResourceExhaustion && fault != leading;
        if used && cause.mechanism == WAITING && commensurate(scene, &silent, &of_it) {
            continue;
        }
        // Causes come before effects: what is busy is slow, what fails late is slow. The others stay possible.
        let share = if fault == leading { 1.0 } else { scene.config.observed.lesser };
        let entry = causes.entry(cause).or_insert((share, Vec::new()));
        entry.0 = entry.0.max(share);
        entry.1.extend(of_it.iter().map(|(kind, seen)| (kind.effect(), *seen)));
    }
    causes.into_iter().filter_map(|(cause, (share, seen))| claim(scene, cause, share, seen)).collect()
}

/// Whether what is used is, beside `effects`, enough to be their reason.
fn commensurate(
    scene: &Scene<'_>,
    silent: &[(FindingKind, &Observation)],
    effects: &[&(FindingKind, &Observation)],
) -> bool {
    let most = |all: &mut dyn Iterator<Item = f64>| all.fold(0.0, f64::max);
    let used = most(&mut silent.iter().filter(|s| s.0.effect() == Effect::Usage).map(|s| s.1.strength));
    let felt = most(&mut effects.iter().map(|s| s.1.strength));
    used >= scene.config.observed.commensurate * felt
}

/// Ways to see that it fails.
const FAILURES: [FindingKind; 3] = [FindingKind::Errors, FindingKind::SpanErrors, FindingKind::LogErrors];

/// The kind of fault that what nobody names speaks for, and what decided. A cause comes before its effects only where it is
/// commensurate with them: a processor that is a little busier explains no flood of errors.
fn leading(
    scene: &Scene<'_>,
    silent: &[(FindingKind, &Observation)],
    loudest: f64,
) -> (FaultType, Option<FindingKind>) {
    let (fault, kind) = fault_of(&scene.system, silent.iter().map(|(kind, seen)| (*kind, seen.strength)));
    let strongest = |of: &dyn Fn(&FindingKind) -> bool| {
        silent.iter().filter(|s| of(&s.0)).map(|s| s.1.strength).fold(0.0, f64::max)
    };
    let enough = scene.config.observed.commensurate;
    // More calls for each request are other work, and what is used and how long it takes are its effects.
    let more = strongest(&|k| *k == FindingKind::CallsMore);
    if more > 0.0 && more >= enough * strongest(&|_| true).max(loudest) {
        return (FaultType::Code, Some(FindingKind::CallsMore));
    }
    if fault != FaultType::ResourceExhaustion {
        return (fault, kind);
    }
    let usage = strongest(&|k| k.effect() == Effect::Usage);
    let failing = strongest(&|k| FAILURES.contains(k));
    if usage < enough * failing {
        (FaultType::Code, Some(FindingKind::LogErrors))
    } else if usage < enough * loudest {
        (FaultType::Unknown, None)
    } else {
        (fault, kind)
    }
}

/// The same signs mean another thing on another kind of system: a database that answers late waits for a lock, a
/// connection or a disk; a machine that is gone is broken; of somebody else's service nothing but its answers is known.
fn by_nature(system: EntityKind, fault: FaultType, decided: FindingKind) -> Cause {
    let cause = |fault, mechanism: &str| Cause { system: None, fault, mechanism: mechanism.to_owned() };
    let between = matches!(decided, FindingKind::CallTime | FindingKind::NetworkCounters);
    match (system, fault) {
        (EntityKind::External, FaultType::Network) => cause(FaultType::Dependency, word::SLOW_WORK),
        (EntityKind::External, _) => cause(FaultType::Dependency, word::FAILING_RESPONSES),
        (EntityKind::Tenant, _) => cause(FaultType::Load, word::TENANT_LOAD),
        (EntityKind::Database | EntityKind::Cache, FaultType::Network) if !between => {
            cause(FaultType::ResourceExhaustion, WAITING)
        }
        // What makes a machine slow for everybody on it is a part of it.
        (EntityKind::Node | EntityKind::Host, FaultType::Network) if !between => {
            cause(FaultType::Hardware, "hardware")
        }
        (EntityKind::Node | EntityKind::Host, FaultType::Code) => cause(FaultType::Hardware, "hardware"),
        // How long a step of it takes says nothing of a path: nobody calls it.
        (EntityKind::Job, FaultType::Network) if !between => cause(FaultType::Unknown, word::SLOW_WORK),
        _ => cause(fault, mechanism(decided)),
    }
}

/// It waits for something within that nothing measures.
const WAITING: &str = "waiting";

/// More from outside: an attack where what came on top is refused for lack of a right, else load.
fn asked_for(scene: &Scene<'_>) -> Cause {
    let refused = is_attacked(scene);
    let tenant = scene.system.kind() == EntityKind::Tenant;
    let (fault, mechanism) = match (refused, tenant) {
        (true, _) => (FaultType::Security, super::AUTHENTICATION),
        (false, true) => (FaultType::Load, word::TENANT_LOAD),
        (false, false) => (FaultType::Load, OVERLOAD),
    };
    Cause { system: None, fault, mechanism: mechanism.to_owned() }
}

/// An observation, and the symptom that it shows.
type Sight<'s> = (Effect, &'s Observation);

/// Kinds of findings by the kind of fault they speak for.
const FAMILIES: [(FaultType, &[FindingKind]); 3] = [
    (
        FaultType::ResourceExhaustion,
        &[FindingKind::Cpu, FindingKind::Memory, FindingKind::Resource, FindingKind::Saturation],
    ),
    (
        FaultType::Code,
        &[
            FindingKind::WorkMissing,
            FindingKind::CallsMissing,
            FindingKind::CallsMore,
            FindingKind::WorkNew,
            FindingKind::SpanErrors,
            FindingKind::LogErrors,
            FindingKind::LogNew,
            FindingKind::LogMissing,
            FindingKind::Errors,
            FindingKind::CopyTime,
            FindingKind::Liveness,
        ],
    ),
    (
        FaultType::Network,
        &[FindingKind::CallTime, FindingKind::SelfTime, FindingKind::Latency, FindingKind::NetworkCounters],
    ),
];

fn mechanism(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Cpu => "cpu",
        FindingKind::Memory => word::MEMORY,
        FindingKind::Saturation => "saturation",
        FindingKind::Resource => "resource",
        FindingKind::SpanErrors | FindingKind::LogErrors | FindingKind::Errors => word::FAILING_RESPONSES,
        FindingKind::Liveness => "unavailable",
        FindingKind::CopyTime => word::SLOW_WORK,
        FindingKind::WorkMissing
        | FindingKind::WorkNew
        | FindingKind::LogNew
        | FindingKind::LogMissing
        | FindingKind::CallsMore
        | FindingKind::CallsMissing => CHANGED_WORK,
        _ => NETWORK_PATH,
    }
}

fn claim(scene: &Scene<'_>, cause: Cause, share: f64, mut seen: Vec<Sight<'_>>) -> Option<Claim> {
    seen.sort_by(|(_, a), (_, b)| {
        b.strength.total_cmp(&a.strength).then_with(|| a.statement.cmp(&b.statement))
    });
    let (_, first) = seen.first()?;
    let half = scene.config.observed.half_strength;
    let mut by_effect: BTreeMap<Effect, f64> = BTreeMap::new();
    for (effect, s) in &seen {
        let (strength, half) = (s.strength * s.strength, half * half);
        let support = share * strength / (strength + half);
        let entry = by_effect.entry(*effect).or_default();
        *entry = entry.max(support);
    }
    let support = corroborated(&by_effect);
    let system = cause.system.as_ref().unwrap_or(&scene.system);
    let whose = cause.system.as_ref().map(|_| format!(" of {}", scene.system)).unwrap_or_default();
    let statement =
        format!("{} of {system}, as {}{whose} show: {}", cause.mechanism, first.signal, first.statement);
    let cited = seen.iter().filter_map(|(_, s)| s.id.clone()).take(scene.config.observed.citations);
    let lasts = format!("whether {} of {} lasts as long as the symptoms do", cause.mechanism, scene.system);
    let mut claim = Claim::new(cause.fault, &cause.mechanism, statement, support).citing(cited).next(
        scene
            .ask(&lasts, first.signal)
            .settled_by("it begins and ends with them", "the symptoms go on without it"),
    );
    claim.by_effect = by_effect;
    claim.system = cause.system;
    Some(claim)
}

/// A disk of a machine that is busy for longer, whatever it is asked: it fails, and nothing ran out.
fn takes_longer(scene: &Scene<'_>, seen: &Observation) -> bool {
    let disk = Words::of(&seen.statement).contain(&Words::of("disk"));
    let resource = kind_of(&seen.aspect) == Some(FindingKind::Resource);
    disk && resource && mechanisms::is_machine(scene) && mechanisms::tells_time(&seen.statement)
}

/// Whether somebody where users arrive writes of refused secrets or of intruders.
pub(super) fn is_attacked(scene: &Scene<'_>) -> bool {
    let suspects = scene.case.ranking().map(|r| r.suspects.as_slice()).unwrap_or_default();
    let attacks = [super::AUTHENTICATION, super::INTRUSION];
    // Between services a refused secret is a setting.
    let outermost = |system: &EntityId| scene.picture.callers(system).is_empty();
    let outside = suspects.iter().filter(|s| outermost(&scene.picture.whole(&s.entity)));
    outside.flat_map(|s| &s.observations).any(|seen| {
        let said = spoken(seen);
        said.is_some_and(|(fault, word)| fault == FaultType::Security && attacks.contains(&word))
    })
}

/// What a program itself calls its trouble. Text is data: only the words of the table count.
fn named(scene: &Scene<'_>, seen: &Observation) -> Option<Cause> {
    let (mut fault, mut mechanism) = spoken(seen)?;
    // A queue that is full says that work comes faster than it is done; whether more comes or less is done, others say.
    if mechanism == OVERLOAD && !is_sent_more(scene) {
        (fault, mechanism) = (FaultType::ResourceExhaustion, "queue");
    }
    Some(Cause { system: None, fault, mechanism: mechanism.to_owned() })
}

fn spoken(seen: &Observation) -> Option<(FaultType, &'static str)> {
    let speaks = seen.signal == Signal::Logs || kind_of(&seen.aspect) == Some(FindingKind::SpanErrors);
    // What is missing was written when all was well.
    if !speaks || kind_of(&seen.aspect) == Some(FindingKind::LogMissing) {
        return None;
    }
    let text = Words::of(&seen.statement);
    let says = |phrases: &&[&str]| phrases.iter().any(|p| text.contain(&Words::of(p)));
    SPOKEN.iter().find(|(_, _, phrases)| says(phrases)).map(|(fault, mechanism, _)| (*fault, *mechanism))
}

/// Whether more is asked of the system than before; yes where nobody counts it.
fn is_sent_more(scene: &Scene<'_>) -> bool {
    let Some(group) = scene.picture.groups.get(&scene.system).filter(|g| g.measures_traffic) else {
        return true;
    };
    let rise = scene.config.symptoms.load_rise;
    group.strongest(|s| s.is_load(rise)).is_some() || scene.seen.iter().any(|o| o.aspect == LOAD)
}

/// Evidence of observations of one of `kinds`, strongest first.
pub(super) fn cited(scene: &Scene<'_>, kinds: &[FindingKind]) -> Vec<EvidenceId> {
    let mut found: Vec<&Observation> = scene
        .seen
        .iter()
        .copied()
        .filter(|o| kind_of(&o.aspect).is_some_and(|k| kinds.contains(&k)))
        .collect();
    found.sort_by(|a, b| b.strength.total_cmp(&a.strength).then_with(|| a.id.cmp(&b.id)));
    found.into_iter().filter_map(|o| o.id.clone()).collect()
}
