//! Configuration revisions of one service.

use std::collections::BTreeMap;

/// One revision of a service's configuration. Numbers count from 1 and are never used twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// Number of the revision.
    pub number: u64,
    /// The revision that was current when this one was created.
    pub parent: Option<u64>,
    /// First 12 hexadecimal digits of the BLAKE3 hash of the content: the commit.
    pub commit: String,
    /// Free text given by the author.
    pub message: String,
    /// The configuration.
    pub config: toml::Table,
}

/// A bounded history of revisions with a current one.
///
/// Adding is O(log n); at most `capacity` revisions are kept, and the oldest that is not current goes first.
#[derive(Debug, Clone)]
pub struct RevisionStore {
    revisions: BTreeMap<u64, Revision>,
    current: u64,
    next: u64,
    capacity: usize,
}

impl RevisionStore {
    /// A store whose revision 1 is `initial`.
    #[must_use]
    pub fn new(initial: toml::Table, capacity: usize) -> Self {
        let mut store = Self { revisions: BTreeMap::new(), current: 0, next: 1, capacity: capacity.max(2) };
        store.current = store.add(initial, "initial configuration").number;
        store
    }

    /// Adds a revision without making it current. At capacity the oldest other one is dropped.
    pub fn add(&mut self, config: toml::Table, message: impl Into<String>) -> Revision {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let parent = self.revisions.contains_key(&self.current).then_some(self.current);
        let revision = Revision { number, parent, commit: commit(&config), message: message.into(), config };
        self.revisions.insert(number, revision.clone());
        while self.revisions.len() > self.capacity {
            let oldest = self.revisions.keys().copied().find(|&kept| kept != self.current && kept != number);
            match oldest {
                Some(oldest) => self.revisions.remove(&oldest),
                None => break,
            };
        }
        revision
    }

    /// Number of the current revision.
    #[must_use]
    pub const fn current(&self) -> u64 {
        self.current
    }

    /// Number that the next revision will get.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Content of the current revision.
    #[must_use]
    pub fn current_config(&self) -> toml::Table {
        self.revisions.get(&self.current).map(|revision| revision.config.clone()).unwrap_or_default()
    }

    /// Makes `number` current; `false` when it is not kept.
    pub fn select(&mut self, number: u64) -> bool {
        let known = self.revisions.contains_key(&number);
        if known {
            self.current = number;
        }
        known
    }

    /// A revision by number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Revision> {
        self.revisions.get(&number)
    }

    /// The revision that was current before the current one was created.
    #[must_use]
    pub fn previous(&self) -> Option<u64> {
        let parent = self.revisions.get(&self.current)?.parent?;
        self.revisions.contains_key(&parent).then_some(parent)
    }

    /// All kept revisions, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Revision> {
        self.revisions.values()
    }
}

/// Lays `overlay` over `base`: tables are merged, everything else is replaced.
pub(crate) fn merge(base: &mut toml::Table, overlay: toml::Table) {
    for (key, value) in overlay {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge(below, above),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn commit(config: &toml::Table) -> String {
    // INVARIANT: `toml::Table` is ordered by key, so equal configurations have equal text.
    let text = config.to_string();
    blake3::hash(text.as_bytes()).to_hex().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> toml::Table {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_history_is_bounded_and_the_current_revision_stays() {
        let mut store = RevisionStore::new(table("a = 0"), 3);
        for value in 1..10 {
            store.add(table(&format!("a = {value}")), "not rolled out");
        }
        let kept: Vec<u64> = store.iter().map(|revision| revision.number).collect();
        assert_eq!((kept.as_slice(), store.current(), store.next()), ([1, 9, 10].as_slice(), 1, 11));
        assert!(!store.select(5), "dropped long ago");
        assert!(store.select(10));
        assert_eq!(store.previous(), Some(1));
        store.add(table("a = 10"), "");
        store.add(table("a = 11"), "");
        assert_eq!(store.previous(), None, "the one before was dropped");
    }

    #[test]
    fn a_commit_depends_on_the_content_alone() {
        let mut store = RevisionStore::new(table("a = 1\nb = 2"), 8);
        let same = store.add(table("b = 2\na = 1"), "other words");
        let other = store.add(table("a = 1\nb = 3"), "");
        let first = store.get(1).unwrap().commit.clone();
        assert_eq!((same.commit == first, other.commit == first, first.len()), (true, false, 12));
    }

    #[test]
    fn an_overlay_merges_tables_and_replaces_the_rest() {
        let mut base = table("a = 1\nlist = [1, 2]\n[t]\nx = 1\ny = 2");
        merge(&mut base, table("a = 2\nlist = [3]\nnew = true\n[t]\ny = 3"));
        assert_eq!(base, table("a = 2\nlist = [3]\nnew = true\n[t]\nx = 1\ny = 3"));
    }
}
