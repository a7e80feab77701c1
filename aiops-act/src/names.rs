//! Which patterns fit a name, without trying them all.

use std::collections::{BTreeSet, HashMap};

use crate::guards::Pattern;

/// Patterns, each with the number of what it belongs to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    exact: HashMap<String, Vec<usize>>,
    beginnings: HashMap<String, Vec<usize>>,
    /// Lengths of the beginnings, in bytes: a name is cut at no other place, however long it is.
    lengths: BTreeSet<usize>,
}

impl Names {
    pub(crate) fn add(&mut self, pattern: &Pattern, owner: usize) {
        let (map, name) = match pattern.as_str().strip_suffix('*') {
            Some(beginning) => {
                self.lengths.insert(beginning.len());
                (&mut self.beginnings, beginning)
            }
            None => (&mut self.exact, pattern.as_str()),
        };
        map.entry(name.to_owned()).or_default().push(owner);
    }

    /// Owners of patterns that fit `name`, in no order. O(distinct lengths of beginnings × their length + what is found).
    pub(crate) fn find<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        let cuts = self.lengths.range(..=name.len());
        let begun = cuts.filter_map(|at| self.beginnings.get(name.get(..*at)?));
        begun.chain(self.exact.get(name)).flatten().copied()
    }
}
