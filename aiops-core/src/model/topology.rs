//! Who calls, runs on and depends on whom (ING-05).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::entity::{Entity, EntityId};

/// What an edge says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// `from` sends requests to `to`.
    Calls,
    /// `from` is executed on `to`.
    RunsOn,
    /// `from` needs `to` in another way.
    DependsOn,
    /// `from` is one of the copies or parts of `to`.
    PartOf,
}

/// A directed edge: `from` needs `to`, so trouble travels from `to` to `from`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// The one that needs.
    pub from: EntityId,
    /// The one that is needed.
    pub to: EntityId,
    /// How.
    pub kind: EdgeKind,
}

/// Entities and edges, in a fixed order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    #[serde(default)]
    entities: BTreeMap<EntityId, Entity>,
    #[serde(default)]
    edges: BTreeSet<Edge>,
}

impl Topology {
    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entity, or replaces what was known of it.
    pub fn insert(&mut self, entity: Entity) {
        self.entities.insert(entity.id.clone(), entity);
    }

    /// Adds an edge and, where they are new, its two ends.
    pub fn connect(&mut self, from: EntityId, to: EntityId, kind: EdgeKind) {
        for id in [&from, &to] {
            if !self.entities.contains_key(id) {
                self.entities.insert(id.clone(), Entity::new(id.clone()));
            }
        }
        self.edges.insert(Edge { from, to, kind });
    }

    /// Adds everything `other` knows; where both know an entity, `other` wins.
    pub fn merge(&mut self, other: Self) {
        self.entities.extend(other.entities);
        self.edges.extend(other.edges);
    }

    /// What is known of `id`.
    #[must_use]
    pub fn get(&self, id: &EntityId) -> Option<&Entity> {
        self.entities.get(id)
    }

    /// All entities in the order of their ids.
    pub fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.entities.values()
    }

    /// All edges in order.
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.edges.iter()
    }

    /// Edges of `kind` that leave `id`: what it needs.
    pub fn needs<'a>(&'a self, id: &'a EntityId, kind: EdgeKind) -> impl Iterator<Item = &'a EntityId> {
        self.edges.iter().filter(move |e| e.kind == kind && e.from == *id).map(|e| &e.to)
    }

    /// Edges of `kind` that arrive at `id`: who needs it.
    pub fn needed_by<'a>(&'a self, id: &'a EntityId, kind: EdgeKind) -> impl Iterator<Item = &'a EntityId> {
        self.edges.iter().filter(move |e| e.kind == kind && e.to == *id).map(|e| &e.from)
    }

    /// The whole that `id` is a part of (its service, for an instance); itself when it is none.
    #[must_use]
    pub fn whole<'a>(&'a self, id: &'a EntityId) -> &'a EntityId {
        self.needs(id, EdgeKind::PartOf).next().unwrap_or(id)
    }

    /// A shortest way from `from` to `to` along [`EdgeKind::Calls`] and [`EdgeKind::DependsOn`], both ends included.
    ///
    /// Ties go to the smaller entity id. O(entities · edges).
    #[must_use]
    pub fn path(&self, from: &EntityId, to: &EntityId) -> Option<Vec<EntityId>> {
        let mut came_from: BTreeMap<&EntityId, &EntityId> = BTreeMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(here) = queue.pop_front() {
            if here == to {
                let mut way = vec![here.clone()];
                let mut at = here;
                while let Some(previous) = came_from.get(at).filter(|_| at != from) {
                    way.push((*previous).clone());
                    at = previous;
                }
                way.reverse();
                return Some(way);
            }
            let travels =
                |e: &&Edge| e.from == *here && matches!(e.kind, EdgeKind::Calls | EdgeKind::DependsOn);
            // INVARIANT: edges are in the order of `to` before `kind`, so the smaller neighbour comes first.
            for n in self.edges.iter().filter(travels).map(|e| &e.to) {
                if n != from && !came_from.contains_key(n) {
                    came_from.insert(n, here);
                    queue.push_back(n);
                }
            }
        }
        None
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }
}
