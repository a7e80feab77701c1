use std::collections::BTreeMap;
use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::Result;
use aiops_core::model::{
    Anomaly, Direction, EntityId, FittedHash, Labels, MatchOp, Matcher, MetricKind, MetricSeries, SeriesKey,
    TelemetryWindow, TimeAxis,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::compare::{judge_all, raw_pairs};
use super::detector::{finding, worst};
use super::{CompareOptions, Comparison, Verdict};
use crate::checked::{Checked, Options};
use crate::error::check_count;
use crate::rolling::typical_step;

/// Which copies are compared, and when they differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CanaryOptions {
    /// When two samples differ.
    pub compare: CompareOptions,
    /// Labels of the series of copies with the new version. Default `deployment.track = canary`.
    pub canary: Vec<Matcher>,
    /// Labels of those with the old one. Default `deployment.track = baseline`: a fresh copy of the old version is
    /// fairer than the ones that have run for days (caches, heaps).
    pub baseline: Vec<Matcher>,
    /// Labels that tell copies apart and do not tell metrics apart, beside those of `canary` and `baseline`.
    pub copies: Vec<String>,
    /// Rows compared at most, 16 to 10⁶; of longer windows the latest. Default 10 000.
    pub max_rows: usize,
}

impl Default for CanaryOptions {
    fn default() -> Self {
        let track = |value: &str| {
            vec![Matcher {
                label: "deployment.track".to_owned(),
                op: MatchOp::Equal,
                value: value.to_owned(),
            }]
        };
        let copies = ["service.instance.id", "k8s.pod.name", "service.version", "instance", "pod"];
        Self {
            compare: CompareOptions::default(),
            canary: track("canary"),
            baseline: track("baseline"),
            copies: copies.map(str::to_owned).to_vec(),
            max_rows: 10_000,
        }
    }
}

impl Options for CanaryOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        self.compare.validate()?;
        check_count("max_rows", self.max_rows, 16..=1_000_000, "16 to 1000000 rows")?;
        for (field, matchers) in [("canary", &self.canary), ("baseline", &self.baseline)] {
            if matchers.is_empty() {
                return Err(ConfigError::new(field, "nothing", "at least one condition"));
            }
        }
        if self.canary == self.baseline {
            return Err(ConfigError::new("baseline", "the conditions of `canary`", "other conditions"));
        }
        Ok(())
    }
}

/// What one metric says of a canary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryAssessment {
    /// The service, or the copy where no service is known.
    pub entity: EntityId,
    /// Metric without the labels that tell copies apart.
    pub series: SeriesKey,
    /// Copies with the new version, and with the old one.
    pub copies: (usize, usize),
    /// Evidence and verdict; `before` is the baseline, `after` the canary.
    pub comparison: Comparison,
}

/// Finds metrics in which copies with the new version do worse than copies with the old one at the same instants.
///
/// Pure in (configuration, window). Copies of one side are averaged. One finding for each regressed metric, about the
/// first canary series of it, in the order of entity, series, onset; the onset is the first instant at which both were
/// seen. Running totals are not compared.
#[derive(Debug, Clone)]
pub struct CanaryDetector {
    config: Checked<CanaryOptions>,
    hash: FittedHash,
}

/// Series of one metric of one service.
#[derive(Default)]
struct Pair<'w> {
    canary: Vec<&'w MetricSeries>,
    baseline: Vec<&'w MetricSeries>,
}

/// Both sides at the instants at which both were seen.
struct Aligned {
    pairs: Vec<(f64, f64)>,
    first: Timestamp,
    last: Timestamp,
}

impl CanaryDetector {
    /// Name of this detector in findings.
    pub const ID: &'static str = "canary";

    /// Compares by this configuration.
    ///
    /// # Errors
    /// [`Internal`](aiops_core::ErrorKind::Internal) when the configuration cannot be hashed.
    pub fn new(config: Checked<CanaryOptions>) -> Result<Self> {
        let hash = crate::state::hash(&config)?;
        Ok(Self { config, hash })
    }

    /// What each metric says, by entity and series, and the verdict on the canary as a whole.
    #[must_use]
    pub fn assess(&self, window: &TelemetryWindow) -> (Verdict, Vec<CanaryAssessment>) {
        let assessed: Vec<CanaryAssessment> =
            self.compare(window).into_iter().map(|(assessment, _)| assessment).collect();
        (worst(assessed.iter().map(|a| a.comparison.verdict)), assessed)
    }

    /// The synchronous form of [`Detector::detect`](aiops_core::seam::Detector::detect).
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        let mut found: Vec<Anomaly> =
            self.compare(window).into_iter().filter_map(|(_, anomaly)| anomaly).collect();
        found.sort_by(|a, b| (&a.entity, &a.series, a.onset).cmp(&(&b.entity, &b.series, b.onset)));
        found
    }

    fn compare(&self, window: &TelemetryWindow) -> Vec<(CanaryAssessment, Option<Anomaly>)> {
        let options = self.config.options();
        let mut groups: BTreeMap<(EntityId, SeriesKey), Pair<'_>> = BTreeMap::new();
        let mut ordered: Vec<&MetricSeries> =
            window.metrics.iter().filter(|s| s.kind() != MetricKind::Counter).collect();
        ordered.sort_by(|a, b| (a.entity(), a.key()).cmp(&(b.entity(), b.key())));
        for series in ordered {
            let labels = &series.key().labels;
            let all = |matchers: &[Matcher]| matchers.iter().all(|m| m.matches(labels));
            let (canary, baseline) = (all(&options.canary), all(&options.baseline));
            if canary == baseline {
                continue;
            }
            let group = groups.entry(self.group_of(series, window)).or_default();
            if canary { group.canary.push(series) } else { group.baseline.push(series) }
        }
        groups.retain(|_, pair| !pair.canary.is_empty() && !pair.baseline.is_empty());
        let aligned: Vec<Aligned> = groups.values().map(|pair| self.align(pair, window)).collect();
        let mut compared: Vec<(Comparison, Option<Direction>)> = groups
            .keys()
            .zip(&aligned)
            .map(|((_, key), aligned)| (raw_pairs(&aligned.pairs), options.compare.worse(&key.name)))
            .collect();
        judge_all(&mut compared, &options.compare);
        let parts = groups.into_iter().zip(aligned).zip(compared);
        parts
            .map(|((((entity, series), pair), aligned), (comparison, _))| {
                let anomaly = self.anomaly(&pair, &aligned, &comparison, window);
                let copies = (pair.canary.len(), pair.baseline.len());
                (CanaryAssessment { entity, series, copies, comparison }, anomaly)
            })
            .collect()
    }

    /// The service a series belongs to, and its key without what tells copies apart.
    fn group_of(&self, series: &MetricSeries, window: &TelemetryWindow) -> (EntityId, SeriesKey) {
        let options = self.config.options();
        let mut labels: Labels = series.key().labels.clone();
        let service = labels.get("service.name").map(EntityId::service);
        let sides = options.canary.iter().chain(&options.baseline).map(|m| &m.label);
        for label in sides.chain(&options.copies) {
            labels.remove(label);
        }
        let whole = window.topology.whole(series.entity());
        let entity = if whole == series.entity() { service } else { None };
        (entity.unwrap_or_else(|| whole.clone()), SeriesKey { name: series.key().name.clone(), labels })
    }

    fn align(&self, pair: &Pair<'_>, window: &TelemetryWindow) -> Aligned {
        let none = Aligned { pairs: Vec::new(), first: window.range.start(), last: window.range.start() };
        let steps = pair.canary.iter().chain(&pair.baseline).filter_map(|s| typical_step(s.times()));
        let Some(step) = steps.max().filter(|step| !step.is_zero()) else { return none };
        let rows = self.config.options().max_rows;
        let longest = step.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX));
        let mut range = window.range;
        if range.length() > longest {
            range = aiops_core::model::TimeRange::ending_at(range.end(), longest);
        }
        let Ok(axis) = TimeAxis::covering(range, step) else { return none };
        let (canary, baseline) = (means(&pair.canary, &axis, step), means(&pair.baseline, &axis, step));
        let both: Vec<(Timestamp, (f64, f64))> = axis
            .iter()
            .zip(baseline.into_iter().zip(canary))
            .filter_map(|(t, (a, b))| Some((t, (a?, b?))))
            .collect();
        Aligned {
            first: both.first().map_or(none.first, |row| row.0),
            last: both.last().map_or(none.last, |row| row.0),
            pairs: both.into_iter().map(|row| row.1).collect(),
        }
    }

    fn anomaly(
        &self,
        pair: &Pair<'_>,
        aligned: &Aligned,
        comparison: &Comparison,
        window: &TelemetryWindow,
    ) -> Option<Anomaly> {
        let series = pair.canary.first()?;
        let after: Vec<f64> = aligned.pairs.iter().map(|pair| pair.1).collect();
        let options = &self.config.options().compare;
        let mut anomaly = finding(Self::ID, &self.hash, series, comparison, &after, options, window)?;
        (anomaly.onset, anomaly.last) = (aligned.first, aligned.last);
        Some(anomaly)
    }
}

/// Mean of the finite samples of all `series` at each instant of `axis`.
fn means(series: &[&MetricSeries], axis: &TimeAxis, step: Duration) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0.0); axis.len()];
    let Some(start) = axis.get(0) else { return Vec::new() };
    for (t, value) in series.iter().flat_map(|s| s.points()).filter(|(_, v)| v.is_finite()) {
        let Ok(offset) = Duration::try_from(t.duration_since(start)) else { continue };
        let row = usize::try_from(offset.as_nanos() / step.as_nanos().max(1)).unwrap_or(usize::MAX);
        if let Some((sum, count)) = sums.get_mut(row) {
            *sum += value;
            *count += 1.0;
        }
    }
    sums.into_iter().map(|(sum, count)| (count > 0.0).then_some(sum / count)).collect()
}

crate::seam::detector!(CanaryDetector);
