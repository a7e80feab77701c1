#![doc = include_str!("../README.md")]
//!
//! | module | what |
//! |---|---|
//! | [`approval`] | what people are asked and answer, kept |
//! | [`audit`] | what was seen, decided and done, so that nobody can change it unseen |
//! | [`capacity`] | how much capacity is wanted, what it will do and what it costs |
//! | [`case_folder`] | open cases on disk, for whoever takes them up |
//! | [`fitted`] | which fitted state was made of what, and which decides |
//! | [`foretold`] | what was foretold, what became of it, and whether predictions may act |
//! | [`graduation`] | which classes of action may run alone, and why |
//! | [`guards`] | what must agree before anything is done |
//! | [`incident`] | where every incident stands, after a restart |
//! | [`journal`] | what was done, written down before it is done |
//! | [`kill`] | a switch that is a file |
//! | [`learned`] | what closed cases taught: belief in harm, and how sure is sure enough |
//! | [`learning`] | what follows from a closed case |
//! | [`lease`] | which of several replicas may act |
//! | [`ledger`] | the files behind journal, audit log and the rest |
//! | [`planner`] | from a diagnosed case to typed proposals |
//! | [`policy`] | who may do what, where and when, as data |
//! | [`post_mortem`] | what is told of an incident once it is over |
//! | [`runbook`] | steps that people wrote down, one at a time |
//! | [`verifier`] | whether it is over |

pub mod approval;
pub mod audit;
pub mod capacity;
pub mod case_folder;
mod config;
pub mod fitted;
pub mod foretold;
pub mod graduation;
pub mod guards;
pub mod incident;
pub mod journal;
pub mod kill;
pub mod learned;
pub mod learning;
pub mod lease;
pub mod ledger;
mod names;
pub mod planner;
pub mod policy;
pub mod post_mortem;
pub mod runbook;
pub mod verifier;

pub use approval::{ApprovalConfig, ApprovalDesk};
pub use audit::{AuditConfig, FileAudit};
pub use capacity::{CapacityPlanner, Sizing};
pub use case_folder::CaseFolder;
pub use fitted::FittedRegistry;
pub use foretold::{Foretold, ForetoldConfig};
pub use graduation::{Graduation, GraduationConfig};
pub use journal::FileJournal;
pub use kill::KillFile;
pub use learned::{Learned, LearnedConfig};
pub use learning::{Learning, Lessons};
pub use lease::{FileLease, Lease};
pub use planner::{PlannerConfig, RemedyPlanner};
pub use policy::{Policy, PolicyTable};
pub use post_mortem::PostMortem;
pub use runbook::{Runbook, RunbookPlanner};
pub use verifier::{LivenessCheck, TelemetryVerifier, TrafficCheck, VerifierConfig};
