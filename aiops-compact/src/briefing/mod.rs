//! From a window to a [`Briefing`](aiops_core::model::Briefing) within a token budget. // CMP-06

mod metrics;
mod text;

pub use metrics::{CompactorConfig, CompactorOptions, MetricCompactor};
pub use text::estimate_tokens;
