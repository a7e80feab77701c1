//! What may be done, as a file.

use std::path::Path;
use std::time::Duration;

use aiops_act::audit::AuditConfig;
use aiops_act::graduation::Attestation;
use aiops_act::guards::{
    AllowRule, BandsConfig, BlastRadiusConfig, BreakerConfig, CalendarConfig, CapConfig, ErrorBudgetConfig,
    ErrorRateConfig, NodeCapConfig, SpikeConfig, TiersConfig,
};
use aiops_act::lease::LeaseConfig;
use aiops_act::policy::Targets;
use aiops_act::{ApprovalConfig, GraduationConfig, LearnedConfig, Policy};
use aiops_core::action::{ActionKind, Principal};
use serde::Deserialize;

use crate::self_heal::RunError;

/// The file that is shipped with the example.
pub(in crate::self_heal) const SHIPPED: &str = include_str!("../../../safety.toml");

/// Everything that decides what may be done. Each part is checked by what it configures.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::self_heal) struct SafetyConfig {
    pub(super) policy: Policy,
    pub(super) allow: Vec<AllowRule>,
    #[serde(default)]
    pub(super) calendar: CalendarConfig,
    #[serde(default)]
    pub(super) tiers: TiersConfig,
    #[serde(default)]
    pub(super) bands: BandsConfig,
    #[serde(default)]
    pub(super) cap: CapConfig,
    #[serde(default)]
    pub(super) spike: SpikeConfig,
    #[serde(default)]
    pub(super) breaker: BreakerConfig,
    #[serde(default)]
    pub(super) blast_radius: BlastRadiusConfig,
    #[serde(default)]
    pub(super) nodes: NodeCapConfig,
    pub(super) error_rate: ErrorRateConfig,
    pub(super) error_budget: Budget,
    #[serde(default)]
    pub(super) approvals: ApprovalConfig,
    #[serde(default)]
    pub(super) graduation: GraduationConfig,
    #[serde(default)]
    pub(super) learned: LearnedConfig,
    pub(super) promotion: Promotion,
    pub(super) grant: GrantConfig,
    #[serde(default)]
    pub(super) lease: LeaseConfig,
    #[serde(default)]
    pub(super) audit: AuditConfig,
}

/// An objective and what is left of its error budget.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    /// Share of requests that are answered, 0..1.
    pub(super) objective: f64,
    /// Over this long, more than 0 s.
    #[serde(with = "aiops_core::model::duration")]
    pub(super) period: Duration,
    /// What the guard makes of what is left.
    #[serde(default)]
    pub(super) guard: ErrorBudgetConfig,
}

/// Whose word lets a class act alone that has the record for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Promotion {
    pub(super) by: Principal,
    pub(super) reason: String,
    pub(super) attested: Attestation,
}

/// What the service may do at all.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantConfig {
    pub(super) by: Principal,
    pub(super) to: Principal,
    pub(super) actions: std::collections::BTreeSet<ActionKind>,
    pub(super) targets: Targets,
    #[serde(with = "aiops_core::model::duration")]
    pub(super) valid_for: Duration,
}

impl SafetyConfig {
    /// The file at `path`; without one, what is shipped.
    pub(in crate::self_heal) fn load(path: Option<&Path>) -> Result<Self, RunError> {
        let text = match path {
            Some(path) => std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?,
            None => SHIPPED.to_owned(),
        };
        Ok(toml::from_str(&text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_slip_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("safety.toml");
        let slips = [
            ("[cap]", "[caps]"),
            ("failures = 3", "failures = 3\nfailure = 3"),
            ("effect = \"deny\"", "effect = \"refuse\""),
            ("objective = 0.999\n", ""),
        ];
        for (right, slip) in slips {
            let text = SHIPPED.replacen(right, slip, 1);
            assert_ne!(text, SHIPPED, "{right}");
            std::fs::write(&file, text).unwrap();
            assert!(SafetyConfig::load(Some(&file)).is_err(), "{slip}");
        }
        std::fs::write(&file, SHIPPED).unwrap();
        SafetyConfig::load(Some(&file)).unwrap();
        let missing = SafetyConfig::load(Some(&folder.path().join("nowhere"))).unwrap_err();
        assert!(missing.to_string().contains("nowhere"), "{missing}");
    }
}
