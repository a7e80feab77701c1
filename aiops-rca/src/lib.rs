#![doc = include_str!("../README.md")]

mod baseline;
mod calibrate;
mod cite;
mod config;
mod fusion;
mod gather;
mod halves;
mod localize;
mod memory;
mod onset;
mod picture;
mod recall;
mod robust;
mod roles;
mod rule;
mod windows;
mod xid;

pub use baseline::Baseline;
pub use calibrate::{CALIBRATOR_VERSION, CalibrationConfig, CalibrationError, Calibrator, FittedOn};
pub use fusion::{Finding, FindingKind, FusedLocalizer, FusedRanking, FusedSuspect, FusionConfig};
pub use gather::GatheringLocalizer;
pub use localize::{LocalizerConfig, RoleWeight, TopologyLocalizer};
pub use memory::{IncidentMemory, MEMORY_VERSION, MemoryConfig, PastIncident, SimilarIncident, Triage};
pub use onset::{Onset, OnsetConfig, onset};
pub use picture::SymptomConfig;
pub use recall::{RecallingRca, SharedMemory};
pub use roles::{MetricClass, MetricRole, MetricRoles, MetricRolesConfig, Polarity, RoleRule, Side};
pub use rule::{ChangeConfig, ObservedConfig, RuleRca, RuleRcaConfig};
pub use windows::EvidenceWindows;
