//! Honest evaluation of aiops pipelines, from what was recorded.
//!
//! - [`cases`] reads case files and sums them up: who was suspected, what was done, how it ended. // EVA-04
//! - [`replay`] runs the rolling detector over recorded telemetry and counts the alarms it would have raised.
//! - [`rolling`] compares the rolling statistics with exact arithmetic over any number of updates. // CMP-01
//! - [`briefing`] looks whether a briefing shows the service at fault. // CMP-06
//! - [`window`] briefs a made-up window of any size in one pass and measures time and memory. // CMP-06
//! - [`logs`] scores log template mining on labelled sets. // CMP-04
//! - [`metrics`] runs the detectors over labelled data sets and measures them.
//! - [`alerts`] scores the correlation of alerts on streams whose truth is known. // COR
//! - [`adapters`] lays the four tasks over OpenRCA's layout and AIOpsLab's problem interface. // EVA-09
//! - [`incidents`] reads labelled incidents of public data sets; [`localise`] scores localisers on them.
//!
//! What is judged by [`cases`], [`replay`] and [`briefing`] does not know what was really broken: what they print can be derived
//! again from the recorded files alone. [`alerts`] and [`metrics`] read labels, after what is scored has been made.

pub mod adapters;
pub mod alerts;
pub mod arena;
pub mod briefing;
pub mod cases;
pub mod corpus;
pub mod diagnose;
mod error;
pub mod incidents;
pub mod localise;
pub mod logs;
pub mod metrics;
pub mod recording;
pub mod replay;
pub mod rolling;
pub mod window;

pub use error::EvalError;
