//! Addresses of people and machines: e-mail, IPv4, IPv6, credentials in URLs.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::class::{LOWER, UPPER, at, before, class, is_word, run, run_back};

/// Endings of systemd units, which look like domains after an `@`.
const UNITS: [&[u8]; 10] =
    [b"service", b"socket", b"target", b"timer", b"mount", b"slice", b"device", b"scope", b"path", b"swap"];

/// Longest local part and longest domain of an address (RFC 5321, 4.5.3.1).
const LOCAL: usize = 64;
const DOMAIN: usize = 255;

/// Characters beyond ASCII that no address has (RFC 6531 allows them, no provider does): spaces, quotes, brackets and
/// other marks of typography. Bytes that are not UTF-8 may be letters of an older encoding.
fn edges(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mark = |c: char| {
        c.is_whitespace()
            || matches!(c, '\u{80}'..='\u{a9}' | '\u{ab}'..='\u{b4}' | '\u{b6}'..='\u{b9}' | '\u{bb}'..='\u{bf}')
            || matches!(c, '\u{2000}'..='\u{206f}' | '\u{2190}'..='\u{2bff}' | '\u{3000}'..='\u{3004}' | '\u{3008}'..='\u{3020}')
            || matches!(c, '\u{feff}' | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}')
    };
    let mut offset = 0;
    text.utf8_chunks().flat_map(move |chunk| {
        let from = offset;
        offset += chunk.valid().len() + chunk.invalid().len();
        let marks = chunk.valid().char_indices().filter(move |(_, c)| mark(*c));
        marks.map(move |(at, c)| from + at..from + at + c.len_utf8())
    })
}

/// The address around the `@` at `sign`: a dotted domain that ends with letters. Not what only looks like one: `git@host`, a
/// package with its version, a systemd unit.
pub(super) fn email(text: &[u8], floor: usize, sign: usize) -> Option<Range<usize>> {
    let local = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'%' | b'+' | b'-' | 0x80..);
    let mut start = run_back(text, floor, sign, LOCAL, local);
    // The limit may have divided a character.
    start = run(text.get(..sign)?, start, |b| (0x80..0xC0).contains(&b));
    start += edges(text.get(start..sign)?).last().map_or(0, |edge| edge.end);
    while matches!(at(text, start), b'.' | b'-' | b'+' | b'%') && start < sign {
        start += 1;
    }
    if start == sign || text.get(start..sign) == Some(b"git") {
        return None;
    }
    let domain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | 0x80..);
    let mut end = run(text, sign + 1, domain);
    end = edges(text.get(sign + 1..end)?).next().map_or(end, |edge| sign + 1 + edge.start);
    while end > sign + 1 && matches!(before(text, end), b'.' | b'-') {
        end -= 1;
    }
    let name = text.get(sign + 1..end).filter(|name| name.len() <= DOMAIN)?;
    let top = name.rsplit(|b| *b == b'.').next().unwrap_or_default();
    let letters = top.len() >= 2 && top.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80)
        || top.starts_with(b"xn--");
    let labels = name.len() > top.len() && name.split(|b| *b == b'.').all(|label| !label.is_empty());
    (letters && labels && !UNITS.contains(&top)).then_some(start..end)
}

/// The dotted quad that starts at `start`. Loopback, unspecified, broadcast and network masks name no machine; a quad after the
/// word "version" and one with a fifth part is no address.
pub(super) fn ipv4(text: &[u8], start: usize) -> Option<Range<usize>> {
    let previous = before(text, start);
    if is_word(previous) || previous == b'.' && before(text, start - 1).is_ascii_digit() {
        return None;
    }
    let mut end = start;
    let (mut octets, mut padded) = ([0_u8; 4], true);
    for (i, octet) in octets.iter_mut().enumerate() {
        if i > 0 {
            if at(text, end) != b'.' {
                return None;
            }
            end += 1;
        }
        let stop = run(text, end, |b| b.is_ascii_digit()).min(end + 4);
        let digits = std::str::from_utf8(text.get(end..stop)?).ok()?;
        padded &= digits.len() == 3;
        if digits.len() > 1 && digits.starts_with('0') && !padded {
            return None;
        }
        *octet = digits.parse().ok()?;
        end = stop;
    }
    let next = at(text, end);
    if is_word(next) || next == b'@' || next == b'.' && at(text, end + 1).is_ascii_digit() {
        return None;
    }
    let nobody = matches!(octets, [127, ..] | [0, 0, 0, 0] | [255, 255, ..]);
    (!nobody && !after_version(text, start)).then_some(start..end)
}

/// Whether "version" or the like stands before `start`, maybe with quotes, spaces, `=` or `:` between.
fn after_version(text: &[u8], start: usize) -> bool {
    let glue = |b: u8| matches!(b, b' ' | b'=' | b':' | b'"' | b'\'' | b'/');
    let end = run_back(text, 0, start, 4, glue);
    let word = run_back(text, 0, end, 16, |b| class(b) & (LOWER | UPPER) != 0);
    let word = text.get(word..end).unwrap_or_default();
    [&b"version"[..], b"ver", b"release", b"build", b"v"].iter().any(|name| word.eq_ignore_ascii_case(name))
}

/// The address in the run of hexadecimal digits and colons from `start` on; not `::` and `::1`, nor words with colons
/// between them, which have no digit.
pub(super) fn ipv6(text: &[u8], start: usize) -> Option<Range<usize>> {
    let previous = before(text, start);
    if is_word(previous) || matches!(previous, b':' | b'.') {
        return None;
    }
    // The longest form has 45 characters; one more colon may follow as punctuation.
    let limit = start + 47;
    let within = text.get(..limit.min(text.len())).unwrap_or_default();
    let end = run(within, start, |b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
    if is_word(at(text, end)) {
        return None;
    }
    let found = within.get(start..end)?;
    let colons = found.iter().filter(|b| **b == b':').count();
    let squeezed = found.windows(2).any(|pair| pair == b"::");
    if colons < 2 || !squeezed && colons < 6 || !found.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let whole = std::str::from_utf8(found).ok()?;
    let trimmed = whole.trim_end_matches('.');
    let one_less = trimmed.strip_suffix(':').unwrap_or(trimmed);
    [trimmed, one_less].into_iter().find_map(|name| {
        let address: Ipv6Addr = name.parse().ok()?;
        (!address.is_loopback() && !address.is_unspecified()).then_some(start..start + name.len())
    })
}

/// Furthest a password is looked for in a URL.
const USER_INFO: usize = 256;

/// The password in the user information of a URL whose `:` of `://` stands at `colon`. Passwords may hold a slash that should
/// have been escaped; a port may not be taken for one.
pub(super) fn url_password(text: &[u8], colon: usize) -> Option<Range<usize>> {
    let start = colon + 3;
    let within = text.get(..(start + USER_INFO).min(text.len())).unwrap_or_default();
    let end =
        run(within, start, |b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'<' | b'>' | b'`'));
    let rest = within.get(start..end)?;
    let separator = rest.iter().position(|b| matches!(b, b':' | b'/' | b'?' | b'#' | b'@'))?;
    if rest.get(separator) != Some(&b':') {
        return None;
    }
    let password = rest.get(separator + 1..)?;
    let slash = password.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(password.len());
    let authority = password.get(..slash)?;
    let sign = match authority.iter().rposition(|b| *b == b'@') {
        Some(sign) => sign,
        // `host:8080/path@x`
        None if authority.iter().all(u8::is_ascii_digit) => return None,
        None => password.iter().position(|b| *b == b'@')?,
    };
    let from = start + separator + 1;
    (sign > 0).then_some(from..from + sign)
}
