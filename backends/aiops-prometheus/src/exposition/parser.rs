use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::line::{Line, read_line};
use super::{Event, Format, LineError, LineErrorKind};
use crate::config::{ConfigError, in_range};

/// Limits of a [`Parser`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParserConfig {
    /// Longest line in bytes, without its newline; longer lines are skipped. Default 65,536; 64 to 16,777,216.
    pub max_line_bytes: usize,
    /// Most samples read from one page; later ones are skipped. Default 200,000; at least 1.
    pub max_samples: u64,
    /// Most labels of one sample, the metric name not counted. Default 64; at most 1,024.
    pub max_labels: usize,
}

impl Default for ParserConfig {
    fn default() -> Self {
        Self { max_line_bytes: 65_536, max_samples: 200_000, max_labels: 64 }
    }
}

impl ParserConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// Names the field, its value and the allowed range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        in_range("max_line_bytes", self.max_line_bytes, 64, 16_777_216)?;
        in_range("max_samples", self.max_samples, 1, u64::MAX)?;
        in_range("max_labels", self.max_labels, 0, 1_024)
    }
}

/// What a whole page held.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ParseReport {
    /// Lines, blank ones and comments included.
    pub lines: u64,
    /// Samples handed out.
    pub samples: u64,
    /// Lines skipped.
    pub malformed: u64,
    /// Lines skipped, by reason.
    pub malformed_by_kind: BTreeMap<String, u64>,
    /// OpenMetrics only: whether `# EOF` was seen. A page without it was cut short. Always true for the Prometheus
    /// text format, which has no end marker.
    pub complete: bool,
}

/// Streaming parser of one page.
#[derive(Debug)]
pub struct Parser {
    config: ParserConfig,
    format: Format,
    /// Start of a line whose end has not arrived. INVARIANT: at most `max_line_bytes` long.
    partial: Vec<u8>,
    /// The rest of the current line is beyond the limit and being discarded.
    skipping: bool,
    ended: bool,
    report: ParseReport,
}

impl Parser {
    /// A parser of one page.
    ///
    /// # Errors
    /// When `config` is out of range.
    pub fn new(config: ParserConfig, format: Format) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            config,
            format,
            partial: Vec::new(),
            skipping: false,
            ended: false,
            report: ParseReport::default(),
        })
    }

    /// Reads the next bytes of the page, cut anywhere.
    pub fn push(&mut self, mut bytes: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = bytes.split_at(end);
            bytes = tail.get(1..).unwrap_or_default();
            if self.skipping {
                self.skipping = false;
            } else if self.partial.len().saturating_add(head.len()) > self.config.max_line_bytes {
                self.partial.clear();
                self.report.lines += 1;
                self.reject(LineErrorKind::TooLong, sink);
            } else if self.partial.is_empty() {
                self.line(head, sink);
            } else {
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(head);
                self.line(&line, sink);
                line.clear();
                self.partial = line;
            }
        }
        if self.skipping {
            return;
        }
        if self.partial.len().saturating_add(bytes.len()) > self.config.max_line_bytes {
            self.partial.clear();
            self.skipping = true;
            self.report.lines += 1;
            self.reject(LineErrorKind::TooLong, sink);
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }

    /// Reads a last line without newline, and reports.
    #[must_use]
    pub fn finish(mut self, sink: &mut dyn FnMut(Event<'_>)) -> ParseReport {
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.line(&line, sink);
        }
        self.report.complete = self.format == Format::PrometheusText || self.ended;
        self.report
    }

    fn line(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
        self.report.lines += 1;
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.reject(LineErrorKind::NotUtf8, sink);
        };
        let text = text.strip_suffix('\r').unwrap_or(text);
        if self.ended {
            if !text.trim().is_empty() {
                self.reject(LineErrorKind::AfterEof, sink);
            }
            return;
        }
        match read_line(text, self.format, self.config.max_labels) {
            Ok(Line::Nothing) => {}
            Ok(Line::Eof) => self.ended = true,
            Ok(Line::Event(Event::Sample(_))) if self.report.samples >= self.config.max_samples => {
                self.reject(LineErrorKind::TooManySamples, sink);
            }
            Ok(Line::Event(event)) => {
                if matches!(event, Event::Sample(_)) {
                    self.report.samples += 1;
                }
                sink(event);
            }
            Err(kind) => self.reject(kind, sink),
        }
    }

    fn reject(&mut self, kind: LineErrorKind, sink: &mut dyn FnMut(Event<'_>)) {
        self.report.malformed += 1;
        *self.report.malformed_by_kind.entry(kind.to_string()).or_default() += 1;
        sink(Event::Malformed(LineError { line: self.report.lines, kind }));
    }
}
