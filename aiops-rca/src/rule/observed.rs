//! What the localiser observed beside the anomalies, as claims.

use std::collections::BTreeMap;

use aiops_core::model::{EvidenceId, FaultType, Observation, Signal, mechanism as word};

use super::Scene;
use super::claim::{Claim, corroborated};
use crate::fusion::{Effect, FindingKind, fault_of, kind_of};
use crate::roles::Words;

/// Path between caller and callee, in the word of [`mechanisms`](super::mechanisms).
pub(super) const NETWORK_PATH: &str = "network path";
/// It does what it did not, or no longer does what it did.
const CHANGED_WORK: &str = "changed work";

/// What one observation says of the cause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cause {
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
    let mut spoken: Vec<(Cause, &Observation)> = Vec::new();
    let mut silent: Vec<(FindingKind, &Observation)> = Vec::new();
    for seen in &scene.seen {
        match (named(seen), kind_of(&seen.aspect)) {
            (Some(cause), _) => spoken.push((cause, seen)),
            (None, Some(kind)) => silent.push((kind, seen)),
            // The word of another localiser: evidence of trouble, and of nothing in particular.
            (None, None) => {}
        }
    }
    // Who names a failure tells what others only count: failures no stronger than the one that is named are that one.
    let named = spoken.iter().map(|(_, seen)| seen.strength).fold(0.0, f64::max);
    let failure = [FindingKind::Errors, FindingKind::SpanErrors, FindingKind::LogErrors];
    silent.retain(|(kind, seen)| !failure.contains(kind) || seen.strength > named);
    let mut causes: BTreeMap<Cause, (f64, Vec<Sight<'_>>)> = BTreeMap::new();
    for (cause, seen) in spoken {
        // What a program says when it fails is its failure, in whichever line or span it says so.
        causes.entry(cause).or_insert((1.0, Vec::new())).1.push((Effect::Answers, seen));
    }
    let strengths = silent.iter().map(|(kind, seen)| (*kind, seen.strength));
    let (leading, decided_by) = fault_of(&scene.system, strengths);
    for (fault, kinds) in FAMILIES {
        let of_it: Vec<&(FindingKind, &Observation)> =
            silent.iter().filter(|s| kinds.contains(&s.0)).collect();
        let strongest = of_it.iter().max_by(|a, b| a.1.strength.total_cmp(&b.1.strength));
        let Some((kind, _)) = strongest else { continue };
        let decided = decided_by.filter(|_| fault == leading).unwrap_or(*kind);
        let cause = Cause { fault, mechanism: mechanism(decided).to_owned() };
        // Causes come before effects: what is busy is slow, what fails late is slow. The others stay possible.
        let share = if fault == leading { 1.0 } else { scene.config.observed.lesser };
        let entry = causes.entry(cause).or_insert((share, Vec::new()));
        entry.0 = entry.0.max(share);
        entry.1.extend(of_it.iter().map(|(kind, seen)| (kind.effect(), *seen)));
    }
    causes.into_iter().filter_map(|(cause, (share, seen))| claim(scene, cause, share, seen)).collect()
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
            FindingKind::WorkNew,
            FindingKind::SpanErrors,
            FindingKind::LogErrors,
            FindingKind::LogNew,
            FindingKind::LogMissing,
            FindingKind::Errors,
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
        FindingKind::WorkMissing
        | FindingKind::WorkNew
        | FindingKind::LogNew
        | FindingKind::LogMissing
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
        let support = share * s.strength / (s.strength + half);
        let entry = by_effect.entry(*effect).or_default();
        *entry = entry.max(support);
    }
    let support = corroborated(&by_effect);
    let statement =
        format!("{} of {}, as {} show: {}", cause.mechanism, scene.system, first.signal, first.statement);
    let cited = seen.iter().filter_map(|(_, s)| s.id.clone()).take(scene.config.observed.citations);
    let lasts = format!("whether {} of {} lasts as long as the symptoms do", cause.mechanism, scene.system);
    let mut claim = Claim::new(cause.fault, &cause.mechanism, statement, support).citing(cited).next(
        scene
            .ask(&lasts, first.signal)
            .settled_by("it begins and ends with them", "the symptoms go on without it"),
    );
    claim.by_effect = by_effect;
    Some(claim)
}

/// What a program itself calls its trouble. Text is data: only the words of the table count.
fn named(seen: &Observation) -> Option<Cause> {
    let speaks = seen.signal == Signal::Logs || kind_of(&seen.aspect) == Some(FindingKind::SpanErrors);
    // What is missing was written when all was well.
    if !speaks || kind_of(&seen.aspect) == Some(FindingKind::LogMissing) {
        return None;
    }
    let text = Words::of(&seen.statement);
    let says = |phrases: &&[&str]| phrases.iter().any(|p| text.contain(&Words::of(p)));
    let (fault, mechanism, _) = SPOKEN.iter().find(|(_, _, phrases)| says(phrases))?;
    Some(Cause { fault: *fault, mechanism: (*mechanism).to_owned() })
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
