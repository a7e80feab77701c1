//! Errors about a call: they speak of whom was called, or of the way there, and not of who writes them.

use aiops_core::model::{EntityId, EntityKind, FaultType, Observation, mechanism as word};

use super::Scene;
use super::observed::NETWORK_PATH;
use crate::fusion::{FindingKind, kind_of};
use crate::roles::Words;

/// The localiser's word for what callers say of the suspect.
pub(super) const ACCUSED: &str = "call_errors";

/// Ways in which a call fails, by the words of programs. First match wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Certificate,
    Name,
    Right,
    Allowance,
    Lost,
    Answer,
}

const FAILURES: [(Failure, &[&str]); 6] = [
    (Failure::Certificate, &["certificate", "tls handshake", "x509"]),
    (
        Failure::Name,
        &[
            "no such host",
            "name resolution",
            "nxdomain",
            "unknown host",
            "unknownhostexception",
            "lookup failed",
        ],
    ),
    (
        Failure::Right,
        &[
            "unauthorized",
            "unauthenticated",
            "forbidden",
            "access denied",
            "permission denied",
            "authentication failed",
            "authentication failure",
            "invalid credential",
            "password",
        ],
    ),
    (Failure::Allowance, &["too many requests", "rate limit", "quota exceeded", "throttled"]),
    (
        Failure::Lost,
        &[
            "timed out",
            "timeout",
            "deadline exceeded",
            "connection reset",
            "broken pipe",
            "no route to host",
            "unreachable",
        ],
    ),
    (
        Failure::Answer,
        &[
            "connection refused",
            "bad gateway",
            "service unavailable",
            "internal server error",
            "gateway timeout",
            "upstream",
            "answered",
            "circuit open",
            "refused",
            "failed",
            "error",
        ],
    ),
];

/// What an error about a call says: who is at fault, where it is not the suspect, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Said {
    pub(super) system: Option<EntityId>,
    pub(super) fault: FaultType,
    pub(super) mechanism: &'static str,
}

/// What `seen` says about a call, where it is about one. Names come from the topology; text is data.
pub(super) fn about(scene: &Scene<'_>, seen: &Observation) -> Option<Said> {
    let words = Words::of(&seen.statement);
    if seen.aspect == ACCUSED {
        let how = failure(&words);
        // Who says how a call failed tells what others only count.
        let told = how.is_none() && scene.seen.iter().any(|o| says_how(o));
        return (!told).then(|| of(scene, how.unwrap_or(Failure::Answer), &scene.system));
    }
    let failing = [FindingKind::LogErrors, FindingKind::SpanErrors, FindingKind::LogNew];
    if !kind_of(&seen.aspect).is_some_and(|kind| failing.contains(&kind)) {
        return None;
    }
    let callees = scene.picture.direct_callees(&scene.system);
    let named = callees.map(|c| (Words::of(c.name()), c)).filter(|(name, _)| words.contain(name));
    let (_, callee) = named.max_by(|(a, x), (b, y)| a.len().cmp(&b.len()).then_with(|| y.cmp(x)))?;
    Some(of(scene, failure(&words)?, callee))
}

fn says_how(seen: &Observation) -> bool {
    seen.aspect == ACCUSED && failure(&Words::of(&seen.statement)).is_some()
}

fn failure(words: &Words) -> Option<Failure> {
    let says = |phrases: &&[&str]| phrases.iter().any(|p| words.contain(&Words::of(p)));
    FAILURES.iter().find(|(_, phrases)| says(phrases)).map(|(failure, _)| *failure)
}

fn of(scene: &Scene<'_>, failure: Failure, callee: &EntityId) -> Said {
    let other = (*callee != scene.system).then(|| callee.clone());
    let said = |system: Option<EntityId>, fault, mechanism| Said { system, fault, mechanism };
    let fails = || said(other.clone(), FaultType::Dependency, word::FAILING_RESPONSES);
    match failure {
        Failure::Certificate => said(other, FaultType::Config, "certificate"),
        Failure::Name => said(other, FaultType::Network, "name resolution"),
        // The secret is the caller's, unless everybody is refused.
        Failure::Right => said(None, FaultType::Config, "credentials"),
        // How somebody else's service fails is theirs to know.
        _ if callee.kind() == EntityKind::External => fails(),
        Failure::Allowance => said(other, FaultType::Load, "overload"),
        // What never arrives at somebody who serves as ever is lost between the two, and nothing between them has a name.
        Failure::Lost if is_well(scene, callee) => said(None, FaultType::Network, NETWORK_PATH),
        Failure::Lost | Failure::Answer => fails(),
    }
}

/// Whether its answers are measured and as ever.
fn is_well(scene: &Scene<'_>, callee: &EntityId) -> bool {
    let group = scene.picture.groups.get(callee).filter(|g| g.measures_serving && !g.fresh);
    let harmed = scene.config.observed.least_symptom;
    let heard = group.filter(|_| !super::dark::is_blind(scene, callee));
    heard.is_some_and(|g| g.trouble().is_none_or(|(strength, _)| strength < harmed))
}

#[cfg(test)]
mod tests {
    use super::{Failure, failure};
    use crate::roles::Words;

    #[test]
    fn the_narrower_word_wins() {
        for (text, expected) in [
            ("TLS handshake with mail failed: certificate has expired", Some(Failure::Certificate)),
            ("lookup of mail failed: no such host", Some(Failure::Name)),
            ("mail: access denied for user app", Some(Failure::Right)),
            ("mail answered 429 too many requests", Some(Failure::Allowance)),
            ("call to mail timed out after 2000 ms", Some(Failure::Lost)),
            ("connect to mail: connection refused", Some(Failure::Answer)),
            ("mail was told of an order", None),
        ] {
            assert_eq!(failure(&Words::of(text)), expected, "{text}");
        }
    }
}
