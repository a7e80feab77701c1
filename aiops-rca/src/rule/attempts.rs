//! What earlier attempts in the case say about causes.

use aiops_core::action::{ActionKind, ActionOutcome, Operation};
use aiops_core::model::{
    CausalGround, CausalTest, EvidenceId, EvidenceKind, FaultType, NullFinding, Recovery, mechanism,
};

use super::claim::Claim;
use super::{Scene, null};

/// Weighs claims by what was tried. The case is still open, so whatever was tried did not help, or not for long.
pub(super) fn weigh(scene: &Scene<'_>, claims: &mut [Claim]) -> Vec<NullFinding> {
    let evidence: Vec<&EvidenceId> =
        scene.case.evidence().iter().filter(|e| e.kind == EvidenceKind::Attempt).map(|e| &e.id).collect();
    let mut nulls = Vec::new();
    for (n, (receipt, recovery)) in scene.case.attempts().enumerate() {
        let judged = matches!(recovery, Some(Recovery::NotRecovered | Recovery::Recovered));
        if receipt.outcome != ActionOutcome::Completed || !judged {
            continue;
        }
        let target = scene.picture.whole(&receipt.action.target);
        let id = evidence.get(n).copied();
        let how =
            if recovery == Some(Recovery::Recovered) { "helped only for a while" } else { "did not help" };
        for claim in claims.iter_mut() {
            let system = claim.system.as_ref().unwrap_or(&scene.system);
            if *system != target {
                continue;
            }
            let factor = factor(scene, claim, &receipt.action.operation);
            claim.support = (claim.support * factor).min(1.0);
            if factor < 1.0 {
                // Its remedy was made; what followed speaks, also where it held only for a while.
                let passed = recovery == Some(Recovery::Recovered);
                let statement = format!("{} {how}", receipt.action);
                claim.tests.push(CausalTest::new(CausalGround::Intervention, passed, statement));
            }
            if factor > 1.0 {
                claim.citations.extend(id.cloned());
                claim.statement += &format!("; {} {how}", receipt.action);
            }
        }
        if target == scene.system {
            let cited = id.map_or_else(String::new, |id| format!("{id}: "));
            nulls.push(null(format!("{cited}{} {how}", receipt.action)));
        }
    }
    nulls
}

/// How much more, or less, is to be said for `claim` after `operation` on its system did not help.
fn factor(scene: &Scene<'_>, claim: &Claim, operation: &Operation) -> f64 {
    let config = scene.config;
    let change = claim.change.as_ref().and_then(|id| scene.case.change(id)).map(|c| &c.change);
    match operation.kind() {
        ActionKind::RollingRestart if claim.transient => config.after_restart,
        // Configuration, code and kept state outlive a restart.
        ActionKind::RollingRestart
            if matches!(claim.fault, FaultType::Config | FaultType::Code | FaultType::Load) =>
        {
            1.5
        }
        ActionKind::Rollback => {
            let undone = change.and_then(|c| c.revision.as_ref()).and_then(|r| r.from.as_ref());
            match (operation, undone) {
                (Operation::Rollback { to }, Some(from)) if to == from => config.after_remedy,
                _ => 1.0,
            }
        }
        ActionKind::Throttle | ActionKind::Scale if claim.fault == FaultType::Load => config.after_remedy,
        ActionKind::CachePurge
            if matches!(claim.mechanism.as_deref(), Some("cache" | mechanism::CRASH_LOOP)) =>
        {
            config.after_remedy
        }
        ActionKind::LogRotation if claim.mechanism.as_deref() == Some("disk") => config.after_remedy,
        _ => 1.0,
    }
}
