//! What speaks against acting on a cause without a person, whatever its confidence. // ACT-02, RCA-01

use aiops_core::model::{CausalGround, EntityId, Hypothesis};
use aiops_core::{Case, CasePart};

/// Why a person decides about the remedies of `cause`; `None` where nothing speaks against acting alone.
///
/// Confidence says how often answers that looked so strong were right. It does not know of two ways in which an answer looks strong
/// and is not: it leaves much of what is seen unaccounted for, or not every look at the case says so.
pub(super) fn doubt(case: &Case, cause: &Hypothesis) -> Option<String> {
    // What was tried and did not help is in the confidence already, and another remedy may.
    let mut tests = cause.causal_tests.iter().filter(|t| t.ground != CausalGround::Intervention);
    if let Some(failed) = tests.find(|t| !t.passed) {
        return Some(format!(
            "it does not stand the test of {}: {}",
            ground(failed.ground),
            failed.statement
        ));
    }
    let mut named = looks(case).filter(|h| h.system != cause.system);
    named.next().map(|other| format!("a look at this case named {} first", other.system))
}

/// Why a person decides about what is done to `target` for the sake of `cause`: somebody else is treated, of whom nothing was found.
pub(super) fn doubt_of(case: &Case, cause: &Hypothesis, target: &EntityId) -> Option<String> {
    let whole = case.window().map_or(target, |w| w.topology.whole(target));
    let hypotheses = case.diagnosis().map(|d| d.hypotheses.as_slice()).unwrap_or_default();
    let diagnosed =
        [target, whole].iter().any(|e| **e == cause.system || hypotheses.iter().any(|h| h.system == **e));
    (!diagnosed).then(|| format!("nothing is diagnosed of {target} itself"))
}

fn ground(ground: CausalGround) -> &'static str {
    match ground {
        CausalGround::Order => "order",
        CausalGround::Topology => "topology",
        _ => "intervention",
    }
}

/// The first answer of each look since the last attempt; what an attempt left over may well be another cause.
fn looks(case: &Case) -> impl Iterator<Item = &Hypothesis> {
    let since = case.entries().iter().rev().take_while(|e| !matches!(e.part, CasePart::Acted(_)));
    since.filter_map(|e| if let CasePart::Diagnosed(d) = &e.part { d.cause() } else { None })
}
