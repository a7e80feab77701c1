//! How long a push takes and how much is kept, on generated alerts.

use std::time::{Duration, Instant};

use aiops_core::jiff::Timestamp;
use aiops_core::model::{Alert, AlertState, EdgeKind, EntityId, Severity, Topology, time};
use aiops_detect::correlate::{Correlator, CorrelatorConfig};
use serde::Serialize;

/// What [`measure`] found; times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SpeedReport {
    /// Notifications pushed.
    pub notifications: usize,
    /// Of these: alerts that were new.
    pub new: u64,
    /// Median.
    pub p50_us: f64,
    /// 99 of 100 are shorter.
    pub p99_us: f64,
    /// 999 of 1000 are shorter.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
    /// Notifications a second.
    pub per_second: f64,
    /// Alerts kept at the end.
    pub kept: usize,
    /// Alerts folded.
    pub folded: u64,
    /// Most bytes the correlator held by its own estimate.
    pub estimated_bytes: usize,
    /// Most memory of the process in bytes, where the system tells.
    pub resident_bytes: Option<u64>,
}

impl SpeedReport {
    /// The report in a line.
    #[must_use]
    pub fn text(&self) -> String {
        let resident = self
            .resident_bytes
            .map_or("unknown".to_owned(), |bytes| format!("{:.0} MiB", bytes as f64 / 1048576.0));
        format!(
            "{} notifications, {} new: p50 {:.1} µs, p99 {:.1} µs, p99.9 {:.1} µs, max {:.1} µs, {:.0} a second; \
             {} alerts kept, {} folded, {:.0} MiB by estimate, {resident} resident at most\n",
            self.notifications,
            self.new,
            self.p50_us,
            self.p99_us,
            self.p999_us,
            self.max_us,
            self.per_second,
            self.kept,
            self.folded,
            self.estimated_bytes as f64 / 1048576.0,
        )
    }
}

/// Services of the generated system.
const SERVICES: usize = 2_000;

/// Pushes `notifications` generated alerts: 2 000 services that call three others each, 40 rules, a critical alert in ten, a
/// repeat or an end of the last thousand in two, 200 notifications a second.
#[must_use]
pub fn measure(notifications: usize, seed: u64, config: &CorrelatorConfig) -> SpeedReport {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut correlator = Correlator::new(config.clone());
    let mut topology = Topology::new();
    let service = |n: usize| EntityId::service(format!("service-{n}"));
    for caller in 0..SERVICES {
        for _ in 0..3 {
            // Calls go from smaller to larger numbers: a layered system.
            let callee = caller + 1 + rng.usize(0..200);
            if callee < SERVICES {
                topology.connect(service(caller), service(callee), EdgeKind::Calls);
            }
        }
    }
    correlator.set_topology(topology);
    let mut times: Vec<u64> = Vec::with_capacity(notifications);
    let mut recent: Vec<Alert> = Vec::new();
    let mut estimated = 0;
    let mut now = Timestamp::UNIX_EPOCH;
    let begin = Instant::now();
    let mut outside = Duration::ZERO;
    for n in 0..notifications {
        let made = Instant::now();
        now = time::after(now, Duration::from_millis(5));
        let again = n % 2 == 1 && !recent.is_empty();
        let alert = if again {
            let mut alert = recent.get(rng.usize(..recent.len())).cloned();
            if let Some(alert) = alert.as_mut().filter(|_| rng.u32(0..4) == 0) {
                alert.state = AlertState::Resolved;
            }
            alert
        } else {
            None
        };
        let alert = alert.unwrap_or_else(|| {
            let about = rng.usize(0..SERVICES);
            let severity = match rng.u32(0..10) {
                0 => Severity::Critical,
                1..=7 => Severity::Warning,
                _ => Severity::Info,
            };
            let mut alert = Alert::new(format!("Rule{}", rng.u32(0..40)), service(about), now, severity);
            alert.labels.insert("namespace", format!("team-{}", about % 20));
            alert.labels.insert("route", format!("/resource/{}", rng.u32(0..50)));
            alert.labels.insert("pod", format!("service-{about}-7d9f8b6c5d-x2x7k"));
            let text =
                format!("p99 of service-{about} is {} ms on shard-{}", rng.u32(0..9999), rng.u32(0..500));
            alert.annotations.insert("summary", text);
            alert
        });
        if !again {
            if recent.len() < 1000 {
                recent.push(alert.clone());
            } else if let Some(slot) = recent.get_mut(n % 1000) {
                *slot = alert.clone();
            }
        }
        outside += made.elapsed();
        let pushed = Instant::now();
        std::hint::black_box(correlator.push(&alert, now));
        times.push(u64::try_from(pushed.elapsed().as_nanos()).unwrap_or(u64::MAX));
        let rest = Instant::now();
        if n % 12_000 == 0 {
            estimated = estimated.max(correlator.memory());
            std::hint::black_box(correlator.advance(now));
        }
        outside += rest.elapsed();
    }
    let spent = begin.elapsed().saturating_sub(outside);
    estimated = estimated.max(correlator.memory());
    times.sort_unstable();
    let quantile = |q: f64| {
        let at = ((times.len() as f64 * q) as usize).min(times.len().saturating_sub(1));
        times.get(at).map_or(0.0, |nanos| *nanos as f64 / 1000.0)
    };
    let kept = correlator.incidents().iter().map(|i| i.members.len()).sum();
    SpeedReport {
        notifications,
        new: correlator.stats().new,
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        p999_us: quantile(0.999),
        max_us: quantile(1.0),
        per_second: notifications as f64 / spent.as_secs_f64().max(1e-9),
        kept,
        folded: correlator.stats().folded,
        estimated_bytes: estimated,
        resident_bytes: resident(),
    }
}

/// Peak of the resident set, as Linux tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}
