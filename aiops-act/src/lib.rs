//! Guards, planning and verification of actions.
//!
//! - [`guards`]: what must agree before anything is done. Every guard decides on the journal's history only, so it
//!   survives restarts and holds across replicas.
//! - [`planner`]: from a diagnosed case to typed proposals, or to none.
//! - [`verifier`]: whether it is over, from telemetry alone.

mod config;
pub mod guards;
pub mod planner;
pub mod verifier;

pub use planner::{PlannerConfig, RemedyPlanner};
pub use verifier::{LivenessCheck, TelemetryVerifier, TrafficCheck, VerifierConfig};
