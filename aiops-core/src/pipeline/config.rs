use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Anomaly, DetectorId, Direction, Selector, Severity, TokenBudget};

/// Which findings open a case and must be back to normal at its end: symptoms that users feel, not every signal that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Trigger {
    /// Lowest severity; default [`Severity::Warning`].
    pub severity: Severity,
    /// Which signals; default all.
    pub selector: Selector,
    /// Which way; default either.
    pub direction: Option<Direction>,
    /// Only what goes on at the end of the window; default true. What was over before anybody looked opens nothing.
    pub ongoing: bool,
    /// Detectors whose findings open a case as well, whatever the signal and its direction: what they find is going to be felt, such as memory that will soon
    /// be full. Default none. Severity and `ongoing` hold for them too.
    pub foretold_by: BTreeSet<DetectorId>,
}

impl Default for Trigger {
    fn default() -> Self {
        Self {
            severity: Severity::Warning,
            selector: Selector::all(),
            direction: None,
            ongoing: true,
            foretold_by: BTreeSet::new(),
        }
    }
}

impl Trigger {
    /// Findings on these signals.
    #[must_use]
    pub fn on(selector: Selector) -> Self {
        Self { selector, ..Self::default() }
    }

    /// The same in one direction only.
    #[must_use]
    pub fn going(mut self, direction: Direction) -> Self {
        self.direction = Some(direction);
        self
    }

    /// And whatever `detector` finds, before anybody feels it.
    #[must_use]
    pub fn or_foretold_by(mut self, detector: impl Into<String>) -> Self {
        self.foretold_by.insert(DetectorId(detector.into()));
        self
    }

    /// Whether `anomaly` is such a symptom.
    #[must_use]
    pub fn matches(&self, anomaly: &Anomaly) -> bool {
        self.foretells(anomaly) || self.feels(anomaly)
    }

    /// Whether `anomaly` is felt: such a symptom by its signal and direction, whoever found it.
    #[must_use]
    pub fn feels(&self, anomaly: &Anomaly) -> bool {
        self.counts(anomaly)
            && self.direction.is_none_or(|d| anomaly.direction() == d)
            && self.selector.selects(&anomaly.series.name, &anomaly.entity, &anomaly.series.labels)
    }

    /// Whether `anomaly` is such a symptom because one of those who foretell found it.
    #[must_use]
    pub fn foretells(&self, anomaly: &Anomaly) -> bool {
        self.counts(anomaly) && self.foretold_by.contains(&anomaly.detector)
    }

    fn counts(&self, anomaly: &Anomaly) -> bool {
        anomaly.severity >= self.severity && (anomaly.ongoing || !self.ongoing)
    }
}

/// Settings of a [`Pipeline`](super::Pipeline).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct PipelineConfig {
    /// Length of the window read each time; default 40 min (RCA-10: 30 before, 10 after).
    #[serde(with = "crate::model::duration")]
    pub window: Duration,
    /// Distance of metric samples; default 15 s.
    #[serde(with = "crate::model::duration")]
    pub step: Duration,
    /// Time between two looks; default 60 s.
    #[serde(with = "crate::model::duration")]
    pub interval: Duration,
    /// Newest telemetry is left out for this long, because it is still arriving; default 0.
    #[serde(with = "crate::model::duration")]
    pub lag: Duration,
    /// What opens a case.
    pub trigger: Trigger,
    /// Looks in a row that must show the same symptom; default 2, 1..=100.
    pub confirmations: u32,
    /// Rounds of diagnosis and action in one case; default 4, 1..=32.
    pub rounds: u32,
    /// For how long after a case was opened it is looked at again, every [`interval`](Self::interval), while nothing may be done on what
    /// is known: no remedy was proposed, or the guards denied all. Then a person takes over. Default 0: at once. What a person
    /// refused, and what cannot be seen, is handed over at once in any case.
    #[serde(with = "crate::model::duration")]
    pub look_again: Duration,
    /// Whether an action stays in place that brought some of the symptoms back and others not: with several causes at once
    /// each remedy heals its part, and undoing one brings its part back. Default false: whatever did not heal all is undone.
    pub keep_partial: bool,
    /// Longest time for one stage that only reads; default 60 s.
    #[serde(with = "crate::model::duration")]
    pub stage_timeout: Duration,
    /// Longest time for one action; later it is in doubt; default 5 min.
    #[serde(with = "crate::model::duration")]
    pub action_timeout: Duration,
    /// Longest time for one verification; default 20 min.
    #[serde(with = "crate::model::duration")]
    pub verify_timeout: Duration,
    /// Longest time for a case; default 2 h.
    #[serde(with = "crate::model::duration")]
    pub case_timeout: Duration,
    /// After an escalation, its symptoms open no other case for this long, or until they were gone; default 1 h.
    #[serde(with = "crate::model::duration")]
    pub hold_off: Duration,
    /// Length of the briefing; default 4,000 tokens.
    pub briefing: TokenBudget,
    /// Cases handled at once; default 1, 1..=64.
    pub concurrency: usize,
    /// Failed looks in a row after which people are told; default 3.
    pub blind_after: u32,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        let minutes = |m: u64| Duration::from_secs(m * 60);
        Self {
            window: minutes(40),
            step: Duration::from_secs(15),
            interval: minutes(1),
            lag: Duration::ZERO,
            trigger: Trigger::default(),
            confirmations: 2,
            rounds: 4,
            look_again: Duration::ZERO,
            keep_partial: false,
            stage_timeout: minutes(1),
            action_timeout: minutes(5),
            verify_timeout: minutes(20),
            case_timeout: minutes(120),
            hold_off: minutes(60),
            briefing: TokenBudget::default(),
            concurrency: 1,
            blind_after: 3,
        }
    }
}

impl PipelineConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with the field, its value and the allowed range.
    pub fn validate(&self) -> Result<()> {
        let out_of = |field: &'static str, value: String, range: &'static str| {
            Err(Error::new(ErrorKind::Invalid, format!("{field} is out of range"))
                .with("value", value)
                .with("allowed", range))
        };
        let longer_than_zero = [
            ("window", self.window),
            ("step", self.step),
            ("interval", self.interval),
            ("stage_timeout", self.stage_timeout),
            ("action_timeout", self.action_timeout),
            ("verify_timeout", self.verify_timeout),
            ("case_timeout", self.case_timeout),
        ];
        for (field, value) in longer_than_zero {
            if value.is_zero() {
                return out_of(field, format!("{value:?}"), "more than 0 s");
            }
        }
        if self.step > self.window {
            return out_of("step", format!("{:?}", self.step), "up to window");
        }
        if !(1..=100).contains(&self.confirmations) {
            return out_of("confirmations", self.confirmations.to_string(), "1..=100");
        }
        if !(1..=32).contains(&self.rounds) {
            return out_of("rounds", self.rounds.to_string(), "1..=32");
        }
        if !(1..=64).contains(&self.concurrency) {
            return out_of("concurrency", self.concurrency.to_string(), "1..=64");
        }
        if self.blind_after == 0 {
            return out_of("blind_after", "0".to_owned(), "1 or more");
        }
        Ok(())
    }
}
