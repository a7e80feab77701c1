//! What deviating metrics are worth: by certainty, by what they speak of, and by what requests lose.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{EntityId, EvidenceKind, MetricKind, MetricSeries, TelemetryWindow, TimeRange};

use super::evidence::{Callers, Evidence, Family, strength};
use super::meaning::{Harm, Meaning, Subject, meaning};
use super::metrics::describe;
use super::{Finding, WeightOptions, WindowConfig};
use crate::deviation::{DeviationConfig, DeviationOptions, DeviationReport, References, deviations, learn};
use crate::order::{quantile_of_sorted, sorted};

/// How metrics of failures are compared: a small share of failures matters, of a level that is near 100 %.
fn of_failures(config: &DeviationConfig, options: &WeightOptions) -> DeviationConfig {
    let floor = options.failure_floor;
    let of_failures = DeviationOptions { relative_floor: floor, constant_floor: floor, ..*config.options() };
    // Only floors that are checked already differ.
    DeviationConfig::try_from(of_failures).unwrap_or(*config)
}

/// The series of a window of `range`, those of failures apart.
fn apart(range: TimeRange, metrics: impl IntoIterator<Item = MetricSeries>) -> [TelemetryWindow; 2] {
    let [mut failures, mut rest] = [TelemetryWindow::new(range), TelemetryWindow::new(range)];
    for series in metrics {
        let part = if meaning(&series).subject == Subject::Failures { &mut failures } else { &mut rest };
        part.metrics.push(series);
    }
    [failures, rest]
}

/// What is normal for the series of a window that is known to be healthy.
pub(super) fn references(window: &TelemetryWindow, config: &WindowConfig) -> References {
    let [failures, rest] = apart(window.range, window.metrics.iter().cloned());
    let (mut references, _) = learn(&rest, &config.deviation);
    references.extend(learn(&failures, &of_failures(&config.deviation, config.weights.options())).0);
    references
}

/// Series to compare.
pub(super) struct Compared {
    parts: [TelemetryWindow; 2],
}

impl Compared {
    pub(super) fn new(range: TimeRange, metrics: Vec<MetricSeries>) -> Self {
        Self { parts: apart(range, metrics) }
    }

    pub(super) fn report(&self, references: &References, config: &WindowConfig) -> DeviationReport<'_> {
        let [failures, rest] = &self.parts;
        let mut report = deviations(rest, references, &config.deviation);
        let of_failures = of_failures(&config.deviation, config.weights.options());
        report.merge(deviations(failures, references, &of_failures));
        report
    }

    fn series(&self) -> impl Iterator<Item = &MetricSeries> {
        self.parts.iter().flat_map(|part| &part.metrics)
    }
}

/// Longest chain of calls along which costs are followed.
const ROUNDS: usize = 32;

/// What one entity's requests cost more: seconds or failures a second (or whatever traffic counts), as far as metrics say how
/// many requests there are.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    traffic: Option<f64>,
    /// Rank of the series it is from (means before low quantiles before high ones), and the rise.
    slower: Option<(f64, f64)>,
    failing: Option<f64>,
}

impl Cost {
    fn of(&self, subject: Subject) -> Option<f64> {
        let rise = match subject {
            Subject::Latency => self.slower.map(|(_, rise)| rise),
            _ => self.failing,
        };
        Some(self.traffic? * rise?.max(0.0))
    }

    fn add(&mut self, series: &MetricSeries, meaning: Meaning, was: Option<f64>, now: &Level) {
        match (meaning.subject, was) {
            // No sample, no request.
            (Subject::Traffic, _) => {
                self.traffic = Some(self.traffic.unwrap_or(0.0).max(now.mean * now.covered));
            }
            (Subject::Latency, Some(was)) => {
                // The quantile is not known by number; the lowest lies lowest.
                let rank = if series.kind() == MetricKind::Quantile { 1.0 + was.max(0.0) } else { 0.0 };
                if self.slower.is_none_or(|(known, _)| rank < known) {
                    self.slower = Some((rank, now.mean - was));
                }
            }
            (Subject::Failures, Some(was)) => {
                let worse = if meaning.harm == Harm::Lower { was - now.mean } else { now.mean - was };
                self.failing = Some(self.failing.unwrap_or(0.0).max(worse));
            }
            _ => {}
        }
    }
}

/// The recent samples of a series: their mean over the deciles 1, 3, 5, 7 and 9, and the share that exists.
struct Level {
    mean: f64,
    covered: f64,
}

impl Level {
    fn of(series: &MetricSeries, recent: TimeRange) -> Option<Self> {
        let slots = series.times().iter().filter(|time| recent.contains(*time)).count();
        let inside = series.points().filter(|(time, value)| recent.contains(*time) && value.is_finite());
        let values = sorted(inside.map(|(_, value)| value));
        let mut sum = 0.0;
        for q in [0.1, 0.3, 0.5, 0.7, 0.9] {
            sum += quantile_of_sorted(&values, q)?;
        }
        Some(Self { mean: sum / 5.0, covered: values.len() as f64 / slots.max(1) as f64 })
    }
}

/// Share of the largest cost that arises at each entity and not at those it calls: requests times what each costs more is
/// conserved along calls.
fn shares(costs: &BTreeMap<&EntityId, Cost>, subject: Subject, calls: &Callers) -> BTreeMap<EntityId, f64> {
    let cost = |e: &EntityId| costs.get(e).and_then(|c| c.of(subject));
    let whole = costs.values().filter_map(|c| c.of(subject)).fold(0.0, f64::max);
    // Through callers flows no more than they themselves suffer. From above, so that circles settle.
    let mut flows: BTreeMap<&EntityId, f64> = costs.keys().filter_map(|e| Some((*e, cost(e)?))).collect();
    for _ in 0..ROUNDS {
        let mut settled = true;
        for (entity, was) in flows.clone() {
            // Whose cost is not known lets everything through.
            let through = calls.callers(entity).map(|c| flows.get(c).copied().unwrap_or(f64::INFINITY));
            let arriving = through.reduce(|a, b| a + b).unwrap_or(f64::INFINITY);
            if arriving < was {
                flows.insert(entity, arriving);
                settled = false;
            }
        }
        if settled {
            break;
        }
    }
    let own = |e: &EntityId| {
        let below: f64 = calls.callees(e).filter_map(cost).sum();
        let own = (cost(e)? - below).min(*flows.get(e)?);
        Some(if whole > 0.0 { (own / whole).clamp(0.0, 1.0) } else { 0.0 })
    };
    costs.keys().filter_map(|e| Some(((*e).clone(), own(e)?))).collect()
}

/// What is known of the window beside its metrics.
pub(super) struct Beside<'a> {
    pub(super) range: TimeRange,
    pub(super) references: &'a References,
    pub(super) recent: TimeRange,
    pub(super) calls: &'a Callers,
    /// Entities whose spans tell how long they take.
    pub(super) spans_tell: &'a BTreeSet<EntityId>,
}

/// What deviating series are worth, of all that were compared.
pub(super) fn metric_evidence(
    compared: &Compared,
    report: &DeviationReport<'_>,
    beside: &Beside<'_>,
    options: &WeightOptions,
) -> Vec<Evidence> {
    let centers: BTreeMap<_, f64> = report
        .deviating
        .iter()
        .map(|d| ((d.series.entity(), d.series.key()), d.deviation.reference.center))
        .collect();
    let mut costs: BTreeMap<&EntityId, Cost> = BTreeMap::new();
    // By name: what metrics of memory were before, over entities.
    let mut memory: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    // By entity and resource: how much of it is used, in percent.
    let mut used: BTreeMap<(&EntityId, Subject), f64> = BTreeMap::new();
    for series in compared.series() {
        let meaning = meaning(series);
        let known = centers.get(&(series.entity(), series.key())).copied();
        let was = known.or_else(|| {
            let key = (series.entity().clone(), series.key().clone());
            beside.references.get(&key).map(|reference| reference.center)
        });
        if meaning.host {
            continue;
        }
        if meaning.subject == Subject::Memory {
            memory.entry(&series.key().name).or_default().extend(was.map(f64::abs));
        }
        let Some(level) = Level::of(series, beside.recent) else { continue };
        if !meaning.client {
            costs.entry(series.entity()).or_default().add(series, meaning, was, &level);
        }
        if let Some(factor) = percent(series) {
            let used = used.entry((series.entity(), meaning.subject)).or_default();
            *used = used.max(level.mean * factor);
        }
    }
    let (slower, failing) =
        (shares(&costs, Subject::Latency, beside.calls), shares(&costs, Subject::Failures, beside.calls));
    let usual: BTreeMap<&str, f64> = memory
        .into_iter()
        .filter_map(|(name, levels)| Some((name, quantile_of_sorted(&sorted(levels), 0.5)?)))
        .collect();
    let mut found = Vec::new();
    for deviating in &report.deviating {
        let series = deviating.series;
        let (entity, meaning) = (series.entity(), meaning(series));
        for finding in &deviating.deviation.findings {
            let up = finding.magnitude > 0.0;
            let harm = match meaning.harm {
                Harm::Either => options.either,
                Harm::Higher if up => 1.0,
                Harm::Lower if !up => 1.0,
                _ => options.relief,
            };
            let mut worth = strength(finding.level_sigma);
            let mut weight = harm * meaning.subject.weight(options);
            weight *= if meaning.client { options.client_side } else { 1.0 };
            weight *= if meaning.host { options.host_metric } else { 1.0 };
            let mut exclusive = false;
            match meaning.subject {
                Subject::Latency | Subject::Failures => {
                    worth = worth.min(options.sure);
                    let shares = if meaning.subject == Subject::Latency { &slower } else { &failing };
                    if let Some(share) = shares.get(entity) {
                        weight *= share.max(options.unaccounted);
                        exclusive = true;
                    }
                    if meaning.subject == Subject::Latency && beside.spans_tell.contains(entity) {
                        weight *= options.told_by_spans;
                    }
                }
                Subject::Memory => {
                    // Memory hardly varies, so that σ says little about how much was added, nor does growth of next to
                    // nothing: it is measured by what others have.
                    let from = deviating.deviation.reference.center.abs();
                    let others = usual.get(series.key().name.as_str()).copied().unwrap_or(0.0);
                    let grown = finding.magnitude.abs() / from.max(others).max(f64::MIN_POSITIVE);
                    weight *= (grown / options.growth).min(1.0);
                }
                _ => {}
            }
            if matches!(meaning.subject, Subject::Processor | Subject::Memory | Subject::Resource)
                && let Some(level) = used.get(&(entity, meaning.subject))
            {
                weight *= (level / options.busy).clamp(options.idle, 1.0);
            }
            let family = match meaning.subject {
                Subject::Latency => Family::Time,
                Subject::Failures => Family::Outcome,
                _ => Family::Own,
            };
            let text = format!("{}: {}", series.key(), describe(finding, deviating, beside.range));
            let strength = worth * weight;
            let finding = Finding::new(entity.clone(), EvidenceKind::Anomaly, finding.onset, strength, text);
            found.push(Evidence { finding, aspect: meaning.subject.aspect(), family, strength, exclusive });
        }
    }
    found
}

/// Factor from the series' values to percent of what there is, where it is such a share.
fn percent(series: &MetricSeries) -> Option<f64> {
    match (series.unit().0.as_str(), series.kind()) {
        ("%", _) => Some(1.0),
        (_, MetricKind::Ratio) => Some(100.0),
        _ => None,
    }
}
