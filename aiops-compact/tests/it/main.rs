//! Tests of the crate's algorithms against naive oracles, exact arithmetic, golden vectors and synthetic telemetry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "the measured rates, for whoever runs the tests with --nocapture")]

mod briefing;
mod changes;
mod deviation;
mod golden;
mod healthy;
mod logs;
mod logs_window;
mod mask;
mod moments;
mod order;
mod rolling;
mod shape;
mod synth;
mod tokens;
mod topk;
mod trace_changes;
mod trace_oracle;
mod trace_sampler;
mod traces;
mod window_stream;
