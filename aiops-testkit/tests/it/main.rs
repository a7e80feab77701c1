//! Attack programs, conformance of everything in memory, mutants, and the life of actions under random events.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod attacks;
mod conformance;
mod fixtures;
mod reference;
