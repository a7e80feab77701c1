//! How trouble travelled.

use aiops_core::model::EntityId;

use crate::picture::Picture;

/// From `origin` to the farthest caller that feels it, both included. An origin that overloads a callee is felt
/// through that callee.
pub(super) fn to_where_it_was_felt(picture: &Picture<'_>, origin: &EntityId) -> Vec<EntityId> {
    // A way that leads back to the origin says nothing.
    let upward = |from: &EntityId, avoiding: Option<&EntityId>| -> Option<Vec<EntityId>> {
        let felt = |id: &EntityId| {
            let group = picture.groups.get(id)?;
            let feels = group.harmful().any(|s| s.class.role.is_request_path() && s.strength > 0.0);
            feels.then_some(())
        };
        let ways = picture.groups.keys().filter(|id| *id != from && felt(id).is_some());
        let ways = ways.filter_map(|id| picture.topology.path(id, from));
        let ways = ways.filter(|way| avoiding.is_none_or(|origin| !way.contains(origin)));
        // Of equally long ways the first entity in order; a longer way is a farther caller.
        let mut longest = ways.fold(None, |best: Option<Vec<EntityId>>, way| match best {
            Some(best) if best.len() >= way.len() => Some(best),
            _ => Some(way),
        })?;
        longest.reverse();
        Some(longest)
    };
    if let Some(path) = upward(origin, None) {
        return path;
    }
    let through_callee = picture.callees(origin).into_iter().find_map(|callee| {
        let troubled = picture.groups.get(callee)?.trouble().is_some();
        if troubled { upward(callee, Some(origin)) } else { None }
    });
    match through_callee {
        Some(path) => std::iter::once(origin.clone()).chain(path).collect(),
        None => vec![origin.clone()],
    }
}
