#![doc = include_str!("../README.md")]
//!
//! | module | what |
//! |---|---|
//! | [`conformance`] | suites as functions over `&dyn Seam` that report what was passed and what had to be skipped |
//! | [`mock`] | `mockall` mocks of every seam |
//! | [`generate`] | `proptest` strategies for the model |
//! | [`oracle`] | naive versions of algorithms in `aiops-core` |
//! | [`sample`] | one small incident, for tests that need some telemetry, a case and a proposal |

pub mod conformance;
pub mod generate;
pub mod mock;
pub mod oracle;
pub mod sample;
