//! What names and reasons may be, so that one person has one name.

use aiops_core::action::Principal;
use aiops_core::{Error, ErrorKind, Result};

/// Longest reason of an answer, in bytes.
pub const LONGEST_REASON: usize = 4096;

/// Whether `who` can be told from everybody else by name: 1 to 256 printable characters of ASCII, no comma, since several names are joined
/// by one, and single blanks between words only. Every other character has look-alikes, several encodings, or no width (Unicode Technical
/// Standard 39), so that one person could be two. Case does not tell people apart either.
///
/// # Errors
/// [`ErrorKind::Invalid`] for any other name.
pub fn check_name(who: &Principal) -> Result<()> {
    let name = who.as_str();
    let plain = |c: char| matches!(c, ' '..='~') && c != ',';
    if (1..=256).contains(&name.len()) && name.chars().all(plain) && name.split(' ').all(|w| !w.is_empty()) {
        return Ok(());
    }
    let rule =
        "a name is 1 to 256 printable characters of ASCII without a comma, and single blanks between words";
    Err(Error::new(ErrorKind::Invalid, rule).with("by", format!("{name:?}")))
}

/// Whether both are the name of one person.
pub(super) fn same_person(one: &Principal, other: &Principal) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

/// Whether `reason` can be kept and shown: at most [`LONGEST_REASON`] bytes, and no control characters but line breaks and tabs.
///
/// # Errors
/// [`ErrorKind::Limit`] for one that is longer, [`ErrorKind::Invalid`] for one with control characters.
pub fn check_reason(reason: &str) -> Result<()> {
    if reason.len() > LONGEST_REASON {
        return Err(Error::new(ErrorKind::Limit, "the reason is too long").with("bytes", reason.len()));
    }
    if reason.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Error::new(ErrorKind::Invalid, "the reason has control characters"));
    }
    Ok(())
}
