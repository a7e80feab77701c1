use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::model::{float, time};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::book::Judgement;
use crate::checked::{Checked, Options};
use crate::error::check;

/// How many false alarms there may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetOptions {
    /// False alarms in a period, more than 0. Default 2.
    pub allowed: f64,
    /// The period, 1 min to 30 days. Default 1 day.
    #[serde(with = "aiops_core::model::duration")]
    pub period: Duration,
    /// Part of a false alarm that an alarm is which nobody judged, 0 to 1. Default 1: most alarms are false until somebody says otherwise.
    pub unjudged: f64,
    /// Most by which a period moves the level, as a natural logarithm, more than 0 to 3. Default 0.5.
    pub step: f64,
    /// Level to begin with. Default 10⁻⁴.
    pub start: f64,
    /// Least level, more than 0: even a flood of false alarms does not silence what is rarer. Default 10⁻⁹.
    pub least: f64,
    /// Most, up to 0.5: even a long silence does not make noise an alarm. Default 0.01.
    pub most: f64,
}

impl Default for BudgetOptions {
    fn default() -> Self {
        Self {
            allowed: 2.0,
            period: Duration::from_secs(86_400),
            unjudged: 1.0,
            step: 0.5,
            start: 1e-4,
            least: 1e-9,
            most: 0.01,
        }
    }
}

impl Options for BudgetOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check("allowed", self.allowed, f64::MIN_POSITIVE.., "more than 0")?;
        let (least, most) = (Duration::from_secs(60), Duration::from_secs(30 * 86_400));
        if !(least..=most).contains(&self.period) {
            return Err(ConfigError::new("period", format!("{:?}", self.period), "1 min to 30 days"));
        }
        check("unjudged", self.unjudged, 0.0..=1.0, "0 to 1")?;
        check("step", self.step, f64::MIN_POSITIVE..=3.0, "more than 0, at most 3")?;
        check("least", self.least, f64::MIN_POSITIVE..=0.5, "more than 0, at most 0.5")?;
        check("most", self.most, self.least..=0.5, "`least` to 0.5")?;
        check("start", self.start, self.least..=self.most, "`least` to `most`")
    }
}

/// The level of p-values at which findings are told, so that there are as many false alarms as allowed.
///
/// Integral control as of adaptive conformal inference (Gibbs and Candès, *Adaptive conformal inference under distribution shift*, 2021), on
/// the logarithm of the level: after each period it moves against the error by at most [`step`](BudgetOptions::step), and it never leaves
/// its bounds. While it is within them, the mean number of false alarms differs from what is allowed by no more than `ln(most ÷ least) ÷
/// (step · periods)` times that, whatever the data do. Only periods in which it was looked count: not looking is not
/// quiet. A clock that jumps back waits until it has caught up.
///
/// ```
/// use std::time::Duration;
/// use aiops_detect::ensemble::AlarmBudget;
/// let begin = "2026-01-01T00:00:00Z".parse()?;
/// let mut budget = AlarmBudget::new(Default::default(), begin);
/// let first = budget.level();
/// (0..10).for_each(|_| budget.raised());
/// budget.looked(begin + Duration::from_secs(86_400));
/// assert!(budget.level() < first);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmBudget {
    options: Checked<BudgetOptions>,
    #[serde(with = "float")]
    level: f64,
    begun: Timestamp,
    /// When it was last looked.
    seen: Timestamp,
    /// False alarms of the period under way; less than 0 when earlier ones turned out to be right.
    #[serde(with = "float")]
    false_alarms: f64,
    periods: u64,
    #[serde(with = "float")]
    all_false: f64,
}

impl AlarmBudget {
    /// Begins at `at` with the level of the configuration.
    #[must_use]
    pub fn new(options: Checked<BudgetOptions>, at: Timestamp) -> Self {
        let level = options.options().start;
        Self { options, level, begun: at, seen: at, false_alarms: 0.0, periods: 0, all_false: 0.0 }
    }

    /// The level: what has a p-value of at most this is told.
    #[must_use]
    pub fn level(&self) -> f64 {
        let o = self.options.options();
        self.level.clamp(o.least, o.most)
    }

    /// Periods that are over.
    #[must_use]
    pub fn periods(&self) -> u64 {
        self.periods
    }

    /// False alarms a period, over all of them; NaN before the first is over.
    #[must_use]
    pub fn mean_false_alarms(&self) -> f64 {
        self.all_false / self.periods as f64
    }

    /// An alarm was raised.
    pub fn raised(&mut self) {
        self.false_alarms += self.options.options().unjudged;
    }

    /// An alarm that was raised, in this period or before, was judged.
    pub fn judged(&mut self, judgement: Judgement) {
        let unjudged = self.options.options().unjudged;
        self.false_alarms += match judgement {
            Judgement::Confirmed => -unjudged,
            Judgement::Rejected => 1.0 - unjudged,
        };
    }

    /// It was looked at `at`, with or without an alarm; moves the level when a period is over.
    pub fn looked(&mut self, at: Timestamp) {
        let o = *self.options.options();
        // Nobody looked for a whole period: that time says nothing, and a new period begins.
        if time::elapsed(self.seen, at) > o.period {
            (self.begun, self.false_alarms) = (at, 0.0);
        }
        self.seen = self.seen.max(at);
        if time::elapsed(self.begun, at) < o.period {
            return;
        }
        let error = (self.false_alarms - o.allowed) / o.allowed;
        let moved = self.level() * (-o.step * error.clamp(-1.0, 1.0)).exp();
        self.level = moved.clamp(o.least, o.most);
        self.periods = self.periods.saturating_add(1);
        self.all_false += self.false_alarms;
        (self.begun, self.false_alarms) = (at, 0.0);
    }
}
