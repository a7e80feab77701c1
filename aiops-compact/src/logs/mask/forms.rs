//! Which chunks, runs of letters and digits, are variable by their form.

use super::class::{CHUNK, DELIMITER, DIGIT, HEX_LETTER, LETTER, SLASH, SPACE, class, class_at, slice};
use super::{Hit, VariableKind, places, time};

/// A chunk without digits.
#[inline]
pub(super) fn plain(line: &[u8], start: usize, end: usize, seen: u8) -> Hit {
    let next = line.get(end).copied().unwrap_or(b' ');
    if next == b':' {
        if slice(line, end, end + 3) == b"://" {
            return places::url(line, end + 3);
        }
        if end - start == 1 && line.get(end + 1) == Some(&b'\\') {
            return Hit::Variable(places::windows_path_end(line, end), VariableKind::Path);
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
        3 if line.get(start).is_some_and(u8::is_ascii_uppercase) => match time::phrase(line, start) {
            Some(end) => Hit::Variable(end, VariableKind::Time),
            None => Hit::Literal(end),
        },
        4 | 5 if is_default(slice(line, start, end)) => Hit::Variable(end, VariableKind::Default),
        8 if seen == HEX_LETTER && next == b'-' && uuid(slice(line, start, start + 36)) => {
            Hit::Variable(start + 36, VariableKind::Id)
        }
        8.. if seen == HEX_LETTER => Hit::Variable(end, VariableKind::Hex),
        _ => Hit::Literal(end),
    }
}

/// Whether a word stands where any value may stand: `true`, `null`, `root`, `false` or `admin`, in any case.
#[inline]
fn is_default(word: &[u8]) -> bool {
    const LOWER: u32 = 0x2020_2020;
    let of = |word: &[u8; 4]| u32::from_le_bytes(*word);
    let Some((head, tail)) = word.split_first_chunk::<4>() else { return false };
    // Only letters come out as small letters.
    let head = of(head) | LOWER;
    match tail {
        [] => head == of(b"true") || head == of(b"null") || head == of(b"root"),
        [last] => {
            let last = last | 0x20;
            head == of(b"fals") && last == b'e' || head == of(b"admi") && last == b'n'
        }
        _ => false,
    }
}

/// A chunk with digits: a variable, or a name such as `en0`.
#[inline]
pub(super) fn numbered(line: &[u8], start: usize, end: usize, seen: u8) -> Hit {
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
pub(super) fn dotted_at(line: &[u8], start: usize) -> Hit {
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
    Hit::Variable(places::port_end(line, end), VariableKind::Address)
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
