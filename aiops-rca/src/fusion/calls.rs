//! Who calls whom.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use aiops_core::model::{EdgeKind, EntityId, TelemetryWindow};

use super::spans::{Operations, index};
use super::summary::Summary;

/// Calls between entities, these numbered in their order.
#[derive(Debug, Default)]
pub(super) struct Calls<'a> {
    entities: Vec<&'a EntityId>,
    callees: Vec<Vec<u32>>,
    callers: Vec<Vec<u32>>,
}

impl<'a> Calls<'a> {
    /// From what is known of the topology and from spans. O(calls · log calls).
    pub(super) fn of(
        windows: [&'a TelemetryWindow; 2],
        operations: &Operations<'a>,
        summaries: [&Summary; 2],
    ) -> Self {
        let mut pairs: BTreeSet<(&EntityId, &EntityId)> = BTreeSet::new();
        for window in windows {
            let calls = window.topology.edges().filter(|e| e.kind == EdgeKind::Calls);
            pairs.extend(calls.map(|e| (&e.from, &e.to)));
        }
        for (caller, callee) in summaries.into_iter().flat_map(|s| s.with_child.keys()) {
            if let (Some(caller), Some(callee)) = (operations.get(*caller), operations.get(*callee)) {
                pairs.insert((caller.0, callee.0));
            }
        }
        pairs.retain(|(caller, callee)| caller != callee);
        let all: BTreeSet<&EntityId> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        let entities: Vec<&EntityId> = all.into_iter().collect();
        let mut calls = Self {
            callees: vec![Vec::new(); entities.len()],
            callers: vec![Vec::new(); entities.len()],
            entities,
        };
        for (caller, callee) in pairs {
            let (Some(from), Some(to)) = (calls.number(caller), calls.number(callee)) else { continue };
            if let Some(list) = calls.callees.get_mut(index(from)) {
                list.push(to);
            }
            if let Some(list) = calls.callers.get_mut(index(to)) {
                list.push(from);
            }
        }
        calls
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// Entities that call or are called.
    pub(super) fn len(&self) -> usize {
        self.entities.len()
    }

    pub(super) fn entities(&self) -> impl Iterator<Item = (u32, &'a EntityId)> + '_ {
        (0..).zip(self.entities.iter().copied())
    }

    /// Who has this number.
    pub(super) fn entity(&self, number: u32) -> Option<&'a EntityId> {
        self.entities.get(index(number)).copied()
    }

    pub(super) fn number(&self, entity: &EntityId) -> Option<u32> {
        self.entities.binary_search(&entity).ok().and_then(|at| u32::try_from(at).ok())
    }

    /// Whom `number` calls, ascending.
    pub(super) fn callees(&self, number: u32) -> &[u32] {
        self.callees.get(index(number)).map_or(&[], Vec::as_slice)
    }

    /// Who calls `number`, ascending.
    pub(super) fn callers(&self, number: u32) -> &[u32] {
        self.callers.get(index(number)).map_or(&[], Vec::as_slice)
    }

    /// What arrives at each entity of the strongest `trouble` among those it needs: each call it travels up beyond the first
    /// leaves `per_call` of it. Nobody's own trouble comes back to it.
    ///
    /// Dijkstra's algorithm from all sources at once, with two sources kept for each entity, so that one that sits on a circle
    /// of calls has another to hear of than itself. O(calls · log calls).
    pub(super) fn arriving(&self, trouble: &[f64], per_call: f64) -> Vec<f64> {
        // Bits of floats that are not negative are in the order of the floats.
        let mut heap: BinaryHeap<(u64, u32, u32)> = BinaryHeap::new();
        let mut heard: Vec<[Option<(f64, u32)>; 2]> = vec![[None; 2]; self.len()];
        for (source, strength) in (0..).zip(trouble).filter(|(_, s)| **s > 0.0 && s.is_finite()) {
            heap.extend(self.callers(source).iter().map(|caller| (strength.to_bits(), *caller, source)));
        }
        while let Some((bits, at, source)) = heap.pop() {
            let Some(known) = heard.get_mut(index(at)) else { continue };
            if at == source || known.iter().flatten().any(|(_, from)| *from == source) {
                continue;
            }
            let Some(free) = known.iter_mut().find(|k| k.is_none()) else { continue };
            let strength = f64::from_bits(bits);
            *free = Some((strength, source));
            let on = (strength * per_call).to_bits();
            heap.extend(self.callers(at).iter().map(|caller| (on, *caller, source)));
        }
        heard.into_iter().map(|[first, _]| first.map_or(0.0, |f| f.0)).collect()
    }

    /// From `id` to the caller furthest up that is among `felt`, by shortest paths. O(calls).
    pub(super) fn path_up(&self, id: &EntityId, felt: &BTreeSet<u32>) -> Vec<EntityId> {
        let Some(start) = self.number(id) else { return vec![id.clone()] };
        let mut from: BTreeMap<u32, u32> = BTreeMap::new();
        let (mut front, mut last) = (vec![start], start);
        let mut seen = BTreeSet::from([start]);
        while !front.is_empty() {
            let mut next = Vec::new();
            for at in front {
                for caller in self.callers(at) {
                    if felt.contains(caller) && seen.insert(*caller) {
                        from.insert(*caller, at);
                        next.push(*caller);
                    }
                }
            }
            last = next.first().copied().unwrap_or(last);
            front = next;
        }
        let mut path = vec![last];
        while let Some(before) = path.last().and_then(|at| from.get(at)) {
            path.push(*before);
        }
        path.iter().rev().filter_map(|at| self.entities.get(index(*at)).map(|e| (*e).clone())).collect()
    }
}
