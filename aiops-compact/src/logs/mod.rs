//! Streaming log template mining, and which templates of a window say something. // CMP-04, CMP-07
//!
//! - [`LogMiner`] turns lines into templates: push, batch, extraction of parameters, merge, stored state.
//! - [`window`] counts lines by template and minute and ranks them against a baseline.
//!
//! Where a variable stands is decided by its form, by how many words are seen in its place, and by what are values
//! elsewhere; how it is written follows the rules of Khan, Shin, Bianculli and Briand, "Guidelines for assessing the accuracy
//! of log message template identification techniques" (ICSE 2022). Compare Drain (He et al., ICWS 2017), which splits by
//! token count and first words, decides greedily and never merges.

mod changes;
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
pub mod window;

pub use changes::{ChangeConfig, ChangeOptions, EntityLogs, LogChange, changes};
pub use config::{Header, MinerConfig, MinerOptions};
pub use extract::{Extraction, Segment};
pub use header::HeaderPart;
pub use mask::VariableKind;
pub use miner::{LogMiner, MinerStats};
pub use template::{Move, Template, TemplateId};
