//! Recorded cases and telemetry, through the library and the program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod adapters;
mod alerts;
mod arena;
mod briefing;
mod cases;
mod corpus;
mod diagnose;
mod incidents;
mod localise;
mod logs;
mod metrics;
mod program;
mod replay;
mod rolling;
mod window;
mod world;
