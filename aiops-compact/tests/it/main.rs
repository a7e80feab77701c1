//! Tests of the crate's algorithms against naive oracles, exact arithmetic, golden vectors and synthetic telemetry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "the measured rates, for whoever runs the tests with --nocapture")]

mod deviation;
mod golden;
mod healthy;
mod moments;
mod order;
mod rolling;
mod shape;
mod synth;
mod topk;
mod trace_changes;
mod trace_oracle;
mod trace_sampler;
mod traces;
