//! One pass over a line that finds what is certainly variable: numbers, ids, addresses, paths, times.

mod bits;
mod class;
mod forms;
#[cfg(test)]
mod naive;
mod places;
mod scan;
#[cfg(test)]
mod tests;
mod time;

use serde::{Deserialize, Serialize};

pub(super) use class::{DELIMITER, JOINT, SLASH, SPACE, class};
pub(super) use scan::Scan;

use class::{CHUNK, DIGIT, HEX_LETTER, LETTER, class_at, ends_atom, slice};
use scan::Block;

/// What a masked part of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VariableKind {
    /// Digits with sign, decimals, dots or a unit: `-12`, `0.5`, `64KB`, `1.4.1`.
    Number,
    /// Hexadecimal: `0x1f`, `9f4ef63`.
    Hex,
    /// Letters with digits that name one thing: `blk_3886504906`, `rdd_42_20`, a UUID.
    Id,
    /// IPv4 or IPv6 address, MAC address, or host name with a port.
    Address,
    /// File path, Unix or Windows, or the path of a URL.
    Path,
    /// `scheme://…` with a digit in it.
    Url,
    /// Day, month and time of day in words.
    Time,
    /// One of `true false null root admin`, in any case: defaults that stand where any value may stand.
    Default,
    /// A word that varies from line to line, known only from other lines.
    Word,
}

/// What a chunk turned out to be, and where that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    Variable(usize, VariableKind),
    Literal(usize),
}

/// Calls `found(start, end, kind)` for every variable of the line that `scan` has [read](Scan::read), in order and without
/// overlap. O(bytes), but for names of hosts with many dots.
#[inline]
pub(super) fn mask(scan: &Scan, line: &[u8], found: impl FnMut(usize, usize, VariableKind)) {
    let mut masker = Masker { scan, line, found, at: 0, done: 0, floor: 0, base: 0 };
    let mut index = 0;
    while let Some(block) = scan.block(index) {
        let events = block.numbered | block.short | block.rare;
        let mut open = from(events, masker.at, index);
        while open != 0 {
            let bit = open.trailing_zeros();
            let place = index * 64 + bit as usize;
            if block.numbered >> bit & 1 != 0 {
                masker.numbered(block, bit, place);
            } else if block.rare >> bit & 1 == 0 && !may_be_word(scan.eight(place)) {
                open &= open - 1;
                continue;
            } else if scan.byte(place) == b'/' {
                masker.slash(place);
            } else {
                masker.chunk(place);
            }
            open = from(events, masker.at, index);
        }
        index = (index + 1).max(masker.at / 64);
    }
}

/// Whether a word of three to five letters, the first of these bytes, may be a default or begin a time: a second look at
/// what nearly all lines have several of.
#[inline(always)]
fn may_be_word(bytes: u64) -> bool {
    let of = |word: &[u8; 4]| u32::from_le_bytes(*word);
    let head = bytes as u32;
    let lower = head | 0x2020_2020;
    let time = head >> 24 == u32::from(b' ') && head & 0x20 == 0;
    time | (lower == of(b"true"))
        | (lower == of(b"null"))
        | (lower == of(b"root"))
        | (lower == of(b"fals"))
        | (lower == of(b"admi"))
}

/// The bits of block `index` that are about bytes from `at` on.
#[inline(always)]
fn from(bits: u64, at: usize, index: usize) -> u64 {
    match at.checked_sub(index * 64) {
        None => bits,
        Some(below @ 0..64) => bits & u64::MAX << below,
        Some(_) => 0,
    }
}

struct Masker<'a, F> {
    scan: &'a Scan,
    line: &'a [u8],
    found: F,
    /// Nothing before it is looked at again.
    at: usize,
    /// End of the last variable.
    done: usize,
    /// Delimiters before it are part of a variable, or of an address, and end no atom.
    floor: usize,
    /// Start of the atom that holds `floor`; before `done` when that atom began before the last variable.
    base: usize,
}

impl<F: FnMut(usize, usize, VariableKind)> Masker<'_, F> {
    #[inline(always)]
    fn variable(&mut self, start: usize, end: usize, kind: VariableKind) {
        (self.found)(start, end, kind);
        (self.at, self.done, self.floor) = (end, end, end);
        self.base = end.saturating_sub(1);
    }

    /// The chunk whose first digit is at `place`, bit `bit` of `block`.
    #[inline(always)]
    fn numbered(&mut self, block: &Block, bit: u32, place: usize) {
        let ahead = (!(block.word >> bit)).trailing_zeros();
        let letters = (block.word << 1 << (63 - bit)).leading_ones();
        let start = place - letters as usize;
        // A chunk in one block, of which nothing was taken.
        if bit + ahead >= 64 || letters >= bit || start < self.at {
            return self.chunk(place);
        }
        let end = place + ahead as usize;
        let inside = u64::MAX >> (64 - ahead - letters) << (bit - letters);
        let before = self.scan.byte(start.wrapping_sub(1));
        if before == b':' && self.address(start) {
            return;
        }
        if before == b'-' && self.scan.byte(start.wrapping_sub(2)) == b'_' && self.negative_id(start) {
            return;
        }
        if block.digit & inside == inside {
            return self.digits(block, start, end);
        }
        let hex = if block.hex & inside & !block.digit != 0 { HEX_LETTER } else { 0 };
        let letter = if inside & !block.hex != 0 { LETTER } else { 0 };
        let hit = forms::numbered(self.line, start, end, DIGIT | hex | letter);
        self.take(start, end, hit);
        self.remainder();
    }

    /// The chunk from `start` to `end`, all digits.
    #[inline(always)]
    fn digits(&mut self, block: &Block, start: usize, end: usize) {
        // What a number ends with when nothing follows that could make it part of something else.
        let ends = |next: u8| class(next) & (JOINT | SLASH) == 0 && next != b':';
        let next = self.scan.byte(end);
        if ends(next) {
            return self.variable(self.signed(start), end, VariableKind::Number);
        }
        if next == b'.' {
            // The end is within the block, so that what is shifted out is no digit.
            let fraction = block.digit >> (end % 64) >> 1;
            let stop = end + 1 + fraction.trailing_ones() as usize;
            if stop > end + 1
                && stop % 64 > end % 64
                && ends(self.scan.byte(stop))
                && class(self.scan.byte(stop)) & CHUNK == 0
            {
                return self.variable(self.signed(start), stop, VariableKind::Number);
            }
        }
        if next == b':' && self.is_time_of_day(start) || next == b'-' && self.is_date(end) {
            self.variable(self.signed(start), end, VariableKind::Number);
            self.variable(end + 1, end + 3, VariableKind::Number);
            self.at = end + 4;
            return;
        }
        let hit = forms::numbered(self.line, start, end, DIGIT);
        self.take(start, end, hit);
        self.remainder();
    }

    /// `12:34:56`, and neither a fourth group nor more digits.
    #[inline(always)]
    fn is_time_of_day(&self, place: usize) -> bool {
        const FORM: Form = Form::new(b"00:00:00");
        let next = self.scan.byte(place + 8);
        FORM.fits(self.scan.eight(place)) && next != b':' && !next.is_ascii_hexdigit()
    }

    /// `-12-31` behind a year, and nothing behind it that could make all of it a name.
    #[inline(always)]
    fn is_date(&self, end: usize) -> bool {
        const FORM: Form = Form::new(b"-00-00\0\0");
        FORM.fits(self.scan.eight(end) & 0xffff_ffff_ffff) && ends_atom(class(self.scan.byte(end + 6)))
    }

    /// Takes in a sign that belongs to the number at `start`.
    #[inline(always)]
    fn signed(&self, start: usize) -> usize {
        let sign = matches!(self.scan.byte(start.wrapping_sub(1)), b'-' | b'+');
        let before = class(self.scan.byte(start.wrapping_sub(2)));
        if sign && start > self.done && ends_atom(before) { start - 1 } else { start }
    }

    /// The chunk around `place`.
    #[inline(never)]
    fn chunk(&mut self, place: usize) {
        let behind = slice(self.line, self.at, place);
        let letters = behind.iter().rev().take_while(|byte| class(**byte) & CHUNK != 0).count();
        let start = place - letters;
        if self.address(start) || self.negative_id(start) {
            return;
        }
        self.chunk_from(start);
        self.remainder();
    }

    /// The chunk that begins at `start`.
    fn chunk_from(&mut self, start: usize) {
        let rest = self.line.get(start..).unwrap_or_default();
        let mut seen = 0;
        let chunk = rest.iter().map(|byte| class(*byte)).take_while(|class| class & CHUNK != 0);
        let end = start + chunk.inspect(|class| seen |= class).count();
        let hit = if seen & DIGIT == 0 {
            forms::plain(self.line, start, end, seen)
        } else {
            forms::numbered(self.line, start, end, seen)
        };
        self.take(start, end, hit);
    }

    /// What follows a variable without a mark between.
    #[inline]
    fn remainder(&mut self) {
        while self.at == self.done && class_at(self.line, self.at) & CHUNK != 0 {
            self.chunk_from(self.at);
        }
    }

    /// What was found at the chunk from `start` to `end`.
    #[inline]
    fn take(&mut self, start: usize, end: usize, hit: Hit) {
        match hit {
            Hit::Variable(stop, kind) => {
                let whole = || self.atom(start).max(self.done);
                let host = places::host(self.line, whole, start, stop, kind);
                match host {
                    Some((whole, host)) => self.variable(whole, host, VariableKind::Address),
                    None => self.variable(self.signed(start), stop, kind),
                }
            }
            Hit::Literal(stop) => {
                if stop > end {
                    // An address of one piece, whatever delimiters are in it.
                    (self.base, self.floor) = (self.atom(start), stop);
                }
                self.at = stop;
            }
        }
    }

    /// Where the atom that holds `place` begins.
    fn atom(&self, place: usize) -> usize {
        let text = slice(self.line, self.floor, place);
        text.iter().rposition(|byte| ends_atom(class(*byte))).map_or(self.base, |at| self.floor + at + 1)
    }

    /// `host.of.three.parts:80` with the port at `start`.
    fn address(&mut self, start: usize) -> bool {
        let Some(colon) = start.checked_sub(1).filter(|colon| *colon >= self.at) else { return false };
        if self.line.get(colon) != Some(&b':') || class_at(self.line, start) != DIGIT {
            return false;
        }
        let atom = self.atom(colon);
        if atom < self.done {
            return false;
        }
        let end = places::port_end(self.line, colon);
        let dots = slice(self.line, atom, colon).iter().filter(|byte| **byte == b'.').count();
        if dots < 2 || end <= colon {
            return false;
        }
        self.variable(atom, end, VariableKind::Address);
        self.base = end;
        true
    }

    /// `name_-1234` with the digits at `start`: the word before is looked at, which has no digit.
    fn negative_id(&mut self, start: usize) -> bool {
        let Some(end) = start.checked_sub(1).filter(|end| *end > self.at) else { return false };
        if class_at(self.line, start) != DIGIT || slice(self.line, end - 1, start) != b"_-" {
            return false;
        }
        let name = slice(self.line, self.at, end);
        let length = name.iter().rev().take_while(|byte| class(**byte) & CHUNK != 0).count();
        let seen = name.iter().rev().take(length).fold(0, |seen, byte| seen | class(*byte));
        let hit = forms::plain(self.line, end - length, end, seen);
        self.take(end - length, end, hit);
        matches!(hit, Hit::Variable(..))
    }

    /// A path, when the slash at `place` is where an atom begins or only dots stand before it.
    #[inline]
    fn slash(&mut self, place: usize) {
        self.at = place + 1;
        let before = self.scan.byte(place.wrapping_sub(1));
        if class(before) & CHUNK != 0 && before != b'~' && place != self.base {
            return;
        }
        let atom = self.atom(place);
        let rooted = place == atom || slice(self.line, atom, place).iter().all(|b| matches!(b, b'.' | b'~'));
        if rooted && atom >= self.done {
            let end = places::path_end(self.line, place);
            if end > place + 1 {
                self.variable(atom, end, VariableKind::Path);
            }
        }
    }
}

/// Eight bytes, of which those at a `0` may be any digit.
struct Form {
    bytes: u64,
    /// Low four bits of the bytes that may be any digit: in them digits differ.
    low: u64,
}

impl Form {
    const fn new(text: &[u8; 8]) -> Self {
        let (mut low, mut rest) = (0, text.as_slice());
        while let Some((last, head)) = rest.split_last() {
            low = low << 8 | if *last == b'0' { 0xf } else { 0 };
            rest = head;
        }
        Self { bytes: u64::from_le_bytes(*text), low }
    }

    /// Whether `bytes`, the first one lowest, have this form.
    #[inline(always)]
    fn fits(&self, bytes: u64) -> bool {
        // Six more than nine is carried out of the four bits.
        let carried = (bytes & self.low) + self.low / 15 * 6;
        bytes & !self.low == self.bytes & !self.low && carried & (self.low / 15 * 16) == 0
    }
}
