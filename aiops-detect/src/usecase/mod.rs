//! Named detectors of use cases: each says what is the matter, not only that something is. // DET-11, DET-14
//!
//! | detector | what | looks at |
//! |---|---|---|
//! | [`NoisyNeighbourDetector`] | one tenant or pod takes what others on the same node lack | usage, latency, throttling |
//! | [`ColdStartDetector`] | functions that spend their time starting | FaaS metrics, spans |
//! | [`MemoryLeakDetector`] | memory that only grows | memory in use, its limit |
//! | [`CapacityDetector`] | what is full, or will be | usage against capacity |
//! | [`CostAnomalyDetector`] | spending that rose, and the resources that made it | cost by resource, usage |
//! | [`FlakyTestDetector`] | tests that fail and pass on one revision | test results in logs |
//! | [`SchemaDriftDetector`] | columns that vanished or changed their type | schemas in logs |
//! | [`SuspiciousAccessDetector`] | guessed passwords, sprayed ones, doors tried one after another | audit logs |
//! | [`CacheSaturationDetector`] | a cache that throws out what is still asked for | evictions, hits, misses, memory |
//! | [`RegionOutageDetector`] | a region that is down; calls that leave theirs for no reason | errors, traffic, calls, by region |
//! | [`DeploymentDeadlockDetector`] | deadlocks that a change brought | counts and lines of deadlocks, changes |
//! | [`IncompatibleJobDetector`] | jobs that fail over columns and types | runs and schemas in logs |
//! | [`FailedDeploymentDetector`] | copies that do not start, roll-outs that do not end or are taken back | waiting and missing copies, changes |
//! | [`ConcurrencySpikeDetector`] | more under way than arrivals account for, or than there is room for | requests in flight, arrivals, limits |
//! | [`NetworkPathDetector`] | which end or way of a network is bad | loss and round-trip times by pair |
//! | [`PostureDetector`] | settings that leave open what should be closed | configuration in changes and audit lines |
//!
//! Drift of the data themselves is [`crate::drift::DriftDetector`].
//!
//! Each is a composition: series that left their norm come from [`aiops_compact::deviation`], trends from
//! [`crate::stats::mann_kendall`]; what is added is which of them belong together, and what would look the same and is not
//! (the near misses, which the tests hold up to each). They need no fitted state: a [`UseCaseDetector`] is pure in its
//! configuration and the window. [`UseCaseDetector::explain`] gives each finding with its evidence in words.
//!
//! # Names
//! Which metric says what is configuration; the defaults are the OpenTelemetry names and those of common exporters
//! (cAdvisor, kube-state-metrics, node exporter, OpenCost). A name matches `name` and `rate(name)`.

mod access;
mod cache;
mod capacity;
mod cold_start;
mod concurrency;
mod cost;
mod deadlock;
mod deploy;
mod detector;
mod flaky;
mod job;
mod leak;
mod neighbour;
mod path;
mod posture;
mod region;
mod schema;
pub(crate) mod signals;

pub use access::{SuspiciousAccess, SuspiciousAccessDetector, SuspiciousAccessOptions};
pub use cache::{CacheSaturation, CacheSaturationDetector, CacheSaturationOptions};
pub use capacity::{Capacity, CapacityDetector, CapacityOptions, Resource};
pub use cold_start::{ColdStart, ColdStartDetector, ColdStartOptions};
pub use concurrency::{ConcurrencySpike, ConcurrencySpikeDetector, ConcurrencySpikeOptions};
pub use cost::{CostAnomaly, CostAnomalyDetector, CostAnomalyOptions};
pub use deadlock::{DeploymentDeadlock, DeploymentDeadlockDetector, DeploymentDeadlockOptions};
pub use deploy::{FailedDeployment, FailedDeploymentDetector, FailedDeploymentOptions};
pub use detector::{Symptom, UseCase, UseCaseDetector};
pub use flaky::{FlakyTest, FlakyTestDetector, FlakyTestOptions};
pub use job::{IncompatibleJob, IncompatibleJobDetector, IncompatibleJobOptions};
pub use leak::{MemoryLeak, MemoryLeakDetector, MemoryLeakOptions};
pub use neighbour::{NoisyNeighbour, NoisyNeighbourDetector, NoisyNeighbourOptions};
pub use path::{NetworkPath, NetworkPathDetector, NetworkPathOptions};
pub use posture::{Posture, PostureDetector, PostureOptions, PostureRule};
pub use region::{RegionOutage, RegionOutageDetector, RegionOutageOptions};
pub use schema::{SchemaDrift, SchemaDriftDetector, SchemaDriftOptions};
