//! The data that crosses seams: telemetry in, findings, and the case that collects them.
//!
//! Names follow OpenTelemetry. Everything here is plain, serialisable data; algorithms live in other crates.

mod alert;
mod anomaly;
mod briefing;
pub mod calendar;
mod change;
mod confidence;
mod diagnosis;
mod entity;
mod evidence;
mod fetch;
mod frame;
mod labels;
mod log;
mod metric;
mod ranking;
mod reasoning;
mod recovery;
mod span;
mod stance;
pub mod time;
mod topology;
mod window;

pub use alert::{Alert, AlertState};
pub use anomaly::{Anomaly, Baseline, DetectorId, Direction, FittedHash, Severity, Shape};
pub use briefing::{Briefing, BriefingLine, Cut, TokenBudget};
pub use calendar::{Calendar, CalendarError, CalendarEvent, CalendarFile, EventKind};
pub use change::{Change, ChangeId, ChangeKind, Revision};
pub use confidence::{Calibration, Confidence};
pub use diagnosis::{Diagnosis, DiagnosisStatus, FaultType, Hypothesis, NullFinding, Standing, mechanism};
pub use entity::{Entity, EntityId, EntityKind};
pub use evidence::{Evidence, EvidenceId, EvidenceKind};
pub use fetch::{FetchLimits, FetchRequest, MatchOp, Matcher, Selector};
pub use frame::MetricFrame;
pub use labels::{Labels, semconv};
pub use log::{LogRecord, LogSeverity};
pub use metric::{MetricKind, MetricSeries, SeriesKey, Unit, Validity};
pub use ranking::{Observation, Ranking, Suspect};
pub use reasoning::{CausalGround, CausalStanding, CausalTest, Check, Distinction};
pub use recovery::{Recovery, RecoveryReport, SignalCheck};
pub use span::{Span, SpanId, SpanStatus, TraceId};
pub use stance::Stance;
pub use time::{TimeAxis, TimeRange};
pub use topology::{Edge, EdgeKind, Topology};
pub use window::{CollectorHealth, Signal, SignalSet, TelemetryWindow};

/// Durations in files read `"1m 30s"` (jiff's friendly format).
pub mod duration {
    pub use jiff::fmt::serde::unsigned_duration::friendly::compact::required::{deserialize, serialize};
    /// The same for durations that may be absent.
    pub mod optional {
        pub use jiff::fmt::serde::unsigned_duration::friendly::compact::optional::{deserialize, serialize};
    }
}

/// Floats in files: the non-finite ones are the strings `"NaN"`, `"Inf"` and `"-Inf"`, since JSON has no number for them.
pub mod float {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    /// Writes `v`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(v: &f64, s: S) -> Result<S::Ok, S::Error> {
        if v.is_nan() {
            s.serialize_str("NaN")
        } else if v.is_infinite() {
            s.serialize_str(if *v > 0.0 { "Inf" } else { "-Inf" })
        } else {
            s.serialize_f64(*v)
        }
    }

    /// Reads what [`serialize`] writes.
    ///
    /// # Errors
    /// When the text is neither a number nor one of the three names.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Value {
            Number(f64),
            Name(String),
        }
        match Value::deserialize(d)? {
            Value::Number(v) => Ok(v),
            Value::Name(n) => match n.as_str() {
                "NaN" => Ok(f64::NAN),
                "Inf" => Ok(f64::INFINITY),
                "-Inf" => Ok(f64::NEG_INFINITY),
                other => Err(D::Error::custom(format!("not a number: {other:?}"))),
            },
        }
    }
}
