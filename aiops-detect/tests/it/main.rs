//! Tests of the detectors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod baseline;
mod changepoint;
mod drift;
mod ensemble;
mod forest;
mod gpu;
mod group;
mod multivariate;
mod novelty;
mod precursor;
mod regression;
mod relation;
mod rolling;
mod sli;
mod stats;
mod usecase;
mod worlds;
