use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::model::Severity;
use serde::{Deserialize, Serialize};

use crate::error::check;

/// What a rule asks for. Pages and tickets are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BurnAction {
    /// Roll-outs go slower.
    SlowRollouts,
    /// Somebody looks within days.
    Ticket,
    /// Those who answer for the service are told.
    ExecutiveNotice,
    /// Somebody looks now.
    Page,
}

impl BurnAction {
    /// How grave a finding of such a rule is.
    #[must_use]
    pub fn severity(self) -> Severity {
        if self == Self::Page { Severity::Critical } else { Severity::Warning }
    }
}

/// A burn rate over two windows: it fires while both are beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BurnRule {
    /// What it asks for.
    pub action: BurnAction,
    /// Long window, 5 minutes to 30 days.
    #[serde(with = "aiops_core::model::duration")]
    pub long: Duration,
    /// Short window, 1 minute to `long`. A twelfth of the long one is usual.
    #[serde(with = "aiops_core::model::duration")]
    pub short: Duration,
    /// Burn rate, more than 0, to 10⁶.
    pub rate: f64,
}

/// A service level objective of a user journey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    /// Name, e.g. `checkout-availability`.
    pub name: String,
    /// What users do, e.g. `pay for a basket`.
    pub journey: String,
    /// Who answers for it.
    pub owner: String,
    /// Name of the series that holds the share of failed requests, 0 to 1.
    pub indicator: String,
    /// Name of the series that holds requests per second, by which shares are weighted; all of an entity's are summed.
    /// Without one every sample weighs the same, which lets a failing night count like a failing noon.
    #[serde(default)]
    pub requests: Option<String>,
    /// Share of requests that must succeed, 0.5 to less than 1.
    pub target: f64,
    /// Time the error budget is for, 1 to 90 days. Default 30 days.
    #[serde(with = "aiops_core::model::duration", default = "default_period")]
    pub period: Duration,
}

fn default_period() -> Duration {
    30 * DAY
}

impl Slo {
    /// Share of requests that may fail.
    #[must_use]
    pub fn budget(&self) -> f64 {
        1.0 - self.target
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let texts = [
            ("name", &self.name),
            ("journey", &self.journey),
            ("owner", &self.owner),
            ("indicator", &self.indicator),
        ];
        for (field, text) in texts {
            if text.trim().is_empty() {
                return Err(ConfigError::new(field, text, "a name"));
            }
        }
        check("target", self.target, 0.5..1.0, "0.5 to less than 1")?;
        // 1 − target must divide.
        check("target", self.budget(), 1e-9..=0.5, "0.5 to less than 1 − 10⁻⁹")?;
        check_time("period", self.period, DAY, 90 * DAY, "1 to 90 days")
    }
}

/// Which objectives are watched, and by which rules.
///
/// Plain fields with documented defaults; [`BurnConfig`] holds a checked set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BurnOptions {
    /// Objectives, with names of their own. Default: none.
    pub slos: Vec<Slo>,
    /// Rules. Default: those of the Site Reliability Workbook (a page at 14.4 for 1 h and at 6 for 6 h, a ticket at 3 for a
    /// day and at 1 for three days), a notice to executives beyond 4 for 1 h, and slower roll-outs beyond 2 for 6 h.
    pub rules: Vec<BurnRule>,
}

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

impl Default for BurnOptions {
    fn default() -> Self {
        let rule = |action, rate, long, short| BurnRule { action, long, short, rate };
        Self {
            slos: Vec::new(),
            rules: vec![
                rule(BurnAction::Page, 14.4, HOUR, 5 * MINUTE),
                rule(BurnAction::Page, 6.0, 6 * HOUR, 30 * MINUTE),
                rule(BurnAction::ExecutiveNotice, 4.0, HOUR, 5 * MINUTE),
                rule(BurnAction::Ticket, 3.0, DAY, 2 * HOUR),
                rule(BurnAction::SlowRollouts, 2.0, 6 * HOUR, 30 * MINUTE),
                rule(BurnAction::Ticket, 1.0, 3 * DAY, 6 * HOUR),
            ],
        }
    }
}

/// Checked [`BurnOptions`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BurnOptions", into = "BurnOptions")]
pub struct BurnConfig(BurnOptions);

impl BurnConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &BurnOptions {
        &self.0
    }
}

impl From<BurnConfig> for BurnOptions {
    fn from(config: BurnConfig) -> Self {
        config.0
    }
}

fn check_time(
    field: &'static str,
    value: Duration,
    least: Duration,
    most: Duration,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::new(field, format!("{value:?}"), allowed))
    }
}

impl TryFrom<BurnOptions> for BurnConfig {
    type Error = ConfigError;

    fn try_from(o: BurnOptions) -> Result<Self, ConfigError> {
        let mut names = std::collections::BTreeSet::new();
        for slo in &o.slos {
            slo.validate()?;
            if !names.insert(&slo.name) {
                return Err(ConfigError::new("slos", &slo.name, "a name of its own for each objective"));
            }
        }
        if !(1..=32).contains(&o.rules.len()) {
            return Err(ConfigError::new("rules", o.rules.len(), "1 to 32 rules"));
        }
        for rule in &o.rules {
            check_time("long", rule.long, 5 * MINUTE, 30 * DAY, "5 minutes to 30 days")?;
            check_time("short", rule.short, MINUTE, rule.long, "1 minute to `long`")?;
            check("rate", rule.rate, f64::MIN_POSITIVE..=1e6, "more than 0, to 10⁶")?;
        }
        Ok(Self(o))
    }
}
