//! Where a run of letters and digits ends and what it holds, eight bytes at a time: a loop over bytes mispredicts the end
//! of nearly every word.

use super::mask::{CHUNK, DIGIT, HEX_LETTER, LETTER, class};

const HIGH: u64 = 0x8080_8080_8080_8080;
const LOW: u64 = 0x0101_0101_0101_0101;

/// In each byte of `word`, all below 128: the high bit where the byte is at least `least`.
#[inline(always)]
fn at_least(word: u64, least: u8) -> u64 {
    word.wrapping_add(LOW * (0x80 - u64::from(least)))
}

/// End of the chunk that begins at `start`, the union of its bytes' classes, and its first eight bytes in lower case, the
/// first one lowest, when it is no longer than that and not near the end of the line (0 otherwise).
#[inline(always)]
pub(super) fn chunk(line: &[u8], start: usize) -> (usize, u8, u64) {
    let mut at = start;
    let mut seen = 0;
    let mut head = 0;
    while let Some(bytes) = line.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*bytes);
        let digit_or_mark = word & !HIGH;
        let lower = digit_or_mark | (0x20 * LOW);
        let letter = at_least(lower, b'a') & !at_least(lower, b'z' + 1) & !word & HIGH;
        let digit = at_least(digit_or_mark, b'0') & !at_least(digit_or_mark, b'9' + 1) & !word & HIGH;
        let beyond_hex = at_least(lower, b'g');
        let stop = !(letter | digit) & HIGH;
        // Bytes below the first that is neither: all ones.
        let inside = if stop == 0 { u64::MAX } else { (stop & stop.wrapping_neg()) - 1 };
        let has = |bits: u64, class: u8| if bits & inside != 0 { class } else { 0 };
        seen |= has(digit, DIGIT) | has(letter & !beyond_hex, HEX_LETTER) | has(letter & beyond_hex, LETTER);
        let length = (stop.trailing_zeros() / 8) as usize;
        if at == start {
            // `inside` ends with the seven low bits of the byte that stops the run.
            head = (word | (0x20 * LOW)) & low_bytes(length);
        } else if length > 0 {
            head = 0;
        }
        at += length;
        if stop != 0 {
            break;
        }
    }
    // What is left: the last bytes of the line, and letters that are none of ASCII.
    while let Some(byte) = line.get(at) {
        let class = class(*byte);
        if class & CHUNK == 0 {
            break;
        }
        seen |= class;
        head = 0;
        at += 1;
    }
    (at, seen, head)
}

/// The lowest `count` bytes.
#[inline(always)]
fn low_bytes(count: usize) -> u64 {
    if count >= 8 { u64::MAX } else { (1 << (8 * count)) - 1 }
}

/// `word`, of at most eight bytes, as [`chunk`] gives it.
pub(super) const fn packed(word: &[u8]) -> u64 {
    let mut packed = 0;
    let mut rest = word;
    while let Some((last, head)) = rest.split_last() {
        packed = packed << 8 | *last as u64;
        rest = head;
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(line: &[u8], start: usize) -> (usize, u8) {
        let rest = line.iter().skip(start).take_while(|b| class(**b) & CHUNK != 0);
        rest.fold((start, 0), |(end, seen), byte| (end + 1, seen | class(*byte)))
    }

    #[test]
    fn every_byte_in_every_place_is_classed_as_by_the_table() {
        for byte in 0..=255_u8 {
            for place in 0..20 {
                for filler in [b'a', b'x', b'Z', b'7'] {
                    let mut line = vec![filler; 20];
                    line[place] = byte;
                    let (end, seen, _) = chunk(&line, 0);
                    assert_eq!((end, seen), naive(&line, 0), "{byte} at {place} among {filler}");
                }
            }
        }
    }

    #[test]
    fn the_head_is_the_whole_chunk_in_lower_case_or_nothing() {
        assert_eq!(chunk(b"TruE and more text", 0), (4, HEX_LETTER | LETTER, packed(b"true")));
        assert_eq!(chunk(b"x.admin] and more text", 2).2, packed(b"admin"));
        assert_eq!(chunk(b"abcdefgh and more text", 0).2, packed(b"abcdefgh"));
        assert_eq!(chunk(b"abcdefghi and more text", 0).2, 0);
        assert_eq!(chunk(b"true_ and more text", 0).2, 0);
        assert_eq!(chunk("trueé and more text".as_bytes(), 0).2, 0);
        // Near the end of the line it is not known.
        assert_eq!(chunk(b"true", 0), (4, HEX_LETTER | LETTER, 0));
    }
}
