//! The tables of OpenRCA's telemetry, told apart by their columns. Whether one tells of nodes or of containers stands in its name alone:
//! `metric_node.csv` does.

use std::path::Path;

use aiops_core::jiff::{SignedDuration, Timestamp};

use crate::EvalError;

/// Unit of a column of times or durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tick {
    Second,
    Milli,
    Micro,
}

impl Tick {
    /// The instant so many of it after the epoch.
    pub(super) fn instant(self, n: i64) -> Option<Timestamp> {
        match self {
            Self::Second => Timestamp::from_second(n),
            Self::Milli => Timestamp::from_millisecond(n),
            Self::Micro => Timestamp::from_microsecond(n),
        }
        .ok()
    }

    /// `n` of it; `None` where that is negative or not finite.
    pub(super) fn duration(self, n: f64) -> Option<std::time::Duration> {
        let per_second = match self {
            Self::Second => 1.0,
            Self::Milli => 1e3,
            Self::Micro => 1e6,
        };
        SignedDuration::try_from_secs_f64(n / per_second).ok()?.try_into().ok()
    }
}

/// What a row says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// One sample: whose, of which metric, how much.
    Sample { entity: &'static str, name: &'static str, value: &'static str },
    /// Samples of a service: its column, and column and name of each of its metrics with the unit.
    Service { entity: &'static str, values: &'static [(&'static str, &'static str, &'static str)] },
    /// A span.
    Span {
        trace: &'static str,
        id: &'static str,
        parent: &'static str,
        took: (&'static str, Tick),
        operation: Option<&'static str>,
        failed: Option<Failed>,
        /// Whom it calls.
        peer: Option<&'static str>,
    },
    /// A line.
    Line { body: &'static str },
}

/// How a span says that it failed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Failed {
    /// By a status that is neither 0 nor one of HTTP below 400, nor a word for success.
    Status(&'static str),
    /// By a flag of success that is false.
    NoSuccess(&'static str),
}

/// One kind of table.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) columns: &'static [&'static str],
    pub(super) time: (&'static str, Tick),
    pub(super) shape: Shape,
}

/// Column of whom a row is about.
pub(super) const CMDB: &str = "cmdb_id";

/// Columns of samples, services, spans and lines in the form that episodes of the arena are written in, too.
pub(super) const SAMPLES: &[&str] = &["timestamp", CMDB, "kpi_name", "value"];
pub(super) const SERVICES: &[&str] = &["service", "timestamp", "rr", "sr", "mrt", "count"];
pub(super) const SPANS: &[&str] = &[
    "timestamp",
    CMDB,
    "span_id",
    "trace_id",
    "duration",
    "type",
    "status_code",
    "operation_name",
    "parent_span",
];
pub(super) const LINES: &[&str] = &["log_id", "timestamp", CMDB, "log_name", "value"];

/// Every kind that is known.
pub(super) const SCHEMAS: &[Schema] = &[
    Schema {
        columns: SAMPLES,
        time: ("timestamp", Tick::Second),
        shape: Shape::Sample { entity: CMDB, name: "kpi_name", value: "value" },
    },
    Schema {
        columns: &["itemid", "name", "bomc_id", "timestamp", "value", CMDB],
        time: ("timestamp", Tick::Milli),
        shape: Shape::Sample { entity: CMDB, name: "name", value: "value" },
    },
    Schema {
        columns: &["timestamp", "rr", "sr", "cnt", "mrt", "tc"],
        time: ("timestamp", Tick::Second),
        shape: Shape::Service {
            entity: "tc",
            values: &[RESPONDED, SUCCEEDED, ("cnt", REQUESTS, "{request}"), MEAN],
        },
    },
    Schema {
        columns: SERVICES,
        time: ("timestamp", Tick::Second),
        shape: Shape::Service {
            entity: "service",
            values: &[RESPONDED, SUCCEEDED, ("count", REQUESTS, "{request}"), MEAN],
        },
    },
    Schema {
        columns: &["serviceName", "startTime", "avg_time", "num", "succee_num", "succee_rate"],
        time: ("startTime", Tick::Milli),
        shape: Shape::Service {
            entity: "serviceName",
            values: &[
                ("avg_time", "mean_response_latency", "ms"),
                ("num", REQUESTS, "{request}"),
                ("succee_rate", "success_ratio", "1"),
            ],
        },
    },
    Schema {
        columns: &["timestamp", CMDB, "parent_id", "span_id", "trace_id", "duration"],
        time: ("timestamp", Tick::Milli),
        shape: Shape::Span {
            trace: "trace_id",
            id: "span_id",
            parent: "parent_id",
            took: ("duration", Tick::Milli),
            operation: None,
            failed: None,
            peer: None,
        },
    },
    Schema {
        columns: SPANS,
        time: ("timestamp", Tick::Milli),
        shape: Shape::Span {
            trace: "trace_id",
            id: "span_id",
            parent: "parent_span",
            took: ("duration", Tick::Micro),
            operation: Some("operation_name"),
            failed: Some(Failed::Status("status_code")),
            peer: None,
        },
    },
    Schema {
        columns: &[
            "callType",
            "startTime",
            "elapsedTime",
            "success",
            "traceId",
            "id",
            "pid",
            CMDB,
            "dsName",
            "serviceName",
        ],
        time: ("startTime", Tick::Milli),
        shape: Shape::Span {
            trace: "traceId",
            id: "id",
            parent: "pid",
            took: ("elapsedTime", Tick::Milli),
            operation: Some("serviceName"),
            failed: Some(Failed::NoSuccess("success")),
            peer: Some("dsName"),
        },
    },
    Schema { columns: LINES, time: ("timestamp", Tick::Second), shape: Shape::Line { body: "value" } },
];

// The benchmark's abbreviations, in words that say what they mean.
const RESPONDED: (&str, &str, &str) = ("rr", "response_availability", "%");
const SUCCEEDED: (&str, &str, &str) = ("sr", "success_rate", "%");
const MEAN: (&str, &str, &str) = ("mrt", "mean_response_latency", "ms");
const REQUESTS: &str = "request_count";

/// The kind of table that has just these columns, in any order.
///
/// # Errors
/// [`EvalError::Table`] of line 1 names what is missing of the nearest kind, and what that does not know.
pub(super) fn recognise(path: &Path, header: &[String]) -> Result<&'static Schema, EvalError> {
    let missing = |s: &Schema| {
        s.columns.iter().filter(|c| !header.iter().any(|h| h == *c)).copied().collect::<Vec<_>>()
    };
    let unknown = |s: &Schema| {
        header.iter().filter(|h| !s.columns.contains(&h.as_str())).map(String::as_str).collect::<Vec<_>>()
    };
    let refuse = |what: String| Err(EvalError::Table { path: path.to_owned(), line: 1, what });
    let nearest = SCHEMAS.iter().min_by_key(|s| missing(s).len() + unknown(s).len());
    let Some(nearest) = nearest else { return refuse("no kind of table is known".to_owned()) };
    let (missing, unknown) = (missing(nearest), unknown(nearest));
    if !missing.is_empty() || !unknown.is_empty() {
        let what = format!("no table of telemetry: missing {missing:?}, unknown {unknown:?}");
        return refuse(what);
    }
    if header.len() != nearest.columns.len() {
        return refuse("a column is there twice".to_owned());
    }
    Ok(nearest)
}
