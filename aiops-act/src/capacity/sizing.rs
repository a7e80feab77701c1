use std::time::Duration;

use aiops_core::Result;
use aiops_core::action::Operation;
use serde::{Deserialize, Serialize};

use super::queue::{blocked, waits_of, within};
use crate::config::require;

/// What users are promised: this share of requests is answered within this time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// From arrival to answer, more than 0 s.
    #[serde(with = "aiops_core::model::duration")]
    pub within: Duration,
    /// More than 0 and less than 1. The rest is the error budget.
    pub share: f64,
}

/// What is turned to have more or less capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lever {
    /// Copies of a service.
    Copies,
    /// Slots that are kept ready for requests: provisioned concurrency.
    Concurrency,
}

impl Lever {
    /// The operation that sets it to `units`.
    #[must_use]
    pub fn set(self, units: u32) -> Operation {
        match self {
            Self::Copies => Operation::Scale { replicas: units },
            Self::Concurrency => Operation::Concurrency { limit: units },
        }
    }
}

/// How a service serves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serving {
    /// What is turned.
    pub lever: Lever,
    /// Mean time that one request occupies a slot, by itself, more than 0 s and at most a day.
    #[serde(with = "aiops_core::model::duration")]
    pub work: Duration,
    /// Requests that one unit of the lever serves at once, 1 or more.
    pub slots: u32,
    /// Fewest units, 1 or more.
    pub least: u32,
    /// Most units, `least` or more; `most × slots` at most 10⁶.
    pub most: u32,
    /// What one unit costs an hour, in whatever money, 0 or more.
    pub unit_cost: f64,
}

/// A forecast of load, requests a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    expected: f64,
    upper: f64,
}

impl Demand {
    /// `expected` requests a second, 0..=10⁹, and the `upper` bound of the forecast's interval, `expected`..=10⁹, for which plans are made.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](aiops_core::ErrorKind::Invalid) for what is out of range or NaN.
    pub fn new(expected: f64, upper: f64) -> Result<Self> {
        require((0.0..=1e9).contains(&expected), "expected", expected, "0..=1e9 a second")?;
        require(upper >= expected && upper <= 1e9, "upper", upper, "expected..=1e9 a second")?;
        Ok(Self { expected, upper })
    }

    /// Expected requests a second.
    #[must_use]
    pub fn expected(&self) -> f64 {
        self.expected
    }

    /// Upper bound, requests a second.
    #[must_use]
    pub fn upper(&self) -> f64 {
        self.upper
    }
}

/// Settings of [`Sizing`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SizingConfig {
    /// Most that a service may cost an hour, 0 or more; default none.
    pub cost_cap: Option<f64>,
    /// Units are taken away only where fewer hold for this share more than the upper demand, 0..=1; default 0.2. Demand that swings less moves nothing.
    pub slack: f64,
    /// With less than this share of the error budget left, plans are made as if this much were left, more than 0 and at most 1; default 0.1:
    /// one error where ten are promised at most.
    pub least_budget: f64,
    /// Some requests take too long by themselves, whatever is there. Of what waiting may spoil besides, between that and the objective, this share is
    /// always allowed, more than 0 and at most 1; default 0.001. Below it, more units buy next to nothing.
    pub least_waiting: f64,
}

impl Default for SizingConfig {
    fn default() -> Self {
        Self { cost_cap: None, slack: 0.2, least_budget: 0.1, least_waiting: 0.001 }
    }
}

/// So many units, and what is predicted of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Plan {
    /// Units of the lever.
    pub units: u32,
    /// Predicted share answered in time at the expected demand.
    pub expected: f64,
    /// The same at the upper demand.
    pub at_upper: f64,
    /// The share that is asked for: the objective's, or more where the error budget runs low, as far as it can be reached.
    pub asked: f64,
    /// Share of the time that a slot is busy at the expected demand.
    pub utilisation: f64,
    /// Cost an hour.
    pub cost: f64,
}

/// Why the objective cannot be met.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unmet {
    /// Not by any number of units: the work itself takes too long.
    #[error(
        "at best {best:.4} are answered in time, {asked:.4} are asked for: one request takes too long by itself"
    )]
    Objective {
        /// Share in time if nobody ever waited.
        best: f64,
        /// The objective's share.
        asked: f64,
    },
    /// Not by the most there may be.
    #[error("{most} units answer {at_most:.4} in time, {asked:.4} are asked for")]
    Units {
        /// The most there may be.
        most: u32,
        /// Share in time with them, at the upper demand.
        at_most: f64,
        /// The objective's share.
        asked: f64,
    },
    /// Not for the money.
    #[error("{units} units cost {cost:.2} an hour, the cap is {cap:.2}")]
    Cost {
        /// The fewest that would keep the objective.
        units: u32,
        /// What they cost an hour.
        cost: f64,
        /// The most that may be spent.
        cap: f64,
    },
}

/// Finds the cheapest number of units that keeps an objective.
///
/// ```
/// use aiops_act::capacity::{Demand, Lever, Objective, Serving, Sizing, SizingConfig, Unmet};
/// use std::time::Duration;
/// // Copies that serve four requests at once, 50 ms each; 99 % are to be answered within 300 ms.
/// let work = Duration::from_millis(50);
/// let serving = Serving { lever: Lever::Copies, work, slots: 4, least: 2, most: 50, unit_cost: 0.5 };
/// let objective = Objective { within: Duration::from_millis(300), share: 0.99 };
/// let sizing = Sizing::new(serving, objective, SizingConfig::default())?;
///
/// let plan = sizing.plan(Demand::new(300.0, 500.0)?, 1.0)?;
/// assert!(plan.at_upper >= 0.99 && plan.units < 10);
/// let too_much = sizing.plan(Demand::new(300.0, 5_000.0)?, 1.0);
/// assert!(matches!(too_much, Err(Unmet::Units { most: 50, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizing {
    serving: Serving,
    objective: Objective,
    config: SizingConfig,
}

impl Sizing {
    /// For a service that serves so, under this objective.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](aiops_core::ErrorKind::Invalid) with the field that is out of range.
    pub fn new(serving: Serving, objective: Objective, config: SizingConfig) -> Result<Self> {
        let day = Duration::from_secs(86_400);
        let Serving { work, slots, least, most, unit_cost, .. } = serving;
        require(!work.is_zero() && work <= day, "work", format!("{work:?}"), "more than 0 s, at most a day")?;
        require(slots > 0, "slots", slots, "1 or more")?;
        require(least > 0, "least", least, "1 or more")?;
        let servers = u64::from(most) * u64::from(slots);
        require(most >= least && servers <= 1_000_000, "most", most, "least or more, 1e6 slots in all")?;
        let money = |of: f64| (0.0..=1e12).contains(&of);
        require(money(unit_cost), "unit_cost", unit_cost, "0..=1e12 an hour")?;
        let Objective { within, share } = objective;
        require(!within.is_zero(), "within", format!("{within:?}"), "more than 0 s")?;
        require(share > 0.0 && share < 1.0, "share", share, "more than 0, less than 1")?;
        require(
            config.cost_cap.is_none_or(money),
            "cost_cap",
            config.cost_cap.unwrap_or(0.0),
            "0..=1e12 an hour",
        )?;
        require((0.0..=1.0).contains(&config.slack), "slack", config.slack, "0..=1")?;
        for (field, least) in [("least_budget", config.least_budget), ("least_waiting", config.least_waiting)]
        {
            require(least > 0.0 && least <= 1.0, field, least, "more than 0, at most 1")?;
        }
        Ok(Self { serving, objective, config })
    }

    /// What is turned, and how far.
    #[must_use]
    pub fn serving(&self) -> &Serving {
        &self.serving
    }

    /// The cheapest plan for `demand` with this share of the error budget left (1 for all of it, 0 or less for none; what is not a number
    /// counts as none). O(most · slots).
    ///
    /// Of what is promised to fail no more is planned to fail than the share of the budget that is left: so it is spent the slower the less there is.
    /// That goes only as far as it can be reached: more than the objective is never a reason to propose nothing. As no number of units answers what
    /// takes too long by itself, of what waiting may spoil between that bound and the objective [`least_waiting`](SizingConfig::least_waiting) is always
    /// allowed; and where `most` or the cap end before that, all they allow is planned. With less budget left a plan never has fewer units.
    ///
    /// # Errors
    /// What cannot be met: the objective itself, not what is asked for beyond it.
    pub fn plan(&self, demand: Demand, budget_left: f64) -> std::result::Result<Plan, Unmet> {
        let asked = self.asked(budget_left)?;
        Ok(self.predict(self.fewest(demand.upper, asked)?, demand, asked))
    }

    /// The same, given that `units` are there, any number: more at once where they are wanted, fewer only with slack. Never more than `most`,
    /// also where more are there.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn plan_from(
        &self,
        units: u32,
        demand: Demand,
        budget_left: f64,
    ) -> std::result::Result<Plan, Unmet> {
        let asked = self.asked(budget_left)?;
        let wanted = self.fewest(demand.upper, asked)?;
        let kept = if wanted >= units {
            wanted
        } else {
            let slack = demand.upper * (1.0 + self.config.slack);
            // Where not even all that is allowed would do with slack, all of that is kept.
            let fewer = self.fewest(slack, asked).unwrap_or_else(|_| self.allowed());
            fewer.min(units).max(wanted)
        };
        Ok(self.predict(kept, demand, asked))
    }

    /// What `units` do at `demand`.
    fn predict(&self, units: u32, demand: Demand, asked: f64) -> Plan {
        let servers = units.saturating_mul(self.serving.slots).max(1);
        let offered = demand.expected * self.serving.work.as_secs_f64();
        let at_upper = self.in_time(servers, demand.upper);
        Plan {
            units,
            expected: self.in_time(servers, demand.expected),
            at_upper,
            // Beyond the objective no more is asked for than what is allowed can do.
            asked: asked.min(at_upper).max(self.objective.share),
            utilisation: offered / f64::from(servers),
            cost: f64::from(units) * self.serving.unit_cost,
        }
    }

    /// Share that is asked for: at least the objective's, and less than what the work allows.
    fn asked(&self, budget_left: f64) -> std::result::Result<f64, Unmet> {
        let (share, SizingConfig { least_budget, least_waiting, .. }) = (self.objective.share, self.config);
        let best = -(-self.objective.within.as_secs_f64() / self.serving.work.as_secs_f64()).exp_m1();
        if best < share {
            return Err(Unmet::Objective { best, asked: share });
        }
        let left = if budget_left.is_nan() { 0.0 } else { budget_left };
        let tightened = 1.0 - (1.0 - share) * left.clamp(least_budget, 1.0);
        let reachable = best - (best - share) * least_waiting;
        Ok(tightened.min(reachable).max(share))
    }

    /// Whether so many units cost more than they may.
    fn too_dear(&self, units: u32) -> Option<Unmet> {
        let cap = self.config.cost_cap?;
        let cost = f64::from(units) * self.serving.unit_cost;
        (cost > cap).then_some(Unmet::Cost { units, cost, cap })
    }

    /// The most units that `most` and the cap allow; 0 when the cap allows none.
    fn allowed(&self) -> u32 {
        (0..=self.serving.most).rev().find(|units| self.too_dear(*units).is_none()).unwrap_or(0)
    }

    fn in_time(&self, servers: u32, rate: f64) -> f64 {
        let work = self.serving.work.as_secs_f64();
        let offered = rate * work;
        let waits = waits_of(offered, servers, blocked(offered, 0, 1.0, servers));
        within(offered, work, servers, waits, self.objective.within.as_secs_f64())
    }

    /// Fewest units that answer `asked` in time at `rate`; where `most` or the cap end before, the most they allow, if that keeps the objective.
    fn fewest(&self, rate: f64, asked: f64) -> std::result::Result<u32, Unmet> {
        let Serving { slots, least, most, .. } = self.serving;
        let (work, time) = (self.serving.work.as_secs_f64(), self.objective.within.as_secs_f64());
        let offered = rate * work;
        let (mut served, mut b, mut share) = (0_u32, 1.0, 0.0);
        let mut keeps = None;
        // One pass: Erlang's recursion goes on from each number of units to the next.
        for units in least..=most {
            let servers = units.saturating_mul(slots);
            b = blocked(offered, served, b, servers);
            served = servers;
            share = within(offered, work, servers, waits_of(offered, servers, b), time);
            if share < self.objective.share {
                continue;
            }
            if let Some(unmet) = self.too_dear(units) {
                return keeps.ok_or(unmet);
            }
            if share >= asked {
                return Ok(units);
            }
            keeps = Some(units);
        }
        keeps.ok_or(Unmet::Units { most, at_most: share, asked: self.objective.share })
    }
}
