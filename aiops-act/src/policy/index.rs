use std::collections::{BTreeMap, BTreeSet};

use aiops_core::action::ActionKind;
use aiops_core::model::{EntityId, EntityKind};

use super::rule::Resolved;
use crate::names::Names;

/// Which rules name a target.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// Rules about all targets.
    everywhere: Vec<usize>,
    by_kind: BTreeMap<EntityKind, Names>,
    /// Kinds of action of each rule; empty for all.
    actions: Vec<BTreeSet<ActionKind>>,
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
                patterns.iter().for_each(|pattern| names.add(pattern, i));
            }
        }
        index
    }

    /// Rules about this kind of action on `target`, in the order of the file.
    pub(super) fn find(&self, kind: ActionKind, target: &EntityId) -> BTreeSet<usize> {
        let names = self.by_kind.get(&target.kind()).into_iter();
        let named = names.flat_map(|names| names.find(target.name()));
        let about = |i: &usize| {
            self.actions.get(*i).is_some_and(|actions| actions.is_empty() || actions.contains(&kind))
        };
        named.chain(self.everywhere.iter().copied()).filter(about).collect()
    }
}
