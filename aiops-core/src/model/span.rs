//! Spans of distributed traces.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::entity::EntityId;
use crate::model::labels::Labels;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $int:ty, $digits:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $digits, "x}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(s: &str) -> Result<Self> {
                // `from_str_radix` would accept a sign.
                let digits = s.bytes().all(|b| b.is_ascii_hexdigit());
                <$int>::from_str_radix(s, 16).ok().filter(|_| digits).map(Self).ok_or_else(|| {
                    Error::new(ErrorKind::Invalid, "an id is not hexadecimal").with("id", s)
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(s: String) -> Result<Self> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

hex_id!(
    /// Id of a trace, 128 bits, written as 32 hex digits (W3C trace context).
    TraceId, u128, "32"
);
hex_id!(
    /// Id of a span, 64 bits, written as 16 hex digits (W3C trace context).
    SpanId, u64, "16"
);

/// How a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanStatus {
    /// Nothing was said.
    Unset,
    /// Said to have gone well.
    Ok,
    /// Failed.
    Error,
}

/// One operation of one service within a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Span {
    /// Trace it belongs to.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The span that caused it; it may be missing from the window.
    #[serde(default)]
    pub parent: Option<SpanId>,
    /// Who did the work.
    pub entity: EntityId,
    /// Name of the operation.
    pub operation: String,
    /// Start, by the clock of `entity` (clocks of two entities may disagree).
    pub start: Timestamp,
    /// How long it took.
    #[serde(with = "crate::model::duration")]
    pub duration: Duration,
    /// How it ended.
    pub status: SpanStatus,
    /// Attributes under OpenTelemetry names.
    #[serde(default)]
    pub attributes: Labels,
}

impl Span {
    /// A root span that went well.
    pub fn new(
        trace_id: TraceId,
        span_id: SpanId,
        entity: EntityId,
        operation: impl Into<String>,
        start: Timestamp,
        duration: Duration,
    ) -> Self {
        Self {
            trace_id,
            span_id,
            parent: None,
            entity,
            operation: operation.into(),
            start,
            duration,
            status: SpanStatus::Unset,
            attributes: Labels::new(),
        }
    }

    /// The same span as a child of `parent`.
    #[must_use]
    pub fn with_parent(mut self, parent: SpanId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// The same span with another status.
    #[must_use]
    pub fn with_status(mut self, status: SpanStatus) -> Self {
        self.status = status;
        self
    }
}
