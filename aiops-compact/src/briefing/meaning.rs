//! What a metric speaks of, told from its kind, its unit and the words of its name.

use aiops_core::model::{MetricKind, MetricSeries};

use super::WeightOptions;

/// What a metric speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Latency,
    Failures,
    Traffic,
    Processor,
    Memory,
    /// Another bounded thing: pools, queues, threads, disks.
    Resource,
    Other,
}

/// Which way of a metric is harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    Higher,
    Lower,
    Either,
}

/// What a metric says of its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) subject: Subject,
    pub(super) harm: Harm,
    /// Measured where requests are sent: it tells as much about the one called.
    pub(super) client: bool,
    /// Of the machine, which everyone on it shows.
    pub(super) host: bool,
}

impl Subject {
    pub(super) fn aspect(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Failures => "failures",
            Self::Traffic => "traffic",
            Self::Processor => "processor",
            Self::Memory => "memory",
            Self::Resource => "resource",
            Self::Other => "other",
        }
    }

    pub(super) fn weight(self, options: &WeightOptions) -> f64 {
        match self {
            Self::Latency => options.latency,
            Self::Failures => options.failures,
            Self::Traffic => options.traffic,
            Self::Processor | Self::Memory | Self::Resource => options.resource,
            Self::Other => options.other,
        }
    }
}

/// Words of names, in the order in which they decide: general ones of OpenTelemetry, Prometheus exporters and Kubernetes, no
/// product's own.
const WORDS: [(Subject, Harm, &[&str]); 9] = [
    (Subject::Memory, Harm::Higher, &["memory", "mem", "rss", "heap", "resident", "swap", "gc", "garbage"]),
    (Subject::Other, Harm::Either, &["net", "network", "tcp", "packet", "packets", "interface", "syscall"]),
    (Subject::Processor, Harm::Higher, &["cpu", "processor", "load1", "load5"]),
    (
        Subject::Resource,
        Harm::Higher,
        &["disk", "filesystem", "inode", "volume", "fd", "fds", "thread", "threads"],
    ),
    (
        Subject::Resource,
        Harm::Higher,
        &["pool", "queue", "backlog", "lag", "pending", "inflight", "saturation", "utilization", "throttled"],
    ),
    (Subject::Failures, Harm::Lower, &["availability", "success"]),
    (
        Subject::Failures,
        Harm::Higher,
        &[
            "error",
            "errors",
            "fail",
            "failed",
            "failure",
            "failures",
            "exception",
            "exceptions",
            "rejected",
            "timeouts",
        ],
    ),
    (Subject::Latency, Harm::Higher, &["latency", "duration", "delay", "rtt"]),
    (
        Subject::Traffic,
        Harm::Either,
        &["request", "requests", "op", "ops", "rps", "qps", "throughput", "rate", "calls", "messages"],
    ),
];

const CLIENT: [&str; 5] = ["client", "outbound", "outgoing", "egress", "upstream"];
const HOST: [&str; 2] = ["node", "host"];
const TIME: [&str; 5] = ["s", "ms", "us", "ns", "min"];

/// What `series` says. O(name).
pub(super) fn meaning(series: &MetricSeries) -> Meaning {
    let words = words(&series.key().name);
    let any = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let named = WORDS.iter().find(|(_, _, list)| any(list)).map(|(subject, harm, _)| (*subject, *harm));
    // Where no word tells, kind and unit do.
    let (subject, harm) = named.unwrap_or_else(|| match series.kind() {
        MetricKind::Quantile => (Subject::Latency, Harm::Higher),
        MetricKind::Rate | MetricKind::Counter => (Subject::Traffic, Harm::Either),
        _ if TIME.contains(&series.unit().0.as_str()) => (Subject::Latency, Harm::Higher),
        _ => (Subject::Other, Harm::Either),
    });
    Meaning { subject, harm, client: any(&CLIENT), host: any(&HOST) }
}

/// Words of a name, split at everything but letters and digits and before capitals; in lower case.
fn words(name: &str) -> Vec<String> {
    let (mut words, mut word, mut lower) = (Vec::new(), String::new(), false);
    for c in name.chars() {
        if (!c.is_alphanumeric() || (c.is_uppercase() && lower)) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        lower = c.is_lowercase() || c.is_numeric();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use aiops_core::model::{EntityId, SeriesKey, TimeAxis, Unit};

    use super::*;

    fn told(name: &str, kind: MetricKind, unit: &str) -> (Subject, bool, bool) {
        let axis = TimeAxis::irregular(Vec::new()).unwrap();
        let series = MetricSeries::new(SeriesKey::new(name), EntityId::service("a"), axis, []).unwrap();
        let meaning = meaning(&series.with_kind(kind).with_unit(Unit::new(unit)));
        (meaning.subject, meaning.client, meaning.host)
    }

    #[test]
    fn names_units_and_kinds_tell() {
        use MetricKind::{Gauge, Quantile, Rate};
        for (name, kind, unit, subject, client, host) in [
            ("http.server.request.duration", Quantile, "s", Subject::Latency, false, false),
            ("httpClientRequestDuration", Gauge, "s", Subject::Latency, true, false),
            ("client_p90_s", Quantile, "s", Subject::Latency, true, false),
            ("node_cpu_pct", Gauge, "%", Subject::Processor, false, true),
            ("container_memory_working_set_bytes", Gauge, "By", Subject::Memory, false, false),
            ("requests", Gauge, "", Subject::Traffic, false, false),
            ("availability", Gauge, "", Subject::Failures, false, false),
            ("anything", Gauge, "ms", Subject::Latency, false, false),
            ("anything", Rate, "1", Subject::Traffic, false, false),
            ("temperature", Gauge, "Cel", Subject::Other, false, false),
            ("", Gauge, "", Subject::Other, false, false),
        ] {
            assert_eq!(told(name, kind, unit), (subject, client, host), "{name}");
        }
    }
}
