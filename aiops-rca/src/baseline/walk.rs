//! Random walk with restart over calls.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{EdgeKind, EntityId, Topology};

/// Weight of a step back to a caller, relative to one on to a callee; MonitorRank's ρ.
const BACKWARD: f64 = 0.2;
/// Probability to start anew.
const RESTART: f64 = 0.15;
const STEPS: usize = 100;

/// Share of visits. Steps prefer whoever scores more; the walker may also stay. Without calls it goes anywhere.
pub(super) fn visits<'a>(
    scores: &BTreeMap<&'a EntityId, f64>,
    fault: &Topology,
    reference: &Topology,
) -> BTreeMap<&'a EntityId, f64> {
    let index: BTreeMap<&EntityId, usize> = scores.keys().enumerate().map(|(i, e)| (*e, i)).collect();
    let weight: Vec<f64> = scores.values().map(|s| s.max(1e-6)).collect();
    let mut steps: Vec<BTreeMap<usize, f64>> = vec![BTreeMap::new(); weight.len()];
    let edges: BTreeSet<(usize, usize)> = [fault, reference]
        .into_iter()
        .flat_map(Topology::edges)
        .filter(|e| e.kind == EdgeKind::Calls)
        .filter_map(|e| Some((*index.get(&e.from)?, *index.get(&e.to)?)))
        .filter(|(a, b)| a != b)
        .collect();
    let mut add = |from: usize, to: usize, share: f64| {
        if let (Some(row), Some(w)) = (steps.get_mut(from), weight.get(to)) {
            let cell = row.entry(to).or_default();
            *cell = cell.max(share * w);
        }
    };
    for (caller, callee) in &edges {
        add(*caller, *callee, 1.0);
        add(*callee, *caller, BACKWARD);
    }
    for i in 0..weight.len() {
        if edges.is_empty() {
            (0..weight.len()).for_each(|j| add(i, j, 1.0));
        } else {
            add(i, i, 1.0);
        }
    }
    let total: f64 = weight.iter().sum();
    let start: Vec<f64> = weight.iter().map(|w| w / total).collect();
    let mut at = start.clone();
    for _ in 0..STEPS {
        let mut next: Vec<f64> = start.iter().map(|s| s * RESTART).collect();
        for (row, here) in steps.iter().zip(&at) {
            let out: f64 = row.values().sum();
            for (to, w) in row {
                if let Some(cell) = next.get_mut(*to) {
                    *cell += (1.0 - RESTART) * here * w / out;
                }
            }
        }
        at = next;
    }
    scores.keys().copied().zip(at).collect()
}
