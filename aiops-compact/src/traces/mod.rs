//! Traces: from spans to what each service did itself, by call type and by path, and how that changed. // CMP-05
//!
//! ```text
//! SpanColumns ──▶ TraceCompactor ──▶ TraceSummary ──compare with a baseline──▶ TraceFindings
//! ```
//!
//! A summary holds counts, sums and quantile sketches per call type (caller, callee, operation), sums per path of three
//! hops, and a [`TraceQuality`] that says what was wrong with the spans. Summaries merge exactly.
//!
//! What a summary leaves out, the spans themselves, [`TailSampler`] keeps for the traces that are worth it.

mod assemble;
mod call_times;
mod columns;
mod compactor;
mod compare;
mod config;
mod findings;
mod hash;
mod ids;
mod names;
mod quality;
mod row;
mod sample;
mod sampler;
mod sampler_config;
mod sketch;
mod summary;
mod tables;

pub use columns::{NameId, SpanColumns, SpanRecord};
pub use compactor::TraceCompactor;
pub use compare::{CompareConfig, CompareOptions, compare};
pub use config::{TraceConfig, TraceOptions};
pub use findings::{ChangeKind, Direction, ServiceFindings, TraceFinding, TraceFindings};
pub use quality::TraceQuality;
pub use sample::{SampledTrace, SamplerMismatch, Stratum, StratumKind, TraceSample};
pub use sampler::TailSampler;
pub use sampler_config::{SamplerConfig, SamplerOptions};
pub use sketch::DurationSketch;
pub use summary::{
    CallPath, CallStats, CallType, Caller, ClockSkew, ServicePair, ServiceStats, Totals, TraceSummary,
};
