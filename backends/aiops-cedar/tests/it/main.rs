//! Integration tests of aiops-cedar.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod equivalence;
mod guard;
mod hostile;
mod loading;
mod support;
