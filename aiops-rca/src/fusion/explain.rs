//! What a callee's trouble explains in its callers.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{EdgeKind, EntityId, TelemetryWindow};

use super::config::FusionConfig;
use super::finding::{Family, Finding, FindingKind};

/// Who calls whom.
pub(super) struct Calls<'a> {
    callees: BTreeMap<&'a EntityId, BTreeSet<&'a EntityId>>,
    callers: BTreeMap<&'a EntityId, BTreeSet<&'a EntityId>>,
}

impl<'a> Calls<'a> {
    pub(super) fn of(reference: &'a TelemetryWindow, fault: &'a TelemetryWindow) -> Self {
        let mut callees: BTreeMap<&EntityId, BTreeSet<&EntityId>> = BTreeMap::new();
        for window in [reference, fault] {
            let calls = window.topology.edges().filter(|e| e.kind == EdgeKind::Calls && e.from != e.to);
            for edge in calls {
                callees.entry(&edge.from).or_default().insert(&edge.to);
            }
            let owners: std::collections::HashMap<_, _> =
                window.spans.iter().map(|s| (s.span_id, &s.entity)).collect();
            for span in &window.spans {
                if let Some(caller) = span.parent.and_then(|p| owners.get(&p))
                    && **caller != span.entity
                {
                    callees.entry(caller).or_default().insert(&span.entity);
                }
            }
        }
        let mut callers: BTreeMap<&EntityId, BTreeSet<&EntityId>> = BTreeMap::new();
        for (caller, callees) in &callees {
            for callee in callees {
                callers.entry(callee).or_default().insert(caller);
            }
        }
        Self { callees, callers }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.callees.is_empty()
    }

    /// Everybody `id` needs, with the number of calls in between, nearest first.
    fn needed<'s>(&'s self, id: &'s EntityId) -> Vec<(&'s EntityId, u32)> {
        let mut seen = BTreeSet::from([id]);
        let (mut found, mut front, mut hops) = (Vec::new(), vec![id], 0);
        while !front.is_empty() {
            hops += 1;
            let next = front.iter().flat_map(|e| self.callees.get(*e).into_iter().flatten());
            let next: Vec<&EntityId> = next.copied().filter(|e| seen.insert(e)).collect();
            found.extend(next.iter().map(|e| (*e, hops)));
            front = next;
        }
        found
    }

    /// Whom `id` calls.
    pub(super) fn callees<'s>(&'s self, id: &EntityId) -> impl Iterator<Item = &'a EntityId> + 's {
        self.callees.get(id).into_iter().flatten().copied()
    }

    /// Who calls `id`.
    pub(super) fn callers<'s>(&'s self, id: &EntityId) -> impl Iterator<Item = &'a EntityId> + 's {
        self.callers.get(id).into_iter().flatten().copied()
    }

    /// From `id` to the caller furthest up that is among `felt`, by shortest paths.
    pub(super) fn path_up(&self, id: &EntityId, felt: &BTreeSet<&EntityId>) -> Vec<EntityId> {
        let mut from: BTreeMap<&EntityId, &EntityId> = BTreeMap::new();
        let (mut front, mut last) = (vec![id], id);
        let mut seen = BTreeSet::from([id]);
        while !front.is_empty() {
            let mut next = Vec::new();
            for at in front {
                for caller in self.callers.get(at).into_iter().flatten() {
                    if felt.contains(caller) && seen.insert(caller) {
                        from.insert(caller, at);
                        next.push(*caller);
                    }
                }
            }
            last = next.first().copied().unwrap_or(last);
            front = next;
        }
        let mut path = vec![last.clone()];
        while let Some(before) = path.last().and_then(|at| from.get(at)) {
            path.push((*before).clone());
        }
        path.reverse();
        path
    }
}

/// Sets [`Finding::own`]: what a caller suffers is its own only as far as no callee suffers as much of the same family.
pub(super) fn explain(findings: &mut [Finding], calls: &Calls<'_>, config: &FusionConfig) {
    let mut trouble: BTreeMap<(EntityId, Family), f64> = BTreeMap::new();
    for finding in findings.iter() {
        let entry = trouble.entry((finding.entity.clone(), finding.kind.family())).or_default();
        *entry = entry.max(finding.strength);
    }
    let of = |e: &EntityId, f: Family| trouble.get(&(e.clone(), f)).copied().unwrap_or(0.0);
    let mut needed: BTreeMap<EntityId, Vec<(EntityId, u32)>> = BTreeMap::new();
    for finding in findings.iter_mut() {
        let family = finding.kind.family();
        // Times in spans are without the callees' already, and so is what was shared out by traffic.
        let exclusive =
            matches!(finding.kind, FindingKind::SelfTime | FindingKind::CallTime) || finding.shared;
        if family == Family::Own || exclusive || finding.strength <= 0.0 {
            continue;
        }
        let needed = needed.entry(finding.entity.clone()).or_insert_with(|| {
            calls.needed(&finding.entity).into_iter().map(|(e, n)| (e.clone(), n)).collect()
        });
        let mut share = 0.0_f64;
        for (callee, hops) in needed.iter() {
            let theirs = of(callee, family);
            let far = config.per_call.powi(i32::try_from(hops.saturating_sub(1)).unwrap_or(i32::MAX));
            share = share.max((theirs / finding.strength).min(1.0) * far);
        }
        finding.own = 1.0 - config.explained * share;
    }
}
