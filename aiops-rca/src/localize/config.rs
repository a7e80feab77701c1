use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::Result;
use aiops_core::model::duration;
use serde::{Deserialize, Serialize};

use crate::config::{out_of_range, positive, within};
use crate::picture::SymptomConfig;
use crate::roles::MetricRole;

/// How much a role tells about its own entity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleWeight {
    /// Score of the strongest possible symptom, 0..=10.
    pub weight: f64,
    /// Part of it that somebody else's trouble can explain, 0..=1.
    pub explainable: f64,
}

/// Settings of a [`TopologyLocalizer`](super::TopologyLocalizer).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LocalizerConfig {
    /// How deviations become symptoms.
    pub symptoms: SymptomConfig,
    /// Weights of roles that differ from the defaults: latency and errors 1.0 (0.95 explainable), traffic 0.3 (0.95), saturation
    /// 1.1 (0.75), resource 1.0 (0.35), restarts and liveness 1.6 (0), efficiency 0.4 (0.5), other 0.3 (0.7), configuration 0.
    pub weights: BTreeMap<MetricRole, RoleWeight>,
    /// Most that an early onset adds, as a share of the score; default 0.25, 0..=1.
    pub onset_weight: f64,
    /// Time after which the bonus of an early onset has fallen to 37 %, and with it how much somebody who fell ill later
    /// explains; default 60 s.
    #[serde(with = "duration")]
    pub onset_decay: Duration,
    /// What still explains when it began later than what it should explain; default 0.15, 0..=1.
    pub late_explains: f64,
    /// Share of the callers' symptoms that goes to a callee without telemetry; default 0.8, 0..=1.
    pub blame: f64,
    /// Score of one part of a service, as a share of what its symptoms weigh; default 0.9, 0..=1, so that the service stands first.
    pub part_share: f64,
    /// Score, for every service on it, of a node that explains all its residents; default 0.6, 0..=10.
    pub common_cause: f64,
    /// Unexplained strength from which a resident of a node counts as ill; default 0.2, 0..=1.
    pub sick: f64,
    /// Lowest score of a suspect; default 0.02, 0 or more.
    pub least: f64,
    /// Most suspects; default 10, 1 or more.
    pub most: usize,
    /// Most pieces of evidence a suspect cites; default 12, 1 or more.
    pub citations: usize,
}

impl Default for LocalizerConfig {
    fn default() -> Self {
        Self {
            symptoms: SymptomConfig::default(),
            weights: BTreeMap::new(),
            onset_weight: 0.25,
            onset_decay: Duration::from_secs(60),
            late_explains: 0.15,
            blame: 0.8,
            part_share: 0.9,
            common_cause: 0.6,
            sick: 0.2,
            least: 0.02,
            most: 10,
            citations: 12,
        }
    }
}

impl LocalizerConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`Invalid`](aiops_core::ErrorKind::Invalid) with the field, its value and the allowed range.
    pub fn validate(&self) -> Result<()> {
        self.symptoms.validate()?;
        for weight in self.weights.values() {
            within("weights.weight", weight.weight, 0.0, 10.0)?;
            within("weights.explainable", weight.explainable, 0.0, 1.0)?;
        }
        within("onset_weight", self.onset_weight, 0.0, 1.0)?;
        positive("onset_decay", self.onset_decay)?;
        within("late_explains", self.late_explains, 0.0, 1.0)?;
        within("blame", self.blame, 0.0, 1.0)?;
        within("part_share", self.part_share, 0.0, 1.0)?;
        within("common_cause", self.common_cause, 0.0, 10.0)?;
        within("sick", self.sick, 0.0, 1.0)?;
        within("least", self.least, 0.0, f64::MAX)?;
        for (field, value) in [("most", self.most), ("citations", self.citations)] {
            if value == 0 {
                return Err(out_of_range(field, value, "1 or more"));
            }
        }
        Ok(())
    }

    /// Weight of `role`.
    #[must_use]
    pub fn weight(&self, role: MetricRole) -> RoleWeight {
        let (weight, explainable) = match role {
            MetricRole::Latency | MetricRole::Errors => (1.0, 0.95),
            MetricRole::Traffic => (0.3, 0.95),
            MetricRole::Saturation => (1.1, 0.75),
            MetricRole::Resource => (1.0, 0.35),
            MetricRole::Restarts | MetricRole::Liveness => (1.6, 0.0),
            MetricRole::Efficiency => (0.4, 0.5),
            MetricRole::Other => (0.3, 0.7),
            MetricRole::Configuration => (0.0, 0.0),
        };
        self.weights.get(&role).copied().unwrap_or(RoleWeight { weight, explainable })
    }
}
