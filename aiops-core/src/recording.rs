//! Recorded telemetry, to be replayed.
//!
//! # Format
//! UTF-8, one line a window, each line the JSON of one [`TelemetryWindow`] as serde writes it, ended by `\n`. No header, no
//! commas between lines; lines may come in any order and windows may overlap or leave gaps. Lines of white space are
//! skipped. A [`CasePart::Observed`](crate::CasePart::Observed) of a case file holds the same JSON.
//!
//! ```text
//! {"range":{"start":"2026-01-01T00:00:00Z","end":"2026-01-01T00:01:00Z"},"metrics":[…],"logs":[],…,"observed":["metrics"]}
//! {"range":{"start":"2026-01-01T00:01:00Z","end":"2026-01-01T00:02:00Z"},"metrics":[…],…}
//! ```
//! Only `range` must be there; an unknown field is an error. Numbers that JSON has not (NaN, ±∞) are the strings `"NaN"`,
//! `"Inf"` and `"-Inf"`; a gap is `null`. What is read equals what was written.

use std::io::{BufRead, Read as _, Write};

use crate::error::{Error, ErrorKind, Result};
use crate::model::TelemetryWindow;

/// Appends `window` to a recording: one line, handed to `to` in one piece and flushed, so that a recorder that dies leaves
/// whole lines behind.
///
/// ```
/// use aiops_core::model::{TelemetryWindow, TimeRange};
/// use aiops_core::recording::{read_windows, write_window};
/// let range = TimeRange::new("2026-01-01T00:00:00Z".parse()?, "2026-01-01T00:01:00Z".parse()?)?;
/// let mut recording = Vec::new();
/// write_window(&mut recording, &TelemetryWindow::new(range))?;
/// let windows = read_windows(recording.as_slice()).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(windows, [TelemetryWindow::new(range)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Unavailable`] when `to` does not take it, [`ErrorKind::Internal`] when a part cannot be serialised.
pub fn write_window(to: &mut impl Write, window: &TelemetryWindow) -> Result<()> {
    // INVARIANT: compact JSON has no line break, inside strings it is escaped.
    let mut line = serde_json::to_vec(window)
        .map_err(|e| Error::new(ErrorKind::Internal, "a window cannot be serialised").caused_by(e))?;
    line.push(b'\n');
    to.write_all(&line)
        .and_then(|()| to.flush())
        .map_err(|e| Error::new(ErrorKind::Unavailable, "a recording cannot be written").caused_by(e))
}

/// Bytes of the longest line that [`read_windows`] takes: 64 MiB.
pub const MAX_LINE_BYTES: u64 = 64 << 20;

/// Reads a recording window by window, in memory of one line of at most [`MAX_LINE_BYTES`]. Ends after the first error.
///
/// # Errors
/// Of an item: [`ErrorKind::Malformed`] for a line that is no window, such as a last one that was cut off, and
/// [`ErrorKind::Limit`] for one that is too long, each with its number; [`ErrorKind::Unavailable`] when `from` cannot be read.
pub fn read_windows(from: impl BufRead) -> impl Iterator<Item = Result<TelemetryWindow>> {
    read_windows_within(from, MAX_LINE_BYTES)
}

/// [`read_windows`] with lines of at most `max_line_bytes`, the line end not counted.
///
/// # Errors
/// Those of [`read_windows`].
pub fn read_windows_within(
    mut from: impl BufRead,
    max_line_bytes: u64,
) -> impl Iterator<Item = Result<TelemetryWindow>> {
    let mut line = Vec::new();
    let mut numbers = 1_u64..;
    let mut next = move || -> Result<Option<TelemetryWindow>> {
        for number in numbers.by_ref() {
            line.clear();
            // One byte more, by which a line that is too long is told from one that just fits.
            let mut piece = from.by_ref().take(max_line_bytes.saturating_add(1));
            let read = piece
                .read_until(b'\n', &mut line)
                .map_err(|e| Error::new(ErrorKind::Unavailable, "a recording cannot be read").caused_by(e))?;
            if read == 0 {
                break;
            }
            if line.last() != Some(&b'\n') && line.len() as u64 > max_line_bytes {
                let error = Error::new(ErrorKind::Limit, "a line of a recording is too long");
                return Err(error.with("line", number).with("most_bytes", max_line_bytes));
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let window = serde_json::from_slice(&line).map_err(|e| {
                let error = Error::new(ErrorKind::Malformed, "not a telemetry window");
                error.with("line", number).caused_by(e)
            });
            return window.map(Some);
        }
        Ok(None)
    };
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let window = next().transpose();
        failed = window.as_ref().is_none_or(Result::is_err);
        window
    })
}
