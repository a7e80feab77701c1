//! One pass over a text.

use std::ops::Range;

use super::class::{BASE64, BEYOND, DIGIT, LOWER, NOT_HEX, TRIGGER, UPPER, WORD, at, before, class, is_word};
use super::custom::Custom;
use super::random::{Random, extent, uuid};
use super::token::MaskKey;
use super::{MaskOptions, finance, network, secrets};

/// Something to mask and the label of its token.
type Found<'m> = (Range<usize>, &'m str);

/// How far runs have been judged already; what failed once is not judged again from its middle, which keeps the scan linear.
#[derive(Default)]
struct Judged {
    random: usize,
    dotted: usize,
}

/// What one pass needs.
pub(super) struct Scanner<'m> {
    pub(super) options: &'m MaskOptions,
    pub(super) random: Random,
    pub(super) custom: &'m Custom,
    pub(super) key: &'m MaskKey,
}

/// Output of a pass over one stretch without tokens.
struct Sink<'m, 't> {
    scanner: &'t Scanner<'m>,
    text: &'t [u8],
    /// Up to here the text was copied or masked.
    done: usize,
    out: &'t mut Vec<u8>,
    literal: Option<Found<'m>>,
}

impl<'m> Sink<'m, '_> {
    /// Masks `found` and every literal before it; a literal that overlaps it is masked with it. Returns where to go on.
    fn take(&mut self, (mut range, label): Found<'m>) -> usize {
        range.start = range.start.max(self.done);
        while let Some((literal, name)) = self.literal.take_if(|(literal, _)| literal.start < range.end) {
            if literal.end <= range.start {
                self.replace(&literal, name);
                self.literal = self.scanner.custom.literal(self.text, literal.end);
            } else {
                range = range.start.min(literal.start)..range.end.max(literal.end);
                self.literal = self.scanner.custom.literal(self.text, range.end);
            }
        }
        self.replace(&range, label);
        range.end
    }

    fn replace(&mut self, range: &Range<usize>, label: &str) {
        self.out.extend_from_slice(self.text.get(self.done..range.start).unwrap_or_default());
        let value = self.text.get(range.clone()).unwrap_or_default();
        // The same card, account or address in another spelling is the same.
        let token = |value: &[u8], out: &mut Vec<u8>| self.scanner.key.token(label, value, out);
        match label {
            CARD => {
                let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_digit).collect();
                token(&digits, self.out);
            }
            IBAN => {
                let dense: Vec<u8> = value.iter().copied().filter(|b| *b != b' ').collect();
                token(&dense, self.out);
            }
            EMAIL => token(&value.to_ascii_lowercase(), self.out),
            _ => token(value, self.out),
        }
        self.done = range.end;
    }

    /// Masks the remaining literals and copies the rest.
    fn finish(mut self) -> bool {
        while let Some((literal, name)) = self.literal.take() {
            self.replace(&literal, name);
            self.literal = self.scanner.custom.literal(self.text, literal.end);
        }
        self.out.extend_from_slice(self.text.get(self.done..).unwrap_or_default());
        self.done > 0
    }
}

const CARD: &str = "card";
const IBAN: &str = "iban";
const EMAIL: &str = "email";

impl<'m> Scanner<'m> {
    /// Writes `text`, which holds no token, to `out`, masked. Says whether anything was. Linear in the length of `text`.
    pub(super) fn stretch(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let literal = self.custom.literal(text, 0);
        let mut sink = Sink { scanner: self, text, done: 0, out, literal };
        let mut judged = Judged::default();
        let stops = WORD | TRIGGER | if self.custom.begins_beyond() { BEYOND } else { 0 };
        let mut position = 0;
        while let Some(rest) = text.get(position..) {
            let Some(skip) = rest.iter().position(|b| class(*b) & stops != 0) else { break };
            position += skip;
            let here = at(text, position);
            let (found, next) = if class(here) & WORD != 0 {
                self.word(text, position, &mut judged)
            } else if class(here) & TRIGGER != 0 {
                (self.trigger(text, sink.done, position, here), position + 1)
            } else {
                (self.custom.word(text, position), position + 1)
            };
            position = match found {
                Some(found) => sink.take(found).max(position + 1),
                None => next,
            };
        }
        sink.finish()
    }

    /// What begins with the word at `start`, and where that word ends.
    fn word(&self, text: &[u8], start: usize, judged: &mut Judged) -> (Option<Found<'m>>, usize) {
        let (mut flags, mut end) = (0_u8, start);
        for byte in text.get(start..).unwrap_or_default() {
            let class = class(*byte);
            if class & WORD == 0 {
                break;
            }
            flags |= class;
            end += 1;
        }
        if is_word(before(text, start)) {
            // The rest of a word whose beginning a literal took.
            return (None, end);
        }
        let found = self
            .named(text, start, end, flags, judged)
            .or_else(|| self.numeric(text, start, end, flags))
            .or_else(|| self.custom.has_words().then(|| self.custom.word(text, start))?)
            .or_else(|| self.random(text, start, end, judged));
        (found, end)
    }

    /// Keys, tokens, accounts and what follows an authentication scheme.
    fn named(
        &self,
        text: &[u8],
        start: usize,
        end: usize,
        flags: u8,
        judged: &mut Judged,
    ) -> Option<Found<'m>> {
        let (first, next, length) = (at(text, start), at(text, end), end - start);
        let web = first == b'e' && self.options.jwt && secrets::begins_jwt(text, start);
        // Keys are one long word, or a short one before `-` or `.`.
        let key = self.options.key
            && (length >= 20 || matches!(next, b'-' | b'.'))
            && secrets::begins_key(text, start);
        if (web || key) && start >= judged.dotted {
            judged.dotted = secrets::dotted(text, start);
            let run = start..judged.dotted;
            if web && let Some(range) = secrets::jwt(text, run.clone()) {
                return Some((range, "jwt"));
            }
            if key && let Some(range) = secrets::issued_key(text, run) {
                return Some((range, "key"));
            }
        }
        if self.options.auth && matches!(next, b' ' | b'\t') && matches!(length, 5..=9) {
            let range = secrets::after_scheme(text, start, end);
            if range.is_some() {
                return range.map(|range| (range, "auth"));
            }
        }
        let account = self.options.iban && flags & UPPER != 0 && flags & DIGIT != 0;
        if account && class(first) & class(at(text, start + 1)) & UPPER != 0 {
            return finance::iban(text, start).map(|range| (range, IBAN));
        }
        None
    }

    /// Addresses and numbers.
    fn numeric(&self, text: &[u8], start: usize, end: usize, flags: u8) -> Option<Found<'m>> {
        let (options, next, length) = (self.options, at(text, end), end - start);
        let only_digits = flags & !(DIGIT | WORD) == 0;
        if options.ip && next == b'.' && only_digits && length <= 3 {
            return network::ipv4(text, start).map(|range| (range, "ip"));
        }
        if options.card && only_digits && length >= 4 {
            let range = finance::card(text, start);
            if range.is_some() {
                return range.map(|range| (range, CARD));
            }
        }
        if flags & NOT_HEX == 0 {
            if options.ip && next == b':' && length <= 4 {
                return network::ipv6(text, start).map(|range| (range, "ip"));
            }
            if options.uuid && next == b'-' && length == 8 {
                return uuid(text, start).map(|range| (range, "uuid"));
            }
        }
        None
    }

    fn random(&self, text: &[u8], start: usize, end: usize, judged: &mut Judged) -> Option<Found<'m>> {
        let candidate = end - start >= self.random.min_length || class(at(text, end)) & BASE64 != 0;
        if !self.options.random || !candidate || start < judged.random {
            return None;
        }
        judged.random = extent(text, start);
        self.random.judge(text, start..judged.random).map(|range| (range, "random"))
    }

    /// What lies around one of the characters `@ : = - +`; nothing before `floor` is looked at.
    fn trigger(&self, text: &[u8], floor: usize, sign: usize, byte: u8) -> Option<Found<'m>> {
        let options = self.options;
        let setting = || options.setting.then(|| secrets::setting(text, floor, sign))?;
        match byte {
            b'@' if options.email => network::email(text, floor, sign).map(|range| (range, EMAIL)),
            b'=' => setting().map(|range| (range, "secret")),
            b':' if at(text, sign + 1) == b'/' && at(text, sign + 2) == b'/' => {
                let password = options.url.then(|| network::url_password(text, sign))?;
                password.map(|range| (range, "password"))
            }
            b':' => {
                let secret = setting().map(|range| (range, "secret"));
                let address = || {
                    let double = options.ip && at(text, sign + 1) == b':';
                    double.then(|| network::ipv6(text, sign))?.map(|range| (range, "ip"))
                };
                secret.or_else(address)
            }
            b'-' if at(text, sign + 1) == b'-' => {
                let key = options.private_key.then(|| secrets::private_key(text, sign))?;
                let argument = || options.setting.then(|| secrets::option(text, sign))?;
                key.map(|range| (range, "private-key")).or_else(|| argument().map(|range| (range, "secret")))
            }
            b'+' if options.phone && class(at(text, sign + 1)) & (DIGIT | LOWER) == DIGIT => {
                finance::phone(text, sign).map(|range| (range, "phone"))
            }
            _ => None,
        }
    }
}
