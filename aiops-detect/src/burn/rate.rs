use aiops_core::model::Stance;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::config::{BurnAction, BurnRule, Slo};
use super::ledger::{Count, Ledger};
use aiops_compact::ConfigError;

/// A rule and how fast the budget is burning by its windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burning {
    /// The rule.
    pub rule: BurnRule,
    /// Burn rate over its long window; what lies before the first sample counts as without errors.
    pub long: f64,
    /// Burn rate over its short window.
    pub short: f64,
}

impl Burning {
    /// Whether the rule fires: both windows are at or beyond its rate.
    #[must_use]
    pub fn fires(&self) -> bool {
        self.long >= self.rule.rate && self.short >= self.rule.rate
    }
}

/// A change of an objective that a person may want to make. Nothing here ever makes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SloProposal {
    /// The objective.
    pub slo: String,
    /// Who decides.
    pub owner: String,
    /// Its target.
    pub target: f64,
    /// Share of requests that succeeded over its period.
    pub achieved: f64,
}

/// A count that lies farther back than anything a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("counts at {at} are older than what is kept")]
pub struct TooOld {
    /// When they were taken.
    pub at: Timestamp,
}

/// The error budget of one objective, fed with counts as they come.
///
/// Counts may come late and out of order; those older than the longest window are counted in [`rejected`](Self::rejected). A
/// jump of the clock forward is a gap, and what comes after a jump back is late.
///
/// Memory: 16 bytes a minute of the longest rule and an hour of the period, 80 KB by default.
///
/// ```
/// use std::time::Duration;
/// use aiops_detect::burn::{BurnOptions, BurnRate, BurnAction, Slo, Stance};
/// use jiff::Timestamp;
///
/// let slo = Slo {
///     name: "pay".into(), journey: "pay for a basket".into(), owner: "payments".into(),
///     indicator: "error_ratio".into(), requests: None, target: 0.999, period: Duration::from_secs(30 * 86_400),
/// };
/// let mut burn = BurnRate::new(slo, BurnOptions::default().rules)?;
/// let minute = |i: u32| Timestamp::UNIX_EPOCH + Duration::from_secs(60) * i;
/// for i in 0..600 {
///     // 2 % fail in the last hour: twenty times what may.
///     burn.push(minute(i), 1000.0, if i < 540 { 0.0 } else { 20.0 }).unwrap();
/// }
/// assert_eq!(burn.firing().map(|burning| burning.rule.action).max(), Some(BurnAction::Page));
/// assert_eq!(burn.stance(), Stance::Frozen);
/// # Ok::<(), aiops_compact::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BurnRate {
    slo: Slo,
    rules: Vec<BurnRule>,
    minutes: Ledger,
    hours: Ledger,
    rejected: u64,
}

impl BurnRate {
    /// An objective with nothing counted yet.
    ///
    /// # Errors
    /// When the objective or a rule is out of range.
    pub fn new(slo: Slo, rules: Vec<BurnRule>) -> Result<Self, ConfigError> {
        let options = super::BurnOptions { slos: vec![slo.clone()], rules: rules.clone() };
        super::BurnConfig::try_from(options)?;
        Ok(Self::checked(slo, rules))
    }

    /// With an objective and rules that were checked.
    pub(super) fn checked(slo: Slo, rules: Vec<BurnRule>) -> Self {
        let longest = rules.iter().map(|rule| rule.long.as_secs()).max().unwrap_or(0);
        let slots = |seconds: u64, slot: u64| usize::try_from(seconds.div_ceil(slot)).unwrap_or(1) + 1;
        Self {
            minutes: Ledger::new(60, slots(longest, 60)),
            hours: Ledger::new(3600, slots(slo.period.as_secs(), 3600)),
            slo,
            rules,
            rejected: 0,
        }
    }

    /// The objective.
    #[must_use]
    pub fn slo(&self) -> &Slo {
        &self.slo
    }

    /// Counts that were too old or no counts.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Counts `bad` of `total` requests at `at`. What is negative, NaN or infinite, or more bad than all, is not counted but
    /// rejected.
    ///
    /// # Errors
    /// [`TooOld`] when it lies farther back than the longest rule looks.
    pub fn push(&mut self, at: Timestamp, total: f64, bad: f64) -> Result<(), TooOld> {
        let sound = total.is_finite() && (0.0..=1e15).contains(&total) && (0.0..=total).contains(&bad);
        if !sound {
            self.rejected = self.rejected.saturating_add(1);
            return Ok(());
        }
        let count = Count { total, bad };
        if !self.minutes.add(at.as_second(), count) {
            self.rejected = self.rejected.saturating_add(1);
            return Err(TooOld { at });
        }
        // As old as the longest rule is never older than the hours kept, or it is of a period that is over.
        self.hours.add(at.as_second(), count);
        Ok(())
    }

    /// Every rule with its burn rates at the newest count.
    pub fn burning(&self) -> impl Iterator<Item = Burning> + '_ {
        let budget = self.slo.budget();
        let rate = move |seconds: u64| self.minutes.over(seconds).ratio() / budget;
        self.rules.iter().map(move |rule| {
            let long = rule.long.as_secs();
            let covered = self.minutes.covered(long);
            Burning { rule: *rule, long: rate(long) * covered, short: rate(rule.short.as_secs()) }
        })
    }

    /// The rules that fire.
    pub fn firing(&self) -> impl Iterator<Item = Burning> + '_ {
        self.burning().filter(Burning::fires)
    }

    /// Share of the budget of the period that is left, of the requests seen in it; negative when more was spent.
    #[must_use]
    pub fn remaining(&self) -> f64 {
        1.0 - self.hours.over(self.slo.period.as_secs()).ratio() / self.slo.budget()
    }

    /// What this asks of automation: for guards and for when to escalate.
    #[must_use]
    pub fn stance(&self) -> Stance {
        let firing = self.firing().map(|burning| burning.rule.action).max();
        match firing {
            _ if self.remaining() <= 0.0 => Stance::Frozen,
            Some(BurnAction::Page) => Stance::Mitigate,
            Some(_) => Stance::Careful,
            None => Stance::Usual,
        }
    }

    /// A proposal to the owner when a whole period was seen and either more than the budget was spent, or less than a tenth of
    /// it.
    #[must_use]
    pub fn proposal(&self) -> Option<SloProposal> {
        if self.hours.covered(self.slo.period.as_secs()) < 1.0 {
            return None;
        }
        let remaining = self.remaining();
        let achieved = 1.0 - self.hours.over(self.slo.period.as_secs()).ratio();
        (!(0.0..=0.9).contains(&remaining)).then(|| SloProposal {
            slo: self.slo.name.clone(),
            owner: self.slo.owner.clone(),
            target: self.slo.target,
            achieved,
        })
    }
}
