use std::collections::BTreeMap;

use aiops_core::Result;
use aiops_core::model::{
    Anomaly, Baseline, EntityId, FittedHash, MetricSeries, Severity, Shape, Stance, TelemetryWindow,
};
use jiff::Timestamp;

use super::config::{BurnConfig, Slo};
use super::rate::{BurnRate, Burning};
use crate::events::{Event, Finder, sort};
use crate::rolling::typical_step;

/// A stretch in which rules of an objective fired.
#[derive(Debug, Clone, PartialEq)]
pub struct BurnFinding {
    /// The finding: its σ is the burn rate, for its baseline is no error at all and its scale the budget.
    pub anomaly: Anomaly,
    /// The objective's name.
    pub slo: String,
    /// Who answers for it.
    pub owner: String,
    /// Rules that fired, each at its highest.
    pub rules: Vec<Burning>,
}

/// What is left of the error budget of an entity, and what that asks of automation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetState {
    /// Share of the budget that is left, of the objective that has least; negative when more was spent.
    pub remaining: f64,
    /// The gravest of its objectives.
    pub stance: Stance,
    /// Newest count it rests on, of the objective that was not counted for longest.
    pub at: Timestamp,
}

impl BudgetState {
    fn with(self, other: Self) -> Self {
        Self {
            remaining: self.remaining.min(other.remaining),
            stance: self.stance.max(other.stance),
            at: self.at.min(other.at),
        }
    }
}

/// Finds objectives whose error budget burns too fast.
///
/// Pure in (configuration, window); every entity that has the indicator is judged apart. One finding for each stretch in
/// which a rule fired, as grave as its gravest rule. Windows shorter than a rule's are judged by what they hold: what came
/// before counts as without errors.
#[derive(Debug, Clone)]
pub struct BurnRateDetector {
    config: BurnConfig,
    hash: FittedHash,
}

impl BurnRateDetector {
    /// Name of this detector in findings.
    pub const ID: &'static str = "burn-rate";

    /// Detects by this configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](aiops_core::ErrorKind::Internal) when the configuration cannot be hashed.
    pub fn new(config: BurnConfig) -> Result<Self> {
        Ok(Self { hash: crate::state::hash(&config)?, config })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &BurnConfig {
        &self.config
    }

    /// Findings with the rules and owners behind them, in the order of [`Detector::detect`](aiops_core::seam::Detector::detect). O(samples · rules).
    #[must_use]
    pub fn assess(&self, window: &TelemetryWindow) -> Vec<BurnFinding> {
        let mut found = Vec::new();
        for slo in &self.config.options().slos {
            for series in window.metrics.iter().filter(|s| s.key().name == slo.indicator) {
                found.extend(self.judge(slo, series, window));
            }
        }
        // The sort is stable: objectives of one series stay in the order of the configuration.
        found.sort_by(|a, b| {
            let key = |f: &BurnFinding| (f.anomaly.entity.clone(), f.anomaly.series.clone(), f.anomaly.onset);
            key(a).cmp(&key(b))
        });
        found
    }

    /// The synchronous form of [`Detector::detect`](aiops_core::seam::Detector::detect).
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        let mut found: Vec<Anomaly> = self.assess(window).into_iter().map(|f| f.anomaly).collect();
        sort(&mut found);
        found
    }

    /// What is left of the budgets of all entities that have an indicator with a count, as far as `window` holds it: what came before counts
    /// as without errors. An entity of several objectives has the worst of each. O(samples · rules).
    ///
    /// ```
    /// use aiops_detect::burn::{BurnOptions, BurnRateDetector};
    /// # use aiops_core::model::{TelemetryWindow, TimeRange};
    /// # let now = aiops_core::jiff::Timestamp::UNIX_EPOCH;
    /// # let window = TelemetryWindow::new(TimeRange::ending_at(now, std::time::Duration::from_secs(3600)));
    /// let detector = BurnRateDetector::new(BurnOptions::default().try_into()?)?;
    /// for (service, budget) in detector.budgets(&window) {
    ///     // board.post(service, budget.remaining, budget.stance, budget.at);
    ///     println!("{service}: {:?}, {:.0} % left", budget.stance, 100.0 * budget.remaining);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn budgets(&self, window: &TelemetryWindow) -> BTreeMap<EntityId, BudgetState> {
        let mut budgets: BTreeMap<EntityId, BudgetState> = BTreeMap::new();
        for slo in &self.config.options().slos {
            for series in window.metrics.iter().filter(|s| s.key().name == slo.indicator) {
                let mut burn = BurnRate::checked(slo.clone(), self.config.options().rules.clone());
                let mut newest = None;
                for (at, share, total) in counts(slo, series, window) {
                    if burn.push(at, total, total * share).is_ok() {
                        newest = newest.max(Some(at));
                    }
                }
                let Some(at) = newest else { continue };
                let state = BudgetState { remaining: burn.remaining(), stance: burn.stance(), at };
                let known = budgets.entry(series.entity().clone()).or_insert(state);
                *known = known.with(state);
            }
        }
        budgets
    }

    fn judge(&self, slo: &Slo, series: &MetricSeries, window: &TelemetryWindow) -> Vec<BurnFinding> {
        let mut burn = BurnRate::checked(slo.clone(), self.config.options().rules.clone());
        let mut stretches: Vec<(Event, Vec<Burning>)> = Vec::new();
        let mut hot: Option<Timestamp> = None;
        let mut open = false;
        for (at, share, total) in counts(slo, series, window) {
            if burn.push(at, total, total * share).is_err() {
                continue;
            }
            hot = if share > slo.budget() { hot.or(Some(at)) } else { hot };
            let firing: Vec<Burning> = burn.firing().collect();
            if firing.is_empty() {
                if let Some((event, _)) = stretches.last_mut().filter(|_| open) {
                    event.ongoing = false;
                }
                open = false;
                // Cool again: the next trouble has an onset of its own.
                if burn.burning().all(|burning| burning.short < 1.0) {
                    hot = None;
                }
                continue;
            }
            if !open {
                let baseline = Baseline { center: 0.0, scale: slo.budget(), samples: 0 };
                let onset = hot.unwrap_or(at);
                let event = Event {
                    onset,
                    last: at,
                    ongoing: true,
                    samples: 0,
                    value: 0.0,
                    baseline,
                    severity: Severity::Warning,
                };
                stretches.push((event, Vec::new()));
                open = true;
            }
            if let Some((event, rules)) = stretches.last_mut() {
                extend(event, rules, at, &firing, slo);
            }
        }
        let finder = Finder { id: Self::ID, fitted: &self.hash, window };
        stretches
            .into_iter()
            .map(|(event, rules)| BurnFinding {
                anomaly: finder.anomaly(series, &event, Shape::LevelShiftUp),
                slo: slo.name.clone(),
                owner: slo.owner.clone(),
                rules,
            })
            .collect()
    }
}

/// Shares of bad requests that can be meant, by instant, and the requests each stands for.
fn counts(slo: &Slo, series: &MetricSeries, window: &TelemetryWindow) -> Vec<(Timestamp, f64, f64)> {
    let traffic = slo.requests.as_ref().map(|name| traffic(name, series, window));
    let step = typical_step(series.times()).map_or(1.0, |step| step.as_secs_f64()).max(1e-3);
    let within =
        series.points().filter(|(at, share)| window.range.contains(*at) && (0.0..=1.0).contains(share));
    let count = |(at, share): (Timestamp, f64)| {
        let rate = match &traffic {
            Some(rates) => rates.get(&at).copied().unwrap_or(0.0),
            None => 1.0,
        };
        // A sample stands for the time until the next one.
        (at, share, rate.max(0.0) * step)
    };
    within.map(count).collect()
}

/// Adds what fires at a sample to a stretch.
fn extend(event: &mut Event, rules: &mut Vec<Burning>, at: Timestamp, firing: &[Burning], slo: &Slo) {
    event.last = at;
    event.samples += 1;
    event.baseline.samples = event.samples;
    for burning in firing {
        event.severity = event.severity.max(burning.rule.action.severity());
        event.value = event.value.max(burning.long.max(burning.short) * slo.budget());
        match rules.iter_mut().find(|known| known.rule == burning.rule) {
            Some(known) => {
                known.long = known.long.max(burning.long);
                known.short = known.short.max(burning.short);
            }
            None => rules.push(*burning),
        }
    }
}

/// Requests per second of a series' entity, by instant.
fn traffic(name: &str, of: &MetricSeries, window: &TelemetryWindow) -> BTreeMap<Timestamp, f64> {
    let mut rates = BTreeMap::new();
    for series in window.metrics.iter().filter(|s| s.key().name == name && s.entity() == of.entity()) {
        for (at, rate) in series.points().filter(|(_, rate)| rate.is_finite() && *rate > 0.0) {
            *rates.entry(at).or_insert(0.0) += rate;
        }
    }
    rates
}

crate::seam::detector!(BurnRateDetector);
