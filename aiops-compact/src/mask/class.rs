//! Classes of bytes, one table for the whole scan.

pub(super) const DIGIT: u8 = 1;
pub(super) const LOWER: u8 = 2;
pub(super) const UPPER: u8 = 4;
/// Not a hexadecimal digit.
pub(super) const NOT_HEX: u8 = 8;
/// Letters, digits and `_` of ASCII. What lies beyond ASCII is a boundary: much of the world writes without spaces around a
/// number, and quotes and spaces of typography are there too.
pub(super) const WORD: u8 = 16;
/// A byte that may be inside or before something to mask: `@ : = - +`.
pub(super) const TRIGGER: u8 = 32;
/// What base64 has besides words: `+ / = -`.
pub(super) const BASE64: u8 = 64;
/// Beyond ASCII.
pub(super) const BEYOND: u8 = 128;

const TABLE: [u8; 256] = table();

const fn table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut b = 0_usize;
    while b < 256 {
        let byte = b as u8;
        let mut class = match byte {
            b'0'..=b'9' => DIGIT | WORD,
            b'a'..=b'z' => LOWER | WORD,
            b'A'..=b'Z' => UPPER | WORD,
            b'_' => WORD,
            0x80.. => BEYOND,
            _ => 0,
        };
        if !byte.is_ascii_hexdigit() {
            class |= NOT_HEX;
        }
        if matches!(byte, b'@' | b':' | b'=' | b'-' | b'+') {
            class |= TRIGGER;
        }
        if matches!(byte, b'+' | b'/' | b'=' | b'-') {
            class |= BASE64;
        }
        #[allow(
            clippy::indexing_slicing,
            reason = "evaluated by the compiler, which would report an index out of range"
        )]
        {
            table[b] = class;
        }
        b += 1;
    }
    table
}

#[inline]
pub(super) fn class(byte: u8) -> u8 {
    TABLE.get(usize::from(byte)).copied().unwrap_or(0)
}

/// The byte at `at`, or 0 (a boundary for every rule) beyond the end.
#[inline]
pub(super) fn at(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The byte before `at`, or 0 at the start.
#[inline]
pub(super) fn before(text: &[u8], position: usize) -> u8 {
    position.checked_sub(1).map_or(0, |i| at(text, i))
}

#[inline]
pub(super) fn is_word(byte: u8) -> bool {
    class(byte) & WORD != 0
}

/// End of the run of bytes from `from` on that `belongs` accepts.
#[inline]
pub(super) fn run(text: &[u8], from: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    from + rest.iter().position(|b| !belongs(*b)).unwrap_or(rest.len())
}

/// Start of the run of bytes before `until` that `belongs` accepts, not before `floor` and of at most `limit` bytes.
pub(super) fn run_back(
    text: &[u8],
    floor: usize,
    until: usize,
    limit: usize,
    belongs: impl Fn(u8) -> bool,
) -> usize {
    let floor = floor.max(until.saturating_sub(limit));
    let head = text.get(floor..until).unwrap_or_default();
    until - head.iter().rev().position(|b| !belongs(*b)).unwrap_or(head.len())
}
