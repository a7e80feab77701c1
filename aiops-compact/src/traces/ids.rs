//! Numbers of paths.

use super::assemble::Path;
use super::hash::Folded;

/// A table from paths to their numbers. It holds eight bytes a slot, the number and half of the hash, and not the path,
/// which stands where the number leads to anyway: small enough for the second cache where a map of keys is not.
#[derive(Debug, Default)]
pub(super) struct Ids {
    hash: Folded,
    /// Half of the hash above one more than the number; 0 is free.
    slots: Vec<u64>,
    len: usize,
}

const LOW: u64 = u32::MAX as u64;

impl Ids {
    #[inline]
    pub(super) fn hash(&self, path: &Path) -> u64 {
        let hops = u64::from(path.far) << 32 | u64::from(path.near);
        let end = u64::from(path.service) << 32 | u64::from(path.operation);
        // One bit more than fits: paths that differ in it alone are told apart by what the numbers lead to.
        self.hash.word(self.hash.word(hops) ^ end.rotate_left(u32::from(path.internal)))
    }

    /// The number that has this hash and for which `is` holds.
    #[inline]
    pub(super) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut place = hash as usize & mask;
        // INVARIANT: at most half of the slots are taken, so the search ends at a free one.
        loop {
            let slot = *self.slots.get(place)?;
            if slot == 0 {
                return None;
            }
            let id = (slot & LOW) as u32 - 1;
            if slot >> 32 == hash >> 32 && is(id) {
                return Some(id);
            }
            place = (place + 1) & mask;
        }
    }

    /// Adds the path of a number that is not in the table; `path` says what a number leads to.
    pub(super) fn insert(&mut self, id: u32, path: impl Fn(u32) -> Option<Path>) {
        self.len += 1;
        if self.len * 2 > self.slots.len() {
            let size = (self.len * 4).next_power_of_two().max(64);
            let old = std::mem::replace(&mut self.slots, vec![0; size]);
            for slot in old.into_iter().filter(|slot| *slot != 0) {
                let id = (slot & LOW) as u32 - 1;
                if let Some(path) = path(id) {
                    self.put(self.hash(&path), id);
                }
            }
        }
        if let Some(path) = path(id) {
            self.put(self.hash(&path), id);
        }
    }

    fn put(&mut self, hash: u64, id: u32) {
        let mask = self.slots.len().wrapping_sub(1);
        let mut place = hash as usize & mask;
        while let Some(slot) = self.slots.get_mut(place) {
            if *slot == 0 {
                *slot = hash & !LOW | (u64::from(id) + 1);
                return;
            }
            place = (place + 1) & mask;
        }
    }
}
