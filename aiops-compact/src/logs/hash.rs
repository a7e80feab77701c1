//! The multiply-rotate hash of the Rust compiler ("FxHash"), over eight bytes at a time.

use std::hash::{BuildHasherDefault, Hasher};

const SEED: u64 = 0x51_7c_c1_b7_27_22_0a_95;

#[inline(always)]
pub(super) fn add(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(SEED)
}

#[inline(always)]
fn four(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<4>().map_or(0, |b| u64::from(u32::from_le_bytes(*b)))
}

/// Adds `bytes` and their number.
#[inline(always)]
pub(super) fn add_bytes(mut hash: u64, bytes: &[u8]) -> u64 {
    let length = bytes.len() as u64;
    let mut rest = bytes;
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        hash = add(hash, u64::from_le_bytes(*head));
        rest = tail;
    }
    let tail = match rest {
        [] => 0,
        [a] => u64::from(*a),
        [a, b] => u64::from(*a) | u64::from(*b) << 8,
        [a, b, c] => u64::from(*a) | u64::from(*b) << 8 | u64::from(*c) << 16,
        longer => four(longer) | four(longer.get(longer.len() - 4..).unwrap_or_default()) << 32,
    };
    add(hash, tail ^ length << 56)
}

/// Two words at a time: the halves of their product, one upon the other (the "mum" of wyhash). A bit of either word reaches
/// all bits, which [`add`] does not do in one step.
#[inline(always)]
pub(super) fn fold(hash: u64, first: u64, second: u64) -> u64 {
    const FIRST: u64 = 0xa076_1d64_78bd_642f;
    const SECOND: u64 = 0xe703_7ed1_a0b4_28db;
    let product = u128::from(first ^ FIRST) * u128::from(second ^ hash ^ SECOND);
    product as u64 ^ (product >> 64) as u64
}

/// Spreads the entropy of the high bits over the low ones, which hash tables use.
#[inline(always)]
pub(super) fn finish(hash: u64) -> u64 {
    hash ^ hash >> 32
}

/// Hasher of the maps of this module; not for keys that an attacker chooses to collide.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FxHasher(u64);

impl Hasher for FxHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = add_bytes(self.0, bytes);
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.0 = add(self.0, value);
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.0 = add(self.0, u64::from(value));
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.0 = add(self.0, value as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        finish(self.0)
    }
}

pub(super) type FxBuildHasher = BuildHasherDefault<FxHasher>;

/// Hasher of keys that are hashes already.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = add_bytes(self.0, bytes);
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

pub(super) type KeyBuildHasher = BuildHasherDefault<KeyHasher>;
