//! Hosts, ports, paths and addresses: what has delimiters within.

use super::class::{CHUNK, DELIMITER, DIGIT, JOINT, SLASH, SPACE, class, class_at, slice};
use super::{Hit, VariableKind, forms};

/// Start and end of the address with a variable from `start` to `end` in it: `name/ip:port` as Java writes it,
/// `name-1:port`, or a host name (also a versioned file name) of at least two dots and letters at the end. It begins where
/// `whole` says, which is asked only when the rest may be one.
#[inline]
pub(super) fn host(
    line: &[u8],
    whole: impl Fn() -> usize,
    start: usize,
    end: usize,
    kind: VariableKind,
) -> Option<(usize, usize)> {
    let next = line.get(end).copied().unwrap_or(b' ');
    let behind = |mark: u8| start > 0 && line.get(start - 1) == Some(&mark);
    if kind == VariableKind::Address {
        let whole = behind(b'/').then(whole)?;
        return (start > whole).then_some((whole, end));
    }
    if next == b':' {
        let whole = behind(b'-').then(whole)?;
        let stop = port_end(line, end);
        let after = line.get(stop).copied().unwrap_or(b' ');
        let named = slice(line, whole, start).iter().any(u8::is_ascii_alphabetic);
        let ends = class(after) == SPACE || matches!(after, b'.' | b',' | b';' | b')' | b']');
        return (named && start > whole && stop >= end + 3 && ends).then_some((whole, stop));
    }
    if next == b'/'
        && class_at(line, end + 1) == DIGIT
        && let Hit::Variable(stop, VariableKind::Address) = forms::dotted_at(line, end + 1)
    {
        return Some((whole(), stop));
    }
    if class(next) != JOINT {
        return None;
    }
    let rest = line.get(end..).unwrap_or_default();
    let length = rest.iter().position(|byte| class(*byte) & (CHUNK | JOINT) == 0).unwrap_or(rest.len());
    // The last part must be letters, so that a dot stands behind the variable.
    if class_at(rest, length) == SLASH || !slice(rest, 0, length).contains(&b'.') {
        return None;
    }
    let whole = whole();
    let mut text = slice(line, whole, end + length);
    while let Some((b'.', head)) = text.split_last() {
        text = head;
    }
    let last = text.iter().rposition(|b| *b == b'.')?;
    let suffix = slice(text, last + 1, text.len());
    let dots = text.iter().filter(|b| **b == b'.').count();
    let leaders = text.windows(2).any(|pair| pair == b"..");
    let word = suffix.len() >= 2 && suffix.iter().all(u8::is_ascii_alphabetic);
    (dots >= 2 && word && !leaders).then(|| (whole, port_end(line, whole + text.len())))
}

/// The end of `:port` at `at`, or `at`.
pub(super) fn port_end(line: &[u8], at: usize) -> usize {
    if line.get(at) != Some(&b':') || class_at(line, at + 1) != DIGIT {
        return at;
    }
    let end = (at + 1..).find(|at| class_at(line, *at) != DIGIT).unwrap_or(at);
    if end - at <= 6 && class_at(line, end) & CHUNK == 0 { end } else { at }
}

pub(super) fn path_end(line: &[u8], start: usize) -> usize {
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

pub(super) fn windows_path_end(line: &[u8], start: usize) -> usize {
    let ends = |b: &u8| {
        class(*b) == SPACE || matches!(b, b'"' | b'\'' | b'<' | b'>' | b'|' | b';' | b',' | b')' | b']')
    };
    line.get(start..).unwrap_or_default().iter().position(ends).map_or(line.len(), |n| start + n)
}

/// The rest of `scheme://…`; without a digit it may well be a constant, so it stays a literal of one piece.
pub(super) fn url(line: &[u8], start: usize) -> Hit {
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
