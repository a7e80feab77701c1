//! Append-only files whose lines are chained by a hash.
//!
//! The journal ([`FileJournal`](crate::FileJournal)) and the audit log ([`FileAudit`](crate::FileAudit)) are both ledgers. A
//! ledger is text, one entry a line:
//!
//! ```text
//! HASH NUMBER PAYLOAD
//! ```
//!
//! `NUMBER` counts lines from 0 in decimal, `PAYLOAD` is JSON without a line break, and `HASH` is, in hexadecimal, the BLAKE3 hash of the 32 bytes
//! of the line before (zeros for the first), `NUMBER` as eight bytes little endian, and `PAYLOAD`. Line 0 is the header
//! `{"ledger":KIND,"version":1}`.
//!
//! So any changed bit, missing, repeated or moved line is found and its line named ([`Damage`]); only what was cut off or added at the end
//! leaves no trace in the file itself. Against that, and against somebody who computes the chain anew, stand signed checkpoints kept elsewhere (see the audit log).
//!
//! A line is acknowledged once it is on disk with its line break. What the end of a process leaves of an unacknowledged line is the beginning of one at
//! the end of the file; the next writer removes it, or completes it when only the line break is missing. Anything else refuses to open. A power cut may
//! leave the last unacknowledged lines with pages of zeros among them, if the disk wrote a later page first: that is refused too, and cut by hand.
//!
//! What is written, cut and synced goes through a [`Disk`], so that a failing one can be put in its place.
//!
//! Writers exclude each other by a lock on the file, across processes, and first read what the others wrote.

mod disk;
mod file;
mod keeper;
mod line;
mod merkle;

use aiops_core::{Error, ErrorKind, Result};
use serde::Serialize;

pub use disk::{Disk, MachineDisk};
pub(crate) use file::{Appender, LedgerFile};
pub(crate) use keeper::{Fold, Keeper};
pub use line::{Damage, Flaw, Link};
pub use merkle::{Inclusion, Tree};

/// `value` as the payload of a line.
///
/// # Errors
/// [`ErrorKind::Invalid`] for what JSON cannot express, [`ErrorKind::Limit`] for what is too long for a line.
pub(crate) fn payload<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let payload = serde_json::to_vec(value)
        .map_err(|e| Error::new(ErrorKind::Invalid, "this cannot be written as JSON").caused_by(e))?;
    if Link::fits(&payload) {
        return Ok(payload);
    }
    Err(Error::new(ErrorKind::Limit, "this is too long for a line").with("bytes", payload.len()))
}

/// Longest line that is written or read, in bytes.
pub const LONGEST_LINE: usize = 16 << 20;
