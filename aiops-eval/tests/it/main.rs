//! Recorded cases and telemetry, through the library and the program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod briefing;
mod cases;
mod corpus;
mod incidents;
mod localise;
mod logs;
mod metrics;
mod program;
mod replay;
mod rolling;
mod world;
