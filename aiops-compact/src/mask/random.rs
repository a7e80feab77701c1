//! Strings that look random.

use std::ops::Range;

use super::class::{BASE64, DIGIT, LOWER, UPPER, class, is_word, run};

/// What counts as random.
#[derive(Debug, Clone, Copy)]
pub(super) struct Random {
    pub(super) min_length: usize,
    pub(super) bits: f64,
    pub(super) changes: f64,
}

/// End of the run of base64 characters from `start` on, with its padding; `=` elsewhere divides a name from a value.
pub(super) fn extent(text: &[u8], start: usize) -> usize {
    let end = run(text, start, |b| b < 0x80 && b != b'=' && (is_word(b) || class(b) & BASE64 != 0));
    run(text, end, |b| b == b'=').min(end + 2)
}

impl Random {
    /// The run if it has capitals, small letters and digits, enough entropy, and changes between those three as often as
    /// chance does. Names in camel case have the entropy, but change at the beginnings of words only; hexadecimal digests
    /// and UUIDs have no capitals beside small letters; paths have many slashes.
    pub(super) fn judge(&self, text: &[u8], found: Range<usize>) -> Option<Range<usize>> {
        let run = text.get(found.clone())?;
        let run = run.strip_suffix(b"==").or_else(|| run.strip_suffix(b"=")).unwrap_or(run);
        let length = run.len();
        if length < self.min_length {
            return None;
        }
        let (mut kinds, mut last, mut changes, mut marks) = (0_u8, 0_u8, 0_usize, 0_usize);
        for byte in run {
            let kind = class(*byte) & (DIGIT | LOWER | UPPER);
            kinds |= kind;
            changes += usize::from(kind != last && last != 0 && kind != 0);
            marks += usize::from(kind == 0);
            last = kind;
        }
        let chance = kinds == DIGIT | LOWER | UPPER
            && changes as f64 >= self.changes * length as f64
            // Three of 64 characters of base64 are no letters or digits; three times that is no accident.
            && marks * 8 <= length;
        if !chance {
            return None;
        }
        let mut counts = [0_u32; 128];
        for byte in run {
            if let Some(count) = counts.get_mut(usize::from(*byte)) {
                *count += 1;
            }
        }
        let total = length as f64;
        let bits: f64 = counts
            .iter()
            .filter(|count| **count > 0)
            .map(|count| f64::from(*count) / total)
            .map(|share| -share * share.log2())
            .sum();
        (bits >= self.bits).then_some(found)
    }
}

/// The UUID (RFC 9562, 8-4-4-4-12) that starts at `start`.
pub(super) fn uuid(text: &[u8], start: usize) -> Option<Range<usize>> {
    let found = text.get(start..start + 36)?;
    let whole = found.split(|b| *b == b'-').map(<[u8]>::len).eq([8, 4, 4, 4, 12])
        && found.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-');
    let next = text.get(start + 36).copied().unwrap_or(0);
    (whole && !is_word(next) && next != b'-').then_some(start..start + 36)
}
