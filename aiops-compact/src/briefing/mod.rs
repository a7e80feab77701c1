//! From a window to a [`Briefing`](aiops_core::model::Briefing) within a token budget. // CMP-06
//!
//! [`BriefingBuilder`] ranks, joins and cuts [`Finding`]s of any modality; [`WindowCompactor`] and [`MetricCompactor`] make
//! them of a window. Every line becomes evidence with an id when the briefing enters a
//! [`Case`](aiops_core::Case::brief).

mod baseline;
mod builder;
mod changes;
mod config;
mod finding;
mod fit;
mod metrics;
mod text;
mod tokens;
mod window;

pub use baseline::{Baseline, WindowConfig};
pub use builder::BriefingBuilder;
pub use changes::{log_findings, trace_findings};
pub use config::{BriefingConfig, BriefingOptions};
pub use finding::Finding;
pub use metrics::{CompactorConfig, CompactorOptions, MetricCompactor, metric_findings};
#[cfg(feature = "tokenizer")]
pub use tokens::Tokenizer;
pub use tokens::{CountTokens, EstimatedTokens, estimate_tokens};
pub use window::WindowCompactor;
