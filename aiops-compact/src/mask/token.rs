//! What stands in place of a secret.

use std::fmt;
use std::ops::Range;

use crate::error::ConfigError;

/// Hexadecimal digits of a token: 48 bits, so among a million different values two share a token once in 500 runs.
const DIGITS: usize = 12;

/// Longest label of a token.
pub(super) const LABEL: usize = 32;

/// The user's key. Without it nobody can tell which value a token stands for by trying values out; who has it can.
///
/// Everyone who shall see equal values as equal tokens uses the same key: all replicas, and the store over time.
#[derive(Clone)]
pub struct MaskKey([u8; 32]);

impl MaskKey {
    /// A key of 32 random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key from other secret material by BLAKE3's key derivation.
    ///
    /// # Errors
    /// [`ConfigError`] for less than 16 bytes. Derivation adds no strength: give it something random.
    pub fn derive(material: &[u8]) -> Result<Self, ConfigError> {
        if material.len() < 16 {
            return Err(ConfigError::new("key", format!("{} bytes", material.len()), "at least 16 bytes"));
        }
        Ok(Self(blake3::derive_key("aiops-compact 2026-11-21 masking of telemetry", material)))
    }

    /// Writes `[label:digits]` for `value`.
    pub(super) fn token(&self, label: &str, value: &[u8], out: &mut Vec<u8>) {
        let hash = blake3::keyed_hash(&self.0, value);
        out.push(b'[');
        out.extend_from_slice(label.as_bytes());
        out.push(b':');
        out.extend(hash.to_hex().bytes().take(DIGITS));
        out.push(b']');
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey(..)")
    }
}

/// Whether `label` can stand in a token: a lower-case letter, then letters, digits, `-` and `_`.
pub(super) fn is_label(label: &[u8]) -> bool {
    let tail = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    label.len() <= LABEL
        && label
            .split_first()
            .is_some_and(|(first, rest)| first.is_ascii_lowercase() && rest.iter().all(tail))
}

/// Where the first token of `text` lies, at or after `from`. Tokens of any label count, so that masks with different
/// settings leave each other's work alone.
pub(super) fn next(text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from;
    loop {
        at += memchr::memchr(b'[', text.get(at..)?)?;
        if let Some(length) = length(text.get(at + 1..)?) {
            return Some(at..at + 1 + length);
        }
        at += 1;
    }
}

/// Length of a token whose opening bracket stands before `rest`.
fn length(rest: &[u8]) -> Option<usize> {
    let colon = rest.iter().take(LABEL + 1).position(|b| *b == b':')?;
    let (label, tail) = rest.split_at_checked(colon)?;
    let digits = tail.get(1..=DIGITS)?;
    let lower_hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    let whole = is_label(label) && digits.iter().all(lower_hex) && tail.get(DIGITS + 1) == Some(&b']');
    whole.then_some(colon + DIGITS + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_recognised() {
        let mut token = Vec::new();
        MaskKey::new([7; 32]).token("email", b"a@b.example", &mut token);
        assert_eq!(next(&token, 0), Some(0..token.len()));
        let text = [b"x [email:] [", &token[..], b"]"].concat();
        assert_eq!(next(&text, 0), Some(12..12 + token.len()));
        for none in
            ["", "[", "[email:0123456789a]", "[email:0123456789AB]", "[1:0123456789ab]", "[a b:0123456789ab]"]
        {
            assert_eq!(next(none.as_bytes(), 0), None, "{none}");
        }
    }
}
