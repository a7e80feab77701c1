use std::collections::{BTreeMap, BTreeSet};

use aiops_compact::ConfigError;
use aiops_compact::deviation::{DeviationConfig, DeviationOptions};
use aiops_core::model::{
    Anomaly, Direction, EntityId, EntityKind, FetchRequest, MatchOp, Selector, SeriesKey, Severity, Signal,
    TelemetryWindow,
};
use serde::{Deserialize, Serialize};

use super::signals::{check_names, deviating, named, names};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::{check, check_count};

/// When a way through the network is at fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkPathOptions {
    /// Metrics between two ends that rise when the way is bad: loss, retransmissions, round-trip times.
    pub metrics: Vec<String>,
    /// Labels that name the end that sends; without one it is what the series is about.
    pub from: Vec<String>,
    /// Labels that name the other end.
    pub to: Vec<String>,
    /// When a series deviates.
    pub deviation: DeviationOptions,
    /// Fewest ways of an end, all of them bad, to hold the end to be at fault, 2 to 1000. Default 2.
    pub min_ways: usize,
    /// Largest share of all ways that may be bad, more than 0 to 1: when more are, it is the measuring, or everything. Default 0.75.
    pub most: f64,
}

impl Default for NetworkPathOptions {
    fn default() -> Self {
        Self {
            metrics: names(&[
                "network.path.loss",
                "network.path.rtt",
                "network.peer.retransmits",
                "probe_icmp_duration_seconds",
                "tcp_rtt_seconds",
                "tcp_retransmits_total",
            ]),
            from: names(&["source.address", "client.address", "source", "src"]),
            to: names(&[
                "destination.address",
                "server.address",
                "network.peer.address",
                "destination",
                "dst",
            ]),
            deviation: DeviationOptions::default(),
            min_ways: 2,
            most: 0.75,
        }
    }
}

impl Options for NetworkPathOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        let lists = [("metrics", &self.metrics), ("from", &self.from), ("to", &self.to)];
        lists.into_iter().try_for_each(|(field, list)| check_names(field, list))?;
        DeviationConfig::try_from(self.deviation)?;
        check_count("min_ways", self.min_ways, 2..=1000, "2 to 1000 ways")?;
        check("most", self.most, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")
    }
}

/// Where in the network a fault is, from which ways are bad and which are not: the smallest set of ends and ways that explains it
/// (boolean network tomography; Duffield, *Network tomography of binary network performance characteristics*, 2006). An end all of
/// whose ways are bad explains them; a bad way between two ends that reach others well is itself at fault.
///
/// *Needs* loss, round-trip times or retransmissions with both ends in the labels, of several pairs.
/// *Is none:* when nearly all ways are bad at once, none is singled out.
/// *Does not see* which hop of a way it is, which takes a trace of its route; nor tells a host whose network is bad from one that is
/// overloaded.
#[derive(Debug, Clone, Copy)]
pub struct NetworkPath;

/// [`NetworkPath`] behind its seam.
pub type NetworkPathDetector = UseCaseDetector<NetworkPath>;

/// From where to where.
type Way = (String, String);

fn way(options: &NetworkPathOptions, entity: &EntityId, key: &SeriesKey) -> Option<Way> {
    let label = |labels: &[String]| {
        labels.iter().find_map(|label| key.labels.get(label)).filter(|end| !end.is_empty()).map(str::to_owned)
    };
    let from = label(&options.from).unwrap_or_else(|| entity.name().to_owned());
    let to = label(&options.to)?;
    (from != to && !from.is_empty()).then_some((from, to))
}

/// Ends all of whose ways are bad, the one that explains most first, until none explains `min_ways` more; and the bad ways that
/// are left.
fn explain(
    options: &NetworkPathOptions,
    all: &BTreeSet<Way>,
    bad: &BTreeSet<&Way>,
) -> (Vec<(String, Vec<Way>)>, Vec<Way>) {
    let mut ways: BTreeMap<&str, Vec<&Way>> = BTreeMap::new();
    for way in all {
        ways.entry(&way.0).or_default().push(way);
        ways.entry(&way.1).or_default().push(way);
    }
    ways.retain(|_, own| own.iter().all(|way| bad.contains(way)));
    let mut left: BTreeSet<&Way> = bad.clone();
    let mut ends = Vec::new();
    loop {
        let explains = |own: &Vec<&Way>| own.iter().filter(|way| left.contains(**way)).count();
        let best = ways.iter().max_by(|a, b| explains(a.1).cmp(&explains(b.1)).then(b.0.cmp(a.0)));
        let Some((end, own)) = best.filter(|(_, own)| explains(own) >= options.min_ways) else { break };
        let told: Vec<Way> =
            own.iter().filter(|way| left.contains(**way)).map(|way| (*way).clone()).collect();
        own.iter().for_each(|way| {
            left.remove(way);
        });
        ends.push(((*end).to_owned(), told));
    }
    (ends, left.into_iter().cloned().collect())
}

/// The read that shows a series again, whoever measured it: what is found is about the network.
fn anywhere(window: &TelemetryWindow, series: &SeriesKey, own: &FetchRequest) -> FetchRequest {
    let mut selector = Selector::all().with_metric(series.name.clone());
    for (label, value) in series.labels.iter() {
        selector = selector.with_matcher(label, MatchOp::Equal, value);
    }
    FetchRequest::new(window.range)
        .with_signals(Signal::Metrics.into())
        .with_selector(selector)
        .with_step(own.step)
}

impl UseCase for NetworkPath {
    const ID: &'static str = "network-path";

    type Options = NetworkPathOptions;

    fn look(options: &NetworkPathOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let series = named(window, &options.metrics);
        let all: BTreeSet<Way> = series.iter().filter_map(|s| way(options, s.entity(), s.key())).collect();
        let mut bad: BTreeMap<Way, Anomaly> = BTreeMap::new();
        for anomaly in deviating(window, &options.metrics, options.deviation) {
            let Some(way) = way(options, &anomaly.entity, &anomaly.series) else { continue };
            // What is over by now is no fault of now; of several findings about one way, the gravest.
            if anomaly.direction() != Direction::Up || !anomaly.ongoing {
                continue;
            }
            let graver = |known: &Anomaly| (anomaly.severity, anomaly.sigma) > (known.severity, known.sigma);
            if bad.get(&way).is_none_or(graver) {
                bad.insert(way, anomaly);
            }
        }
        if bad.is_empty() || bad.len() as f64 > options.most * all.len() as f64 {
            return Vec::new();
        }
        let (ends, ways) = explain(options, &all, &bad.keys().collect());
        let mut found = Vec::new();
        let mut tell = |name: String, of: &[Way], evidence: String| {
            let told = of.iter().filter_map(|way| bad.get(way));
            let Some(first) = told.clone().min_by_key(|a| (a.onset, &a.entity, &a.series)) else { return };
            let mut symptom = Symptom::told(first.clone(), evidence);
            symptom.entity = EntityId::new(EntityKind::Network, name);
            symptom.reread = anywhere(window, &symptom.series, &symptom.reread);
            symptom.last = told.clone().map(|a| a.last).max().unwrap_or(symptom.last);
            symptom.severity = told.map(|a| a.severity).max().unwrap_or(Severity::Warning);
            found.push(symptom);
        };
        for (end, of) in &ends {
            tell(end.clone(), of, format!("all ways from and to {end} are bad: {}", of.len()));
        }
        for way in ways {
            let (from, to) = &way;
            let evidence = format!("the way from {from} to {to} is bad, and others from and to them are not");
            tell(format!("{from}->{to}"), std::slice::from_ref(&way), evidence);
        }
        found
    }
}
