//! Localisation and root cause without a language model.
//!
//! [`TopologyLocalizer`] ranks who may be the origin of what was detected: trouble travels from callee to caller, so a caller
//! whose callee deviates is a victim. [`RuleRca`] names failing system and fault type apart, each hypothesis with citations, a
//! confidence that is calibrated by a [`Calibrator`] or marked as not, and what to look at next.
//!
//! Both read metrics by their [`MetricRole`], which [`MetricRoles`] tells from the naming conventions of OpenTelemetry and
//! Prometheus; rules of one's own come first.

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
