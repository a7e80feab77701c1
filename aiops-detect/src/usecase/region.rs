use std::collections::{BTreeMap, BTreeSet};

use aiops_compact::ConfigError;
use aiops_compact::deviation::{DeviationConfig, DeviationOptions};
use aiops_core::model::{Anomaly, Direction, EntityId, SeriesKey, Severity, TelemetryWindow};
use serde::{Deserialize, Serialize};

use super::signals::{check_names, deviating, increments, listed, named, names};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::{check, check_count};

/// When a region is down, or one is asked by those that have their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegionOutageOptions {
    /// Labels of series that name the region.
    pub region: Vec<String>,
    /// Metrics that rise when something is broken.
    pub errors: Vec<String>,
    /// Metrics that fall when something is broken.
    pub traffic: Vec<String>,
    /// Labels of calls that name the region they come from.
    pub from_region: Vec<String>,
    /// Labels of calls that name the region they go to.
    pub to_region: Vec<String>,
    /// Metrics of calls that have both.
    pub calls: Vec<String>,
    /// When a series deviates.
    pub deviation: DeviationOptions,
    /// Share of a region's entities that must be broken at once, more than 0 to 1. Default 0.5.
    pub share: f64,
    /// Share of another region's entities that may be, 0 to `share`: when more are, it is no region's fault. Default 0.25.
    pub elsewhere: f64,
    /// Fewest broken entities, 2 to 1000: one may break by itself. Default 2.
    pub min_entities: usize,
    /// By how much the share of calls that leave a region must rise, more than 0 to 1. Default 0.25.
    pub leaving: f64,
}

impl Default for RegionOutageOptions {
    fn default() -> Self {
        Self {
            region: names(&["cloud.region", "topology.kubernetes.io/region", "region"]),
            errors: names(&[
                "http.server.error_ratio",
                "rpc.server.error_ratio",
                "error_ratio",
                "probe_failures",
            ]),
            traffic: names(&["http.server.requests", "http_requests_total", "rpc.server.requests", "up"]),
            from_region: names(&["source.region", "client.region"]),
            to_region: names(&["destination.region", "server.region"]),
            calls: names(&["http.client.requests", "rpc.client.requests", "istio_requests_total"]),
            deviation: DeviationOptions::default(),
            share: 0.5,
            elsewhere: 0.25,
            min_entities: 2,
            leaving: 0.25,
        }
    }
}

impl Options for RegionOutageOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        let lists = [
            ("region", &self.region),
            ("errors", &self.errors),
            ("traffic", &self.traffic),
            ("from_region", &self.from_region),
            ("to_region", &self.to_region),
            ("calls", &self.calls),
        ];
        lists.into_iter().try_for_each(|(field, list)| check_names(field, list))?;
        DeviationConfig::try_from(self.deviation)?;
        check("share", self.share, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check("elsewhere", self.elsewhere, 0.0..=self.share, "0 to `share`")?;
        check_count("min_entities", self.min_entities, 2..=1000, "2 to 1000 entities")?;
        check("leaving", self.leaving, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")
    }
}

/// Two faults of regions. *An outage:* most entities of one region are broken at the same time, those of the others are not.
/// *A misconfiguration:* calls that used to stay in their region go to another one, though nothing is broken at home. A region
/// is a failure domain (Treynor et al., *The calculus of service availability*, 2017), so what breaks together in one has its
/// cause there.
///
/// *Needs* errors or traffic with a label of the region, of at least two regions; for the second, calls with the labels of both ends.
/// *Is none:* what is broken everywhere is no region's fault; calls that leave a region that is down are a failover that works; one
/// broken entity is its own matter.
/// *Does not see* a region that nothing reports from any more and that no series of the window names: that is the
/// collectors' health.
#[derive(Debug, Clone, Copy)]
pub struct RegionOutage;

/// [`RegionOutage`] behind its seam.
pub type RegionOutageDetector = UseCaseDetector<RegionOutage>;

fn label<'k>(key: &'k SeriesKey, labels: &[String]) -> Option<&'k str> {
    labels.iter().find_map(|label| key.labels.get(label)).filter(|value| !value.is_empty())
}

/// The findings that hold at the moment at which most entities are broken, the earliest such moment; at most one of an entity.
fn worst_moment(findings: &[Anomaly]) -> Vec<&Anomaly> {
    let at = |onset| {
        let mut told: BTreeSet<&EntityId> = BTreeSet::new();
        let mut holding: Vec<&Anomaly> =
            findings.iter().filter(|a| a.onset <= onset && onset <= a.last).collect();
        holding.sort_by(|a, b| (&a.entity, a.onset, &a.series).cmp(&(&b.entity, b.onset, &b.series)));
        holding.retain(|a| told.insert(&a.entity));
        holding
    };
    let mut onsets: Vec<_> = findings.iter().map(|a| a.onset).collect();
    onsets.sort_unstable();
    onsets.dedup();
    onsets.into_iter().rev().map(at).max_by_key(Vec::len).unwrap_or_default()
}

fn outages(options: &RegionOutageOptions, window: &TelemetryWindow) -> Vec<(String, Symptom)> {
    let mut measured: BTreeMap<&str, BTreeSet<&EntityId>> = BTreeMap::new();
    for series in named(window, &options.errors).into_iter().chain(named(window, &options.traffic)) {
        if let Some(region) = label(series.key(), &options.region) {
            measured.entry(region).or_default().insert(series.entity());
        }
    }
    let mut broken: BTreeMap<String, Vec<Anomaly>> = BTreeMap::new();
    for (list, bad) in [(&options.errors, Direction::Up), (&options.traffic, Direction::Down)] {
        for anomaly in deviating(window, list, options.deviation).into_iter().filter(|a| a.direction() == bad)
        {
            if let Some(region) = label(&anomaly.series, &options.region).map(str::to_owned) {
                broken.entry(region).or_default().push(anomaly);
            }
        }
    }
    let mut found = Vec::new();
    for (region, findings) in &broken {
        let hit = worst_moment(findings);
        let all = measured.get(region.as_str()).map_or(0, BTreeSet::len);
        if hit.len() < options.min_entities || (hit.len() as f64) < options.share * all as f64 {
            continue;
        }
        let Some(first) = hit.iter().min_by_key(|a| (a.onset, &a.entity)) else { continue };
        let Some(worst) = hit.iter().map(|a| a.onset).max() else { continue };
        let fine = |other: &str, entities: &BTreeSet<&EntityId>| {
            let hit: BTreeSet<&EntityId> = broken
                .get(other)
                .map_or(&[][..], Vec::as_slice)
                .iter()
                .filter(|a| a.onset <= worst && first.onset <= a.last)
                .map(|a| &a.entity)
                .collect();
            hit.len() as f64 <= options.elsewhere * entities.len() as f64
        };
        let others: Vec<_> = measured.iter().filter(|(other, _)| **other != region.as_str()).collect();
        if others.is_empty() || !others.iter().all(|(other, entities)| fine(other, entities)) {
            continue;
        }
        let evidence = format!(
            "{} of the {all} measured in {region} are broken at once ({}), elsewhere they are not",
            hit.len(),
            listed(hit.iter().map(|a| &a.entity)),
        );
        let mut symptom = Symptom::told((*first).clone(), evidence);
        symptom.last = hit.iter().map(|a| a.last).max().unwrap_or(symptom.last);
        symptom.ongoing = hit.iter().any(|a| a.ongoing);
        symptom.severity = Severity::Critical;
        found.push((region.clone(), symptom));
    }
    found
}

/// Calls of an entity by the region they come from: those that stay and those that leave, before and since an instant.
fn misdirected(
    options: &RegionOutageOptions,
    window: &TelemetryWindow,
    down: &BTreeSet<String>,
) -> Vec<Symptom> {
    let mut found: BTreeMap<(EntityId, String), Symptom> = BTreeMap::new();
    for rise in deviating(window, &options.calls, options.deviation) {
        let ends = label(&rise.series, &options.from_region).zip(label(&rise.series, &options.to_region));
        let Some((from, to)) = ends.filter(|(from, to)| from != to) else { continue };
        if rise.direction() != Direction::Up || down.contains(from) {
            continue;
        }
        // [before, since] of [stay, leave].
        let mut counts = [[0.0; 2]; 2];
        for series in named(window, &options.calls).into_iter().filter(|s| *s.entity() == rise.entity) {
            if label(series.key(), &options.from_region) != Some(from) {
                continue;
            }
            let leaves = label(series.key(), &options.to_region).is_some_and(|to| to != from);
            for (t, count) in increments(series, window) {
                let [before, since] = &mut counts;
                let [stay, leave] = if t < rise.onset { before } else { since };
                *if leaves { leave } else { stay } += count.max(0.0);
            }
        }
        let [was, is] = counts.map(|[stay, leave]| leave / (stay + leave));
        // NaN where nothing was called at all: then nothing is known of before, or of now.
        if is.is_nan() || was.is_nan() || is - was < options.leaving {
            continue;
        }
        let changed = window
            .changes
            .iter()
            .filter(|c| c.time <= rise.onset && c.entity == rise.entity)
            .max_by_key(|c| (c.time, &c.id.0));
        let after = changed.map_or_else(String::new, |change| format!(", after change {}", change.id));
        let evidence = format!(
            "{:.0} % of {}'s calls leave {from} where {:.0} % did, to {to}, and nothing is down there{after}",
            100.0 * is,
            rise.entity.name(),
            100.0 * was,
        );
        let key = (rise.entity.clone(), from.to_owned());
        let mut symptom = Symptom::told(rise, evidence);
        symptom.severity = Severity::Warning;
        found.entry(key).or_insert(symptom);
    }
    found.into_values().collect()
}

impl UseCase for RegionOutage {
    const ID: &'static str = "region-outage";

    type Options = RegionOutageOptions;

    fn look(options: &RegionOutageOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let outages = outages(options, window);
        let down: BTreeSet<String> = outages.iter().map(|(region, _)| region.clone()).collect();
        let mut found: Vec<Symptom> = outages.into_iter().map(|(_, symptom)| symptom).collect();
        found.extend(misdirected(options, window, &down));
        found
    }
}
