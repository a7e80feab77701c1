use std::collections::{BTreeMap, BTreeSet};

use aiops_core::action::{Action, ActionKind, GuardId, Verdict};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{guard_id, is_own_revert};
use crate::config::require;
use crate::policy::{Targets, is_named};

/// Two thresholds on a confidence, 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BandsConfig {
    /// Below it a person takes over; default 0.65. The threshold itself is in the middle band.
    pub escalate_below: f64,
    /// Above it the system acts without telling at once; default 0.85. The threshold itself is in the middle band.
    pub silent_above: f64,
}

impl Default for BandsConfig {
    fn default() -> Self {
        Self { escalate_below: 0.65, silent_above: 0.85 }
    }
}

impl BandsConfig {
    fn validate(&self) -> Result<()> {
        let ordered = 0.0 <= self.escalate_below
            && self.escalate_below <= self.silent_above
            && self.silent_above <= 1.0;
        let value = format!("{} and {}", self.escalate_below, self.silent_above);
        require(ordered, "escalate_below, silent_above", value, "0 ≤ escalate_below ≤ silent_above ≤ 1")
    }
}

/// Servers that need another confidence than the rest: what is critical, what is replaceable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerClass {
    /// Its name, as it stands in decisions.
    pub id: String,
    /// Who belongs to it.
    pub targets: Targets,
    /// Bands for it.
    #[serde(default)]
    pub bands: BandsConfig,
    /// Bands for some kinds of action on it.
    #[serde(default)]
    pub by_kind: BTreeMap<ActionKind, BandsConfig>,
}

/// More than 85 % acts, 65–85 % acts and tells people, less than 65 % is escalated with the whole case. // ACT-03
#[derive(Debug, Clone, Default)]
pub struct ConfidenceBands {
    bands: BandsConfig,
    by_kind: BTreeMap<ActionKind, BandsConfig>,
    classes: Vec<ServerClass>,
}

impl ConfidenceBands {
    /// The same bands for every kind of action, but for those in `by_kind`.
    ///
    /// # Errors
    /// When thresholds are not in order within 0..=1.
    pub fn new(bands: BandsConfig, by_kind: BTreeMap<ActionKind, BandsConfig>) -> Result<Self> {
        bands.validate()?;
        by_kind.iter().try_for_each(|(kind, bands)| bands.validate().map_err(|e| e.with("kind", kind)))?;
        Ok(Self { bands, by_kind, classes: Vec::new() })
    }

    /// The same with other bands for some classes of servers. In a class, its own bands for a kind of action hold, else its bands; the
    /// bands for everybody are not asked then. Of several classes that a target belongs to the strictest thresholds hold.
    ///
    /// # Errors
    /// For two classes of one id, one without names of targets, and thresholds that are not in order within 0..=1.
    pub fn with_classes(mut self, classes: Vec<ServerClass>) -> Result<Self> {
        let mut ids = BTreeSet::new();
        for class in &classes {
            let wrong = |e: Error| e.with("class", &class.id);
            if !ids.insert(&class.id) {
                return Err(wrong(Error::new(ErrorKind::Invalid, "two classes have one id")));
            }
            if class.targets.values().all(Vec::is_empty) {
                return Err(wrong(Error::new(ErrorKind::Invalid, "its targets have no names")));
            }
            class.bands.validate().map_err(wrong)?;
            class.by_kind.values().try_for_each(BandsConfig::validate).map_err(wrong)?;
        }
        self.classes = classes;
        Ok(self)
    }

    /// The thresholds for `action`, and which classes they are of.
    fn bands_for(&self, action: &Action) -> (BandsConfig, String) {
        let of = |bands: BandsConfig, by_kind: &BTreeMap<ActionKind, BandsConfig>| {
            by_kind.get(&action.kind()).copied().unwrap_or(bands)
        };
        let classes: Vec<&ServerClass> =
            self.classes.iter().filter(|c| is_named(&c.targets, &action.target)).collect();
        let stricter = |a: BandsConfig, b: BandsConfig| BandsConfig {
            escalate_below: a.escalate_below.max(b.escalate_below),
            silent_above: a.silent_above.max(b.silent_above),
        };
        match classes.iter().map(|c| of(c.bands, &c.by_kind)).reduce(stricter) {
            Some(bands) => {
                let ids: Vec<&str> = classes.iter().map(|c| c.id.as_str()).collect();
                (bands, format!(" for {}", ids.join(", ")))
            }
            None => (of(self.bands, &self.by_kind), String::new()),
        }
    }
}

#[async_trait]
impl Guardrail for ConfidenceBands {
    fn id(&self) -> GuardId {
        guard_id("confidence-bands")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        let (bands, class) = self.bands_for(&review.proposal.action);
        let confidence = &review.proposal.confidence;
        let p = confidence.probability();
        Ok(if p < bands.escalate_below {
            Verdict::deny(format!("{confidence} is too unsure to act on{class}; escalate"))
        } else if p <= bands.silent_above {
            Verdict::Allow { reason: format!("{confidence}{class}: act and tell"), notify: true }
        } else {
            Verdict::allow(format!("{confidence}{class}"))
        })
    }
}
