//! Liveness: what is wanted, what runs, what is ready, and how often it was restarted.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::replica::Phase;
use crate::supervisor::Service;

/// State of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceView {
    /// Name of the service.
    pub service: String,
    /// Replicas wanted.
    pub wanted: u32,
    /// Replicas that answer their readiness probe.
    pub ready: u32,
    /// Current configuration revision.
    pub revision: Option<u64>,
    /// Its commit.
    pub commit: Option<String>,
    /// Replicas that are wanted or still run, in the order of their index.
    pub replicas: Vec<ReplicaView>,
}

/// State of one replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaView {
    /// Name, such as `orders-0`.
    pub instance: String,
    /// Loopback port.
    pub port: u16,
    /// Where it stands.
    pub phase: Phase,
    /// Process id while it runs.
    pub pid: Option<u32>,
    /// Restarts that nobody asked for, since the supervisor was started.
    pub restarts: u64,
    /// Start of the present or last process.
    pub started: Option<Timestamp>,
    /// How the last process ended.
    pub last_exit: Option<String>,
    /// Configuration revision the process was started with.
    pub revision: Option<u64>,
}

impl ServiceView {
    pub(crate) fn of(service: &Service) -> Self {
        let state = service.lock();
        let replicas: Vec<ReplicaView> = state
            .slots
            .iter()
            .filter(|(index, slot)| **index < state.wanted || slot.state.phase() != Phase::Stopped)
            .map(|(_, slot)| {
                let facts = slot.state.facts();
                ReplicaView {
                    instance: slot.state.instance.clone(),
                    port: slot.state.port.get(),
                    phase: slot.state.phase(),
                    pid: facts.pid,
                    restarts: slot.state.restarts.load(Ordering::Relaxed),
                    started: facts.started,
                    last_exit: facts.last_exit,
                    revision: facts.revision,
                }
            })
            .collect();
        let ready = replicas.iter().filter(|replica| replica.phase == Phase::Ready).count();
        let current = state.revisions.as_ref().and_then(|revisions| revisions.get(revisions.current()));
        Self {
            service: service.spec.name.clone(),
            wanted: state.wanted,
            ready: u32::try_from(ready).unwrap_or(u32::MAX),
            revision: current.map(|revision| revision.number),
            commit: current.map(|revision| revision.commit.clone()),
            replicas,
        }
    }
}

/// The views as a page in Prometheus text format, so that a scraper sees liveness beside the services' own
/// metrics.
///
/// `supervisor_replicas_desired`, `supervisor_replicas_ready` and `supervisor_config_revision` per service;
/// `supervisor_process_up` (1 while a process runs), `supervisor_process_ready` and
/// `supervisor_restarts_total` per instance.
#[must_use]
pub fn exposition(views: &[ServiceView]) -> String {
    let mut page = String::new();
    let mut family = |name: &str, kind: &str, help: &str, lines: &mut dyn Iterator<Item = (String, u64)>| {
        // INVARIANT: writing to a `String` cannot fail.
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(page, "{name}{{{labels}}} {value}");
        }
    };
    // Names are restricted to `[a-z0-9-]`, so that labels need no escaping.
    let services = |value: fn(&ServiceView) -> Option<u64>| {
        views.iter().filter_map(move |view| Some((format!("service=\"{}\"", view.service), value(view)?)))
    };
    let replicas = |value: fn(&ReplicaView) -> u64| {
        views.iter().flat_map(move |view| {
            view.replicas.iter().map(move |replica| {
                let labels = format!("service=\"{}\",instance=\"{}\"", view.service, replica.instance);
                (labels, value(replica))
            })
        })
    };
    family(
        "supervisor_replicas_desired",
        "gauge",
        "Replicas wanted.",
        &mut services(|view| Some(u64::from(view.wanted))),
    );
    family(
        "supervisor_replicas_ready",
        "gauge",
        "Replicas that answer their readiness probe.",
        &mut services(|view| Some(u64::from(view.ready))),
    );
    family(
        "supervisor_config_revision",
        "gauge",
        "Current configuration revision.",
        &mut services(|view| view.revision),
    );
    family(
        "supervisor_process_up",
        "gauge",
        "1 while the process runs.",
        &mut replicas(|replica| u64::from(replica.phase.is_running())),
    );
    family(
        "supervisor_process_ready",
        "gauge",
        "1 while the replica is ready.",
        &mut replicas(|replica| u64::from(replica.phase == Phase::Ready)),
    );
    family(
        "supervisor_restarts_total",
        "counter",
        "Restarts that nobody asked for.",
        &mut replicas(|replica| replica.restarts),
    );
    page
}
