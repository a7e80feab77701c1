//! Log records.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::entity::EntityId;
use crate::model::labels::Labels;
use crate::model::span::{SpanId, TraceId};

/// Severity of a log record: the ranges of the OpenTelemetry log data model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSeverity {
    /// 1–4.
    Trace,
    /// 5–8.
    Debug,
    /// 9–12.
    Info,
    /// 13–16.
    Warn,
    /// 17–20.
    Error,
    /// 21–24.
    Fatal,
}

/// One log line with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LogRecord {
    /// When it happened.
    pub time: Timestamp,
    /// Who wrote it.
    pub entity: EntityId,
    /// The text. Bytes that are not UTF-8 were replaced by U+FFFD at intake.
    pub body: String,
    /// Severity, where the source states one.
    #[serde(default)]
    pub severity: Option<LogSeverity>,
    /// Attributes under OpenTelemetry names.
    #[serde(default)]
    pub attributes: Labels,
    /// The trace it belongs to.
    #[serde(default)]
    pub trace_id: Option<TraceId>,
    /// The span it belongs to.
    #[serde(default)]
    pub span_id: Option<SpanId>,
}

impl LogRecord {
    /// A line of which only time, origin and text are known.
    pub fn new(time: Timestamp, entity: EntityId, body: impl Into<String>) -> Self {
        Self {
            time,
            entity,
            body: body.into(),
            severity: None,
            attributes: Labels::new(),
            trace_id: None,
            span_id: None,
        }
    }

    /// The same line with a severity.
    #[must_use]
    pub fn with_severity(mut self, severity: LogSeverity) -> Self {
        self.severity = Some(severity);
        self
    }
}
