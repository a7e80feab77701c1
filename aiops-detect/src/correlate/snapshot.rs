//! The state in a file.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::Topology;
use aiops_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::config::CorrelatorConfig;
use super::correlator::{CorrelationStats, Correlator, locus_of};
use super::graph::Graph;
use super::group::{Group, Index};
use super::limit::Limiter;
use super::pace::Pace;
use super::quiet::Events;
use super::relation::{AlertId, IncidentNumber};
use super::state::Record;
use super::text::Vocabulary;

/// Version of the format that [`Correlator`] serialises to.
pub const SNAPSHOT_VERSION: u32 = 2;

/// What is stored; everything else follows from it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Snapshot {
    version: u32,
    config: CorrelatorConfig,
    topology: Topology,
    vocabulary: Vocabulary,
    limiter: Limiter,
    events: Events,
    pace: Pace,
    records: Vec<Record>,
    groups: Vec<Group>,
    storm: Option<IncidentNumber>,
    next_alert: u64,
    next_incident: u64,
    stats: CorrelationStats,
    /// Alerts that a later firing with the same fingerprint took the place of.
    superseded: BTreeSet<AlertId>,
}

/// A stored correlator goes on as if it had never been away. Its topology is part of it.
impl Serialize for Correlator {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let superseded = self.records.values().filter(|r| self.known.get(&r.fingerprint) != Some(&r.id));
        Snapshot {
            version: SNAPSHOT_VERSION,
            config: self.config.clone(),
            topology: self.topology.clone(),
            vocabulary: self.vocabulary.clone(),
            limiter: self.limiter.clone(),
            events: self.events.clone(),
            pace: self.pace.clone(),
            superseded: superseded.map(|record| record.id).collect(),
            records: self.records.values().cloned().collect(),
            groups: self.groups.values().cloned().collect(),
            storm: self.storm,
            next_alert: self.next_alert,
            next_incident: self.next_incident,
            stats: self.stats,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Correlator {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Snapshot::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl TryFrom<Snapshot> for Correlator {
    type Error = Error;

    fn try_from(stored: Snapshot) -> Result<Self, Error> {
        if stored.version != SNAPSHOT_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "a stored correlator of another version")
                .with("version", stored.version)
                .with("known", SNAPSHOT_VERSION));
        }
        let invalid = |what: &'static str| Error::new(ErrorKind::Invalid, what);
        let options = stored.config.options();
        let mut records: BTreeMap<AlertId, Record> = stored.records.into_iter().map(|r| (r.id, r)).collect();
        let groups: BTreeMap<IncidentNumber, Group> =
            stored.groups.into_iter().map(|g| (g.number, g)).collect();
        if records.len() > options.max_alerts || groups.len() > options.max_incidents.saturating_mul(2) {
            return Err(invalid("more alerts or incidents are stored than the configuration allows"));
        }
        let numbered = records.last_key_value().is_none_or(|(id, _)| id.0 < stored.next_alert)
            && groups.last_key_value().is_none_or(|(number, _)| number.0 < stored.next_incident)
            && stored.storm.is_none_or(|storm| groups.contains_key(&storm));
        // Every alert is where its incident says, and every incident has what it lists.
        let housed = records.values().all(|record| match record.incident {
            Some(number) => groups.get(&number).is_some_and(|group| group.members.contains(&record.id)),
            None => true,
        });
        let listed = groups.values().all(|group| {
            group.is_sound()
                && group
                    .members
                    .iter()
                    .all(|id| records.get(id).is_some_and(|r| r.incident == Some(group.number)))
        });
        let sound = records.values().all(|record| {
            record.words.is_sound()
                && record.links.iter().all(|link| link.alert == record.id && link.strength.is_finite())
                && (record.held.is_none() || record.incident.is_none())
        });
        if !(numbered && housed && listed && sound) {
            return Err(invalid("stored alerts and incidents do not fit together"));
        }
        if !stored.vocabulary.is_sound()
            || !stored.limiter.is_sound(&options.limits)
            || !stored.events.is_sound(options.max_events)
            || !stored.pace.is_sound(options)
        {
            return Err(invalid("a stored count is not one of a stream of alerts"));
        }
        let mut correlator = Self::new(stored.config);
        correlator.graph = Graph::new(&stored.topology);
        correlator.topology = stored.topology;
        correlator.vocabulary = stored.vocabulary;
        correlator.limiter = stored.limiter;
        correlator.events = stored.events;
        correlator.pace = stored.pace;
        correlator.events.reindex(&correlator.graph);
        correlator.groups = groups;
        correlator.storm = stored.storm;
        correlator.next_alert = stored.next_alert;
        correlator.next_incident = stored.next_incident;
        correlator.stats = stored.stats;
        let options = correlator.config.options();
        let mut index = Index::default();
        for record in records.values_mut() {
            record.derive(&correlator.graph, options);
            if record.locus != locus_of(&record.alert.entity, &correlator.graph, options) {
                return Err(invalid("a stored alert is not about what the stored topology says"));
            }
            if !stored.superseded.contains(&record.id)
                && correlator.known.insert(record.fingerprint, record.id).is_some()
            {
                return Err(invalid("two stored alerts have one fingerprint"));
            }
            correlator.recency.insert((record.critical(), record.last_seen, record.id));
            if let Some(hold) = &record.held {
                correlator.held.insert((hold.until, record.id));
            }
            index.add(record);
            correlator.bytes += record.bytes();
        }
        correlator.groups.values().for_each(|group| index.add_group(group, &correlator.graph));
        correlator.index = index;
        correlator.records = records;
        Ok(correlator)
    }
}
