//! The topology, compiled: who stands how near to whom along the way that trouble travels.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use aiops_core::model::{EdgeKind, EntityId, Topology};
use serde::{Deserialize, Serialize};

/// How one entity stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The first needs the second, directly or not.
    Needs,
    /// The second needs the first.
    NeededBy,
    /// Both need a third.
    Shared,
}

/// An entity near another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Near {
    pub(super) node: usize,
    pub(super) distance: usize,
    pub(super) way: Way,
}

/// Services and what they need, with parts of one whole as one node.
///
/// Related are those of which one needs the other and those that need the same third: a path down and then up. Two that
/// are only called by the same third are not: the faults of one callee do not reach another through their caller.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Graph {
    nodes: Vec<EntityId>,
    index: BTreeMap<EntityId, usize>,
    needs: Vec<Vec<usize>>,
    needed_by: Vec<Vec<usize>>,
    /// How many nodes hang together with each, itself included.
    together: Vec<usize>,
}

impl Graph {
    pub(super) fn new(topology: &Topology) -> Self {
        let mut part_of: BTreeMap<&EntityId, &EntityId> = BTreeMap::new();
        for edge in topology.edges().filter(|edge| edge.kind == EdgeKind::PartOf) {
            part_of.entry(&edge.from).or_insert(&edge.to);
        }
        // A part of a part of a whole; a cycle ends where it began.
        let whole = |id: &EntityId| {
            let mut at = id.clone();
            let mut seen = BTreeSet::new();
            while let Some(next) = part_of.get(&at).filter(|_| seen.insert(at.clone())) {
                at = (*next).clone();
            }
            at
        };
        let wholes: BTreeSet<EntityId> = topology.entities().map(|e| whole(&e.id)).collect();
        let nodes: Vec<EntityId> = wholes.into_iter().collect();
        let place: BTreeMap<&EntityId, usize> = nodes.iter().zip(0..).collect();
        let index: BTreeMap<EntityId, usize> =
            topology.entities().filter_map(|e| Some((e.id.clone(), *place.get(&whole(&e.id))?))).collect();
        let mut edges: BTreeSet<(usize, usize)> = BTreeSet::new();
        for edge in topology.edges().filter(|edge| edge.kind != EdgeKind::PartOf) {
            if let (Some(from), Some(to)) = (index.get(&edge.from), index.get(&edge.to))
                && from != to
            {
                edges.insert((*from, *to));
            }
        }
        let mut needs = vec![Vec::new(); nodes.len()];
        let mut needed_by = vec![Vec::new(); nodes.len()];
        for (from, to) in edges {
            if let (Some(down), Some(up)) = (needs.get_mut(from), needed_by.get_mut(to)) {
                down.push(to);
                up.push(from);
            }
        }
        let together = components(&needs, &needed_by);
        Self { nodes, index, needs, needed_by, together }
    }

    /// Nodes.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// How many nodes hang together with `node`, itself included.
    pub(super) fn together(&self, node: usize) -> usize {
        self.together.get(node).copied().unwrap_or(1)
    }

    /// The whole that `id` is a part of, where it is known.
    pub(super) fn whole(&self, id: &EntityId) -> Option<&EntityId> {
        self.index.get(id).and_then(|node| self.nodes.get(*node))
    }

    pub(super) fn entity(&self, node: usize) -> Option<&EntityId> {
        self.nodes.get(node)
    }

    pub(super) fn knows(&self, id: &EntityId) -> bool {
        self.index.contains_key(id)
    }

    fn down(&self, node: usize) -> &[usize] {
        self.needs.get(node).map_or(&[], Vec::as_slice)
    }

    fn up(&self, node: usize) -> &[usize] {
        self.needed_by.get(node).map_or(&[], Vec::as_slice)
    }

    /// Those near `start`, itself left out, nearest first and then in order of id; each once, by its shortest way. Direct ways go before
    /// shared ones of the same length. O(edges among them).
    pub(super) fn near(&self, start: usize, max_distance: usize, limit: usize) -> Vec<Near> {
        let nodes = self.nodes.len();
        let mut found: Vec<Near> = Vec::new();
        // Place in `found` of each node; who was reached going down, and who going up.
        let mut place = vec![usize::MAX; nodes];
        let mut seen = [vec![false; nodes], vec![false; nodes]];
        // A path is some steps down and then some up. (node, steps, went up, went down)
        let mut queue = VecDeque::from([(start, 0_usize, false, false)]);
        let mut first = |node: usize, up: bool| {
            let [down_seen, up_seen] = &mut seen;
            let slot = if up { up_seen } else { down_seen }.get_mut(node);
            slot.is_some_and(|slot| !std::mem::replace(slot, true))
        };
        first(start, false);
        first(start, true);
        while let Some((node, distance, up, down)) = queue.pop_front() {
            if node != start {
                let way = match (down, up) {
                    (true, false) => Way::Needs,
                    (false, true) => Way::NeededBy,
                    _ => Way::Shared,
                };
                let Some(at) = place.get_mut(node) else { continue };
                match found.get_mut(*at) {
                    Some(near) if near.distance == distance => near.way = near.way.min(way),
                    Some(_) => {}
                    None => {
                        *at = found.len();
                        found.push(Near { node, distance, way });
                    }
                }
                if found.len() >= limit {
                    break;
                }
            }
            if distance == max_distance {
                continue;
            }
            // INVARIANT: ways up are queued first, so that of two equally short ways the direct one is found.
            for next in self.up(node).iter().filter(|next| first(**next, true)) {
                queue.push_back((*next, distance + 1, true, down));
            }
            if !up {
                for next in self.down(node).iter().filter(|next| first(**next, false)) {
                    queue.push_back((*next, distance + 1, false, true));
                }
            }
        }
        found.sort_by_key(|n| (n.distance, n.node));
        found
    }

    /// Everything that needs `id`, directly or not, with the number of hops, in order of id; at most `limit` of them.
    pub(super) fn dependents(&self, id: &EntityId, limit: usize) -> BTreeMap<usize, usize> {
        self.reach(id, limit, |node| self.up(node))
    }

    /// Everything that `id` needs, directly or not, with the number of hops, in order of id; at most `limit` of them.
    pub(super) fn dependencies(&self, id: &EntityId, limit: usize) -> BTreeMap<usize, usize> {
        self.reach(id, limit, |node| self.down(node))
    }

    fn reach<'g>(
        &'g self,
        id: &EntityId,
        limit: usize,
        next: impl Fn(usize) -> &'g [usize],
    ) -> BTreeMap<usize, usize> {
        let Some(start) = self.index.get(id).copied() else { return BTreeMap::new() };
        let mut reached = BTreeMap::from([(start, 0)]);
        let mut queue = VecDeque::from([(start, 0)]);
        while let Some((node, hops)) = queue.pop_front() {
            for to in next(node) {
                if reached.len() <= limit && !reached.contains_key(to) {
                    reached.insert(*to, hops + 1);
                    queue.push_back((*to, hops + 1));
                }
            }
        }
        reached.remove(&start);
        reached
    }

    /// Index of `id`'s whole.
    pub(super) fn node(&self, id: &EntityId) -> Option<usize> {
        self.index.get(id).copied()
    }
}

/// Size of the component of each node, edges taken both ways.
fn components(needs: &[Vec<usize>], needed_by: &[Vec<usize>]) -> Vec<usize> {
    let mut size = vec![0; needs.len()];
    for start in 0..needs.len() {
        if size.get(start) != Some(&0) {
            continue;
        }
        let mut members = vec![start];
        let mut at = 0;
        // Marked as met until the size is known.
        if let Some(slot) = size.get_mut(start) {
            *slot = 1;
        }
        while let Some(node) = members.get(at).copied() {
            at += 1;
            for next in [needs, needed_by].into_iter().filter_map(|edges| edges.get(node)).flatten() {
                if let Some(slot) = size.get_mut(*next).filter(|slot| **slot == 0) {
                    *slot = 1;
                    members.push(*next);
                }
            }
        }
        for node in &members {
            if let Some(slot) = size.get_mut(*node) {
                *slot = members.len();
            }
        }
    }
    size
}
