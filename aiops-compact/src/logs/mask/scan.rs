//! Where in a line something variable may begin, found without a look at each word.

use super::super::hash;
use super::bits::{Bits, classify};

/// Blanks behind a line, so that what is read a word at a time needs no care at its end.
const PADDING: usize = 32;

/// 64 bytes of a line; bit n is about byte n.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Block {
    /// Letters and digits.
    pub(super) word: u64,
    pub(super) digit: u64,
    /// Digits of hexadecimal numbers.
    pub(super) hex: u64,
    /// The first digit of each chunk that has one.
    pub(super) numbered: u64,
    /// Words of three to five letters, which may be a default or begin a time.
    pub(super) short: u64,
    /// Other words that may be variable without a digit, and slashes.
    pub(super) rare: u64,
}

/// A line, taken apart as far as whole blocks of bytes allow. Kept between lines for its memory.
#[derive(Debug, Clone, Default)]
pub(in crate::logs) struct Scan {
    bytes: Vec<u8>,
    blocks: Vec<Block>,
}

impl Scan {
    /// Takes in a line. O(bytes).
    #[inline]
    pub(in crate::logs) fn read(&mut self, line: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(line);
        self.bytes.resize((line.len() + PADDING).next_multiple_of(64), b' ');
        self.blocks.clear();
        let mut before = Before::default();
        let mut bits = self.bytes.chunks_exact(64).filter_map(|b| b.first_chunk::<64>()).map(classify);
        let Some(mut current) = bits.next() else { return };
        for next in bits {
            self.blocks.push(before.block(&current, &next));
            current = next;
        }
        self.blocks.push(before.block(&current, &Bits::default()));
    }

    #[inline(always)]
    pub(super) fn block(&self, index: usize) -> Option<&Block> {
        self.blocks.get(index)
    }

    /// The byte at `at`; blank behind the line and, with the index wrapped around, before it.
    #[inline(always)]
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(b' ')
    }

    /// Eight bytes from `at` on, the first one lowest; 0 far behind the line.
    #[inline(always)]
    pub(in crate::logs) fn eight(&self, at: usize) -> u64 {
        self.bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()).map_or(0, |b| u64::from_le_bytes(*b))
    }

    /// Adds the bytes from `start` to `end`, and their number, to `state`.
    #[inline(always)]
    pub(in crate::logs) fn hash(&self, state: u64, start: usize, end: usize) -> u64 {
        let mut left = end.saturating_sub(start);
        let mut state = state.wrapping_add(left as u64);
        let mut at = start;
        // Most stretches are short: whole words with the rest masked off, without a branch on their length.
        loop {
            let first = self.eight(at) & low_bytes(left);
            let second = self.eight(at + 8) & low_bytes(left.saturating_sub(8));
            state = hash::fold(state, first, second);
            if left <= 16 {
                return state;
            }
            (at, left) = (at + 16, left - 16);
        }
    }
}

/// The lowest `count` bytes.
#[inline(always)]
fn low_bytes(count: usize) -> u64 {
    if count >= 8 { u64::MAX } else { (1 << (8 * count)) - 1 }
}

/// What one block tells the next.
#[derive(Debug, Default)]
struct Before {
    /// Whether its last byte is part of a chunk.
    word: bool,
    /// Whether its last byte is part of a chunk that has no digit so far.
    letters: bool,
}

impl Before {
    #[inline(always)]
    fn block(&mut self, bits: &Bits<u64>, next: &Bits<u64>) -> Block {
        let ahead = |bits: u64, next: u64, by: u32| bits >> by | next << (64 - by);
        let Bits { word, digit, .. } = *bits;
        let start = word & !(word << 1 | u64::from(self.word));
        let letters = word & !digit;
        // A one at the start of a run of letters is carried to the byte behind the run: the first digit, if there is one.
        let (carried, over) = letters.overflowing_add(start & letters | u64::from(self.letters));
        let numbered = (carried & !letters | start) & digit;
        let next_letters = next.word & !next.digit;
        let letter = |by| ahead(letters, next_letters, by);
        let ends = |by| !ahead(word, next.word, by);
        let three = start & letters & letter(1) & letter(2);
        let four = three & letter(3);
        // Months and days; the words of `is_default`.
        let words = three & ends(3) | four & (ends(4) | letter(4) & ends(5));
        // Eight letters of hexadecimal; four of them are rare enough to look.
        let hex = |by| ahead(bits.hex_letter, next.hex_letter, by);
        let hex = four & bits.hex_letter & hex(1) & hex(2) & hex(3) & letter(4);
        // The scheme of an address, a drive, a group of hexadecimal digits: what a colon is glued to on both sides.
        let next_any = next.word | next.slash | next.colon;
        let glued = ahead(word | bits.slash | bits.colon, next_any, 2);
        let scheme = letters & ahead(bits.colon, next.colon, 1) & glued;
        *self = Self { word: word >> 63 != 0, letters: over };
        Block {
            word,
            digit,
            hex: digit | bits.hex_letter,
            numbered,
            short: words,
            rare: hex | scheme | bits.slash,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(line: &[u8]) -> Vec<usize> {
        let mut scan = Scan::default();
        scan.read(line);
        let bit = |at: &usize| {
            let block = &scan.blocks[at / 64];
            (block.numbered | block.short | block.rare) >> (at % 64) & 1 != 0
        };
        (0..line.len()).filter(bit).collect()
    }

    #[test]
    fn only_what_may_be_variable_is_looked_at() {
        let line = b"connection blk_12ab4 to hosts/10 is true https://c:\\x decadent, abcd";
        let found = events(line);
        let at = |text: &[u8]| line.windows(text.len()).position(|w| w == text).unwrap();
        let mut expected = vec![
            at(b"12ab"),
            at(b"hosts"),
            at(b"/10"),
            at(b"10 is"),
            at(b"true"),
            at(b"https"),
            at(b"s://"),
            at(b"://") + 1,
            at(b"://") + 2,
            at(b"c:"),
            at(b"decadent"),
            at(b"abcd"),
        ];
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_crosses_the_blocks_is_seen() {
        for pad in 40..140 {
            for text in [&b"letters_7x"[..], b"true", b"Jun ", b"decadent", b"false", b"ab://c", b"a/b"] {
                let expected: Vec<usize> = events(text).iter().map(|at| at + pad).collect();
                let mut line = vec![b' '; pad];
                line.extend_from_slice(text);
                assert_eq!(events(&line), expected, "{text:?} at {pad}");
                assert!(!expected.is_empty());
            }
            let mut line = vec![b'x'; pad];
            line.extend_from_slice(b"1 ");
            assert_eq!(events(&line), [pad]);
        }
    }

    #[test]
    fn words_are_read_up_to_the_end_of_the_line_and_beyond() {
        let mut scan = Scan::default();
        for length in 0..70 {
            scan.read(&vec![b'a'; length]);
            assert_eq!(scan.eight(length), u64::from_le_bytes([b' '; 8]));
            assert_eq!(scan.byte(length), b' ');
            assert_eq!(scan.byte(0_usize.wrapping_sub(1)), b' ');
        }
        assert_eq!(scan.eight(1000), 0);
    }
}
