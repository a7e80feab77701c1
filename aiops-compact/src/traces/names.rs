//! From the numbers of names back to names, in the order of names.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assemble::{ROOT, UNKNOWN};
use super::summary::Caller;

/// The name that stands for all that did not fit.
pub(super) const OTHER_NAME: &str = "<other>";

/// The map of `entries` by name. They are sorted by the ranks of names before there are names: a map is made of what is
/// sorted in linear time, and comparing numbers is cheaper than comparing four names.
pub(super) fn sorted<'t, I, K: Ord, V>(
    entries: impl Iterator<Item = (I, V)> + 't,
    rank: impl Fn(&I) -> u128,
    name: impl Fn(&I) -> K,
) -> BTreeMap<K, V> {
    let mut entries: Vec<(u128, I, V)> = entries.map(|(id, value)| (rank(&id), id, value)).collect();
    entries.sort_unstable_by_key(|(rank, ..)| *rank);
    entries.into_iter().map(|(_, id, value)| (name(&id), value)).collect()
}

/// Names and their order.
pub(super) struct Names<'t> {
    names: &'t [Arc<str>],
    ranks: Vec<u32>,
}

impl<'t> Names<'t> {
    pub(super) fn of(names: &'t [Arc<str>]) -> Self {
        let mut order: Vec<(&Arc<str>, usize)> = names.iter().zip(0..).collect();
        order.sort_unstable();
        let mut ranks = vec![0; names.len()];
        for ((_, id), rank) in order.into_iter().zip(0..) {
            if let Some(place) = ranks.get_mut(id) {
                *place = rank;
            }
        }
        Self { names, ranks }
    }

    pub(super) fn name(&self, id: u32) -> Arc<str> {
        self.names.get(id as usize).map_or_else(|| OTHER_NAME.into(), Arc::clone)
    }

    pub(super) fn rank(&self, id: u32) -> u32 {
        self.ranks.get(id as usize).copied().unwrap_or_default()
    }

    pub(super) fn caller(&self, id: u32) -> Caller {
        match id {
            ROOT => Caller::Root,
            UNKNOWN => Caller::Unknown,
            id => Caller::Service(self.name(id)),
        }
    }

    /// In the order of [`Caller`].
    pub(super) fn caller_rank(&self, id: u32) -> u32 {
        match id {
            ROOT => 0,
            UNKNOWN => 1,
            id => 2 + self.rank(id),
        }
    }
}
