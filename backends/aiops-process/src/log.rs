//! Bounded capture of a child's output.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::spec::LogCapture;
use aiops_core::Clock;

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The supervisor itself: starts, exits, failures to execute.
    Supervisor,
}

/// One captured line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was read.
    pub at: Timestamp,
    /// Where it came from.
    pub stream: Stream,
    /// Text without the line end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// What a replica wrote, as far as the ring still holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogSnapshot {
    /// Lines, oldest first.
    pub lines: Vec<LogLine>,
    /// Lines that were dropped because the ring was full.
    pub dropped_lines: u64,
    /// Bytes that were cut from lines over the limit.
    pub cut_bytes: u64,
}

#[derive(Debug)]
pub(crate) struct LogRing {
    limits: LogCapture,
    state: Mutex<RingState>,
}

#[derive(Debug, Default)]
struct RingState {
    lines: VecDeque<LogLine>,
    dropped_lines: u64,
    cut_bytes: u64,
}

impl LogRing {
    pub(crate) fn new(limits: LogCapture) -> Self {
        Self { limits, state: Mutex::default() }
    }

    pub(crate) fn push(&self, at: Timestamp, stream: Stream, bytes: &[u8], cut: u64) {
        let text = String::from_utf8_lossy(bytes).trim_end_matches('\r').to_owned();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.lines.len() >= self.limits.lines {
            state.lines.pop_front();
            state.dropped_lines = state.dropped_lines.saturating_add(1);
        }
        state.cut_bytes = state.cut_bytes.saturating_add(cut);
        state.lines.push_back(LogLine { at, stream, text });
    }

    pub(crate) fn snapshot(&self) -> LogSnapshot {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        LogSnapshot {
            lines: state.lines.iter().cloned().collect(),
            dropped_lines: state.dropped_lines,
            cut_bytes: state.cut_bytes,
        }
    }

    /// Reads until the end of the stream. Always reads on, whatever the ring does, so a child never blocks on
    /// a full pipe.
    pub(crate) async fn drain(
        self: Arc<Self>,
        mut reader: impl AsyncRead + Unpin,
        stream: Stream,
        clock: Arc<dyn Clock>,
    ) {
        let mut buffer = vec![0_u8; 8192];
        let mut line: Vec<u8> = Vec::new();
        let mut cut = 0_u64;
        loop {
            let read = match reader.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            };
            for &byte in buffer.iter().take(read) {
                if byte == b'\n' {
                    self.push(clock.now(), stream, &line, cut);
                    line.clear();
                    cut = 0;
                } else if line.len() < self.limits.line_bytes {
                    line.push(byte);
                } else {
                    cut = cut.saturating_add(1);
                }
            }
        }
        if !line.is_empty() {
            self.push(clock.now(), stream, &line, cut);
        }
    }
}
