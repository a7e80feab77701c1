//! Which series of a window left their norm: the recent part of each series against its reference part.
//! // CMP-01, CMP-02, CMP-03
//!
//! # Method
//! For each series a [`Reference`] is estimated from the samples before the recent part: the median, and as scale the
//! largest of several estimates and floors ([`ScaleSource`]), because on short windows of real telemetry each single
//! one is wrong somewhere: the MAD vanishes on mostly-equal samples, σ follows outliers, neither sees
//! autocorrelation, a quiet gauge makes every flicker a 100 σ event.
//! Samples beyond 3 σ are kept. A **finding** needs more: the deviation persists (m of n samples), its persistent
//! level reaches 4.5 σ and is twice what the same series did in its own reference. That last rule needs no
//! distribution: bursts, periodic jobs and sawtooths raise their own bar.
//! An excursion that began before the recent part is judged against the samples before its onset only.
//!
//! # Limits
//! Measured on synthetic healthy signals (`tests/it/healthy.rs`; 3,000 series-hours of noise, skew, heavy tails, counts,
//! bursts, sawtooths, periodic jobs): about one false finding in 3,000 series-hours. A signal whose own pace is
//! slower than the window cannot be told from a fault by looking at the window alone: one that switches at random
//! between two levels every 10 samples is reported now and then on windows of 60 to 120 samples, a strongly
//! autocorrelated one (0.9 per sample, spread 14 % of the level) about once in 10 hours at any length. Longer windows
//! or fitted references are the answer. A fault older than half of the reference part is the norm, not a finding;
//! fitted references again are the answer.
//!
//! Everything is deterministic; the result does not depend on the order of series in the window.

mod config;
mod rank;
mod reference;
mod series;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use aiops_core::model::{EntityId, MetricSeries, SeriesKey, TelemetryWindow, TimeRange};

pub use config::{DeviationConfig, DeviationOptions};
pub use rank::{EntityRank, MetricRank, rank_entities, rank_metrics};
pub use reference::{Reference, ScaleSource};
pub use series::{Finding, KeptSample, SeriesDeviation, Skipped};

/// A series and what was found in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Deviating<'w> {
    /// The series.
    pub series: &'w MetricSeries,
    /// What was found.
    pub deviation: SeriesDeviation,
}

impl Deviating<'_> {
    /// What this series weighs in a ranking: the highest persistent level of its findings in σ, 0 without findings.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.deviation.findings.iter().map(|finding| finding.level_sigma).fold(0.0, f64::max)
    }
}

/// What the comparison of a window gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviationReport<'w> {
    /// Series with at least one kept sample, ordered by entity and key.
    pub deviating: Vec<Deviating<'w>>,
    /// Series compared.
    pub compared: usize,
    /// Series not compared, by reason.
    pub skipped: BTreeMap<Skipped, usize>,
    /// Samples that were NaN, infinite or too large, and left out.
    pub unusable_samples: usize,
}

impl<'w> DeviationReport<'w> {
    /// Adds what the comparison of other series gave: reports of shards, each over some of the series, joined in any order
    /// are the report over all of them, exactly. // CMP-07
    ///
    /// Rankings are made from the joined report: those of shards lack what each of them cut. O(n log n) in the series.
    pub fn merge(&mut self, other: Self) {
        self.deviating.extend(other.deviating);
        self.compared += other.compared;
        self.unusable_samples += other.unusable_samples;
        for (reason, series) in other.skipped {
            *self.skipped.entry(reason).or_default() += series;
        }
        self.sort();
    }

    /// Orders by entity and key; series that share both, by what was kept of them.
    fn sort(&mut self) {
        self.deviating.sort_by(|a, b| {
            let identity = (a.series.entity(), a.series.key()).cmp(&(b.series.entity(), b.series.key()));
            let (mine, theirs) = (&a.deviation.kept, &b.deviation.kept);
            let samples = mine.iter().zip(theirs);
            let differ = samples
                .map(|(a, b)| a.time.cmp(&b.time).then(a.value.total_cmp(&b.value)))
                .find(|order| order.is_ne());
            identity.then(mine.len().cmp(&theirs.len())).then(differ.unwrap_or(Ordering::Equal))
        });
    }

    /// Series with findings.
    pub fn with_findings(&self) -> impl Iterator<Item = &Deviating<'w>> {
        self.deviating.iter().filter(|deviating| !deviating.deviation.findings.is_empty())
    }
}

/// References learned beforehand, by entity and series.
pub type References = BTreeMap<(EntityId, SeriesKey), Reference>;

/// Compares the recent part of every series of `window` with its reference: the one in `fitted` where there is one,
/// else the earlier part of the window itself. O(n log n) in the samples of each series.
#[must_use]
pub fn deviations<'w>(
    window: &'w TelemetryWindow,
    fitted: &References,
    config: &DeviationConfig,
) -> DeviationReport<'w> {
    let mut report = DeviationReport::default();
    for series in &window.metrics {
        let samples = series::Samples::of(series, window.range);
        report.unusable_samples += samples.unusable;
        let fitted = (!fitted.is_empty())
            .then(|| (series.entity().clone(), series.key().clone()))
            .and_then(|key| fitted.get(&key));
        match series::compare(series, &samples, window.range, fitted, config) {
            Ok(deviation) => {
                report.compared += 1;
                if !deviation.kept.is_empty() {
                    report.deviating.push(Deviating { series, deviation });
                }
            }
            Err(reason) => *report.skipped.entry(reason).or_default() += 1,
        }
    }
    report.sort();
    report
}

/// Learns what is normal for every series of a window that is known to be healthy, from all of its samples.
///
/// Returns the references, and how many series had too few samples or were running totals. Of several series with the
/// same entity and key the last counts.
#[must_use]
pub fn learn(window: &TelemetryWindow, config: &DeviationConfig) -> (References, BTreeMap<Skipped, usize>) {
    let mut references = References::new();
    let mut skipped = BTreeMap::new();
    for series in &window.metrics {
        match series::learn(series, window.range, config) {
            Ok(reference) => {
                references.insert((series.entity().clone(), series.key().clone()), reference);
            }
            Err(reason) => *skipped.entry(reason).or_default() += 1,
        }
    }
    (references, skipped)
}

/// The recent part of `range`.
#[must_use]
pub fn recent_part(range: TimeRange, config: &DeviationConfig) -> TimeRange {
    TimeRange::ending_at(range.end(), range.length().mul_f64(config.options().recent_share))
}
