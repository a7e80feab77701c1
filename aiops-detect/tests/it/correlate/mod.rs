//! Alerts into incidents.

mod bounds;
mod grouping;
mod incidents;
mod life;
mod quiet;
mod scenarios;
mod shared;
mod snapshot;
mod split;

use aiops_core::jiff::{SignedDuration, Timestamp};
use aiops_core::model::{Alert, AlertState, EdgeKind, EntityId, Severity, Topology};
use aiops_detect::correlate::{Correlator, CorrelatorConfig, CorrelatorOptions, Incident};

/// Seconds after the beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap() + SignedDuration::from_secs(seconds)
}

pub(crate) fn service(name: &str) -> EntityId {
    EntityId::service(name)
}

/// A warning about a service.
pub(crate) fn alert(name: &str, about: &str, seconds: i64) -> Alert {
    Alert::new(name, service(about), at(seconds), Severity::Warning)
}

pub(crate) fn critical(name: &str, about: &str, seconds: i64) -> Alert {
    Alert::new(name, service(about), at(seconds), Severity::Critical)
}

pub(crate) fn resolved(alert: &Alert) -> Alert {
    let mut alert = alert.clone();
    alert.state = AlertState::Resolved;
    alert
}

/// `caller>callee` each.
pub(crate) fn calls(edges: &[&str]) -> Topology {
    let mut topology = Topology::new();
    for edge in edges {
        let (caller, callee) = edge.split_once('>').unwrap();
        topology.connect(service(caller), service(callee), EdgeKind::Calls);
    }
    topology
}

pub(crate) fn with(options: CorrelatorOptions) -> Correlator {
    Correlator::new(CorrelatorConfig::try_from(options).unwrap())
}

/// A correlator that knows these calls.
pub(crate) fn knowing(edges: &[&str]) -> Correlator {
    let mut correlator = with(CorrelatorOptions::default());
    correlator.set_topology(calls(edges));
    correlator
}

/// Names of the services of each incident.
pub(crate) fn grouped(incidents: &[Incident]) -> Vec<Vec<&str>> {
    incidents.iter().map(|i| i.members.iter().map(|m| m.about.name()).collect()).collect()
}
