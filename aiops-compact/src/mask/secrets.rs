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
    // Most words begin like none of them.
    if !PREFIX_STARTS.contains(at(text, start)) {
        return None;
    }
    PREFIXES.iter().find(|(prefix, _)| prefix.first() == rest.first() && rest.starts_with(prefix))
}

/// A set of bytes below 128.
struct Bytes(u128);

impl Bytes {
    const fn with(self, byte: u8) -> Self {
        Self(self.0 | 1 << (byte & 127))
    }

    fn contains(&self, byte: u8) -> bool {
        byte < 128 && self.0 >> byte & 1 != 0
    }
}

/// What prefixes of keys begin with.
const PREFIX_STARTS: Bytes = {
    let (mut set, mut rest) = (Bytes(0), PREFIXES);
    while let [(prefix, _), others @ ..] = rest {
        if let [first, ..] = prefix {
            set = set.with(*first);
        }
        rest = others;
    }
    set
};

/// What names of secrets end with: [`NAMES`], [`WEAK`] and `pass`.
const NAME_ENDS: Bytes = {
    let (mut set, lists): (_, [&[&[u8]]; 3]) = (Bytes(0), [&NAMES, &WEAK, &[b"pass"]]);
    let mut lists = lists.as_slice();
    while let [list, others @ ..] = lists {
        let mut rest = *list;
        while let [name, others @ ..] = rest {
            if let [.., last] = name {
                set = set.with(*last);
            }
            rest = others;
        }
        lists = others;
    }
    set
};

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
    let from = run(text, end, blank);
    let until = run(text, from, token68);
    let credentials = text.get(from..until)?;
    let digit = credentials.iter().any(u8::is_ascii_digit);
    let padded = credentials.ends_with(b"=");
    let inner_capital = credentials.iter().skip(1).any(u8::is_ascii_uppercase)
        && credentials.iter().any(u8::is_ascii_lowercase);
    (from > end && credentials.len() >= 8 && (digit || padded || inner_capital)).then_some(from..until)
}

/// Endings of names of secrets, without `_`, `-`, `.` and in lower case.
const NAMES: [&[u8]; 26] = [
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
    b"secretkeybase",
    b"masterkey",
    b"phpsessid",
    b"amzsignature",
];

/// Last parts of names of what is mostly a number or a word, but a secret where it looks like a token.
const WEAK: [&[u8]; 2] = [b"session", b"sig"];

/// Fewest characters of a token behind one of the [`WEAK`] names.
const WEAK_LENGTH: usize = 16;

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
    let last = folded.last();
    NAMES.iter().any(|ending| ending.last() == last && folded.ends_with(ending))
        || last_part(name).eq_ignore_ascii_case(b"pass")
}

fn last_part(name: &[u8]) -> &[u8] {
    name.rsplit(|b| matches!(b, b'_' | b'-' | b'.')).next().unwrap_or_default()
}

/// Values that tell nothing: placeholders and what other masks leave.
fn placeholder(text: &[u8], range: &Range<usize>) -> bool {
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
    let value = text.get(range.clone()).unwrap_or_default();
    let trimmed = value.trim_ascii();
    let bare = trimmed.strip_prefix(b"<").and_then(|v| v.strip_suffix(b">")).unwrap_or(trimmed);
    let bare = bare.strip_prefix(b"[").and_then(|v| v.strip_suffix(b"]")).unwrap_or(bare);
    let quoted = quote(before(text, range.start));
    // `"token": [` and `secret: {` begin a structure, not a value.
    let structure = !quoted && trimmed.iter().all(|b| matches!(b, b'{' | b'[' | b'('));
    let marks = trimmed.iter().all(|b| matches!(b, b'*' | b'.' | b'-' | b'<' | b'>'));
    let crossed = trimmed.len() >= 3 && trimmed.iter().all(|b| matches!(b, b'x' | b'X' | b'*'));
    let variable = || {
        if quoted {
            return variable(trimmed) == Some(trimmed.len());
        }
        // Braces delimit values, so the closing one stands behind it.
        let rest = text.get(range.start..).unwrap_or_default();
        variable(rest).is_some_and(|end| end == rest.len() || delimiter(at(rest, end)))
    };
    WORDS.iter().any(|word| bare.eq_ignore_ascii_case(word)) || marks || crossed || variable() || structure
}

/// Length of the reference to a variable that `text` begins with: `${NAME}`, `{{ name }}`, `${{ name }}`, `%NAME%`. One that
/// is not closed, or that holds more than a name, is none.
fn variable(text: &[u8]) -> Option<usize> {
    const FORMS: [(&[u8], &[u8]); 4] = [(b"${{", b"}}"), (b"{{", b"}}"), (b"${", b"}"), (b"%", b"%")];
    let (open, close) = FORMS.into_iter().find(|(open, _)| text.starts_with(open))?;
    let within = text.get(..(open.len() + NAME).min(text.len()))?;
    let start = run(within, open.len(), |b| b == b' ');
    let end = match close {
        // A name in small letters between signs of percentage may as well be a password.
        b"%" => run(within, start, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
        _ => run(within, start, name_byte),
    };
    let close_at = run(within, end, |b| b == b' ');
    let blanks = start > open.len() || close_at > end;
    let named = end > start && !at(text, start).is_ascii_digit() && (!blanks || close.len() == 2);
    (named && text.get(close_at..)?.starts_with(close)).then_some(close_at + close.len())
}

fn blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

fn quote(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`')
}

/// What ends a value that is not in quotes.
fn delimiter(b: u8) -> bool {
    b.is_ascii_whitespace()
        || quote(b)
        || matches!(b, 0 | b',' | b';' | b'&' | b')' | b']' | b'}' | b'<' | b'>')
}

/// Most blanks between the name of a setting and its sign: what aligns the lines of a file.
const BLANKS: usize = 64;

/// Fewest digits of a number that is the value of `pass` and yet a password, not the count of what passed: eight, the
/// fewest characters that NIST SP 800-63B lets a user choose; with a name before (`db_pass`), six, as of a PIN.
const PASS_DIGITS: [usize; 2] = [8, 6];

/// The value of a secret setting whose `=` or `:` stands at `sign`: `password=…`, `"apiKey": "…"`, `Authorization: Bearer …`.
pub(super) fn setting(text: &[u8], floor: usize, sign: usize) -> Option<Range<usize>> {
    let mut end = run_back(text, floor, sign, BLANKS, blank);
    if quote(before(text, end)) && end > floor {
        end -= 1;
        // JSON inside a JSON string.
        end = run_back(text, floor, end, 4, |b| b == b'\\');
    }
    let last = before(text, end);
    if is_word(last) && last != b'_' && !NAME_ENDS.contains(last.to_ascii_lowercase()) {
        return None;
    }
    let start = run_back(text, floor, end, NAME, name_byte);
    let name = text.get(start..end).filter(|name| name.len() >= 3)?;
    let weak = WEAK.iter().any(|weak| last_part(name).eq_ignore_ascii_case(weak));
    if !weak && !names_secret(name) {
        return None;
    }
    let colon = at(text, sign) == b':';
    // `==`, `:=`, `=>` and `::`: the value follows the last of them.
    let from = run(text, sign, |b| matches!(b, b'=' | b':' | b'>')).min(sign + 3);
    let from = run(text, from, blank);
    if weak {
        return session(text, from);
    }
    if let Some(list) = list(text, from) {
        return list;
    }
    let first = value(text, from)?;
    let name_ends = |ending: &[u8]| name.len() >= ending.len() && name.to_ascii_lowercase().ends_with(ending);
    let several = name_ends(b"authorization") || name_ends(b"cookie");
    let range = if several { header(text, before(text, start), first)? } else { first };
    if placeholder(text, &range) {
        return None;
    }
    let found = text.get(range.clone())?;
    let quoted = quote(before(text, range.start));
    if name_ends(b"pass") && !quoted && is_count(found, name.len() == b"pass".len()) {
        // `pass=12 fail=0`
        return None;
    }
    // "Invalid token: unexpected end": prose, not a setting. Of passwords nobody writes so.
    let prose = colon
        && [&b"token"[..], b"secret", b"credential", b"credentials", b"cookie"].into_iter().any(name_ends)
        && !quoted
        && before(text, start) == b' '
        && matches!(before(text, start - 1), b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..)
        && found.iter().all(|b| b.is_ascii_lowercase() || *b == b' ');
    (!prose).then_some(range)
}

/// Whether `value` counts what passed: a share, a fraction, or a number that is too short for a password.
fn is_count(value: &[u8], alone: bool) -> bool {
    let [least, least_named] = PASS_DIGITS;
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    let marks = value.iter().filter(|b| matches!(b, b'.' | b'/' | b'%')).count();
    let short = digits < if alone { least } else { least_named };
    digits + marks == value.len() && (short || marks > 0)
}

/// What is to mask of the list of strings that starts at `from`, from the first to the last of them that tells something;
/// `None` where there is no such list. It ends with what is no string or comma, so that nothing is looked at twice.
fn list(text: &[u8], from: usize) -> Option<Option<Range<usize>>> {
    let mut position = from + usize::from(at(text, from) == b'[');
    let (mut strings, mut range): (_, Option<Range<usize>>) = (false, None);
    while position > from {
        position = run(text, position, |b| b.is_ascii_whitespace());
        let Some((string, next)) = quoted(text, position) else { break };
        strings = true;
        if !string.is_empty() && !placeholder(text, &string) {
            range = Some(range.map_or(string.start, |range| range.start)..string.end);
        }
        let next = run(text, next, |b| b.is_ascii_whitespace());
        if at(text, next) != b',' {
            break;
        }
        position = next + 1;
    }
    strings.then_some(range)
}

/// The value at `from` of a setting with a [`WEAK`] name: long, of the characters of tokens, with a digit.
fn session(text: &[u8], from: usize) -> Option<Range<usize>> {
    let escapes = run(text, from, |b| b == b'\\') - from;
    let start = if quote(at(text, from + escapes)) { from + escapes + 1 } else { from };
    // `=` divides, but for padding: what failed here is not looked at again behind the next sign.
    let end = run(text, start, |b| token68(b) && b != b'=' || b == b'%');
    let token = text.get(start..end)?;
    let long = token.len() >= WEAK_LENGTH && token.iter().any(u8::is_ascii_digit);
    long.then(|| start..run(text, end, |b| b == b'=').min(end + 2))
}

/// A header whose value has several words, of which `first` was found: the credentials after the scheme, or all up to the
/// end of the line. `opening` is the byte before the header's name.
///
/// Quotes do not end a header, they are part of its grammar (RFC 9110, 5.6.4; RFC 6265, 4.1.1).
fn header(text: &[u8], opening: u8, first: Range<usize>) -> Option<Range<usize>> {
    let quoted = quote(before(text, first.start));
    let word = first.start..run(text, first.start, |b| b.is_ascii_alphabetic()).min(first.end);
    let scheme = text.get(word.clone())?;
    let known = SCHEMES.iter().any(|name| scheme.eq_ignore_ascii_case(name));
    let from = if known { run(text, word.end, blank) } else { first.start };
    if quoted {
        return (first.end > from).then_some(from..first.end);
    }
    // The credentials of `Digest` are a list of parameters.
    if known && from > word.end && !scheme.eq_ignore_ascii_case(b"digest") {
        let until = run(text, from, token68);
        let next = at(text, until);
        // `-H "Authorization: Bearer …" URL`
        let closed = quote(next) && next == opening;
        if until > from && (until == text.len() || next.is_ascii_whitespace() || closed) {
            return Some(from..until);
        }
    }
    let line = run(text, from, |b| !matches!(b, b'\r' | b'\n'));
    let trailing = text.get(from..line)?.iter().rev().take_while(|b| blank(**b)).count();
    let end = line - trailing;
    (end > from).then_some(from..end)
}

/// The string in quotes that starts at `from`, without them, and the position after them. To the end of the text where the
/// closing one is missing.
fn quoted(text: &[u8], from: usize) -> Option<(Range<usize>, usize)> {
    let escapes = run(text, from, |b| b == b'\\') - from;
    let mark = at(text, from + escapes);
    if !quote(mark) || escapes > 3 {
        return None;
    }
    let start = from + escapes + 1;
    let mut slashes = 0;
    for (i, b) in text.get(start..)?.iter().enumerate() {
        // The closing quote is escaped as often as the opening one; one escaped more often is part of the value.
        if *b == mark && slashes <= escapes {
            return Some((start..start + i - slashes, start + i + 1));
        }
        slashes = if *b == b'\\' { slashes + 1 } else { 0 };
    }
    Some((start..text.len(), text.len()))
}

/// The value that starts at `from`: in quotes up to the closing one, else up to a blank or a delimiter. Not an empty one.
fn value(text: &[u8], from: usize) -> Option<Range<usize>> {
    let range = match quoted(text, from) {
        Some((range, _)) => range,
        None => from..run(text, from, |b| !delimiter(b)),
    };
    (range.end > range.start).then_some(range)
}

/// The argument of the long option whose `--` stands at `dashes`: `--password hunter2`.
pub(super) fn option(text: &[u8], dashes: usize) -> Option<Range<usize>> {
    if is_word(before(text, dashes)) {
        return None;
    }
    let start = dashes + 2;
    let end = run(text.get(..(start + NAME).min(text.len()))?, start, name_byte);
    let name = text.get(start..end).filter(|name| name.len() >= 3)?;
    if !blank(at(text, end)) || !at(text, start).is_ascii_alphabetic() || !names_secret(name) {
        return None;
    }
    let range = value(text, run(text, end, blank))?;
    let found = text.get(range.clone())?;
    let next_option = found.starts_with(b"-") && !quote(before(text, range.start));
    (!next_option && !placeholder(text, &range)).then_some(range)
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
