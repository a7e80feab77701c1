//! Sixteen bytes at a time to bits that say what they are: a branch on each byte, or on each word, is mispredicted so often
//! that it costs more than all the rest.

use wide::u8x16;

/// Bit n is about byte n.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bits<T> {
    /// Letters and digits, [`CHUNK`](super::class::CHUNK).
    pub(super) word: T,
    pub(super) digit: T,
    /// `a` to `f` in either case.
    pub(super) hex_letter: T,
    pub(super) slash: T,
    pub(super) colon: T,
}

/// What 64 bytes are.
#[inline(always)]
pub(super) fn classify(bytes: &[u8; 64]) -> Bits<u64> {
    let mut all = Bits::default();
    for lane in bytes.rchunks_exact(16).filter_map(|lane| lane.first_chunk::<16>()) {
        let lane = sixteen(lane);
        let join = |all: u64, lane: u16| all << 16 | u64::from(lane);
        all = Bits {
            word: join(all.word, lane.word),
            digit: join(all.digit, lane.digit),
            hex_letter: join(all.hex_letter, lane.hex_letter),
            slash: join(all.slash, lane.slash),
            colon: join(all.colon, lane.colon),
        };
    }
    all
}

#[inline(always)]
fn sixteen(bytes: &[u8; 16]) -> Bits<u16> {
    let lane = u8x16::new(*bytes);
    let equal = |lane: u8x16, byte: u8| lane.simd_eq(u8x16::splat(byte));
    let within = |lane: u8x16, first: u8, last: u8| {
        let above = lane - u8x16::splat(first);
        above.min(u8x16::splat(last - first)).simd_eq(above)
    };
    let bits = |lane: u8x16| lane.to_bitmask() as u16;
    // Blanks and marks: up to the slash but for the asterisk, `:;<=>`, `@`, `[`, `]`, `{|}`, delete.
    let low = within(lane, 0, b'/') & !equal(lane, b'*');
    let marks = within(lane, b':', b'>') | within(lane, b'{', b'}') | equal(lane, 0x7f);
    let marks = marks | equal(lane, b'@') | equal(lane, b'[') | equal(lane, b']');
    let lower = lane | u8x16::splat(0x20);
    Bits {
        word: !bits(low | marks),
        digit: bits(within(lane, b'0', b'9')),
        hex_letter: bits(within(lower, b'a', b'f')),
        slash: bits(equal(lane, b'/')),
        colon: bits(equal(lane, b':')),
    }
}

#[cfg(test)]
mod tests {
    use super::super::class::{CHUNK, DIGIT, HEX_LETTER, SLASH, class};
    use super::*;

    fn naive(bytes: &[u8; 16]) -> Bits<u16> {
        let of = |test: &dyn Fn(u8) -> bool| {
            bytes.iter().rev().fold(0, |bits, byte| bits << 1 | u16::from(test(*byte)))
        };
        Bits {
            word: of(&|b| class(b) & CHUNK != 0),
            digit: of(&|b| class(b) == DIGIT),
            hex_letter: of(&|b| class(b) == HEX_LETTER),
            slash: of(&|b| class(b) == SLASH),
            colon: of(&|b| b == b':'),
        }
    }

    #[test]
    fn every_byte_in_every_place_is_classed_as_by_the_table() {
        for byte in 0..=255_u8 {
            for place in 0..16 {
                for filler in [b'a', b'x', b'Z', b'7', b' ', b'/', 0xff, 0] {
                    let mut bytes = [filler; 16];
                    bytes[place] = byte;
                    let expected = naive(&bytes);
                    assert_eq!(sixteen(&bytes), expected, "{byte} at {place} among {filler}");
                }
            }
        }
    }

    #[test]
    fn lanes_stand_in_order() {
        let mut bytes = [b' '; 64];
        bytes[0] = b'1';
        bytes[17] = b'/';
        bytes[63] = b'c';
        let bits = classify(&bytes);
        assert_eq!((bits.digit, bits.slash, bits.hex_letter), (1, 1 << 17, 1 << 63));
        assert_eq!((bits.word, bits.colon), (1 | 1 << 63, 0));
    }
}
