//! One pass over a line that finds what is certainly variable: numbers, ids, addresses, paths, times.

use serde::{Deserialize, Serialize};

use super::chunk::{chunk, packed};

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

pub(super) const SPACE: u8 = 1;
/// `, ! ; : = | " ' [ ] ( ) { }`: ends an atom.
pub(super) const DELIMITER: u8 = 2;
/// `. - + @ # $ % &`: joins the components of an atom.
pub(super) const JOINT: u8 = 4;
pub(super) const SLASH: u8 = 8;
pub(super) const DIGIT: u8 = 16;
pub(super) const HEX_LETTER: u8 = 32;
pub(super) const LETTER: u8 = 64;
/// `<` and `>`: part of what they stand at, like letters, but no part of a number.
const ANGLE: u8 = 128;
pub(super) const CHUNK: u8 = DIGIT | HEX_LETTER | LETTER;

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
pub(super) fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(LETTER)
}

/// Class at `at`; the end of the line is blank.
#[inline(always)]
fn class_at(line: &[u8], at: usize) -> u8 {
    line.get(at).map_or(SPACE, |byte| class(*byte))
}

#[inline(always)]
fn slice(line: &[u8], start: usize, end: usize) -> &[u8] {
    line.get(start..end).unwrap_or_default()
}

/// Calls `found(start, end, kind)` for every variable of `line`, in order and without overlap. O(bytes).
#[inline]
pub(super) fn mask(line: &[u8], mut found: impl FnMut(usize, usize, VariableKind)) {
    let mut at = 0;
    // End of the last variable, start of the current atom.
    let mut done = 0;
    let mut atom = 0;
    while let Some(byte) = line.get(at) {
        let class = class(*byte);
        if class & CHUNK != 0 {
            let start = at;
            let (end, seen, head) = chunk(line, start);
            at = end;
            let hit = if seen & DIGIT == 0 {
                plain(line, start, at, seen, head)
            } else {
                numbered(line, start, at, seen)
            };
            match hit {
                Hit::Variable(end, kind) => {
                    let whole = atom.max(done);
                    let (start, end, kind) = match host(line, whole, start, end, kind) {
                        Some(host) => (whole, host, VariableKind::Address),
                        None => (signed(line, start, done), end, kind),
                    };
                    found(start, end, kind);
                    (at, done) = (end, end);
                }
                Hit::Literal(end) => at = end,
            }
        } else if class == SLASH {
            let end = path_end(line, at);
            let rooted = at == atom || slice(line, atom, at).iter().all(|b| matches!(b, b'.' | b'~'));
            if rooted && atom >= done && end > at + 1 {
                found(atom, end, VariableKind::Path);
                (at, done) = (end, end);
            } else {
                at += 1;
            }
        } else if class & (JOINT | ANGLE) != 0 {
            at += 1;
        } else {
            if *byte == b':' && atom >= done && class_at(line, at + 1) == DIGIT {
                let end = port_end(line, at);
                let dots = slice(line, atom, at).iter().filter(|b| **b == b'.').count();
                if dots >= 2 && end > at {
                    found(atom, end, VariableKind::Address);
                    (at, done, atom) = (end, end, end);
                    continue;
                }
            }
            at += 1;
            atom = at;
        }
    }
}

/// The end of the address that begins at `atom`, with a variable from `start` to `end` in it: `name/ip:port` as Java
/// writes it, `name-1:port`, or a host name (also a versioned file name) of at least two dots and letters at the end.
#[inline]
fn host(line: &[u8], atom: usize, start: usize, end: usize, kind: VariableKind) -> Option<usize> {
    let next = line.get(end).copied().unwrap_or(b' ');
    if kind == VariableKind::Address {
        return (start > atom && line.get(start - 1) == Some(&b'/')).then_some(end);
    }
    if next == b':' {
        let stop = port_end(line, end);
        let after = line.get(stop).copied().unwrap_or(b' ');
        let named = slice(line, atom, start).iter().any(u8::is_ascii_alphabetic);
        let joined = start > atom && line.get(start - 1) == Some(&b'-');
        let ends = class(after) == SPACE || matches!(after, b'.' | b',' | b';' | b')' | b']');
        return (named && joined && stop >= end + 3 && ends).then_some(stop);
    }
    if next == b'/'
        && class_at(line, end + 1) == DIGIT
        && let Hit::Variable(stop, VariableKind::Address) = dotted_at(line, end + 1)
    {
        return Some(stop);
    }
    if class(next) != JOINT {
        return None;
    }
    let mut stop = end;
    while class_at(line, stop) & (CHUNK | JOINT) != 0 {
        stop += 1;
    }
    if class_at(line, stop) == SLASH {
        return None;
    }
    let mut text = slice(line, atom, stop);
    while let Some((b'.', head)) = text.split_last() {
        text = head;
    }
    let last = text.iter().rposition(|b| *b == b'.')?;
    let suffix = slice(text, last + 1, text.len());
    let dots = text.iter().filter(|b| **b == b'.').count();
    let leaders = text.windows(2).any(|pair| pair == b"..");
    let word = suffix.len() >= 2 && suffix.iter().all(u8::is_ascii_alphabetic);
    (dots >= 2 && word && !leaders).then(|| port_end(line, atom + text.len()))
}

enum Hit {
    Variable(usize, VariableKind),
    Literal(usize),
}

/// Takes in a sign that belongs to the number at `start`.
#[inline]
fn signed(line: &[u8], start: usize, done: usize) -> usize {
    if start > done && matches!(line.get(start - 1), Some(b'-' | b'+')) {
        let before = if start >= 2 { class_at(line, start - 2) } else { SPACE };
        if before & (SPACE | DELIMITER) != 0 {
            return start - 1;
        }
    }
    start
}

/// A chunk without digits.
#[inline]
fn plain(line: &[u8], start: usize, end: usize, seen: u8, head: u64) -> Hit {
    let next = line.get(end).copied().unwrap_or(b' ');
    if next == b':' {
        if slice(line, end, end + 3) == b"://" {
            return url(line, end + 3);
        }
        if end - start == 1 && line.get(end + 1) == Some(&b'\\') {
            return Hit::Variable(windows_path_end(line, end), VariableKind::Path);
        }
        if seen == HEX_LETTER
            && end - start <= 4
            && let Some(end) = colon_groups(line, start)
        {
            return Hit::Variable(end, VariableKind::Address);
        }
    }
    if next == b'-' && line.get(end - 1) == Some(&b'_') && class_at(line, end + 1) == DIGIT {
        let stop = (end + 1..).find(|at| class_at(line, *at) != DIGIT).unwrap_or(end);
        if stop - end > 4 && class_at(line, stop) & CHUNK == 0 {
            return Hit::Variable(stop, VariableKind::Id);
        }
    }
    match end - start {
        3 if line.get(start).is_some_and(u8::is_ascii_uppercase) => match time_phrase(line, start) {
            Some(end) => Hit::Variable(end, VariableKind::Time),
            None => Hit::Literal(end),
        },
        4 | 5 if is_default(slice(line, start, end), head) => Hit::Variable(end, VariableKind::Default),
        8 if seen == HEX_LETTER && next == b'-' && uuid(slice(line, start, start + 36)) => {
            Hit::Variable(start + 36, VariableKind::Id)
        }
        8.. if seen == HEX_LETTER => Hit::Variable(end, VariableKind::Hex),
        _ => Hit::Literal(end),
    }
}

/// Words that stand where any value may stand.
const DEFAULTS: [&[u8]; 5] = [b"true", b"null", b"root", b"false", b"admin"];

/// Whether `word` is one of [`DEFAULTS`]; `head` is the word [`packed`], if known.
#[inline]
fn is_default(word: &[u8], head: u64) -> bool {
    const PACKED: [u64; 5] =
        [packed(b"true"), packed(b"null"), packed(b"root"), packed(b"false"), packed(b"admin")];
    if head == 0 {
        return DEFAULTS.iter().any(|d| word.eq_ignore_ascii_case(d));
    }
    PACKED.iter().fold(false, |found, default| found | (*default == head))
}

/// A chunk with digits: a variable, or a name such as `en0`.
#[inline]
fn numbered(line: &[u8], start: usize, end: usize, seen: u8) -> Hit {
    let chunk = slice(line, start, end);
    let next = line.get(end).copied().unwrap_or(b' ');
    if seen & LETTER == 0 {
        if next == b'-' && chunk.len() == 8 && uuid(slice(line, start, start + 36)) {
            return Hit::Variable(start + 36, VariableKind::Id);
        }
        if next == b':'
            && chunk.len() <= 4
            && let Some(end) = colon_groups(line, start)
        {
            return Hit::Variable(end, VariableKind::Address);
        }
    }
    let Some(kind) = chunk_kind(chunk, seen, line.get(end..).unwrap_or_default()) else {
        return Hit::Literal(end);
    };
    if next != b'.' {
        // `0x1c/0x20`, `4G/8G`; but `1/2` may be a date.
        if next == b'/' && seen != DIGIT && class_at(line, end + 1) == DIGIT {
            let stop = (end + 1..).find(|at| class_at(line, *at) & CHUNK == 0).unwrap_or(end);
            if class_at(line, stop) != SLASH {
                return Hit::Variable(stop, kind);
            }
        }
        return Hit::Variable(end, kind);
    }
    dotted(line, end, kind, chunk.len() <= 3)
}

/// [`dotted`] from the digits at `start`.
fn dotted_at(line: &[u8], start: usize) -> Hit {
    let end = (start..).find(|at| class_at(line, *at) != DIGIT).unwrap_or(start);
    dotted(line, end, VariableKind::Number, end - start <= 3)
}

/// Follows `.component` as long as the components are variables too; with four short ones takes in a port or a prefix.
fn dotted(line: &[u8], mut end: usize, kind: VariableKind, short: bool) -> Hit {
    let (mut short, mut parts) = (short, 1);
    while line.get(end) == Some(&b'.') {
        let start = end + 1;
        let mut seen = 0;
        let mut stop = start;
        while class_at(line, stop) & CHUNK != 0 {
            seen |= class_at(line, stop);
            stop += 1;
        }
        let chunk = slice(line, start, stop);
        if seen & DIGIT == 0 || chunk_kind(chunk, seen, &[]).is_none() {
            break;
        }
        short &= seen == DIGIT && chunk.len() <= 3;
        parts += 1;
        end = stop;
    }
    if parts != 4 || !short {
        return Hit::Variable(end, kind);
    }
    if line.get(end) == Some(&b'/') && class_at(line, end + 1) == DIGIT {
        let prefix = (end + 1..).find(|at| class_at(line, *at) != DIGIT).unwrap_or(end);
        if class_at(line, prefix) & (SPACE | DELIMITER) != 0 {
            return Hit::Variable(prefix, VariableKind::Address);
        }
    }
    Hit::Variable(port_end(line, end), VariableKind::Address)
}

/// The end of `:port` at `at`, or `at`.
fn port_end(line: &[u8], at: usize) -> usize {
    if line.get(at) != Some(&b':') || class_at(line, at + 1) != DIGIT {
        return at;
    }
    let end = (at + 1..).find(|at| class_at(line, *at) != DIGIT).unwrap_or(at);
    if end - at <= 6 && class_at(line, end) & CHUNK == 0 { end } else { at }
}

fn chunk_kind(chunk: &[u8], seen: u8, after: &[u8]) -> Option<VariableKind> {
    if seen == DIGIT {
        return Some(VariableKind::Number);
    }
    if chunk.first().is_some_and(u8::is_ascii_digit) {
        if matches!(chunk, [b'0', b'x' | b'X', ..]) {
            return Some(VariableKind::Hex);
        }
        // `64KB`, `4G`, `9f4ef63`, but not `0userId`, where a value and the next name are glued together.
        let tail = chunk.iter().position(|b| !b.is_ascii_digit()).unwrap_or(0);
        let name = slice(chunk, tail, chunk.len());
        let glued = seen & LETTER != 0 && name.len() > 4 && name.iter().all(u8::is_ascii_alphabetic);
        return (!glued).then_some(if seen & LETTER == 0 { VariableKind::Hex } else { VariableKind::Number });
    }
    if seen & LETTER == 0 && chunk.len() >= 6 {
        return Some(VariableKind::Hex);
    }
    let digits = chunk.iter().filter(|b| b.is_ascii_digit()).count();
    // `v1.2`: a short prefix before a dotted number.
    let versioned = chunk.len() - digits <= 2
        && matches!(after, [b'.', next, ..] if next.is_ascii_digit())
        && chunk.last().is_some_and(u8::is_ascii_digit);
    let numbered_part =
        || chunk.split(|b| *b == b'_').skip(1).any(|p| !p.is_empty() && p.iter().all(u8::is_ascii_digit));
    (digits >= 4 || versioned || numbered_part()).then_some(VariableKind::Id)
}

fn uuid(text: &[u8]) -> bool {
    let hyphen = |at: &usize| text.get(*at) == Some(&b'-');
    // Counted, not searched: nearly all that comes here is one.
    let digits = || text.iter().filter(|byte| class(**byte) & (DIGIT | HEX_LETTER) != 0).count();
    text.len() == 36 && [8, 13, 18, 23].iter().all(hyphen) && digits() == 32
}

/// An IPv6 or MAC address or a longer hardware id: at least six groups of hexadecimal digits between colons, or fewer with
/// a `::` in between; or a PCI address, `0000:01:0c.0`.
fn colon_groups(line: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut groups, mut gap, mut bytes) = (start, 0, false, true);
    loop {
        let end = (at..at + 5).find(|p| !line.get(*p).is_some_and(u8::is_ascii_hexdigit))?;
        if end > at {
            groups += 1;
            bytes &= end == at + 2;
        } else if groups == 0 || gap {
            return None;
        } else {
            gap = true;
        }
        at = end;
        if line.get(at) != Some(&b':') {
            break;
        }
        let next = line.get(at + 1).copied().unwrap_or(b' ');
        if !next.is_ascii_hexdigit() && next != b':' {
            break;
        }
        at += 1;
    }
    if groups == 3 && !gap && at == start + 10 && line.get(at) == Some(&b'.') {
        let function = class_at(line, at + 1) == DIGIT && class_at(line, at + 2) & CHUNK == 0;
        return function.then_some(at + 2);
    }
    let size = groups >= 6 && (groups <= 8 || bytes && groups <= 32) || gap && (2..=7).contains(&groups);
    let digits = slice(line, start, at).iter().any(u8::is_ascii_digit);
    (size && digits && class_at(line, at) & CHUNK == 0).then_some(at)
}

fn path_end(line: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    if class_at(line, at) == SLASH {
        return start;
    }
    let mut query = false;
    loop {
        let class = class_at(line, at);
        let quote = || matches!(line.get(at), Some(b'"' | b'\'' | b')' | b']' | b'>'));
        // A query string runs on over its equals signs.
        if class == SPACE || class == DELIMITER && (!query || quote()) {
            break;
        }
        query |= line.get(at) == Some(&b'?');
        at += 1;
    }
    // Hadoop writes addresses as `host/ip:port`.
    port_end(line, at)
}

fn windows_path_end(line: &[u8], start: usize) -> usize {
    let ends = |b: &u8| {
        class(*b) == SPACE || matches!(b, b'"' | b'\'' | b'<' | b'>' | b'|' | b';' | b',' | b')' | b']')
    };
    line.get(start..).unwrap_or_default().iter().position(ends).map_or(line.len(), |n| start + n)
}

/// The rest of `scheme://…`; without a digit it may well be a constant, so it stays a literal of one piece.
fn url(line: &[u8], start: usize) -> Hit {
    let ends = |b: &u8| {
        class(*b) == SPACE
            || matches!(
                b,
                b'"' | b'\'' | b'<' | b'>' | b'|' | b';' | b',' | b'(' | b')' | b'[' | b']' | b'{' | b'}'
            )
    };
    let rest = line.get(start..).unwrap_or_default();
    let mut length = rest.iter().position(ends).unwrap_or(rest.len());
    while length > 0 && matches!(rest.get(length - 1), Some(b'.' | b':')) {
        length -= 1;
    }
    let digits = slice(rest, 0, length).iter().any(u8::is_ascii_digit);
    if digits { Hit::Variable(start + length, VariableKind::Url) } else { Hit::Literal(start + length) }
}

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];

/// `[Sun ]Jun 19 08:43:14[ 2005]`, as `ctime` and syslog (RFC 3164) write it.
fn time_phrase(line: &[u8], start: usize) -> Option<usize> {
    // Nearly all words fail here.
    line.get(start + 3).filter(|b| **b == b' ')?;
    let is = |at: usize, words: &[&[u8; 3]]| words.iter().any(|w| slice(line, at, at + 3) == w.as_slice());
    let mut at = start;
    if is(at, &DAYS) && line.get(at + 3) == Some(&b' ') {
        at += 4;
    }
    if !is(at, &MONTHS) {
        return None;
    }
    at = blanks(line, at + 3)?;
    at = digits(line, at, 1, 2)?;
    at = blanks(line, at)?;
    at = digits(line, at, 2, 2)?;
    for _ in 0..2 {
        if line.get(at) != Some(&b':') {
            return None;
        }
        at = digits(line, at + 1, 2, 2)?;
    }
    let year = blanks(line, at).and_then(|at| digits(line, at, 4, 4));
    Some(year.filter(|end| class_at(line, *end) & (SPACE | DELIMITER) != 0).unwrap_or(at))
}

fn blanks(line: &[u8], at: usize) -> Option<usize> {
    let end = (at..).find(|at| line.get(*at) != Some(&b' ')).unwrap_or(at);
    (end > at).then_some(end)
}

fn digits(line: &[u8], at: usize, least: usize, most: usize) -> Option<usize> {
    let end = (at..).find(|at| !line.get(*at).is_some_and(u8::is_ascii_digit)).unwrap_or(at);
    (least..=most).contains(&(end - at)).then_some(end)
}
