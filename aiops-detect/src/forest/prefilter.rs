use std::collections::BTreeMap;
use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_compact::order::{MAD_TO_SIGMA, mad_of_sorted, median_of_sorted};
use aiops_core::model::{Severity, float};
use serde::{Deserialize, Serialize};

use super::{ForestConfig, IsolationForest};
use crate::error::{FitError, check, check_count};
use crate::rows::Rows;

/// Columns of the pre-filter's forest: value, duration, service, impacted pods.
const COLUMNS: usize = 4;

/// Deviation of a value beyond which more says nothing new, in σ of its rule.
const VALUE_LIMIT: f64 = 50.0;

/// What an alert is judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct PrefilterFeatures {
    /// Name of the rule that raised it. Values are compared with those of the same rule, for units differ.
    pub rule: String,
    /// Service it is about.
    pub service: String,
    /// Value that raised it, in the rule's unit.
    pub value: f64,
    /// How long it has been firing.
    pub duration: Duration,
    /// Pods it concerns.
    pub impacted_pods: u32,
    /// How grave the rule calls it.
    pub severity: Severity,
}

/// When an alert goes on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrefilterOptions {
    /// Forest.
    pub forest: ForestConfig,
    /// An alert with a score ([`IsolationForest::score_samples`]) below this goes on; −1 to 0. Default −0.5.
    pub threshold: f64,
    /// Fewest alerts to learn from, 16 to 1 000 000. Default 256.
    pub min_alerts: usize,
    /// Rules, and services, told apart: the most frequent ones, 1 to 1 000 000. Default 10 000. The rest share one entry.
    pub max_names: usize,
}

impl Default for PrefilterOptions {
    fn default() -> Self {
        Self { forest: ForestConfig::default(), threshold: -0.5, min_alerts: 256, max_names: 10_000 }
    }
}

/// Checked [`PrefilterOptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PrefilterOptions", into = "PrefilterOptions")]
pub struct PrefilterConfig(PrefilterOptions);

impl PrefilterConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &PrefilterOptions {
        &self.0
    }
}

impl From<PrefilterConfig> for PrefilterOptions {
    fn from(config: PrefilterConfig) -> Self {
        config.0
    }
}

impl TryFrom<PrefilterOptions> for PrefilterConfig {
    type Error = ConfigError;

    fn try_from(options: PrefilterOptions) -> Result<Self, ConfigError> {
        check("threshold", options.threshold, -1.0..=0.0, "-1 to 0")?;
        check_count("min_alerts", options.min_alerts, 16..=1_000_000, "16 to 1000000 alerts")?;
        check_count("max_names", options.max_names, 1..=1_000_000, "1 to 1000000")?;
        Ok(Self(options))
    }
}

/// Why an alert goes on or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is critical: it goes on whatever its score.
    Critical,
    /// It could not be scored, so it goes on.
    Unscored,
    /// It is unlike the others.
    Unusual,
    /// It is like many others: it is kept and counted, and goes no further.
    Usual,
}

/// What the pre-filter says of one alert. It only decides what goes on, never what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filtered {
    /// Score, −1 to 0; `None` when its value is NaN.
    pub score: Option<f64>,
    /// Why.
    pub reason: Reason,
}

impl Filtered {
    /// Whether the alert goes on.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.reason != Reason::Usual
    }
}

/// How many alerts went which way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrefilterCounts(BTreeMap<Reason, u64>);

impl PrefilterCounts {
    /// Counts one verdict.
    pub fn record(&mut self, filtered: &Filtered) {
        *self.0.entry(filtered.reason).or_default() += 1;
    }

    /// Alerts with this reason.
    #[must_use]
    pub fn of(&self, reason: Reason) -> u64 {
        self.0.get(&reason).copied().unwrap_or_default()
    }

    /// Alerts that went on.
    #[must_use]
    pub fn went_on(&self) -> u64 {
        self.0.iter().filter(|(reason, _)| **reason != Reason::Usual).map(|(_, n)| n).sum()
    }
}

/// Location and scale of the values of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Values {
    #[serde(with = "float")]
    center: f64,
    #[serde(with = "float")]
    scale: f64,
}

/// Lets alerts that are like most others rest, so that an agent looks at the rest. // DET-02
///
/// An isolation forest over four columns: the value as a deviation from the values of its rule (median and MAD), the
/// duration and the impacted pods as logarithms, the service as the logarithm of how rarely it raises alerts.
///
/// Critical alerts always go on, and so does what cannot be scored. A rule it has never seen counts as deviating
/// nothing; a service it has never seen is as rare as one of one alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertPrefilter {
    config: PrefilterConfig,
    alerts: u64,
    rules: BTreeMap<String, Values>,
    services: BTreeMap<String, u64>,
    forest: IsolationForest,
}

impl AlertPrefilter {
    /// Learns from past alerts, O(n log n). Those with a NaN or infinite value are not learned.
    ///
    /// # Errors
    /// [`FitError::TooFew`] with fewer than [`PrefilterOptions::min_alerts`] usable alerts.
    pub fn fit(alerts: &[PrefilterFeatures], config: PrefilterConfig) -> Result<Self, FitError> {
        let options = config.options();
        let usable: Vec<&PrefilterFeatures> = alerts.iter().filter(|a| a.value.is_finite()).collect();
        if usable.len() < options.min_alerts {
            return Err(FitError::TooFew { usable: usable.len(), needed: options.min_alerts });
        }
        let mut by_rule: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut services: BTreeMap<&str, u64> = BTreeMap::new();
        for alert in &usable {
            by_rule.entry(&alert.rule).or_default().push(alert.value);
            *services.entry(&alert.service).or_default() += 1;
        }
        let by_rule = most_frequent(by_rule, options.max_names, Vec::len);
        let services =
            most_frequent(services, options.max_names, |n| usize::try_from(*n).unwrap_or(usize::MAX));
        let rules = by_rule
            .into_iter()
            .filter_map(|(rule, values)| Some((rule.to_owned(), Values::estimate(values)?)))
            .collect();
        let mut prefilter = Self {
            config,
            alerts: usable.len() as u64,
            rules,
            services: services.into_iter().map(|(name, n)| (name.to_owned(), n)).collect(),
            // Replaced below: the columns of the forest depend on what the rest has learned.
            forest: IsolationForest { columns: COLUMNS, sample_size: 2, trees: Vec::new() },
        };
        let values: Vec<f64> = usable.iter().flat_map(|alert| prefilter.row(alert)).collect();
        prefilter.forest = IsolationForest::fit(Rows::new(&values, COLUMNS)?, options.forest)?;
        Ok(prefilter)
    }

    fn row(&self, alert: &PrefilterFeatures) -> [f64; COLUMNS] {
        let deviation = self.rules.get(&alert.rule).map_or(0.0, |values| values.deviation(alert.value));
        let seen = self.services.get(&alert.service).copied().unwrap_or(1);
        [
            if alert.value.is_nan() { f64::NAN } else { deviation },
            alert.duration.as_secs_f64().ln_1p(),
            (self.alerts as f64 / seen as f64).ln(),
            f64::from(alert.impacted_pods).ln_1p(),
        ]
    }

    /// Judges one alert. Pure: the same alert, the same verdict.
    #[must_use]
    pub fn judge(&self, alert: &PrefilterFeatures) -> Filtered {
        let row = self.row(alert);
        let scores = Rows::new(&row, COLUMNS).and_then(|rows| self.forest.score_samples(rows));
        let score = scores.ok().and_then(|s| s.first().copied()).filter(|s| !s.is_nan());
        let reason = match score {
            _ if alert.severity == Severity::Critical => Reason::Critical,
            None => Reason::Unscored,
            Some(score) if score < self.config.options().threshold => Reason::Unusual,
            Some(_) => Reason::Usual,
        };
        Filtered { score, reason }
    }
}

impl Values {
    fn estimate(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let center = median_of_sorted(&values)?;
        let scale = MAD_TO_SIGMA * mad_of_sorted(&values, center)?;
        Some(Self { center, scale })
    }

    fn deviation(&self, value: f64) -> f64 {
        let difference = value - self.center;
        // A rule whose values hardly vary: a hundredth of its level counts as one σ.
        let scale = self.scale.max(0.01 * self.center.abs()).max(f64::MIN_POSITIVE);
        (difference / scale).clamp(-VALUE_LIMIT, VALUE_LIMIT)
    }
}

/// The `limit` entries with the highest count, ties by name.
fn most_frequent<V>(all: BTreeMap<&str, V>, limit: usize, count: impl Fn(&V) -> usize) -> Vec<(&str, V)> {
    let mut entries: Vec<_> = all.into_iter().collect();
    entries.sort_by_key(|(_, v)| std::cmp::Reverse(count(v)));
    entries.truncate(limit);
    entries
}
