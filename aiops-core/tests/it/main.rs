//! Integration tests of aiops-core.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod calendar;
mod chain;
mod composite;
mod confirm;
mod context;
mod foretold;
mod layers;
mod model;
mod pipeline;
mod recording;
mod resume;
mod tokens;
mod trace;
mod world;
