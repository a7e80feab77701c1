//! From alerts to incidents: de-duplication, grouping with reasons, holding back, limits. // COR-01..05
//!
//! [`Correlator`] takes alerts one by one and keeps the open incidents. It is synchronous and deterministic: the same alerts, changes and
//! times in the same order give the same incidents, whatever was stored and restored in between.
//!
//! # What makes alerts one incident
//! A new alert is either raised by an incident under way or the beginning of another. Which is more probable decides:
//! - *Times.* Every alert of an incident raises others at a rate that dies down (the epidemic-type aftershock sequence of seismology, Ogata
//!   1988); against it stands the rate at which incidents, and lone alerts like this one, begin in that place. Both are
//!   counted as the stream goes on, the second by alert, and so is how finely a place is sampled. An incident thus
//!   lives on by its bursts and not by a trickle.
//! - *Whom it is about.* How near in the topology it is to what the incident is about, over how near it would be by chance:
//!   in an incident that is everywhere already nearness says nothing, and being apart speaks against it.
//! - *What it says and follows.* Rare words and labels, names, changes in common: the ratios of record linkage (Fellegi and Sunter 1969), the
//!   probability of agreeing by chance being counted in the alerts seen.
//!
//! The [`Link`] with every piece of evidence, for and against, is kept: it is the explanation, and [`Correlator::split`] undoes it. [`Priors`]
//! holds what is held beforehand.
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
mod detector;
mod evidence;
mod fingerprint;
mod graph;
mod group;
mod incident;
mod limit;
mod pace;
mod place;
mod priors;
mod quiet;
mod relation;
mod root;
mod shared;
mod snapshot;
mod split;
mod state;
mod text;

pub use config::{CorrelatorConfig, CorrelatorOptions, LimitOptions, RootWeights};
pub use correlator::{CorrelationStats, Correlator, Disposition, Outcome, Placed};
pub use detector::IncidentDetector;
pub use fingerprint::{Fingerprint, workload};
pub use graph::Way;
pub use incident::{BlastRadius, Incident, IncidentState, Member, Priority};
pub use limit::Tier;
pub use priors::Priors;
pub use quiet::{HeldBy, MaintenanceWindow};
pub use relation::{AlertId, IncidentNumber, Link, Reason, Weighed};
pub use root::{Suspicion, SuspicionParts};
pub use shared::{
    Claim, InMemoryFingerprints, Shared, SharedFingerprints, SharedIntake, SharingOptions, SharingStats,
};
pub use snapshot::SNAPSHOT_VERSION;
pub use split::SplitError;
pub use state::Folded;
