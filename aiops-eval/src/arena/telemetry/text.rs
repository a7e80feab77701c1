//! What programs write. Free text from many templates; what is wrong shows in the words of whoever notices it.

use aiops_core::model::{ChangeKind, LogSeverity};

use crate::arena::sim::state::Failure;

use LogSeverity::{Debug, Info, Warn};

/// Lines about requests. `{}` of one letter are filled in: n number, m milliseconds, i id, a address.
pub(super) const USUAL: [(LogSeverity, &str); 32] = [
    (Info, "request {i} served in {m} ms"),
    (Info, "session {i} resumed from {a}"),
    (Info, "accepted connection from {a} port {n}"),
    (Info, "order {i} validated, {n} positions"),
    (Info, "fetched {n} rows for customer {i}"),
    (Info, "published event {i} to partition {n}"),
    (Info, "computed quote {i} in {m} ms"),
    (Info, "token {i} refreshed, valid for {n} s"),
    (Info, "rendered page for locale {n} in {m} ms"),
    (Info, "batch {i} flushed, {n} records"),
    (Debug, "lookup key {i} took {m} ms"),
    (Debug, "retry budget at {n} of 100"),
    (Debug, "decoded payload of {n} bytes"),
    (Info, "stock of item {i} is {n}"),
    (Info, "price list {i} has {n} entries"),
    (Info, "delivery {i} scheduled in slot {n}"),
    (Info, "user {i} signed in from {a}"),
    (Info, "mail {i} queued for delivery"),
    (Info, "search for {n} terms returned {n} hits in {m} ms"),
    (Info, "image {i} resized to {n} px"),
    (Debug, "trace sampled with id {i}"),
    (Info, "webhook {i} delivered to {a}"),
    (Info, "recommendation set {i} with {n} items"),
    (Info, "ledger entry {i} booked, balance {n}"),
    (Info, "coupon {i} redeemed, {n} left"),
    (Info, "cart {i} now holds {n} items"),
    (Debug, "feature evaluation {i} took {m} ms"),
    (Info, "invoice {i} rendered, {n} pages"),
    (Info, "transfer {i} settled after {m} ms"),
    (Info, "address of customer {i} normalised"),
    (Debug, "serialised {n} fields in {m} ms"),
    (Info, "subscription {i} renewed until day {n}"),
];

/// Lines that come by themselves, harmless ones among them that sound bad.
pub(super) const DAILY: [(LogSeverity, &str); 24] = [
    (Info, "health check passed in {m} ms"),
    (Info, "metrics exported, {n} series"),
    (Debug, "gc pause of {m} ms, freed {n} MB"),
    (Info, "leader lease renewed, term {n}"),
    (Info, "certificate valid for another {n} days"),
    (Info, "configuration checked, no difference"),
    (Warn, "slow consumer {i}, {n} messages behind"),
    (Warn, "client {a} closed the connection early"),
    (Info, "cleaned up {n} idle sessions"),
    (Info, "connection {i} recycled after {n} uses"),
    (Warn, "deprecated parameter used by client {a}"),
    (Info, "snapshot {i} written, {n} KB"),
    (Debug, "event loop lag {m} ms"),
    (Info, "watch on resource {i} restarted"),
    (Warn, "request {i} had no trace context"),
    (Info, "time synchronised, offset {m} us"),
    (Info, "loaded {n} translations"),
    (Warn, "clock moved by {m} ms"),
    (Info, "thread pool resized to {n}"),
    (Info, "autovacuum of table {n} took {m} ms"),
    (Warn, "response of {a} had an unknown field"),
    (Info, "rotated key {i}"),
    (Debug, "resolver cache holds {n} names"),
    (Info, "keep-alive of {a} ended after {n} s"),
];

/// A template with its places filled.
pub(super) fn fill(template: &str, rng: &mut fastrand::Rng) -> String {
    let mut text = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text += before;
        let Some((place, after)) = after.split_once('}') else { break };
        match place {
            "n" => text += &rng.u32(1..500).to_string(),
            "m" => text += &rng.u32(1..90).to_string(),
            "i" => text += &format!("{:08x}", rng.u32(..)),
            _ => text += &format!("10.{}.{}.{}", rng.u8(..), rng.u8(..), rng.u8(1..)),
        }
        rest = after;
    }
    text + rest
}

/// What a service writes when it fails a request itself.
pub(super) fn served_badly(failure: Failure, rng: &mut fastrand::Rng) -> String {
    let template = match failure {
        Failure::Internal => {
            "unhandled exception while serving request {i}: IllegalStateException at line {n}"
        }
        Failure::QueueFull => "request queue full, rejecting request {i}",
        Failure::DiskFull => "write of {n} bytes failed: no space left on device",
        Failure::Descriptors => "accept failed: too many open files",
        Failure::Unauthorized => "authentication failed for subject {i} from {a}",
        Failure::Throttled => "rate limit reached, request {i} answered with 429",
        _ => "request {i} failed after {m} ms",
    };
    fill(template, rng)
}

/// What a caller writes when a call to `peer` fails.
pub(super) fn called_badly(failure: Failure, peer: &str, took: f64, rng: &mut fastrand::Rng) -> String {
    let after = format!("{:.0} ms", took * 1e3);
    match failure {
        Failure::Timeout => format!("call to {peer} timed out after {after}"),
        Failure::PoolTimeout => {
            format!("unable to acquire connection to {peer} within {after}: pool exhausted")
        }
        Failure::Refused => format!("connect to {peer}: connection refused"),
        Failure::Reset => format!("read from {peer}: connection reset by peer"),
        Failure::NameResolution => format!("lookup of {peer} failed: no such host"),
        Failure::Certificate => format!("TLS handshake with {peer} failed: certificate has expired"),
        Failure::Unauthorized => format!("{peer} answered 401 to request {:08x}", rng.u32(..)),
        Failure::Throttled => format!("{peer} answered 429, too many requests"),
        Failure::QueueFull => format!("{peer} answered 503, overloaded"),
        Failure::Upstream => format!("{peer} answered 502, bad gateway"),
        _ => format!("{peer} answered {} to request {:08x}", failure.code(), rng.u32(..)),
    }
}

/// Who makes changes.
pub(super) fn author(rng: &mut fastrand::Rng) -> &'static str {
    const AUTHORS: [&str; 6] = ["ci", "argo-cd", "m.keller", "p.osei", "release-bot", "j.lindqvist"];
    AUTHORS.get(rng.usize(..AUTHORS.len())).copied().unwrap_or("ci")
}

/// One line about a change. It says what people say, which is little.
pub(super) fn change_summary(kind: ChangeKind, service: &str, rng: &mut fastrand::Rng) -> String {
    let lines: &[&str] = match kind {
        ChangeKind::Deployment => &[
            "deploy {s}: dependency updates",
            "deploy {s}: clean up logging",
            "release of {s}",
            "deploy {s}: sprint {n}",
            "{s}: merge request {n}",
        ],
        ChangeKind::ConfigRollout => &[
            "roll out configuration of {s}",
            "{s}: adjust settings",
            "{s}: apply values from repository, request {n}",
        ],
        ChangeKind::FeatureFlag => &["{s}: turn flag {n} on for everybody", "{s}: change flag {n}"],
        ChangeKind::Patch => &["patch packages of {s}", "{s}: security updates, batch {n}"],
        _ => &["{s}: maintenance", "{s}: routine work, ticket {n}"],
    };
    let line = lines.get(rng.usize(..lines.len())).copied().unwrap_or("{s}");
    line.replace("{s}", service).replace("{n}", &rng.u32(100..9000).to_string())
}
