use std::collections::BTreeMap;

use aiops_core::Result;
use aiops_core::action::ActionKind;
use serde::{Deserialize, Serialize};

use crate::config::require;

/// How likely a remedy of a class is not to help: a Beta distribution by its two counts, each more than 0.
///
/// The prior's counts are remedies that were imagined before any was seen; every outcome adds one.
///
/// ```
/// use aiops_act::learned::HarmBelief;
/// let uniform = HarmBelief::default();
/// assert_eq!(uniform.mean(), 0.5);
/// let after_nine_that_helped = HarmBelief { helped: 10.0, ..uniform };
/// assert!((after_nine_that_helped.mean() - 1.0 / 11.0).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HarmBelief {
    /// Remedies that failed, or after which telemetry did not recover; 0 excluded, at most 10⁹.
    pub harmed: f64,
    /// Remedies after which it did; 0 excluded, at most 10⁹.
    pub helped: f64,
}

impl Default for HarmBelief {
    /// Uniform: every share is as likely.
    fn default() -> Self {
        Self { harmed: 1.0, helped: 1.0 }
    }
}

impl HarmBelief {
    /// Probability that the next remedy does not help, in 0..1.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.harmed / (self.harmed + self.helped)
    }

    #[must_use]
    pub(super) fn after(self, helped: bool) -> Self {
        if helped {
            Self { helped: self.helped + 1.0, ..self }
        } else {
            Self { harmed: self.harmed + 1.0, ..self }
        }
    }

    fn validate(&self) -> Result<()> {
        let count = |n: f64| n > 0.0 && n <= 1e9;
        let value = format!("{} and {}", self.harmed, self.helped);
        require(count(self.harmed) && count(self.helped), "prior", value, "more than 0, at most 1e9")
    }
}

/// Settings of [`Learned`](super::Learned). Replicas on one file have the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LearnedConfig {
    /// The floor before anything was learned, and the lowest there is, 0..=1; default 0.65, where
    /// [`ConfidenceBands`](crate::guards::ConfidenceBands) escalate anyway.
    pub base: f64,
    /// The floor rises so far, `base`..=1; default 0.99: what is surer still acts alone, unless another guard minds.
    pub most: f64,
    /// Share of wrong actions at which what the record asks for stays where it is, more than 0 and less than 1; default 0.15, what graduation
    /// allows. It is no bound: see [there](super).
    pub target: f64,
    /// How much one outcome counts, more than 0 and at most 0.5; default 0.1: a wrong action raises the floor by 0.085.
    pub rate: f64,
    /// Remedies in a row that helped before a lower floor is proposed, 1 or more; default 10.
    pub record: usize,
    /// Belief in harm before anything was seen; default uniform.
    pub prior: HarmBelief,
    /// The same for some kinds of action, in place of `prior`; default none.
    pub prior_by_kind: BTreeMap<ActionKind, HarmBelief>,
}

impl Default for LearnedConfig {
    fn default() -> Self {
        Self {
            base: 0.65,
            most: 0.99,
            target: 0.15,
            rate: 0.1,
            record: 10,
            prior: HarmBelief::default(),
            prior_by_kind: BTreeMap::new(),
        }
    }
}

impl LearnedConfig {
    pub(super) fn validate(&self) -> Result<()> {
        let share = 0.0..=1.0;
        require(share.contains(&self.base), "base", self.base, "0..=1")?;
        require(share.contains(&self.most) && self.most >= self.base, "most", self.most, "base..=1")?;
        let target = self.target > 0.0 && self.target < 1.0;
        require(target, "target", self.target, "more than 0, less than 1")?;
        require(self.rate > 0.0 && self.rate <= 0.5, "rate", self.rate, "more than 0, at most 0.5")?;
        require(self.record > 0, "record", self.record, "1 or more")?;
        self.prior.validate()?;
        self.prior_by_kind
            .iter()
            .try_for_each(|(kind, prior)| prior.validate().map_err(|e| e.with("kind", kind)))
    }

    pub(super) fn prior_of(&self, kind: ActionKind) -> HarmBelief {
        self.prior_by_kind.get(&kind).copied().unwrap_or(self.prior)
    }

    /// What the record asks for after an outcome, where it asked for `asked` before.
    pub(super) fn asked_after(&self, asked: f64, good: bool) -> f64 {
        let step = if good { -self.rate * self.target } else { self.rate * (1.0 - self.target) };
        (asked + step).clamp(self.base, self.most)
    }
}
