//! What a sampler keeps.

use std::collections::BTreeMap;

use aiops_core::model::TraceId;
use serde::{Deserialize, Serialize};

use super::quality::TraceQuality;
use super::summary::CallPath;

/// Why traces are sampled together; how many of each are kept is in [`SamplerOptions`](super::SamplerOptions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StratumKind {
    /// A span of the path failed with no failed child to explain it.
    Error,
    /// A span of the path lasted longer than the quantile of its call type in the baseline.
    Slow,
    /// The path occurs. A path that is rare is kept whole by that alone.
    Any,
}

/// Traces that are sampled together. A trace is in several strata: one for each of its paths, and more for its
/// failed and its slow ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stratum {
    /// Why.
    pub kind: StratumKind,
    /// The path; `None` for all paths beyond the limit of strata.
    pub path: Option<CallPath>,
}

/// A trace that was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledTrace<T> {
    /// The trace.
    pub trace: TraceId,
    /// How many traces it stands for, ≥ 1: the sum of weights over kept traces of any sort estimates, without bias, how
    /// many of that sort were offered.
    pub weight: f64,
    /// The strata it is in, in order.
    pub strata: Vec<Stratum>,
    /// What was offered with it: its spans, or where they are.
    pub payload: T,
}

/// What a [`TailSampler`](super::TailSampler) kept.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSample<T> {
    /// Kept traces in order of their ids.
    pub traces: Vec<SampledTrace<T>>,
    /// How many traces of each stratum were offered, exactly.
    pub offered: BTreeMap<Stratum, u64>,
    /// Memberships counted under a stratum without a path, since there were too many strata.
    pub overflowed: u64,
    /// Offers of a trace that was held already: left out.
    pub repeated: u64,
    /// Spans of another trace than the first span of their offer: left out.
    pub foreign_spans: u64,
    /// How often [`max_traces`](super::SamplerOptions::max_traces) made the sample coarser, in halvings.
    pub level: u32,
    /// What was wrong with the spans.
    pub quality: TraceQuality,
}

/// Samplers of different configurations were to be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("samplers with different configurations or seeds cannot be merged")]
pub struct SamplerMismatch;
