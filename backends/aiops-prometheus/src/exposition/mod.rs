//! Prometheus text format 0.0.4 and OpenMetrics 1.0 text: a streaming parser and an encoder.
//!
//! The [`Parser`] takes bytes in chunks of any size and hands one [`Event`] per meaningful line to a closure. A bad
//! line is an [`Event::Malformed`] and is counted in the [`ParseReport`]; the lines around it are still read, because a
//! half-written page of a failing service is exactly when its remaining numbers matter.
//!
//! Memory: one line (at most [`ParserConfig::max_line_bytes`]) is buffered between chunks, nothing else.
//!
//! Sources: [text format 0.0.4](https://prometheus.io/docs/instrumenting/exposition_formats/),
//! [OpenMetrics 1.0](https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md).
//!
//! ```
//! use aiops_prometheus::exposition::{Event, Format, Parser, ParserConfig};
//!
//! let mut parser = Parser::new(ParserConfig::default(), Format::PrometheusText)?;
//! let mut seen = Vec::new();
//! for chunk in [&b"# TYPE up gauge\nup{job=\"a"[..], b"pi\"} 1\nup{job= 7\n"] {
//!     parser.push(chunk, &mut |event| {
//!         if let Event::Sample(sample) = event {
//!             seen.push((sample.name.to_string(), sample.value));
//!         }
//!     });
//! }
//! let report = parser.finish(&mut |_| {});
//! assert_eq!(seen, [("up".to_owned(), 1.0)]);
//! assert_eq!((report.samples, report.malformed), (1, 1));
//! # Ok::<(), aiops_prometheus::ConfigError>(())
//! ```

mod encode;
mod line;
mod parser;

pub use encode::Encoder;
pub(crate) use line::{read_float, seconds_to_millis};
pub use parser::{ParseReport, Parser, ParserConfig};

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Which of the two text formats a page is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Prometheus text format 0.0.4: timestamps in integer milliseconds, no exemplars, no `# EOF`.
    PrometheusText,
    /// OpenMetrics 1.0: timestamps in seconds, exemplars, and a mandatory `# EOF` that proves the page is whole.
    OpenMetrics,
}

impl Format {
    /// The format a `Content-Type` header declares; anything but OpenMetrics is read as the Prometheus text format.
    #[must_use]
    pub fn from_content_type(content_type: Option<&str>) -> Self {
        let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
        if media_type.trim().eq_ignore_ascii_case("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::PrometheusText
        }
    }
}

/// The declared type of a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FamilyType {
    /// Monotonic cumulative count that restarts from zero with its process.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Cumulative buckets (`_bucket`), `_sum` and `_count`.
    Histogram,
    /// OpenMetrics histogram whose buckets are gauges.
    GaugeHistogram,
    /// Client-side quantiles, `_sum` and `_count`.
    Summary,
    /// Constant 1 with information in its labels.
    Info,
    /// One series per state, 0 or 1.
    StateSet,
    /// Not declared, or declared as `untyped` or `unknown`.
    Unknown,
}

impl FamilyType {
    /// Reads the word used in `# TYPE` lines and in the metadata API.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "gaugehistogram" => Self::GaugeHistogram,
            "summary" => Self::Summary,
            "info" => Self::Info,
            "stateset" => Self::StateSet,
            "unknown" | "untyped" => Self::Unknown,
            _ => return None,
        })
    }

    /// The word the Prometheus text format and OpenMetrics share, except `untyped`/`unknown`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }
}

/// One sample line. Borrows from the line unless a value had escapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// Metric name.
    pub name: Cow<'a, str>,
    /// Labels in the order written; names are unique. An empty value is the same as no label and is left out.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The value; NaN and infinities are values.
    pub value: f64,
    /// Explicit timestamp in milliseconds since the Unix epoch, where the line has one.
    pub timestamp_ms: Option<i64>,
}

/// What one line said.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// `# HELP family text`
    Help {
        /// Metric family.
        family: Cow<'a, str>,
        /// Help text, unescaped.
        text: Cow<'a, str>,
    },
    /// `# TYPE family kind`
    Type {
        /// Metric family.
        family: Cow<'a, str>,
        /// Declared type.
        kind: FamilyType,
    },
    /// `# UNIT family unit` (OpenMetrics)
    Unit {
        /// Metric family.
        family: Cow<'a, str>,
        /// Unit, as written.
        unit: Cow<'a, str>,
    },
    /// A sample.
    Sample(Sample<'a>),
    /// A line that could not be read, and was skipped.
    Malformed(LineError),
}

/// A skipped line: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct LineError {
    /// Line number, from 1.
    pub line: u64,
    /// Reason.
    pub kind: LineErrorKind,
}

/// Why a line was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum LineErrorKind {
    /// The line is longer than the limit.
    #[error("longer than the line limit")]
    TooLong,
    /// The line is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The metric name is missing or has a character that must be quoted.
    #[error("bad metric name")]
    BadMetricName,
    /// A label name is missing, reserved, or has a character that must be quoted.
    #[error("bad label name")]
    BadLabelName,
    /// The label set is not closed, or a quote, comma or equals sign is missing.
    #[error("bad label set")]
    BadLabelSet,
    /// The same label twice.
    #[error("label given twice")]
    DuplicateLabel,
    /// More labels than the limit.
    #[error("more labels than the limit")]
    TooManyLabels,
    /// The value is missing, not a number, or outside the range of a 64-bit float.
    #[error("bad value")]
    BadValue,
    /// The timestamp is not a number or outside the range of 64-bit milliseconds.
    #[error("bad timestamp")]
    BadTimestamp,
    /// `# TYPE` with an unknown type, or without one.
    #[error("bad metric type")]
    BadType,
    /// Text after the last field.
    #[error("trailing text")]
    TrailingText,
    /// A line after `# EOF`.
    #[error("text after # EOF")]
    AfterEof,
    /// The page has more samples than the limit.
    #[error("more samples than the limit")]
    TooManySamples,
}
