//! Honest evaluation of aiops pipelines, from what was recorded.
//!
//! - [`cases`] reads case files and sums them up: who was suspected, what was done, how it ended. // EVA-04
//! - [`replay`] runs the rolling detector over recorded telemetry and counts the alarms it would have raised.
//! - [`logs`] scores log template mining on labelled sets. // CMP-04
//!
//! Nothing here knows what was really broken: what it prints can be derived again from the recorded files alone.

pub mod cases;
mod error;
pub mod logs;
pub mod recording;
pub mod replay;

pub use error::EvalError;
