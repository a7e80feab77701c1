//! Whether what was changed has to do with what deviates. Only words are compared: a summary is data, never an instruction.

use std::collections::BTreeSet;

use aiops_core::model::Change;

use crate::picture::Group;
use crate::roles::MetricRole;
use crate::roles::Words;

/// A mechanism and words by which settings speak about it.
const RELATED: [(&str, &[&str]); 11] = [
    ("memory", &["memory", "heap", "xmx", "rss", "buffer", "oom"]),
    ("garbage collection", &["gc", "heap", "xmx"]),
    ("cpu", &["cpu", "core", "millicore"]),
    ("disk", &["disk", "volume", "storage", "retention", "log"]),
    ("file descriptors", &["fd", "nofile", "ulimit", "descriptor"]),
    ("connection pool", &["pool", "connection", "conn"]),
    ("lock", &["lock", "isolation", "transaction", "snapshot"]),
    ("queue", &["queue", "slot", "worker", "concurrency", "parallel", "batch", "thread", "prefetch"]),
    ("cache", &["cache", "ttl", "eviction"]),
    ("network", &["dns", "proxy", "tls", "mtu", "firewall", "certificate"]),
    ("timeout", &["timeout", "deadline", "retry", "retrie", "circuit"]),
];

/// How a change relates to what deviates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is about what deviates.
    Fits,
    /// Nothing tells what it is about.
    Vague,
    /// It is about something else.
    Misfit,
}

pub(super) fn fit(change: &Change, group: Option<&Group<'_>>) -> Fit {
    let text = change.attributes.iter().flat_map(|(k, v)| [k, v]).chain([change.summary.as_str()]);
    let text: Vec<Words> = text.map(Words::of).collect();
    let speaks_of = |words: &[&str]| words.iter().any(|w| text.iter().any(|t| t.contain(&Words::of(w))));
    let about: BTreeSet<&str> =
        RELATED.iter().filter(|(_, words)| speaks_of(words)).map(|(mechanism, _)| *mechanism).collect();
    if about.is_empty() {
        return Fit::Vague;
    }
    let mut deviates: BTreeSet<&str> = BTreeSet::new();
    for s in group.into_iter().flat_map(Group::harmful) {
        deviates.extend(s.class.mechanism.as_deref());
        match s.class.role {
            // Callers give up, or wait too long.
            MetricRole::Errors | MetricRole::Latency => deviates.extend(["timeout"]),
            _ => {}
        }
        // Bounded work of every kind shows as waiting.
        if matches!(s.class.mechanism.as_deref(), Some("concurrency" | "thread pool" | "queue")) {
            deviates.extend(["queue"]);
        }
    }
    if about.intersection(&deviates).next().is_some() { Fit::Fits } else { Fit::Misfit }
}
