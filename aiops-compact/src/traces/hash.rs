//! A fast hash for ids that come from outside.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Folded multiplication (as wyhash and foldhash) under a seed drawn once per table, so nobody outside can prepare ids
/// that collide. The seed decides the layout of tables only, never an order that leaves the crate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folded(u64);

impl Default for Folded {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0_u64) | 1)
    }
}

impl Folded {
    /// Hash of one word.
    #[inline]
    pub(super) fn word(self, word: u64) -> u64 {
        fold(word ^ self.0, 0x9e37_79b9_7f4a_7c15)
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

impl BuildHasher for Folded {
    type Hasher = FoldedHasher;

    #[inline]
    fn build_hasher(&self) -> FoldedHasher {
        FoldedHasher(self.0)
    }
}

/// State of [`Folded`] while a key is read.
#[derive(Debug)]
pub(super) struct FoldedHasher(u64);

impl Hasher for FoldedHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
            self.write_u64(word);
        }
        self.write_u64(bytes.len() as u64);
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.0 = fold(self.0 ^ value, 0xa076_1d64_78bd_642f);
    }

    #[inline]
    fn write_u128(&mut self, value: u128) {
        self.write_u64(value as u64);
        self.write_u64((value >> 64) as u64);
    }
}
