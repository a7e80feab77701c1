//! From a masked line to the tokens that templates are made of.

use std::collections::HashMap;

use super::hash::FxBuildHasher;
use super::mask::{self, DELIMITER, JOINT, SLASH, SPACE, Scan, VariableKind, class};

/// How templates write a variable.
pub(super) const WILDCARD: &[u8] = b"<*>";

/// A symbol of the [`Vocabulary`] and whether a blank stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Token(u32);

const BLANK: u32 = 1 << 31;

impl Token {
    pub(super) fn new(symbol: u32, blank: bool) -> Self {
        Self(symbol & !BLANK | if blank { BLANK } else { 0 })
    }

    pub(super) fn symbol(self) -> u32 {
        self.0 & !BLANK
    }

    pub(super) fn blank(self) -> bool {
        self.0 & BLANK != 0
    }

    pub(super) fn is_wild(self) -> bool {
        self.symbol() == WILD
    }

    /// The same place, taken by any value.
    pub(super) fn wild(self) -> Self {
        Self::new(WILD, self.blank())
    }

    pub(super) fn bits(self) -> u64 {
        u64::from(self.0)
    }
}

/// A longer run without a delimiter is data, not text.
const MAX_TOKEN_BYTES: usize = 128;

/// Symbol of [`WILDCARD`].
pub(super) const WILD: u32 = 0;

/// What a symbol's text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// `<*>`.
    Wild,
    /// One delimiter.
    Delimiter,
    /// Neither letter nor digit nor variable in it.
    Mark,
    /// Letters, all small or only the first one capital.
    Plain,
    /// Other words: digits, capitals or underscores inside.
    Word,
    /// Components joined by dots, slashes or at signs: hosts, packages, files.
    Name,
    /// A component is a variable.
    Masked,
    /// A unit of size or time.
    Unit,
    /// Nothing, where a value may stand.
    Empty,
}

const UNITS: [&[u8]; 26] = [
    b"B", b"KB", b"MB", b"GB", b"TB", b"kB", b"KiB", b"MiB", b"GiB", b"TiB", b"bytes", b"ns", b"us", b"ms",
    b"msec", b"msecs", b"s", b"sec", b"secs", b"second", b"seconds", b"min", b"mins", b"minutes", b"h",
    b"hours",
];

/// The distinct texts of tokens.
#[derive(Debug, Clone)]
pub(super) struct Vocabulary {
    words: Vec<(Box<[u8]>, Look)>,
    index: HashMap<Box<[u8]>, u32, FxBuildHasher>,
    bytes: usize,
}

impl Vocabulary {
    pub(super) fn new() -> Self {
        let mut vocabulary = Self { words: Vec::new(), index: HashMap::default(), bytes: 0 };
        vocabulary.intern(WILDCARD);
        vocabulary.intern(b"");
        vocabulary
    }

    pub(super) fn intern(&mut self, text: &[u8]) -> u32 {
        if let Some(symbol) = self.index.get(text) {
            return *symbol;
        }
        let symbol = u32::try_from(self.words.len()).unwrap_or(u32::MAX) & !BLANK;
        self.words.push((text.into(), look(text)));
        self.index.insert(text.into(), symbol);
        self.bytes += 2 * text.len() + 64;
        symbol
    }

    pub(super) fn text(&self, symbol: u32) -> &[u8] {
        self.words.get(symbol as usize).map_or(WILDCARD, |word| &word.0)
    }

    pub(super) fn look(&self, symbol: u32) -> Look {
        self.words.get(symbol as usize).map_or(Look::Wild, |word| word.1)
    }

    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        self.index.get(text).copied()
    }

    /// All texts, by symbol.
    pub(super) fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.words.iter().map(|word| &*word.0)
    }

    /// Estimate of the memory held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn look(text: &[u8]) -> Look {
    match text {
        [] => return Look::Empty,
        WILDCARD => return Look::Wild,
        [only] if class(*only) == DELIMITER => return Look::Delimiter,
        _ => {}
    }
    // Sentence marks at the end do not make a name.
    let end = text.iter().rposition(|b| !matches!(b, b'.' | b'-' | b'?')).map_or(0, |at| at + 1);
    let body = text.get(..end).unwrap_or_default();
    if UNITS.contains(&body) {
        return Look::Unit;
    }
    // Dot leaders lay out a table; what they lead to is not a component of a name.
    let leaders = text.windows(2).any(|pair| pair == b"..");
    if text.windows(3).any(|w| w == WILDCARD) {
        return if leaders { Look::Word } else { Look::Masked };
    }
    if !body.iter().any(|b| b.is_ascii_alphanumeric() || *b >= 0x80) {
        return Look::Mark;
    }
    if !leaders && body.iter().skip(1).any(|b| matches!(b, b'.' | b'/' | b'@' | b'\\')) {
        return Look::Name;
    }
    let rest = body.get(1..).unwrap_or_default();
    let plain = body.first().is_some_and(u8::is_ascii_alphabetic) && rest.iter().all(u8::is_ascii_lowercase);
    if plain { Look::Plain } else { Look::Word }
}

/// One token of a line: where it stands and the variables within.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Its text in [`Pieces::text`].
    text: (usize, usize),
    pub(super) blank: bool,
}

/// Scratch of the tokeniser.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces {
    pub(super) pieces: Vec<Piece>,
    pub(super) variables: Vec<(usize, usize, VariableKind)>,
    text: Vec<u8>,
}

impl Pieces {
    /// Splits `line`, which `scan` has read, into at most `most` tokens, or one more; what follows becomes one more wildcard.
    pub(super) fn read(&mut self, scan: &Scan, line: &[u8], most: usize) {
        let Self { pieces, variables, text } = self;
        pieces.clear();
        variables.clear();
        text.clear();
        mask::mask(scan, line, |start, end, kind| variables.push((start, end, kind)));
        let mut variables = variables.iter().peekable();
        let mut at = 0;
        let mut blank = false;
        while let Some(byte) = line.get(at) {
            if class(*byte) == SPACE {
                blank = true;
                at += 1;
                continue;
            }
            let (start, from) = (at, text.len());
            // One more than `most` where the last of them is two: a quote, or what a missing value stands behind.
            if pieces.len() >= most {
                text.extend_from_slice(WILDCARD);
                pieces.push(Piece { start, end: line.len(), text: (from, text.len()), blank });
                break;
            }
            // A variable may begin with a delimiter, such as the colons of an address.
            let mut next = variables.peek().map_or(usize::MAX, |v| v.0);
            if *byte == b'"'
                && start > 0
                && line.get(start - 1) == Some(&b'=')
                && at < next
                && let Some(length) = quoted(line.get(at + 1..).unwrap_or_default())
            {
                // The value of an attribute is one value, however many words it has.
                text.push(b'"');
                pieces.push(Piece { start, end: at + 1, text: (from, text.len()), blank });
                blank = false;
                let (open, close) = (at + 1, at + 1 + length);
                while variables.peek().is_some_and(|v| v.0 < close) {
                    variables.next();
                }
                let from = text.len();
                let value = line.get(open..close).unwrap_or_default();
                let masked = value.iter().any(u8::is_ascii_digit) || value.first() == Some(&b'/');
                text.extend_from_slice(if masked || value.len() > MAX_TOKEN_BYTES {
                    WILDCARD
                } else {
                    value
                });
                pieces.push(Piece { start: open, end: close, text: (from, text.len()), blank: false });
                at = close;
                continue;
            } else if at < next && class(*byte) == DELIMITER {
                text.push(*byte);
                at += 1;
            } else {
                let assigned = start > 0 && line.get(start - 1) == Some(&b'=');
                while at < line.len() {
                    if at == next {
                        text.extend_from_slice(WILDCARD);
                        at = variables.next().map_or(at, |v| v.1);
                        next = variables.peek().map_or(usize::MAX, |v| v.0);
                        continue;
                    }
                    match line.get(at) {
                        Some(byte) if class(*byte) & (SPACE | DELIMITER) == 0 => text.push(*byte),
                        // The colon of a `scheme://`, or within the value of an attribute.
                        Some(b':') if line.get(at..at + 3) == Some(b"://") => text.push(b':'),
                        Some(b':') if assigned && *byte != b'<' && within(line, at) => text.push(b':'),
                        _ => break,
                    }
                    at += 1;
                }
                canonical(text, from);
                if text.len() - from > MAX_TOKEN_BYTES {
                    text.truncate(from);
                    text.extend_from_slice(WILDCARD);
                }
                if (assigned || pieces.last().is_some_and(|p| line.get(p.start) == Some(&b'=')))
                    && is_qualified(text.get(from..).unwrap_or_default())
                {
                    text.truncate(from);
                    text.extend_from_slice(WILDCARD);
                }
            }
            pieces.push(Piece { start, end: at, text: (from, text.len()), blank });
            if let Some(byte) = line.get(start)
                && at == start + 1
                && value_missing(*byte, blank, line.get(at).copied())
            {
                pieces.push(Piece { start: at, end: at, text: (text.len(), text.len()), blank: false });
            }
            blank = false;
        }
    }

    pub(super) fn text(&self, piece: &Piece) -> &[u8] {
        self.text.get(piece.text.0..piece.text.1).unwrap_or_default()
    }
}

/// Length of the text up to the closing quote.
fn quoted(rest: &[u8]) -> Option<usize> {
    memchr::memchr(b'"', rest).filter(|length| *length > 0)
}

/// Whether the colon at `at` is inside a value rather than behind it.
fn within(line: &[u8], at: usize) -> bool {
    line.get(at + 1).is_some_and(|b| class(*b) & (SPACE | DELIMITER) == 0)
}

/// Package, class, host or path: never the fixed part of an attribute.
fn is_qualified(value: &[u8]) -> bool {
    let dots = value
        .windows(3)
        .filter(|w| matches!(w, [a, b'.', b] if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric()));
    dots.count() >= 2 || value.len() > 1 && value.contains(&b'/') && !value.contains(&b':')
}

/// Whether nothing stands where a value may stand: in `()`, `[]`, `{}`, `""` or behind `name=`.
fn value_missing(byte: u8, blank: bool, next: Option<u8>) -> bool {
    match byte {
        b'(' => next == Some(b')'),
        b'[' => next == Some(b']'),
        b'{' => next == Some(b'}'),
        b'=' => {
            !blank && next.is_none_or(|b| class(b) == SPACE || matches!(b, b',' | b';' | b')' | b']' | b'}'))
        }
        _ => false,
    }
}

/// Rules WV and DV of Khan et al. on the atom `text[from..]`: a component with a variable in it is a variable, and so are
/// variables joined by a dot.
pub(super) fn canonical(text: &mut Vec<u8>, from: usize) {
    let atom = text.get(from..).unwrap_or_default();
    if atom == WILDCARD || memchr::memmem::find(atom, WILDCARD).is_none() {
        return;
    }
    let mut out: Vec<u8> = Vec::with_capacity(atom.len());
    let mut rest = atom;
    while let Some(byte) = rest.first() {
        if !rest.starts_with(WILDCARD) && class(*byte) & (JOINT | SLASH) != 0 {
            out.push(*byte);
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let mut length = 0;
        let mut variable = false;
        while let Some(tail) = rest.get(length..).filter(|tail| !tail.is_empty()) {
            if tail.starts_with(WILDCARD) {
                variable = true;
                length += WILDCARD.len();
            } else if tail.first().is_some_and(|b| class(*b) & (JOINT | SLASH) != 0) {
                break;
            } else {
                length += 1;
            }
        }
        let (component, tail) = rest.split_at(length);
        rest = tail;
        if !variable {
            out.extend_from_slice(component);
        } else if out.ends_with(b"<*>.") {
            out.pop();
        } else {
            out.extend_from_slice(WILDCARD);
        }
    }
    text.truncate(from);
    text.extend_from_slice(&out);
}
