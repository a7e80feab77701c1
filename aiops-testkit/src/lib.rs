//! Conformance suites, mocks, oracles and generators for implementers of aiops seams.
//!
//! - [`conformance`]: what every implementation of a seam must do, as functions over `&dyn Seam` that report what was passed
//!   and what had to be skipped.
//! - [`mock`]: `mockall` mocks of every seam, for tests of call order. Prefer the fakes in `aiops_core::fake` for the rest.
//! - [`generate`]: `proptest` strategies for the model.
//! - [`oracle`]: the naive versions of algorithms in `aiops-core`, to hold the fast ones against.
//! - [`sample`]: one small incident, for tests that need some telemetry, a case and a proposal.

pub mod conformance;
pub mod generate;
pub mod mock;
pub mod oracle;
pub mod sample;
