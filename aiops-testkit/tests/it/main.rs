//! Attack programs, conformance of everything in memory, mutants, and the life of actions under random events.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and says what it saw"
)]

mod attacks;
mod conformance;
mod fixtures;
mod lifecycle;
mod mocks;
mod mutants;
mod properties;
mod reference;
