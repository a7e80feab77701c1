//! The built-in rules: general naming patterns of OpenTelemetry, Prometheus exporters and Kubernetes, no product's own names.

use aiops_core::model::{MetricKind, Unit};

use super::words::Words;
use super::{MetricClass, MetricRole, Polarity, RoleRule, Side};
use crate::rule::{
    ACTIVITY, AUTHENTICATION, CLOCK, COLLECTIVE, ECC, FABRIC, INTRUSION, NVLINK, POWER, THERMAL, UTILISATION,
    XID,
};

use MetricKind::{Counter, Gauge, Quantile, Rate, Ratio};
use MetricRole::{
    Configuration, Efficiency, Errors, Latency, Liveness, Other, Resource, Restarts, Saturation, Traffic,
};
use Polarity::{AwayFrom, Either, HigherIsWorse, LowerIsWorse};

/// Mechanism of a configured bound.
pub(crate) const CAPACITY: &str = "capacity";

/// Words of failure, in names and as values of outcome labels.
const FAILURES: [&str; 22] = [
    "error",
    "err",
    "fail",
    "failed",
    "failure",
    "exception",
    "panic",
    "fault",
    "reject",
    "rejected",
    "drop",
    "dropped",
    "timeout",
    "timed out",
    "abort",
    "aborted",
    "refused",
    "retry",
    "retrie",
    "unavailable",
    "exhausted",
    "cancelled",
];

/// Words that turn "how much is used" into "how much is left".
const LEFT: [&str; 8] = ["available", "avail", "free", "idle", "remaining", "headroom", "left", "spare"];

/// In order; the first that matches wins.
pub(super) fn rules() -> Vec<RoleRule> {
    let level = [Gauge, Quantile, Ratio];
    devices().into_iter().chain(attacks()).chain(general(level)).collect()
}

/// GPUs and their links, in the words of DCGM's fields (`DCGM_FI_DEV_XID_ERRORS`, `…_ECC_DBE_VOL_TOTAL`, `…_GPU_TEMP`,
/// `…_THERMAL_VIOLATION`, `…_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL`, `…_SM_CLOCK`) and of NCCL. Sensors of hosts use the same.
fn devices() -> Vec<RoleRule> {
    vec![
        RoleRule::new(["xid"], Resource, HigherIsWorse).about(XID),
        RoleRule::new(
            ["ecc", "dbe", "sbe", "remapped row", "row remap", "retired page", "retired pending"],
            Resource,
            HigherIsWorse,
        )
        .about(ECC),
        RoleRule::new(["nvlink", "nvswitch"], Resource, HigherIsWorse).about(NVLINK).without([
            "bandwidth",
            "tx byte",
            "rx byte",
            "throughput",
        ]),
        RoleRule::new(
            ["thermal violation", "thermal throttle", "thermal slowdown"],
            Saturation,
            HigherIsWorse,
        )
        .about(THERMAL),
        RoleRule::new(["power violation", "power brake", "power throttle"], Saturation, HigherIsWorse)
            .about(POWER),
        RoleRule::new(["temperature", "gpu temp", "memory temp", "celsius"], Resource, HigherIsWorse)
            .about(THERMAL),
        RoleRule::new(["sm clock", "mem clock", "gpu clock", "clock frequency"], Efficiency, LowerIsWorse)
            .about(CLOCK),
        RoleRule::new(
            ["gpu util", "gpu utilization", "gpu utilisation", "gr engine active"],
            Efficiency,
            Either,
        )
        .about(UTILISATION),
        // 3 is success; 1 not started, 2 in progress, 4 failed, 5 not recognised (DCGM, `dcgmFabricManagerStatus_t`).
        RoleRule::new(["fabric manager status", "fabric status", "fabric state"], Liveness, AwayFrom(3))
            .about(FABRIC),
        RoleRule::new(["sm active", "tensor active", "dram active"], Efficiency, Either).about(ACTIVITY),
        // Of a port: 4 is active, 1 is down; of its link 5 is up, 2 polls, 6 recovers from errors (InfiniBand Architecture Specification,
        // PortInfo: PortState, PortPhysicalState).
        RoleRule::new(["infiniband physical state"], Liveness, AwayFrom(5)).about("network"),
        RoleRule::new(["infiniband state"], Liveness, AwayFrom(4)).about("network"),
        RoleRule::new(["nccl", "collective"], Saturation, HigherIsWorse).about(COLLECTIVE),
    ]
}

/// What is refused for lack of a right, and what guards against intruders count.
fn attacks() -> Vec<RoleRule> {
    vec![
        RoleRule::new(
            [
                "unauthorized",
                "unauthenticated",
                "auth failure",
                "auth failed",
                "login failure",
                "login failed",
                "failed login",
                "authentication failure",
                "access denied",
                "permission denied",
            ],
            Errors,
            HigherIsWorse,
        )
        .about(AUTHENTICATION),
        RoleRule::new(["waf", "intrusion", "malware", "attack"], Other, HigherIsWorse).about(INTRUSION),
    ]
}

fn general(level: [MetricKind; 3]) -> Vec<RoleRule> {
    vec![
        RoleRule::new(["timeout second", "timeout m", "timeout duration"], Configuration, Either)
            .of_kinds([Gauge]),
        RoleRule::new(
            ["restart", "crash", "oom", "oomkill", "start time", "boot time", "backoff"],
            Restarts,
            HigherIsWorse,
        )
        .about("restarts"),
        RoleRule::new(["not ready", "unready", "unhealthy", "unavailable", "down"], Liveness, HigherIsWorse)
            .of_kinds(level),
        RoleRule::new(["limit", "max", "maximum", "capacity", "quota"], Configuration, LowerIsWorse)
            .about(CAPACITY)
            .without(["second", "duration", "latency", "usage", "used"])
            .of_kinds([Gauge, Ratio]),
        RoleRule::new(
            ["info", "revision", "version", "desired", "wanted", "spec", "configured", "threshold"],
            Configuration,
            Either,
        )
        .without(["second", "duration", "latency", "usage", "used"])
        .of_kinds([Gauge, Ratio]),
        RoleRule::new(
            ["up", "ready", "healthy", "alive", "probe success", "replica"],
            Liveness,
            LowerIsWorse,
        )
        .of_kinds([Gauge, Ratio]),
        RoleRule::new(
            ["smart", "fan", "edac", "pcie replay", "nvme error", "media error"],
            Resource,
            HigherIsWorse,
        )
        .about("hardware"),
        RoleRule::new(["gc", "garbage"], Resource, HigherIsWorse).about("garbage collection"),
        RoleRule::new(
            ["memory", "mem", "rss", "heap", "resident", "working set", "alloc", "swap"],
            Resource,
            HigherIsWorse,
        )
        .about("memory"),
        RoleRule::new(["lock", "mutex", "latch", "contention", "deadlock"], Saturation, HigherIsWorse)
            .about("lock"),
        RoleRule::new(
            ["thread pool", "threadpool", "executor", "busy worker", "worker busy"],
            Saturation,
            HigherIsWorse,
        )
        .about("thread pool"),
        RoleRule::new(["pool", "connection", "conn"], Saturation, HigherIsWorse)
            .about("connection pool")
            .without(["error", "refused", "reset", "failure", "failed"]),
        RoleRule::new(["cache", "cached", "eviction"], Efficiency, Either).about("cache"),
        RoleRule::new(
            ["retran", "retransmit", "tcp", "network", "packet", "interface"],
            Resource,
            HigherIsWorse,
        )
        .about("network"),
        RoleRule::new(["fd", "fds", "file descriptor", "open file", "handle"], Resource, HigherIsWorse)
            .about("file descriptors"),
        RoleRule::new(["cpu", "processor", "load average", "load1"], Resource, HigherIsWorse).about("cpu"),
        RoleRule::new(["disk", "filesystem", "inode", "volume", "storage", "iops"], Resource, HigherIsWorse)
            .about("disk"),
        RoleRule::new(["gpu", "vram"], Resource, HigherIsWorse).about("gpu"),
        RoleRule::new(["thread", "goroutine", "task running"], Resource, HigherIsWorse).about("threads"),
        RoleRule::new(
            [
                "queue",
                "backlog",
                "lag",
                "pending",
                "waiting",
                "waiter",
                "wait",
                "depth",
                "buffered",
                "outstanding",
            ],
            Saturation,
            HigherIsWorse,
        )
        .about("queue")
        .of_kinds(level),
        RoleRule::new(
            [
                "in flight",
                "inflight",
                "active request",
                "concurrent",
                "concurrency",
                "in progress",
                "active",
                "slot",
            ],
            Saturation,
            HigherIsWorse,
        )
        .about("concurrency")
        .of_kinds(level),
        RoleRule::new(
            ["saturation", "utilization", "utilisation", "pressure", "throttled"],
            Saturation,
            HigherIsWorse,
        ),
        RoleRule::new(FAILURES, Errors, HigherIsWorse),
        RoleRule::new(
            ["duration", "latency", "response time", "elapsed", "delay", "rtt"],
            Latency,
            HigherIsWorse,
        )
        .of_kinds(level),
        RoleRule::new(["throughput", "rps", "qps", "per second", "rate"], Traffic, Either),
    ]
}

/// Whether a derived signal is one of failures by the name of its function.
pub(super) fn is_failure_function(function: &str) -> bool {
    let words = Words::of(function);
    FAILURES.iter().any(|f| words.contain(&Words::of(f)))
}

/// Where no word tells, kind and unit do.
pub(super) fn fallback(mut class: MetricClass, kind: MetricKind, unit: &Unit) -> MetricClass {
    let time = matches!(unit.0.as_str(), "s" | "ms" | "us" | "ns" | "min");
    match kind {
        Rate | Counter => class.role = Traffic,
        Quantile => (class.role, class.polarity) = (Latency, HigherIsWorse),
        Gauge if time => (class.role, class.polarity) = (Latency, HigherIsWorse),
        _ => {}
    }
    class
}

/// What labels and further words add to the role.
pub(super) fn refine(mut class: MetricClass, words: &Words, outcomes: &[&str]) -> MetricClass {
    let says = |w: &str| {
        words.contain(&Words::of(w)) || outcomes.iter().any(|o| Words::of(o).contain(&Words::of(w)))
    };
    match class.role {
        Traffic if outcomes.iter().any(|o| is_failure(o)) => {
            (class.role, class.polarity) = (Errors, HigherIsWorse);
        }
        // Refused for lack of a right: by the code, or by the word of gRPC.
        Traffic if outcomes.iter().any(|o| is_refusal(o)) => {
            (class.role, class.polarity) = (Errors, HigherIsWorse);
            class.mechanism = Some(AUTHENTICATION.to_owned());
        }
        Efficiency if says("hit") => class.polarity = LowerIsWorse,
        Efficiency if says("miss") || says("eviction") => class.polarity = HigherIsWorse,
        Saturation | Resource if LEFT.iter().any(|w| words.contain(&Words::of(w))) => {
            class.polarity = LowerIsWorse;
        }
        _ => {}
    }
    if !class.role.is_request_path() {
        class.side = Side::Internal;
    }
    class
}

/// 401 and 403; gRPC: 7 permission denied, 16 unauthenticated, by their names.
fn is_refusal(outcome: &str) -> bool {
    if let Ok(code) = outcome.parse::<u16>() {
        return matches!(code, 401 | 403);
    }
    let words = Words::of(outcome);
    ["unauthenticated", "permission denied", "unauthorized", "forbidden"]
        .iter()
        .any(|w| words.contain(&Words::of(w)))
}

/// Server errors, and the client errors that speak of overload or of a caller who gave up.
fn is_failure(outcome: &str) -> bool {
    if let Ok(code) = outcome.parse::<u16>() {
        // 408, 429, 499: too slow, too many, gone. gRPC: 4 deadline, 8 exhausted, 13 internal, 14 unavailable, 15 data loss.
        return (500..600).contains(&code) || matches!(code, 408 | 429 | 499 | 4 | 8 | 13 | 14 | 15);
    }
    if outcome.len() == 3 && outcome.starts_with('5') && outcome.to_ascii_lowercase().ends_with("xx") {
        return true;
    }
    let words = Words::of(outcome);
    words.len() <= 4
        && (FAILURES.iter().any(|f| words.contain(&Words::of(f)))
            || ["deadline", "internal", "5xx", "circuit"].iter().any(|f| words.contain(&Words::of(f))))
}
