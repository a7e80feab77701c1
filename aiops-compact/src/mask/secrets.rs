//! Keys, tokens and passwords, by their form or by what stands before them.

use std::ops::Range;

use super::class::{at, before, is_word, run, run_back};

fn base64url(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
}

/// What credentials after an authentication scheme are made of (RFC 9110, token68).
fn token68(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// Whether the word at `start` begins like the header of a JSON web token, `{"` in base64.
pub(super) fn begins_jwt(text: &[u8], start: usize) -> bool {
    text.get(start..).is_some_and(|rest| rest.starts_with(b"eyJ"))
}

/// End of the run of base64url characters and dots from `start` on.
pub(super) fn dotted(text: &[u8], start: usize) -> usize {
    run(text, start, |b| base64url(b) || b == b'.')
}

/// The JSON web token (RFC 7519, compact form) that is `found`: a header, a payload, maybe a signature; five parts when
/// it is encrypted.
pub(super) fn jwt(text: &[u8], found: Range<usize>) -> Option<Range<usize>> {
    let mut parts = text.get(found.clone())?.split(|b| *b == b'.');
    let header = parts.next().is_some_and(|part| part.len() >= 8);
    let payload = parts.next().is_some_and(|part| part.len() >= 4);
    let whole = header && payload && matches!(parts.count(), 1..=3);
    whole.then_some(found)
}

/// Prefixes of keys that their issuers document, with the fewest characters that follow.
const PREFIXES: &[(&[u8], usize)] = &[
    // Amazon Web Services: access key ids.
    (b"AKIA", 16),
    (b"ASIA", 16),
    // GitHub and GitLab.
    (b"ghp_", 30),
    (b"gho_", 30),
    (b"ghu_", 30),
    (b"ghs_", 30),
    (b"ghr_", 30),
    (b"github_pat_", 22),
    (b"glpat-", 20),
    // Slack.
    (b"xoxa-", 10),
    (b"xoxb-", 10),
    (b"xoxe-", 10),
    (b"xoxp-", 10),
    (b"xoxr-", 10),
    (b"xoxs-", 10),
    (b"xapp-", 10),
    // Stripe, OpenAI, Anthropic, Hugging Face.
    (b"sk_live_", 16),
    (b"sk_test_", 16),
    (b"rk_live_", 16),
    (b"rk_test_", 16),
    (b"sk-", 20),
    (b"hf_", 30),
    // Google API keys and OAuth tokens.
    (b"AIza", 35),
    (b"ya29.", 20),
    // npm, PyPI, SendGrid, DigitalOcean, Vault, Shopify, age.
    (b"npm_", 36),
    (b"pypi-", 50),
    (b"SG.", 40),
    (b"dop_v1_", 64),
    (b"hvs.", 24),
    (b"shpat_", 32),
    (b"AGE-SECRET-KEY-1", 50),
];

/// Whether the word at `start` begins with the prefix of a known issuer.
pub(super) fn begins_key(text: &[u8], start: usize) -> bool {
    prefix(text, start).is_some()
}

fn prefix(text: &[u8], start: usize) -> Option<&'static (&'static [u8], usize)> {
    let rest = text.get(start..)?;
    PREFIXES.iter().find(|(prefix, _)| rest.starts_with(prefix))
}

/// The key of a known issuer that is `found`. Full stops at its end end a sentence, not the key.
pub(super) fn issued_key(text: &[u8], found: Range<usize>) -> Option<Range<usize>> {
    let (prefix, least) = prefix(text, found.start)?;
    let body = text.get(found.start + prefix.len()..found.end)?;
    let dots = body.iter().rev().take_while(|b| **b == b'.').count();
    let secret = body.get(..body.len() - dots)?;
    // `sk-` and the like may also begin ordinary words with hyphens; keys have digits.
    let whole = secret.len() >= *least && secret.iter().any(u8::is_ascii_digit);
    whole.then_some(found.start..found.end - dots)
}

const SCHEMES: [&[u8]; 5] = [b"bearer", b"basic", b"digest", b"negotiate", b"apikey"];

/// The credentials after the authentication scheme (RFC 9110) that is the word `start..end`: something that no word of
/// prose looks like.
pub(super) fn after_scheme(text: &[u8], start: usize, end: usize) -> Option<Range<usize>> {
    let scheme = text.get(start..end)?;
    if !SCHEMES.iter().any(|name| scheme.eq_ignore_ascii_case(name)) {
        return None;
    }
    let from = run(text, end, |b| b == b' ').min(end + 4);
    let until = run(text, from, token68);
    let credentials = text.get(from..until)?;
    let digit = credentials.iter().any(u8::is_ascii_digit);
    let padded = credentials.ends_with(b"=");
    let inner_capital = credentials.iter().skip(1).any(u8::is_ascii_uppercase)
        && credentials.iter().any(u8::is_ascii_lowercase);
    (from > end && credentials.len() >= 8 && (digit || padded || inner_capital)).then_some(from..until)
}

/// Endings of names of secrets, without `_`, `-`, `.` and in lower case.
const NAMES: [&[u8]; 22] = [
    b"password",
    b"passwd",
    b"passwort",
    b"passphrase",
    b"pwd",
    b"secret",
    b"token",
    b"apikey",
    b"accesskey",
    b"secretkey",
    b"privatekey",
    b"accountkey",
    b"signingkey",
    b"encryptionkey",
    b"sharedaccesssignature",
    b"credential",
    b"credentials",
    b"sessionid",
    b"jsessionid",
    b"authorization",
    b"cookie",
    b"secretaccesskey",
];

/// Longest name of a setting that is looked at.
const NAME: usize = 64;

fn name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}

/// Whether the last part of a setting's name says that it is secret.
fn names_secret(name: &[u8]) -> bool {
    let mut folded = [0_u8; NAME];
    let letters = name.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase);
    let mut length = 0;
    for (slot, byte) in folded.iter_mut().zip(letters) {
        *slot = byte;
        length += 1;
    }
    let folded = folded.get(..length).unwrap_or_default();
    // `pass` ends many words ("bypass"), so it must stand alone.
    let last = name.rsplit(|b| matches!(b, b'_' | b'-' | b'.')).next().unwrap_or_default();
    NAMES.iter().any(|ending| folded.ends_with(ending)) || last.eq_ignore_ascii_case(b"pass")
}

/// Values that tell nothing: placeholders and what other masks leave.
fn placeholder(value: &[u8]) -> bool {
    const WORDS: [&[u8]; 12] = [
        b"null",
        b"none",
        b"nil",
        b"true",
        b"false",
        b"undefined",
        b"redacted",
        b"masked",
        b"filtered",
        b"hidden",
        b"empty",
        b"unset",
    ];
    let trimmed = value.trim_ascii();
    let bare = trimmed.strip_prefix(b"<").and_then(|v| v.strip_suffix(b">")).unwrap_or(trimmed);
    let bare = bare.strip_prefix(b"[").and_then(|v| v.strip_suffix(b"]")).unwrap_or(bare);
    trimmed.iter().all(|b| matches!(b, b'*' | b'.' | b'-' | b'_' | b'?' | b'<' | b'>' | b'[' | b']'))
        || WORDS.iter().any(|word| bare.eq_ignore_ascii_case(word))
        || trimmed.len() >= 3 && trimmed.iter().all(|b| matches!(b, b'x' | b'X' | b'*'))
}

/// Whether the value at `range` is no value but the name of where to find it: `${NAME}`, `{{ name }}`, `%NAME%`, whole and
/// closed. A closing bracket may stand behind `range`, since it ends values that are not in quotes.
fn reference(text: &[u8], range: &Range<usize>) -> bool {
    let found = text.get(range.clone()).unwrap_or_default().trim_ascii();
    let behind = text.get(range.end..).unwrap_or_default();
    let named = |name: &[u8]| {
        let name = name.trim_ascii();
        !name.is_empty() && name.iter().all(|b| name_byte(*b))
    };
    if let Some(name) = found.strip_prefix(b"${") {
        let closed = name.strip_suffix(b"}").or(behind.starts_with(b"}").then_some(name));
        return closed.is_some_and(named);
    }
    if let Some(name) = found.strip_prefix(b"{{") {
        let closed = name.strip_suffix(b"}}").or(behind.starts_with(b"}}").then_some(name));
        return closed.is_some_and(named) || name.is_empty() && behind.starts_with(b" ");
    }
    let variable = found.strip_prefix(b"%").and_then(|v| v.strip_suffix(b"%"));
    variable.is_some_and(|v| named(v) && !v.iter().any(u8::is_ascii_lowercase))
}

fn quote(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`')
}

/// The value of a secret setting whose `=` or `:` stands at `sign`: `password=…`, `"apiKey": "…"`, `Authorization: Bearer …`.
pub(super) fn setting(text: &[u8], floor: usize, sign: usize) -> Option<Range<usize>> {
    let mut end = run_back(text, floor, sign, 4, |b| b == b' ');
    if quote(before(text, end)) && end > floor {
        end -= 1;
        // JSON inside a JSON string.
        end = run_back(text, floor, end, 4, |b| b == b'\\');
    }
    let start = run_back(text, floor, end, NAME, name_byte);
    let name = text.get(start..end)?;
    if name.len() < 3 || !names_secret(name) {
        return None;
    }
    let colon = at(text, sign) == b':';
    // `==`, `:=`, `=>` and `::`: the value follows the last of them.
    let from = run(text, sign, |b| matches!(b, b'=' | b':' | b'>')).min(sign + 3);
    let from = run(text, from, |b| b == b' ' || b == b'\t').min(from + 8);
    let range = value(text, from)?;
    let found = text.get(range.clone())?;
    if placeholder(found) || reference(text, &range) {
        return None;
    }
    let name_ends = |ending: &[u8]| name.len() >= ending.len() && name.to_ascii_lowercase().ends_with(ending);
    if name_ends(b"pass") && found.iter().all(u8::is_ascii_digit) {
        // `pass=12 fail=0`
        return None;
    }
    if name_ends(b"authorization") || name_ends(b"cookie") {
        return header(text, range);
    }
    // "Invalid token: unexpected end": prose, not a setting. Of passwords nobody speaks so, and theirs may be words.
    let spoken_of = [&b"token"[..], b"secret", b"credential", b"credentials"].iter().any(|n| name_ends(n));
    let prose = colon
        && spoken_of
        && !quote(before(text, range.start))
        && before(text, start) == b' '
        && is_word(before(text, start.saturating_sub(1)))
        && found.iter().all(u8::is_ascii_lowercase);
    (!prose).then_some(range)
}

/// A header whose value has several words: the credentials after the scheme, where they are one run; else all that follows.
fn header(text: &[u8], first: Range<usize>) -> Option<Range<usize>> {
    let quoted = quote(before(text, first.start));
    let limit = if quoted { first.end } else { parameters(text, first.start) };
    let word = first.start..run(text, first.start, |b| b.is_ascii_alphabetic()).min(first.end);
    let scheme = text.get(word.clone())?;
    if SCHEMES.iter().any(|name| scheme.eq_ignore_ascii_case(name)) {
        let value = text.get(first.start..limit).unwrap_or_default();
        if first.start + value.trim_ascii_end().len() <= word.end {
            // The scheme alone, before what was masked already.
            return None;
        }
        let from = run(text, word.end, |b| b == b' ' || b == b'\t').min(word.end + 8);
        let until = run(text, from, token68).min(limit);
        // `username="…"`: a parameter, and secrets may follow.
        let parameter = before(text, until) == b'=' && quote(at(text, until));
        let ends = until == limit || !matches!(at(text, until), b'%' | b':' | b'\\') && !parameter;
        if from > word.end && until > from && ends {
            return Some(from..until);
        }
    }
    (limit > first.start).then_some(first.start..limit)
}

/// End of a header's value without quotes around it: of the line, or before a quote that is none of a parameter's (`a="b"`).
fn parameters(text: &[u8], from: usize) -> usize {
    let mut end = from;
    loop {
        end = run(text, end, |b| !quote(b) && !matches!(b, b'\r' | b'\n'));
        let mark = at(text, end);
        if !quote(mark) || before(text, end) != b'=' {
            break;
        }
        let close = run(text, end + 1, |b| b != mark && !matches!(b, b'\r' | b'\n'));
        end = if at(text, close) == mark { close + 1 } else { close };
    }
    let line = text.get(from..end).unwrap_or_default();
    from + line.trim_ascii_end().len()
}

/// The value that starts at `from`: in quotes up to the closing one, else up to a blank or a delimiter.
fn value(text: &[u8], from: usize) -> Option<Range<usize>> {
    let escapes = run(text, from, |b| b == b'\\') - from;
    let mark = at(text, from + escapes);
    if quote(mark) && escapes <= 3 {
        let start = from + escapes + 1;
        let mut slashes = 0;
        for (i, b) in text.get(start..)?.iter().enumerate() {
            // The closing quote is escaped as often as the opening one; one escaped more often is part of the value.
            if *b == mark && slashes <= escapes {
                return (i > slashes).then_some(start..start + i - slashes);
            }
            slashes = if *b == b'\\' { slashes + 1 } else { 0 };
        }
        return (start < text.len()).then_some(start..text.len());
    }
    let delimiter = |b: u8| {
        b.is_ascii_whitespace()
            || quote(b)
            || matches!(b, 0 | b',' | b';' | b'&' | b')' | b']' | b'}' | b'<' | b'>')
    };
    let end = run(text, from, |b| !delimiter(b));
    (end > from).then_some(from..end)
}

/// The argument of the long option whose `--` stands at `dashes`: `--password hunter2`.
pub(super) fn option(text: &[u8], dashes: usize) -> Option<Range<usize>> {
    if is_word(before(text, dashes)) {
        return None;
    }
    let start = dashes + 2;
    let end = run(text.get(..(start + NAME).min(text.len()))?, start, name_byte);
    let name = text.get(start..end).filter(|name| name.len() >= 3)?;
    if at(text, end) != b' ' || !at(text, start).is_ascii_alphabetic() || !names_secret(name) {
        return None;
    }
    let from = run(text, end, |b| b == b' ').min(end + 4);
    let range = value(text, from)?;
    let found = text.get(range.clone())?;
    (!found.starts_with(b"-") && !placeholder(found) && !reference(text, &range)).then_some(range)
}

/// The private key in PEM (RFC 7468) whose first line starts at `start`, up to the end of its last line; to the end of
/// the text where that is missing, since what was cut off does not make the rest public.
pub(super) fn private_key(text: &[u8], start: usize) -> Option<Range<usize>> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    let label = text.get(start..)?.strip_prefix(BEGIN)?;
    let label_end = run(label, 0, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ').min(64);
    let label = label.get(..label_end)?;
    if !label.ends_with(b"PRIVATE KEY") && !label.ends_with(b"PRIVATE KEY BLOCK") {
        return None;
    }
    let body = start + BEGIN.len() + label_end;
    let end = memchr::memmem::find(text.get(body..)?, b"-----END ").map(|at| body + at + 9);
    let end = end.map_or(text.len(), |end| {
        let label = run(text, end, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ');
        run(text, label, |b| b == b'-').min(label + 5)
    });
    Some(start..end)
}
