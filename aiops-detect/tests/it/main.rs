//! Tests of the detectors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod baseline;
mod burn;
mod changepoint;
mod correlate;
mod coverage;
mod detectors;
mod drift;
mod engine;
mod ensemble;
mod filtered;
mod forecast;
mod forest;
mod gpu;
mod group;
mod intake;
mod multivariate;
mod novelty;
mod online;
mod pipeline;
mod precursor;
mod regression;
mod relation;
mod rolling;
mod sli;
mod stats;
mod taxonomy;
mod usecase;
mod usecase_estate;
mod worlds;
