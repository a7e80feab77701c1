//! Streaming log template mining. // CMP-04, CMP-07

mod cluster;
mod config;
mod extract;
mod hash;
mod header;
mod mask;
mod miner;
mod state;
mod template;
mod token;

pub use config::{Header, MinerConfig, MinerOptions};
pub use extract::{Extraction, Segment};
pub use header::HeaderPart;
pub use mask::VariableKind;
pub use miner::{LogMiner, MinerStats};
pub use template::{Move, Template, TemplateId};
