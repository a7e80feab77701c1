//! Streaming log template mining. // CMP-04, CMP-07

mod cluster;
mod config;
mod hash;
mod mask;
mod miner;
mod template;
mod token;

pub use config::{Header, MinerConfig, MinerOptions};
pub use mask::VariableKind;
pub use miner::{LogMiner, TemplateId};
pub use template::Template;
