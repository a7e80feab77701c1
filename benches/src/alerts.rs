//! Input of the correlation of alerts.

use aiops_core::jiff::Timestamp;
use aiops_core::model::{Alert, EdgeKind, EntityId, Severity, Topology};

/// `services` services in layers, each calling up to three of the next two hundred, from a fixed seed.
#[must_use]
pub fn topology(services: usize) -> Topology {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut topology = Topology::new();
    let service = |n: usize| EntityId::service(format!("service-{n}"));
    for caller in 0..services {
        for _ in 0..3 {
            let callee = caller + 1 + rng.usize(0..200);
            if callee < services {
                topology.connect(service(caller), service(callee), EdgeKind::Calls);
            }
        }
    }
    topology
}

/// Distinct critical alerts, which no limit refuses, of 2 000 services in 20 namespaces.
#[must_use]
pub fn alerts(n: usize, seed: u64) -> Vec<Alert> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..n)
        .map(|i| {
            let about = rng.usize(0..2_000);
            let rule = format!("Rule{}", rng.u32(0..40));
            let entity = EntityId::service(format!("service-{about}"));
            let mut alert = Alert::new(rule, entity, Timestamp::UNIX_EPOCH, Severity::Critical);
            alert.labels.insert("namespace", format!("team-{}", about % 20));
            alert.labels.insert("route", format!("/resource/{seed}/{i}"));
            alert.labels.insert("pod", format!("service-{about}-7d9f8b6c5d-x2x7k"));
            alert.annotations.insert("summary", format!("p99 of service-{about} is {} ms", rng.u32(0..9999)));
            alert
        })
        .collect()
}
