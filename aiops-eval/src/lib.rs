//! Honest evaluation of aiops pipelines, from what was recorded.
//!
//! - [`cases`] reads case files and sums them up: who was suspected, what was done, how it ended. // EVA-04
//! - [`replay`] runs the rolling detector over recorded telemetry and counts the alarms it would have raised.
//! - [`rolling`] compares the rolling statistics with exact arithmetic over any number of updates. // CMP-01
//! - [`briefing`] looks whether a briefing shows the service at fault. // CMP-06
//! - [`incidents`] reads labelled incidents of public data sets; [`localise`] scores localisers on them.
//!
//! Nothing of what is judged knows what was really broken: what it prints can be derived again from the recorded files alone.

pub mod briefing;
pub mod cases;
mod error;
pub mod incidents;
pub mod localise;
pub mod recording;
pub mod replay;
pub mod rolling;

pub use error::EvalError;
