//! From alerts to incidents: de-duplication, grouping with reasons, holding back, limits. // COR-01..05
//!
//! [`Correlator`] takes alerts one by one and keeps the open incidents. It is synchronous and deterministic: the same alerts, changes and
//! times in the same order give the same incidents, whatever was stored and restored in between.
//!
//! # What makes alerts one incident
//! A new alert is compared with those around it: about the same service, near it in the topology, after the same
//! change, with like texts, in the same namespace where no topology is known. Every kind of evidence has a weight
//! ([`RelationWeights`]); they are joined by noisy-or and count half at a gap of [`window`](CorrelatorOptions::window). Sharing a namespace
//! counts as much as it is improbable that two things begin there so close together by chance. The strongest [`Link`] of at least [`threshold`](CorrelatorOptions::threshold) decides where the alert goes. The link is kept: it is the explanation, and
//! [`Correlator::split`] undoes it.
//!
//! Near in the topology means that one needs the other or both need the same third, not that the same third calls both. An
//! alert that is related to two incidents makes them one only where it may be a cause in both: what two incidents have
//! in common as an effect says nothing about their causes (Pearl 1988, §1.3, on common effects).
//!
//! # What never happens
//! No alert is dropped in silence. One that is refused by a limit, held back, or folded is counted where it belongs, critical ones pass
//! every limit, and a member is folded into its incident only when [`max_alerts`](CorrelatorOptions::max_alerts) or
//! [`max_bytes`](CorrelatorOptions::max_bytes) is reached.

mod assemble;
mod config;
mod correlator;
mod fingerprint;
mod graph;
mod incident;
mod limit;
mod pace;
mod place;
mod quiet;
mod relation;
mod root;
mod snapshot;
mod split;
mod state;
mod text;

pub use config::{CorrelatorConfig, CorrelatorOptions, LimitOptions, RelationWeights, RootWeights};
pub use correlator::{CorrelationStats, Correlator, Disposition, Outcome, Placed};
pub use fingerprint::{Fingerprint, workload};
pub use graph::Way;
pub use incident::{BlastRadius, Incident, IncidentState, Member, Priority};
pub use limit::Tier;
pub use quiet::{HeldBy, MaintenanceWindow};
pub use relation::{AlertId, IncidentNumber, Link, Reason, Weighed};
pub use root::{Suspicion, SuspicionParts};
pub use snapshot::SNAPSHOT_VERSION;
pub use split::SplitError;
pub use state::Folded;
