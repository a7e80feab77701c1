//! What the localiser saw of devices, of those who work on them in step, and of those who wait for them (DET-12).

use aiops_core::model::{EntityKind, EvidenceId, FaultType, Observation};

use super::claim::Claim;
use super::{Scene, mechanisms, observed};
use crate::fusion::{FindingKind, kind_of};

/// Whoever is waited for in a collective, on a machine that is well.
const HANG: &str = "collective hang";
/// Jobs wait though there is room.
const SCHEDULING: &str = "scheduling";
/// Jobs that wait, as anomalies tell.
const QUEUE: &str = "queue";

/// The kind of an observation of a fleet, the kind of fault and the mechanism that it speaks for.
pub(super) fn cause(scene: &Scene<'_>, seen: &Observation) -> Option<(FindingKind, FaultType, &'static str)> {
    let kind = kind_of(&seen.aspect)?;
    let (fault, mechanism) = match kind {
        FindingKind::Device => (FaultType::Hardware, "gpu"),
        FindingKind::Program => (FaultType::Code, "gpu program"),
        FindingKind::OutOfStep if mechanisms::is_machine(scene) => (FaultType::Hardware, "gpu"),
        FindingKind::OutOfStep => (FaultType::Code, HANG),
        FindingKind::Starvation => (FaultType::Code, SCHEDULING),
        _ => return None,
    };
    Some((kind, fault, mechanism))
}

/// Whether what else is seen of the system follows from what is seen of its devices: who is waited for makes a step long, and who fails
/// ends it.
pub(super) fn explains(scene: &Scene<'_>, kind: FindingKind) -> bool {
    let of_step = [FindingKind::Latency, FindingKind::Traffic, FindingKind::Liveness];
    of_step.contains(&kind) && sees(scene, &[FindingKind::OutOfStep, FindingKind::Program])
}

/// That jobs wait is no queue that ran out where there is room for them. What hangs or is stuck, a fresh process would be free of.
pub(super) fn explain(scene: &Scene<'_>, claims: &mut [Claim]) {
    let of = |claim: &Claim, word: &str| claim.mechanism.as_deref() == Some(word) && claim.system.is_none();
    for claim in claims.iter_mut().filter(|c| of(c, HANG) || of(c, SCHEDULING)) {
        claim.transient = true;
    }
    let starves = claims.iter().filter(|c| of(c, SCHEDULING)).map(|c| c.support).fold(0.0, f64::max);
    for claim in claims.iter_mut().filter(|c| of(c, QUEUE)) {
        claim.support *= 1.0 - scene.config.coincidence * starves;
    }
}

/// What shows that a change of the system is at work: devices err as software makes them, or what it gives out is not given.
pub(super) fn shows_change(scene: &Scene<'_>) -> Vec<EvidenceId> {
    // That a job suffers since it was changed says nothing of what the change did.
    if scene.system.kind() == EntityKind::Job {
        return Vec::new();
    }
    observed::cited(scene, &[FindingKind::RolledOut, FindingKind::Starvation])
}

fn sees(scene: &Scene<'_>, kinds: &[FindingKind]) -> bool {
    scene.seen.iter().any(|o| kind_of(&o.aspect).is_some_and(|k| kinds.contains(&k)))
}
