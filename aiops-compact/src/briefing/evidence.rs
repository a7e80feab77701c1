//! Findings of all modalities on one scale, and what of them a callee explains.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::EntityId;

use super::{Finding, WeightOptions};

/// How far from chance: ln(1 + z / 3), so 0.7 at three standard errors and 3.5 at a hundred, where it ends. To what is
/// certain already, further certainty adds little.
pub(super) fn strength(z: f64) -> f64 {
    if z.is_nan() { 0.0 } else { (z.clamp(0.0, 100.0) / 3.0).ln_1p() }
}

/// What explains what: slowness explains slowness, wrong outcomes explain wrong outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Time,
    Outcome,
    /// Nobody's but its entity's, or without what callees account for already.
    Own,
}

/// A finding with what it is worth.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub(super) finding: Finding,
    /// What it speaks of: strengths of different aspects add up, those of one do not.
    pub(super) aspect: &'static str,
    pub(super) family: Family,
    pub(super) strength: f64,
    /// Whether `strength` is without what callees account for.
    pub(super) exclusive: bool,
}

/// Who calls whom.
#[derive(Debug, Default)]
pub(super) struct Callers {
    callees: BTreeMap<EntityId, BTreeSet<EntityId>>,
    callers: BTreeMap<EntityId, BTreeSet<EntityId>>,
}

impl Callers {
    pub(super) fn add(&mut self, caller: &EntityId, callee: &EntityId) {
        if caller != callee {
            self.callees.entry(caller.clone()).or_default().insert(callee.clone());
            self.callers.entry(callee.clone()).or_default().insert(caller.clone());
        }
    }

    /// Whom `id` calls.
    pub(super) fn callees<'s>(&'s self, id: &EntityId) -> impl Iterator<Item = &'s EntityId> + use<'s> {
        self.callees.get(id).into_iter().flatten()
    }

    /// Who calls `id`.
    pub(super) fn callers<'s>(&'s self, id: &EntityId) -> impl Iterator<Item = &'s EntityId> + use<'s> {
        self.callers.get(id).into_iter().flatten()
    }

    /// Everybody `id` needs, with the number of calls in between, nearest first.
    fn needed<'s>(&'s self, id: &'s EntityId) -> Vec<(&'s EntityId, i32)> {
        let mut seen = BTreeSet::from([id]);
        let (mut found, mut front, mut hops) = (Vec::new(), vec![id], 0);
        while !front.is_empty() {
            let next: Vec<&EntityId> =
                front.iter().flat_map(|e| self.callees(e)).filter(|e| seen.insert(e)).collect();
            found.extend(next.iter().map(|e| (*e, hops)));
            front = next;
            hops += 1;
        }
        found
    }
}

/// The findings, each worth what nobody else explains: what a caller suffers is its own only as far as nobody it needs
/// suffers as much of the same family. O(findings × entities needed).
pub(super) fn weighed(evidence: Vec<Evidence>, calls: &Callers, options: &WeightOptions) -> Vec<Finding> {
    let mut trouble: BTreeMap<Family, BTreeMap<&EntityId, f64>> = BTreeMap::new();
    for item in &evidence {
        let worst = trouble.entry(item.family).or_default().entry(&item.finding.entity).or_default();
        *worst = worst.max(item.strength);
    }
    let mut needed: BTreeMap<&EntityId, Vec<(&EntityId, i32)>> = BTreeMap::new();
    let mut own = Vec::with_capacity(evidence.len());
    for item in &evidence {
        if item.family == Family::Own || item.exclusive || item.strength <= 0.0 {
            own.push(item.strength);
            continue;
        }
        let entity = &item.finding.entity;
        let needed = needed.entry(entity).or_insert_with(|| calls.needed(entity));
        let of_family = trouble.get(&item.family);
        let share = needed.iter().fold(0.0_f64, |share, (callee, hops)| {
            let theirs = of_family.and_then(|of| of.get(callee)).copied().unwrap_or(0.0);
            share.max((theirs / item.strength).min(1.0) * options.per_call.powi(*hops))
        });
        own.push(item.strength * (1.0 - options.explained * share));
    }
    let weighed = evidence.into_iter().zip(own);
    weighed.map(|(item, strength)| item.finding.with_strength(item.aspect, strength)).collect()
}
