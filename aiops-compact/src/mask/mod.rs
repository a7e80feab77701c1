//! Masking of personal data and secrets before anything is stored, sent to a model or notified. // ING-08
//!
//! [`Masker`] replaces what it finds by tokens such as `[email:3f9a0c12ab34]`. Equal values become equal tokens, so
//! masked text can still be counted, joined and compared; without the [`MaskKey`] a token cannot be traced back by trying
//! values out (it is 48 bits of a keyed BLAKE3 hash).
//!
//! # What is found
//! | label | what | by |
//! |---|---|---|
//! | `email` | addresses | form; not `git@host`, package versions, systemd units |
//! | `ip` | IPv4, IPv6 | form; not loopback, unspecified, masks, versions, times |
//! | `card`, `iban` | payment cards, bank accounts | issuer or country, length, Luhn or mod-97 checksum |
//! | `jwt`, `key`, `private-key` | JSON web tokens, keys of known issuers, PEM | form |
//! | `auth`, `secret`, `password` | what follows `Bearer`; values of `password=`, `"apiKey":`, `--token`; passwords in URLs | what stands before |
//! | `random` | long strings that look random | entropy and changes of character class |
//! | `phone`, `uuid` | E.164 numbers, UUIDs | form; off by default |
//! | the user's own | literals, prefixes, shapes ([`Pattern`]) | |
//!
//! Host names, versions, times, hexadecimal digests, trace ids and paths are left alone. Names of persons and postal
//! addresses have no form to find them by: list them as literals, or do not log them.
//!
//! Characters beyond ASCII are letters of an e-mail address and of a password, and end everything else: `来自203.0.113.9的` holds
//! an address. A header whose value is not in quotes (`Cookie: …`, `Authorization: Digest …`) is masked to the end of its
//! line, whatever quotes are in it. In a list (`"password": ["x", "y"]`) everything from the first to the last string is
//! masked. A number behind `pass` counts what passed if it has fewer than eight digits, behind `db_pass` and the like fewer
//! than six, or if it is a share or fraction. `null`, `***`, `<redacted>`, `${NAME}`, `{{ name }}`, `%NAME%` and the like are not values.
//!
//! # Guarantees
//! - Linear time on any input: no regular expressions, no backtracking; every rule looks back at most 64 bytes, over blanks
//!   64 more, and judges a run once.
//! - Masking a masked text changes nothing. A text is scanned again until nothing is found, since masking may lay open
//!   the edge of another secret; one that still changes after [`PASSES`] scans is masked as a whole.
//! - No panic on any bytes; UTF-8 stays UTF-8.
//! - Rules err on the side of masking: a quad that is a version looks like an address unless "version" stands before it.
//!
//! ```
//! use aiops_compact::mask::{MaskConfig, MaskKey, Masker};
//! use aiops_core::seam::Mask as _;
//!
//! let masker = Masker::new(&MaskConfig::default(), MaskKey::derive(b"from your secret store")?)?;
//! let line = masker.mask("login of ann@example.com from 203.0.113.9, password=hunter2");
//! assert!(line.starts_with("login of [email:") && !line.contains("hunter2") && !line.contains("203."));
//! assert_eq!(masker.mask(&line), line);
//! # Ok::<(), aiops_compact::ConfigError>(())
//! ```

mod class;
mod config;
mod custom;
mod finance;
mod network;
mod random;
mod scan;
mod secrets;
mod token;

use std::borrow::Cow;
use std::fmt;

use aiops_core::seam::Mask;

pub use config::{MaskConfig, MaskOptions};
pub use custom::{Form, Pattern};
pub use token::MaskKey;

use crate::error::ConfigError;
use custom::Custom;
use random::Random;
use scan::Scanner;

/// Scans of one text at most.
pub const PASSES: usize = 8;

/// Masks personal data and secrets; see the [module](self).
pub struct Masker {
    options: MaskOptions,
    custom: Custom,
    key: MaskKey,
}

impl Masker {
    /// Masks what `config` says; `key` decides the tokens.
    ///
    /// # Errors
    /// [`ConfigError`] when the literals do not fit an automaton.
    pub fn new(config: &MaskConfig, key: MaskKey) -> Result<Self, ConfigError> {
        let options = config.options().clone();
        Ok(Self { custom: Custom::new(&options.patterns)?, options, key })
    }

    /// `text` without secrets. Bytes that are not UTF-8 are kept.
    #[must_use]
    pub fn mask_bytes<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let Some(mut masked) = self.pass(text) else { return Cow::Borrowed(text) };
        for _ in 1..PASSES {
            match self.pass(&masked) {
                Some(again) => masked = again,
                None => return Cow::Owned(masked),
            }
        }
        if self.pass(&masked).is_some() {
            masked.clear();
            self.key.token("text", text, &mut masked);
        }
        Cow::Owned(masked)
    }

    /// One scan; `None` when nothing is to be masked. Tokens are left alone, and nothing is found across one.
    fn pass(&self, text: &[u8]) -> Option<Vec<u8>> {
        let random = Random {
            min_length: self.options.random_min_length,
            bits: self.options.random_bits,
            changes: self.options.random_changes,
        };
        let scanner = Scanner { options: &self.options, random, custom: &self.custom, key: &self.key };
        let mut out = Vec::new();
        let (mut found, mut from) = (false, 0);
        while let Some(token) = token::next(text, from) {
            found |= scanner.stretch(text.get(from..token.start)?, &mut out);
            out.extend_from_slice(text.get(token.clone())?);
            from = token.end;
        }
        found |= scanner.stretch(text.get(from..)?, &mut out);
        found.then_some(out)
    }
}

impl Mask for Masker {
    fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.mask_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(masked) => Cow::Owned(match String::from_utf8(masked) {
                Ok(masked) => masked,
                // INVARIANT: every rule begins and ends beside an ASCII byte, at a whole character or with a whole
                // literal, so this does not happen; if it did, a replaced byte is better than a secret.
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            }),
        }
    }
}

impl fmt::Debug for Masker {
    /// Neither key nor patterns: both may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("patterns", &self.options.patterns.len()).finish_non_exhaustive()
    }
}
