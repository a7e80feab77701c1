//! Attacks, told from settings that went wrong.

use aiops_core::model::{EvidenceId, FaultType, Signal};

use super::Scene;
use super::changes::changed_before;
use super::claim::Claim;
use super::mechanisms::told;
use crate::picture::{Group, Symptom};

/// Requests refused for lack of a right.
pub(crate) const AUTHENTICATION: &str = "authentication";
/// What guards against intruders reports.
pub(crate) const INTRUSION: &str = "intrusion";

/// Refused requests that come on top of the usual ones are somebody trying; refused instead of the usual ones, they are the
/// usual callers with a credential that no longer holds.
pub(super) fn claims(scene: &Scene<'_>, group: &Group<'_>) -> Vec<Claim> {
    let of =
        |mechanism: &str| group.strongest(|s| s.harmful && s.class.mechanism.as_deref() == Some(mechanism));
    let id = |s: &Symptom<'_>| -> Vec<EvidenceId> { vec![s.cited.id.clone()] };
    let mut claims = Vec::new();
    if let Some(s) = of(INTRUSION) {
        let statement = format!("{} is attacked, as its guards report: {}", scene.system, told(s));
        let claim = Claim::new(FaultType::Security, INTRUSION, statement, 0.9 * s.strength).citing(id(s));
        claims.push(claim.next(scene.ask("what was blocked, and from where", Signal::Logs)).apart(
            FaultType::Load,
            "guards against intruders report it",
            id(s),
        ));
    }
    let Some(refused) = of(AUTHENTICATION) else { return claims };
    let more = group.strongest(|s| s.is_load(scene.config.symptoms.load_rise));
    let changed = changed_before(scene, refused.onset());
    match (more, changed) {
        (Some(load), None) => {
            let statement = format!(
                "{} refuses far more requests for lack of a right, on top of the usual ones: {}",
                scene.system,
                told(refused)
            );
            claims.push(
                Claim::new(FaultType::Security, AUTHENTICATION, statement, 0.9 * refused.strength)
                    .citing(id(refused))
                    .citing(id(load))
                    .next(
                        scene
                            .ask("who is refused: few sources with many names, or every caller", Signal::Logs)
                            .settled_by(
                                "few sources, many names or secrets",
                                "the usual callers, each with its own credential",
                            ),
                    )
                    .apart(FaultType::Load, "what came on top is refused for lack of a right", id(refused))
                    .apart(
                        FaultType::Config,
                        "requests rose with the refusals, and nothing was changed before",
                        id(load),
                    ),
            );
        }
        (_, changed) => {
            let statement = format!(
                "{} refuses requests for lack of a right, in place of the usual answers: {}",
                scene.system,
                told(refused)
            );
            let mut claim = Claim::new(FaultType::Config, "credentials", statement, 0.6 * refused.strength)
                .citing(id(refused))
                .citing(changed.clone())
                .next(
                    scene
                        .ask("which credential or policy was rotated, expired or edited", Signal::Changes)
                        .settled_by(
                            "a credential, certificate or policy ended or changed before the onset",
                            "none did, and those refused are no usual callers",
                        ),
                );
            if more.is_none() {
                claim = claim.apart(
                    FaultType::Security,
                    "no more requests than before: who is refused was served before",
                    id(refused),
                );
            }
            claims.push(claim);
        }
    }
    claims
}
