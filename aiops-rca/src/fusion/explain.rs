//! What a callee's trouble explains in its callers.

use std::collections::BTreeSet;

use aiops_core::model::EntityId;

use super::calls::Calls;
use super::config::FusionConfig;
use super::finding::{Family, Finding, FindingKind};
use super::spans::index;

/// Sets [`Finding::own`]: what a caller suffers is its own only as far as no callee suffers as much of the same family. Own time in
/// spans is without that of callees, but for those who write none: `traced` do.
/// O(findings · log entities + calls · log calls).
pub(super) fn explain(
    findings: &mut [Finding],
    calls: &Calls<'_>,
    traced: &BTreeSet<&EntityId>,
    config: &FusionConfig,
) {
    for family in [Family::Time, Family::Outcome, Family::Traffic] {
        let mut trouble = vec![0.0_f64; calls.len()];
        // Calls that fail keep those waiting who make them.
        let concerns = |f: &Finding| {
            f.family() == family || (family == Family::Time && f.kind == FindingKind::CallErrors)
        };
        for finding in findings.iter().filter(|f| concerns(f)) {
            if let Some(cell) = calls.number(&finding.entity).and_then(|n| trouble.get_mut(index(n))) {
                *cell = cell.max(finding.strength);
            }
        }
        let arriving = calls.arriving(&trouble, config.per_call);
        for finding in findings.iter_mut().filter(|f| f.family() == family && f.strength > 0.0) {
            // Times in spans are without the callees' already, and so is what was shared out by traffic.
            let exclusive =
                matches!(finding.kind, FindingKind::SelfTime | FindingKind::CopyTime | FindingKind::CallTime)
                    || finding.shared;
            let exclusive = exclusive && !finding.hearsay;
            let own_time = matches!(finding.kind, FindingKind::SelfTime | FindingKind::CopyTime);
            if exclusive && !own_time {
                continue;
            }
            let number = calls.number(&finding.entity);
            let theirs = if own_time {
                let callees = number.map_or(&[] as &[u32], |n| calls.callees(n)).iter();
                let silent = callees.filter(|c| calls.entity(**c).is_some_and(|e| !traced.contains(e)));
                silent.filter_map(|c| trouble.get(index(*c))).copied().fold(0.0, f64::max)
            } else {
                number.and_then(|n| arriving.get(index(n))).copied().unwrap_or(0.0)
            };
            finding.own = 1.0 - config.explained * (theirs / finding.strength).min(1.0);
        }
    }
}
