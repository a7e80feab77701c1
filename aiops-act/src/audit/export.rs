use std::io::Write;
use std::path::Path;

use aiops_core::seam::AuditEvent;
use aiops_core::{Error, ErrorKind, Result};
use serde::Serialize;

use super::verify::events;

/// A line of an export.
#[derive(Serialize)]
struct Exported<'a> {
    line: u64,
    hash: String,
    event: &'a AuditEvent,
}

/// Writes every event of the log at `path` to `out`, one JSON object a line: `line`, its number in the log, the header being 0; `hash`, its
/// hash, under which [`Inclusion`](crate::ledger::Inclusion) proves it against a checkpoint; and `event`. Returns how many.
///
/// # Errors
/// As [`events`], and [`ErrorKind::Unavailable`] when `out` cannot be written. What was written before was intact.
pub fn export(path: impl AsRef<Path>, out: &mut impl Write) -> Result<u64> {
    let (mut count, mut failed) = (0, None);
    events(path, |event, link| {
        if failed.is_some() {
            return;
        }
        let line = Exported {
            line: link.lines().saturating_sub(1),
            hash: link.hash().to_hex().to_string(),
            event: &event,
        };
        let text = serde_json::to_vec(&line).map_err(std::io::Error::from);
        let written = text.and_then(|text| out.write_all(&text).and_then(|()| out.write_all(b"\n")));
        match written {
            Ok(()) => count += 1,
            Err(e) => failed = Some(e),
        }
    })?;
    match failed.map_or_else(|| out.flush(), Err) {
        Ok(()) => Ok(count),
        Err(e) => Err(Error::new(ErrorKind::Unavailable, "the export cannot be written").caused_by(e)),
    }
}
