use std::time::Duration;

use aiops_core::Result;
use aiops_core::action::{ActionTrace, History, IdempotencyKey};
use aiops_core::model::time::elapsed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stages::{ActionClass, StageChange};
use crate::approval::ApprovalLabel;
use crate::config::require;

/// What a class must have shown before it may act alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GraduationConfig {
    /// Remedies of the class whose end is known, at least; default 20, 1 or more.
    pub actions: usize,
    /// Share of them after which telemetry recovered: the lower bound of its Wilson interval reaches this, 0..=1; default 0.85. So 22 of 22
    /// do at the default `z`, and 20 of 20 do not.
    pub success: f64,
    /// Diagnoses of the class that people judged, at least; default 10.
    pub diagnoses: usize,
    /// Share of them that were held to be right: the lower bound of its Wilson interval reaches this, 0..=1; default 0.70.
    pub accuracy: f64,
    /// Standard normal quantile of the bounds, 0..=5; default 1.96, for 95 % two-sided. 0 takes the plain shares.
    pub z: f64,
    /// Time from the first remedy of the record to now, at least; default 60 days.
    #[serde(with = "aiops_core::model::duration")]
    pub age: Duration,
}

impl Default for GraduationConfig {
    fn default() -> Self {
        Self {
            actions: 20,
            success: 0.85,
            diagnoses: 10,
            accuracy: 0.70,
            z: 1.96,
            age: Duration::from_secs(60 * 86_400),
        }
    }
}

impl GraduationConfig {
    pub(super) fn validate(&self) -> Result<()> {
        require(self.actions > 0, "actions", self.actions, "1 or more")?;
        for (field, share) in [("success", self.success), ("accuracy", self.accuracy)] {
            require((0.0..=1.0).contains(&share), field, share, "0..=1")?;
        }
        require((0.0..=5.0).contains(&self.z), "z", self.z, "0..=5")
    }

    /// What `record` lacks at `now`, in words; nothing when it is enough.
    pub(super) fn lacking(&self, record: &Record, now: Timestamp) -> Vec<String> {
        let mut lacking = Vec::new();
        let mut need = |fine: bool, what: String| {
            if !fine {
                lacking.push(what);
            }
        };
        let known = record.recovered + record.not_recovered;
        need(known >= self.actions, format!("{known} of {} remedies whose end is known", self.actions));
        let success = wilson_lower_bound(record.recovered, known, self.z);
        need(success >= self.success, format!("success of at least {success:.3}, not {:.3}", self.success));
        let judged = record.right + record.wrong;
        need(
            judged >= self.diagnoses,
            format!("{judged} of {} diagnoses that people judged", self.diagnoses),
        );
        let accuracy = wilson_lower_bound(record.right, judged, self.z);
        let asked = self.accuracy;
        need(judged == 0 || accuracy >= asked, format!("accuracy of at least {accuracy:.3}, not {asked:.3}"));
        let age = record.since.map_or(Duration::ZERO, |since| elapsed(since, now));
        let days = |d: Duration| d.as_secs() / 86_400;
        need(age >= self.age, format!("{} of {} days of record", days(age), days(self.age)));
        lacking
    }
}

/// Lower bound of Wilson's score interval for a share of `successes` among `trials` (Wilson, J. Am. Stat. Assoc. 22, 1927), in 0..=1;
/// 0 for no trials. `z` is the standard normal quantile, 1.96 for 95 % two-sided.
///
/// ```
/// use aiops_act::graduation::wilson_lower_bound;
/// assert!((wilson_lower_bound(22, 22, 1.96) - 0.8513).abs() < 1e-4);
/// assert!((wilson_lower_bound(81, 90, 1.96) - 0.8208).abs() < 1e-4);
/// ```
#[must_use]
pub fn wilson_lower_bound(successes: usize, trials: usize, z: f64) -> f64 {
    if trials == 0 || successes == 0 {
        return 0.0;
    }
    #[allow(clippy::cast_precision_loss, reason = "counts of actions")]
    let (n, p) = (trials as f64, successes.min(trials) as f64 / trials as f64);
    let z2 = z * z;
    let margin = z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // The lesser root by the greater one, whose difference would cancel where little succeeded.
    (p * p / (p + z2 / (2.0 * n) + margin)).clamp(0.0, 1.0)
}

/// What a record is made of.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Seen<'a> {
    /// What was done.
    pub history: &'a History,
    /// What people said.
    pub labels: &'a [ApprovalLabel],
}

impl<'a> Seen<'a> {
    /// What was done, and nobody said anything.
    #[must_use]
    pub fn of(history: &'a History) -> Self {
        Self { history, labels: &[] }
    }

    /// The same with what people said.
    #[must_use]
    pub fn with_labels(mut self, labels: &'a [ApprovalLabel]) -> Self {
        self.labels = labels;
        self
    }
}

/// How a class of actions has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Record {
    /// Remedies after which telemetry recovered.
    pub recovered: usize,
    /// Remedies that failed, or after which it did not.
    pub not_recovered: usize,
    /// Remedies whose end nobody knows, or whose effect could not be seen. They count for nothing.
    pub unknown: usize,
    /// Diagnoses that people held to be right.
    pub right: usize,
    /// Diagnoses that people held to be wrong.
    pub wrong: usize,
    /// When the first remedy of the record was intended.
    pub since: Option<Timestamp>,
    /// The remedy that did not help last.
    pub last_failure: Option<IdempotencyKey>,
}

impl Record {
    /// The record of `class` since the decision `after`: of remedies that the journal has later, those whose end was open then, and
    /// diagnoses judged later.
    #[must_use]
    pub fn of(class: &ActionClass, seen: Seen<'_>, after: Option<&StageChange>) -> Self {
        let history = seen.history;
        let behind = |a: &ActionTrace| {
            after.is_none_or(|change| change.is_before(a, history) || change.open.contains(&a.intent.key))
        };
        let mut record = Self::default();
        for action in remedies(class, history).filter(|a| behind(a)) {
            let first = record.since.unwrap_or(action.intent.at);
            record.since = Some(first.min(action.intent.at));
            match action.helped() {
                Some(true) => record.recovered += 1,
                Some(false) => {
                    record.not_recovered += 1;
                    record.last_failure = Some(action.intent.key.clone());
                }
                None => record.unknown += 1,
            }
        }
        let later = |at: Timestamp| after.is_none_or(|change| at > change.at);
        for label in seen.labels.iter().filter(|l| class.is_of(l.action, &l.target) && later(l.at)) {
            match label.diagnosis_right {
                Some(true) => record.right += 1,
                Some(false) => record.wrong += 1,
                None => {}
            }
        }
        record
    }
}

/// Remedies of `class` that may have touched their targets, oldest first.
fn remedies<'a>(class: &'a ActionClass, history: &'a History) -> impl Iterator<Item = &'a ActionTrace> {
    history.actions().filter(|a| class.has(&a.intent.proposal.action) && a.is_remedy() && a.counts())
}

/// Those of which nobody knows whether they helped.
pub(super) fn open(class: &ActionClass, history: &History) -> Vec<IdempotencyKey> {
    remedies(class, history).filter(|a| a.helped().is_none()).map(|a| a.intent.key.clone()).collect()
}
