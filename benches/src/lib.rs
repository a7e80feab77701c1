//! Criterion benches of aiops, their inputs, and the floors they are measured against in the same run.
//!
//! `cargo bench -p aiops-benches` runs criterion; `cargo run --release -p aiops-benches --bin ratios` measures
//! interleaved pairs and prints the ratios that `records/` keeps, which hold on any machine.

pub mod alerts;
pub mod clock;
pub mod deviation;
pub mod engine;
pub mod incident;
pub mod logs;
pub mod mask;
pub mod peers;
pub mod rolling;
pub mod traces;
