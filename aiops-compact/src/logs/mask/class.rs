//! What a byte is to the scan over a line.

/// Blank, control bytes included; also what stands behind the end of a line.
pub(in crate::logs) const SPACE: u8 = 1;
/// `, ! ; : = | " ' [ ] ( ) { }`: ends an atom.
pub(in crate::logs) const DELIMITER: u8 = 2;
/// `. - + @ # $ % &`: joins the components of an atom.
pub(in crate::logs) const JOINT: u8 = 4;
pub(in crate::logs) const SLASH: u8 = 8;
pub(in crate::logs) const DIGIT: u8 = 16;
pub(in crate::logs) const HEX_LETTER: u8 = 32;
pub(in crate::logs) const LETTER: u8 = 64;
/// `<` and `>`: part of what they stand at, like letters, but no part of a number.
pub(in crate::logs) const ANGLE: u8 = 128;
/// Letters and digits: what a chunk is made of.
pub(in crate::logs) const CHUNK: u8 = DIGIT | HEX_LETTER | LETTER;

/// The delimiters are those of Khan et al. (ICSE 2022), "Guidelines for assessing the accuracy of log message template
/// identification techniques". Control bytes are blank, bytes beyond ASCII are letters.
const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [LETTER; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        let class = match byte as u8 {
            0..=b' ' | 0x7f => SPACE,
            b',' | b'!' | b';' | b':' | b'=' | b'|' | b'"' | b'\'' | b'[' | b']' | b'(' | b')' | b'{'
            | b'}' => DELIMITER,
            b'<' | b'>' => ANGLE,
            b'.' | b'-' | b'+' | b'@' | b'#' | b'$' | b'%' | b'&' => JOINT,
            b'/' => SLASH,
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' | b'A'..=b'F' => HEX_LETTER,
            _ => LETTER,
        };
        #[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
        {
            table[byte] = class;
        }
        byte += 1;
    }
    table
}

#[inline(always)]
pub(in crate::logs) fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(LETTER)
}

/// Class at `at`; the end of the line is blank.
#[inline(always)]
pub(super) fn class_at(line: &[u8], at: usize) -> u8 {
    line.get(at).map_or(SPACE, |byte| class(*byte))
}

/// Whether a byte of this class ends an atom.
#[inline(always)]
pub(super) fn ends_atom(class: u8) -> bool {
    class & (SPACE | DELIMITER) != 0
}

#[inline(always)]
pub(super) fn slice(line: &[u8], start: usize, end: usize) -> &[u8] {
    line.get(start..end).unwrap_or_default()
}
