#![doc = include_str!("../README.md")]
//!
//! | module | what |
//! |---|---|
//! | [`guards`] | what must agree before anything is done |
//! | [`planner`] | from a diagnosed case to typed proposals |
//! | [`verifier`] | whether it is over |

mod config;
pub mod guards;
pub mod planner;
pub mod verifier;

pub use planner::{PlannerConfig, RemedyPlanner};
pub use verifier::{LivenessCheck, TelemetryVerifier, TrafficCheck, VerifierConfig};
