//! A long mixed window through [`WindowStream`](aiops_compact::briefing::WindowStream) in one pass: how fast, and in how much
//! memory.

mod mixed;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use aiops_compact::briefing::{CountTokens, EstimatedTokens, WindowCompactor};
use aiops_core::model::{Briefing, TimeRange, TokenBudget};
use serde::Serialize;

use crate::EvalError;
pub use mixed::{MixedStream, Second};

/// Records of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Samples of metrics.
    pub samples: u64,
    /// Spans.
    pub spans: u64,
    /// Log lines.
    pub lines: u64,
}

/// What [`measure`] found.
#[derive(Debug, Clone, Serialize)]
pub struct WindowReport {
    /// Content of the records, bytes.
    pub bytes: u64,
    /// What there was of each kind.
    pub counts: Counts,
    /// Time to take it in and to brief it, in seconds; without making it up.
    pub seconds: f64,
    /// Most samples, slots, and spans and lines of open traces held at once, looked at once a second of the stream.
    pub most_held: usize,
    /// Largest resident memory of this process so far, bytes; where the system tells.
    pub peak_bytes: Option<u64>,
    /// Tokens of the briefing, estimated.
    pub tokens: usize,
    /// Place of the service at fault among the briefing's entities, from 1, if a line of it tells of the time of the fault.
    pub place: Option<usize>,
    /// The briefing.
    pub briefing: Briefing,
}

impl WindowReport {
    /// The report in a few lines, then the briefing.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mb = self.bytes as f64 / 1e6;
        let Counts { samples, spans, lines } = self.counts;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{mb:.0} MB: {samples} samples, {spans} spans, {lines} lines");
        let _ = writeln!(text, "{:.2} s, {:.1} MB/s", self.seconds, mb / self.seconds.max(1e-9));
        let peak =
            self.peak_bytes.map_or("unknown".to_owned(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6));
        let _ = writeln!(text, "peak memory {peak}, most held {}", self.most_held);
        let place = self.place.map_or("-".to_owned(), |place| place.to_string());
        let _ = writeln!(text, "{} tokens, service at fault at place {place}\n", self.tokens);
        text.push_str(&self.briefing.to_markdown());
        text
    }
}

/// Makes up a window of about `megabytes` (10⁶ bytes of content), takes it in as it comes and briefs it within `budget`.
///
/// # Errors
/// [`EvalError::Config`] for a window of less than 2 or more than 10⁵ megabytes; [`EvalError::Judge`] when the budget is too small
/// for any briefing.
pub fn measure(
    megabytes: u64,
    seed: u64,
    budget: TokenBudget,
    mut progress: impl FnMut(usize, usize),
) -> Result<WindowReport, EvalError> {
    if !(2..=100_000).contains(&megabytes) {
        let value = megabytes.to_string();
        return Err(EvalError::Config { field: "mb", value, allowed: "2 to 100000 MB" });
    }
    // What a few seconds make says how many it takes.
    let mut probe = MixedStream::new(60, seed)?;
    let mut sample = 0;
    while let Some(second) = probe.next_second()? {
        sample += second.bytes();
    }
    let seconds = (megabytes * 1_000_000 * 60 / sample.max(1)).max(60);
    let mut source = MixedStream::new(seconds, seed)?;
    let mut stream = WindowCompactor::default().stream(source.range());
    let (mut bytes, mut counts, mut took, mut most_held, mut done) =
        (0, Counts::default(), Duration::ZERO, 0, 0);
    while let Some(second) = source.next_second()? {
        bytes += second.bytes();
        counts.samples += second.metrics.iter().map(|series| series.len() as u64).sum::<u64>();
        counts.spans += second.spans.len() as u64;
        counts.lines += second.lines.len() as u64;
        let begin = Instant::now();
        second.metrics.iter().for_each(|series| stream.push_metrics(series));
        second.spans.iter().for_each(|span| stream.push_span(span));
        second.lines.iter().for_each(|line| stream.push_line(line));
        took += begin.elapsed();
        most_held = most_held.max(stream.held());
        done += 1;
        progress(done, usize::try_from(seconds).unwrap_or(usize::MAX));
    }
    let begin = Instant::now();
    let briefing = stream.finish(Vec::new(), budget)?;
    took += begin.elapsed();
    let fault = TimeRange::new(source.onset(), source.range().end())?;
    Ok(WindowReport {
        bytes,
        counts,
        seconds: took.as_secs_f64(),
        most_held,
        peak_bytes: peak_bytes(),
        tokens: EstimatedTokens.count(&briefing.to_markdown()),
        place: crate::briefing::place(&briefing, fault, &source.culprit()),
        briefing,
    })
}

/// `VmHWM` of this process (Linux).
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}
