use std::collections::BTreeMap;

use aiops_core::model::{Change, EdgeKind, EntityId, Topology};

/// What `change` may have touched, with how far away it is: what was changed, its parts and its whole at 0, callers of
/// those and their parts at the number of calls between, up to `callers`.
pub(super) fn touched(change: &Change, topology: &Topology, callers: usize) -> BTreeMap<EntityId, usize> {
    let mut near: BTreeMap<EntityId, usize> = BTreeMap::new();
    let mut frontier = vec![topology.whole(&change.entity).clone(), change.entity.clone()];
    frontier.extend(topology.needed_by(&change.entity, EdgeKind::PartOf).cloned());
    for distance in 0..=callers {
        let mut next = Vec::new();
        for entity in frontier {
            if near.contains_key(&entity) {
                continue;
            }
            next.extend(topology.needed_by(&entity, EdgeKind::Calls).flat_map(|caller| {
                let parts = topology.needed_by(caller, EdgeKind::PartOf).cloned();
                [caller.clone(), topology.whole(caller).clone()].into_iter().chain(parts)
            }));
            near.insert(entity, distance);
        }
        frontier = next;
    }
    near
}
