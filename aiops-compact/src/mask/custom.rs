//! The user's own patterns.

use std::fmt;
use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, MatchKind};
use serde::{Deserialize, Serialize};

use super::class::{BEYOND, WORD, at, before, class, is_word, run};
use super::token::is_label;
use crate::error::ConfigError;

/// Something of the user's own to mask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Label of its tokens: a lower-case letter, then letters, digits, `-` and `_`; at most 32 characters.
    pub label: String,
    /// What it looks like.
    pub form: Form,
}

/// What a pattern looks like. None of them can take more than linear time.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Form {
    /// This very text, wherever it stands; 3 to 1,024 bytes.
    Literal(String),
    /// A word that starts with this text (2 to 64 bytes) and goes on for at least `least` letters, digits, `-` or `_`.
    Prefix {
        /// How it starts.
        text: String,
        /// How many characters follow at least; 1 to 1,000.
        least: usize,
    },
    /// A word of this shape: `#` is a digit, `?` a letter, `*` either, `\` takes the next character as it is, and any other
    /// character stands for itself. 3 to 64 bytes, at least one of `#?*`.
    ///
    /// `CUST-######` is the word "CUST-" with six digits.
    Shape(String),
}

impl fmt::Debug for Form {
    /// Kind and length: the text may be what is to be kept secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => write!(f, "Literal({} bytes)", text.len()),
            Self::Prefix { text, least } => write!(f, "Prefix({} bytes, at least {least} more)", text.len()),
            Self::Shape(shape) => write!(f, "Shape({} bytes)", shape.len()),
        }
    }
}

/// One character of a shape.
#[derive(Clone, Copy)]
enum Part {
    Digit,
    Letter,
    Either,
    Byte(u8),
}

impl Part {
    fn takes(self, byte: u8) -> bool {
        match self {
            Self::Digit => byte.is_ascii_digit(),
            Self::Letter => byte.is_ascii_alphabetic(),
            Self::Either => byte.is_ascii_alphanumeric(),
            Self::Byte(own) => own == byte,
        }
    }
}

fn parts(shape: &str) -> Option<Vec<Part>> {
    let mut bytes = shape.bytes();
    let mut parts = Vec::new();
    while let Some(byte) = bytes.next() {
        parts.push(match byte {
            b'#' => Part::Digit,
            b'?' => Part::Letter,
            b'*' => Part::Either,
            b'\\' => Part::Byte(bytes.next()?),
            other => Part::Byte(other),
        });
    }
    Some(parts)
}

/// Letters, digits, `_` and all characters beyond ASCII.
fn begins_word(byte: u8) -> bool {
    class(byte) & (WORD | BEYOND) != 0
}

/// Checks every pattern. Errors name the position, not the text: it may be a secret.
pub(super) fn validate(patterns: &[Pattern]) -> Result<(), ConfigError> {
    let literals = patterns.iter().filter(|p| matches!(p.form, Form::Literal(_))).count();
    if literals > 1000 || patterns.len() - literals > 64 {
        return Err(ConfigError::new("patterns", patterns.len(), "at most 1000 literals and 64 others"));
    }
    for (i, pattern) in patterns.iter().enumerate() {
        let bad = |field, allowed| Err(ConfigError::new(field, format!("pattern {i}"), allowed));
        if !is_label(pattern.label.as_bytes()) {
            return bad("patterns.label", "a lower-case letter, then letters, digits, - and _; at most 32");
        }
        // Words are looked up where they begin.
        let begins = |text: &str| text.bytes().next().is_some_and(begins_word);
        match &pattern.form {
            Form::Literal(text) if !(3..=1024).contains(&text.len()) => {
                return bad("patterns.form.literal", "3 to 1024 bytes");
            }
            Form::Prefix { text, least }
                if !(2..=64).contains(&text.len()) || !(1..=1000).contains(least) || !begins(text) =>
            {
                return bad(
                    "patterns.form.prefix",
                    "2 to 64 bytes from a letter or digit on, then at least 1 to 1000",
                );
            }
            Form::Shape(shape) => {
                let variable =
                    parts(shape).is_some_and(|parts| parts.iter().any(|part| !matches!(part, Part::Byte(_))));
                let starts = parts(shape).is_some_and(|parts| match parts.first() {
                    Some(Part::Byte(byte)) => begins_word(*byte),
                    first => first.is_some(),
                });
                if !(3..=64).contains(&shape.len()) || !variable || !starts {
                    let allowed =
                        "3 to 64 bytes from a letter or digit on, at least one of # ? *, no \\ at the end";
                    return bad("patterns.form.shape", allowed);
                }
            }
            Form::Literal(_) | Form::Prefix { .. } => {}
        }
    }
    Ok(())
}

enum Word {
    Prefix(Vec<u8>, usize),
    Shape(Vec<Part>),
}

/// Compiled patterns.
pub(super) struct Custom {
    literals: Option<AhoCorasick>,
    literal_labels: Vec<String>,
    /// Patterns that start with a word, and their labels.
    words: Vec<(Word, String)>,
}

impl Custom {
    pub(super) fn new(patterns: &[Pattern]) -> Result<Self, ConfigError> {
        let (mut texts, mut literal_labels, mut words) = (Vec::new(), Vec::new(), Vec::new());
        for Pattern { label, form } in patterns {
            match form {
                Form::Literal(text) => {
                    texts.push(text);
                    literal_labels.push(label.clone());
                }
                Form::Prefix { text, least } => {
                    words.push((Word::Prefix(text.clone().into_bytes(), *least), label.clone()));
                }
                Form::Shape(shape) => {
                    words.push((Word::Shape(parts(shape).unwrap_or_default()), label.clone()));
                }
            }
        }
        let literals = if texts.is_empty() {
            None
        } else {
            let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts);
            Some(built.map_err(|e| ConfigError::new("patterns", e, "literals that fit an automaton"))?)
        };
        Ok(Self { literals, literal_labels, words })
    }

    pub(super) fn has_words(&self) -> bool {
        !self.words.is_empty()
    }

    /// Whether a pattern starts with a character beyond ASCII.
    pub(super) fn begins_beyond(&self) -> bool {
        self.words.iter().any(|(word, _)| match word {
            Word::Prefix(text, _) => text.first().is_some_and(|b| *b >= 0x80),
            Word::Shape(parts) => matches!(parts.first(), Some(Part::Byte(0x80..))),
        })
    }

    /// The first literal at or after `from`.
    pub(super) fn literal(&self, text: &[u8], from: usize) -> Option<(Range<usize>, &str)> {
        text.get(from..)?;
        let found = self.literals.as_ref()?.find(Input::new(text).range(from..))?;
        let label = self.literal_labels.get(found.pattern().as_usize())?;
        Some((found.range(), label))
    }

    /// The word of one of the patterns that starts at `start`.
    pub(super) fn word(&self, text: &[u8], start: usize) -> Option<(Range<usize>, &str)> {
        if is_word(before(text, start)) {
            return None;
        }
        let rest = text.get(start..)?;
        self.words.iter().find_map(|(word, label)| {
            let end = match word {
                Word::Prefix(prefix, least) => {
                    let body = start + rest.starts_with(prefix).then_some(prefix.len())?;
                    let end = run(text, body, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
                    (end - body >= *least).then_some(end)?
                }
                Word::Shape(parts) => {
                    let fits = rest.len() >= parts.len() && parts.iter().zip(rest).all(|(p, b)| p.takes(*b));
                    fits.then_some(start + parts.len())?
                }
            };
            (!is_word(at(text, end))).then_some((start..end, label.as_str()))
        })
    }
}
