//! Times in words.

use super::class::{DELIMITER, SPACE, class_at, slice};

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];

/// `[Sun ]Jun 19 08:43:14[ 2005]`, as `ctime` and syslog (RFC 3164) write it.
pub(super) fn phrase(line: &[u8], start: usize) -> Option<usize> {
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
