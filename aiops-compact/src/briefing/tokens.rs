//! Counting tokens, by estimate or by a real tokenizer.

use std::fmt::Debug;

/// Counts the tokens a language model makes of a text.
pub trait CountTokens: Debug + Send + Sync + 'static {
    /// Tokens of `text`, or an upper bound.
    fn count(&self, text: &str) -> usize;
}

/// [`estimate_tokens`]: needs no vocabulary and over-counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct EstimatedTokens;

impl CountTokens for EstimatedTokens {
    fn count(&self, text: &str) -> usize {
        estimate_tokens(text)
    }
}

/// How many tokens a byte-pair tokenizer makes of `text` at most, estimated without one. O(bytes).
///
/// Counts one token for every digit, capital, punctuation mark, line break and non-ASCII byte, half a token for every
/// lower-case letter (rounded up per run), a whole one for a fourth consonant in a row and those after it, which no common
/// token holds, and none for a single space before a word, which tokenizers merge with it.
/// Over-counting wastes budget, under-counting breaks a promise: against the vocabularies of the feature `tokenizer`
/// the estimate is never below on logs, JSON, hexadecimal, CJK, emoji, paths, code and random letters, and 1.4 to 3 times the
/// count (`tests/it/tokens.rs` prints it per kind of text).
///
/// ```
/// use aiops_compact::briefing::estimate_tokens;
/// assert_eq!(estimate_tokens(""), 0);
/// assert_eq!(estimate_tokens("spike at 17"), 6); // spi|k|e, at, 1, 7
/// ```
#[must_use]
pub fn estimate_tokens(text: &str) -> usize {
    // Halves of tokens in the current run of letters, and consonants in a row at its end.
    let (mut tokens, mut halves, mut consonants, mut after_space) = (0_usize, 0_usize, 0_usize, false);
    for byte in text.bytes() {
        if byte.is_ascii_lowercase() {
            let vowel = matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
            consonants = if vowel { 0 } else { consonants + 1 };
            halves += if consonants > 3 { 2 } else { 1 };
            after_space = false;
            continue;
        }
        tokens += halves.div_ceil(2);
        (halves, consonants) = (0, 0);
        // The first space of a run joins the word after it.
        let free = byte == b' ' && !after_space;
        tokens += usize::from(!free);
        after_space = byte == b' ';
    }
    tokens + halves.div_ceil(2)
}

/// A byte-pair tokenizer that carries its vocabulary; exact, linear in the text, no network. Feature `tokenizer`.
#[cfg(feature = "tokenizer")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Tokenizer {
    /// 100,000 tokens.
    Cl100kBase,
    /// 200,000 tokens.
    O200kBase,
}

#[cfg(feature = "tokenizer")]
impl CountTokens for Tokenizer {
    /// The first call of each kind unpacks the vocabulary, some 50 ms.
    fn count(&self, text: &str) -> usize {
        match self {
            Self::Cl100kBase => bpe_openai::cl100k_base().count(text),
            Self::O200kBase => bpe_openai::o200k_base().count(text),
        }
    }
}
