//! The scan one byte after the other, which the fast one is held against.

use super::class::{ANGLE, CHUNK, DELIMITER, DIGIT, JOINT, SLASH, SPACE, class, class_at, slice};
use super::{Hit, VariableKind, forms, places};

fn chunk(line: &[u8], start: usize) -> (usize, u8) {
    let rest = line.iter().skip(start).take_while(|b| class(**b) & CHUNK != 0);
    rest.fold((start, 0), |(end, seen), byte| (end + 1, seen | class(*byte)))
}

/// As [`mask`](super::mask).
pub(super) fn mask(line: &[u8], mut found: impl FnMut(usize, usize, VariableKind)) {
    let mut at = 0;
    // End of the last variable, start of the current atom.
    let mut done = 0;
    let mut atom = 0;
    while let Some(byte) = line.get(at) {
        let class = class(*byte);
        if class & CHUNK != 0 {
            let start = at;
            let (end, seen) = chunk(line, start);
            at = end;
            let hit = if seen & DIGIT == 0 {
                forms::plain(line, start, at, seen)
            } else {
                forms::numbered(line, start, at, seen)
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
            let end = places::path_end(line, at);
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
                let end = places::port_end(line, at);
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
fn host(line: &[u8], atom: usize, start: usize, end: usize, kind: VariableKind) -> Option<usize> {
    let next = line.get(end).copied().unwrap_or(b' ');
    if kind == VariableKind::Address {
        return (start > atom && line.get(start - 1) == Some(&b'/')).then_some(end);
    }
    if next == b':' {
        let stop = places::port_end(line, end);
        let after = line.get(stop).copied().unwrap_or(b' ');
        let named = slice(line, atom, start).iter().any(u8::is_ascii_alphabetic);
        let joined = start > atom && line.get(start - 1) == Some(&b'-');
        let ends = class(after) == SPACE || matches!(after, b'.' | b',' | b';' | b')' | b']');
        return (named && joined && stop >= end + 3 && ends).then_some(stop);
    }
    if next == b'/'
        && class_at(line, end + 1) == DIGIT
        && let Hit::Variable(stop, VariableKind::Address) = forms::dotted_at(line, end + 1)
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
    (dots >= 2 && word && !leaders).then(|| places::port_end(line, atom + text.len()))
}

/// Takes in a sign that belongs to the number at `start`.
fn signed(line: &[u8], start: usize, done: usize) -> usize {
    if start > done && matches!(line.get(start - 1), Some(b'-' | b'+')) {
        let before = if start >= 2 { class_at(line, start - 2) } else { SPACE };
        if before & (SPACE | DELIMITER) != 0 {
            return start - 1;
        }
    }
    start
}
