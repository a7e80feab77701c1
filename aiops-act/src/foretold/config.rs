use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::Result;
use aiops_core::model::DetectorId;
use serde::{Deserialize, Serialize};

use super::record::Tally;
use crate::config::require;

/// A time to wait, `"90m"` in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Horizon(#[serde(with = "aiops_core::model::duration")] pub Duration);

/// Settings of [`Foretold`](super::Foretold). Replicas on one file have the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForetoldConfig {
    /// Within this time after its case was opened users must feel it, for a prediction to have come true; default 24 h, 1 min to 90 days.
    pub horizon: Horizon,
    /// The same for some detectors, in place of `horizon`; default none.
    pub horizon_of: BTreeMap<DetectorId, Horizon>,
    /// Predictions of a detector whose outcome is known, at least, before it may act alone; default 20, 1 or more.
    pub known: usize,
    /// Share of false alarms among them: the upper bound of its Wilson interval is at most this, 0..=0.99; default 0.2. So 20 of 20 that
    /// came true do at the default `z`, and 19 of 20 do not.
    pub false_alarms: f64,
    /// Standard normal quantile of the bound, 0..=5; default 1.96, for 95 % two-sided. 0 takes the plain share.
    pub z: f64,
    /// Predictions whose time ended longer ago than this count no more; default 180 days, 1 day to 10 years.
    #[serde(with = "aiops_core::model::duration")]
    pub memory: Duration,
    /// Predictions that are kept, the oldest forgotten first; default 10,000, 100 to 10⁶.
    pub most: usize,
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

impl Default for ForetoldConfig {
    fn default() -> Self {
        Self {
            horizon: Horizon(DAY),
            horizon_of: BTreeMap::new(),
            known: 20,
            false_alarms: 0.2,
            z: 1.96,
            memory: DAY * 180,
            most: 10_000,
        }
    }
}

impl ForetoldConfig {
    pub(super) fn validate(&self) -> Result<()> {
        let horizons = self.horizon_of.values().map(|h| ("horizon_of", h));
        for (field, Horizon(time)) in std::iter::once(("horizon", &self.horizon)).chain(horizons) {
            require((MINUTE..=DAY * 90).contains(time), field, format!("{time:?}"), "1 min to 90 days")?;
        }
        require(self.known > 0, "known", self.known, "1 or more")?;
        let share = self.false_alarms;
        require((0.0..=0.99).contains(&share), "false_alarms", share, "0..=0.99")?;
        require((0.0..=5.0).contains(&self.z), "z", self.z, "0..=5")?;
        let memory = self.memory;
        require((DAY..=DAY * 3650).contains(&memory), "memory", format!("{memory:?}"), "1 day to 10 years")?;
        require((100..=1_000_000).contains(&self.most), "most", self.most, "100 to 1e6")
    }

    /// How long is waited for what `detectors` foretold together: for the slowest of them.
    pub(super) fn horizon(&self, detectors: &BTreeSet<DetectorId>) -> Duration {
        let of = |detector| self.horizon_of.get(detector).unwrap_or(&self.horizon).0;
        detectors.iter().map(of).max().unwrap_or(self.horizon.0)
    }

    /// What `tally` lacks for acting alone, in words; nothing when it is enough.
    pub(super) fn lacking(&self, tally: &Tally) -> Option<String> {
        let known = tally.known();
        if known < self.known {
            return Some(format!("{known} of {} predictions whose outcome is known", self.known));
        }
        let bound = tally.false_alarms_at_most(self.z);
        let most = self.false_alarms;
        (bound > most)
            .then(|| format!("up to {:.0} % false alarms, not {:.0} %", bound * 100.0, most * 100.0))
    }
}
