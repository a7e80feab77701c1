use std::collections::{BTreeMap, BTreeSet, HashMap};

use aiops_core::action::ActionKind;
use aiops_core::model::{EntityId, EntityKind};

use super::rule::Resolved;

/// Which rules name a target.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// Rules about all targets.
    everywhere: Vec<usize>,
    by_kind: BTreeMap<EntityKind, Names>,
    /// Kinds of action of each rule; empty for all.
    actions: Vec<BTreeSet<ActionKind>>,
}

#[derive(Debug, Clone, Default)]
struct Names {
    exact: HashMap<String, Vec<usize>>,
    beginnings: HashMap<String, Vec<usize>>,
}

impl Index {
    pub(super) fn of(rules: &[Resolved]) -> Self {
        let mut index = Self::default();
        for (i, resolved) in rules.iter().enumerate() {
            index.actions.push(resolved.rule.actions.clone());
            let Some(targets) = &resolved.targets else {
                index.everywhere.push(i);
                continue;
            };
            for (kind, patterns) in targets {
                let names = index.by_kind.entry(*kind).or_default();
                for pattern in patterns {
                    let (map, name) = match pattern.as_str().strip_suffix('*') {
                        Some(beginning) => (&mut names.beginnings, beginning),
                        None => (&mut names.exact, pattern.as_str()),
                    };
                    map.entry(name.to_owned()).or_default().push(i);
                }
            }
        }
        index
    }

    /// Rules about this kind of action on `target`, in the order of the file.
    pub(super) fn find(&self, kind: ActionKind, target: &EntityId) -> BTreeSet<usize> {
        let name = target.name();
        let named = self.by_kind.get(&target.kind()).into_iter().flat_map(|names| {
            let beginnings = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            let begun = beginnings.filter_map(move |at| names.beginnings.get(name.get(..at)?));
            begun.chain(names.exact.get(name)).flatten()
        });
        let about = |i: &&usize| {
            self.actions.get(**i).is_some_and(|actions| actions.is_empty() || actions.contains(&kind))
        };
        named.chain(&self.everywhere).filter(about).copied().collect()
    }
}
