#![doc = include_str!("../README.md")]
//!
//! | module | what |
//! |---|---|
//! | [`rolling`] | series that left their norm, by robust deviation |
//! | [`sli`] | error ratios derived from request counts, as a source |

pub mod rolling;
pub mod sli;

pub use rolling::{FittedRolling, RollingDetector, RollingFit};
