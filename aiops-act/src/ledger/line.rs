use std::io::Write as _;

use super::LONGEST_LINE;

/// Length of a hash in hexadecimal.
const HEX: usize = 64;

/// Where a chain stands: what the next line continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    lines: u64,
    hash: blake3::Hash,
}

impl Default for Link {
    fn default() -> Self {
        Self::START
    }
}

impl Link {
    /// Before the first line.
    pub const START: Self = Self { lines: 0, hash: blake3::Hash::from_bytes([0; 32]) };

    /// Number of lines so far, the header among them.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Hash of the last line; it vouches for all lines up to it.
    #[must_use]
    pub fn hash(&self) -> blake3::Hash {
        self.hash
    }

    /// Whether a line can hold `payload`.
    #[must_use]
    pub fn fits(payload: &[u8]) -> bool {
        // Hash, number, two blanks and the line break take less than 100 bytes.
        payload.len() <= LONGEST_LINE - 100 && memchr::memchr(b'\n', payload).is_none()
    }

    fn after(&self, payload: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.hash.as_bytes()).update(&self.lines.to_le_bytes()).update(payload);
        Self { lines: self.lines.saturating_add(1), hash: hasher.finalize() }
    }

    /// Appends the line of `payload` to `out` and steps on.
    ///
    /// # Errors
    /// [`Flaw::Payload`] for a payload that is longer than [`LONGEST_LINE`] allows or has a line break; nothing changes then.
    pub fn write(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Flaw> {
        if !Self::fits(payload) {
            return Err(Flaw::Payload);
        }
        let next = self.after(payload);
        out.extend_from_slice(next.hash.to_hex().as_bytes());
        // Writing to memory does not fail.
        let _ = write!(out, " {} ", self.lines);
        out.extend_from_slice(payload);
        out.push(b'\n');
        *self = next;
        Ok(())
    }

    /// Checks `line`, given without its line break, steps on and returns its payload.
    ///
    /// # Errors
    /// What is wrong with it; nothing changes then.
    pub fn read<'l>(&mut self, line: &'l [u8]) -> Result<&'l [u8], Flaw> {
        let (hash, rest) = line.split_at_checked(HEX).ok_or(Flaw::Shape)?;
        let rest = rest.strip_prefix(b" ").ok_or(Flaw::Shape)?;
        let blank = memchr::memchr(b' ', rest).ok_or(Flaw::Shape)?;
        let (number, payload) = rest.split_at(blank);
        let payload = payload.strip_prefix(b" ").ok_or(Flaw::Shape)?;
        let number = std::str::from_utf8(number).ok().and_then(canonical).ok_or(Flaw::Shape)?;
        if number != self.lines {
            return Err(Flaw::Number { found: number });
        }
        // Lower case only, so that one chain has one text.
        let lower = hash.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
        let hash = blake3::Hash::from_hex(hash).ok().filter(|_| lower).ok_or(Flaw::Shape)?;
        let next = self.after(payload);
        if next.hash != hash {
            return Err(Flaw::Hash);
        }
        *self = next;
        Ok(payload)
    }
}

/// Decimal without sign or leading zeros.
fn canonical(text: &str) -> Option<u64> {
    let plain = text == "0" || !text.starts_with(['0', '+']);
    if plain { text.parse().ok() } else { None }
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// It is not hash, number and payload.
    #[error("not a line of a ledger")]
    Shape,
    /// It stands in the place of another line.
    #[error("line {found} stands here: lines are missing, repeated or moved")]
    Number {
        /// The number it bears.
        found: u64,
    },
    /// It, or one of the lines before it, is not what was written.
    #[error("the hash does not fit the line and those before it")]
    Hash,
    /// The first line is not the header of such a ledger.
    #[error("not the header of a ledger of kind {expected:?} and version 1")]
    Header {
        /// The kind that was asked for.
        expected: &'static str,
    },
    /// It is intact, but its payload is not what this ledger holds.
    #[error("the payload is not understood: {0}")]
    Content(String),
    /// The file ends within a line in a way that no interrupted append leaves behind, or before lines that were read.
    #[error("the end of the file was changed")]
    End,
    /// A payload that no line can hold.
    #[error("the payload is too long or has a line break")]
    Payload,
}

/// A ledger that is not as it was written, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, byte {byte}: {flaw}")]
pub struct Damage {
    /// Number of the first line that is wrong, the header being 0.
    pub line: u64,
    /// Where it begins in the file, in bytes.
    pub byte: u64,
    /// What is wrong.
    pub flaw: Flaw,
}
