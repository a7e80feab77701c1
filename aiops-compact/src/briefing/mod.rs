//! From a window to a [`Briefing`](aiops_core::model::Briefing) within a token budget. // CMP-06
//!
//! [`BriefingBuilder`] ranks, joins and cuts [`Finding`]s of any modality; [`WindowCompactor`] and [`MetricCompactor`] make
//! them of a window. Every line becomes evidence with an id when the briefing enters a
//! [`Case`](aiops_core::Case::brief).

mod baseline;
mod builder;
mod calls;
mod config;
mod digest;
mod evidence;
mod finding;
mod fit;
mod intake;
mod limits;
mod lines;
mod meaning;
mod measured;
mod metrics;
mod names;
mod stream;
mod text;
mod tokens;
mod tracks;
mod weights;
mod window;

pub use baseline::{Baseline, WindowConfig};
pub use builder::BriefingBuilder;
pub use config::{BriefingConfig, BriefingOptions};
pub use finding::{Finding, Strength};
pub use limits::{IntakeConfig, IntakeOptions};
pub use metrics::{CompactorConfig, CompactorOptions, MetricCompactor};
pub use stream::WindowStream;
#[cfg(feature = "tokenizer")]
pub use tokens::Tokenizer;
pub use tokens::{CountTokens, EstimatedTokens, estimate_tokens};
pub use weights::{WeightConfig, WeightOptions};
pub use window::WindowCompactor;
