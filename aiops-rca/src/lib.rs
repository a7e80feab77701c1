#![doc = include_str!("../README.md")]

mod calibrate;
mod config;
mod localize;
mod picture;
mod roles;
mod rule;

pub use calibrate::{CALIBRATOR_VERSION, CalibrationConfig, Calibrator};
pub use localize::{LocalizerConfig, RoleWeight, TopologyLocalizer};
pub use picture::SymptomConfig;
pub use roles::{MetricClass, MetricRole, MetricRoles, MetricRolesConfig, Polarity, RoleRule, Side};
pub use rule::{ChangeConfig, RuleRca, RuleRcaConfig};
