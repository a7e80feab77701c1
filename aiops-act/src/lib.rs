#![doc = include_str!("../README.md")]
//!
//! | module | what |
//! |---|---|
//! | [`audit`] | what was seen, decided and done, so that nobody can change it unseen |
//! | [`guards`] | what must agree before anything is done |
//! | [`journal`] | what was done, written down before it is done |
//! | [`ledger`] | the files behind journal and audit log |
//! | [`planner`] | from a diagnosed case to typed proposals |
//! | [`policy`] | who may do what, where and when, as data |
//! | [`verifier`] | whether it is over |

pub mod audit;
mod config;
pub mod guards;
pub mod journal;
pub mod ledger;
mod names;
pub mod planner;
pub mod policy;
pub mod verifier;

pub use audit::{AuditConfig, FileAudit};
pub use journal::FileJournal;
pub use planner::{PlannerConfig, RemedyPlanner};
pub use policy::{Policy, PolicyTable};
pub use verifier::{LivenessCheck, TelemetryVerifier, TrafficCheck, VerifierConfig};
