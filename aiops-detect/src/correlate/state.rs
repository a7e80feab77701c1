//! What is remembered: alerts, and the incidents they are in.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::jiff::Timestamp;
use aiops_core::model::{Alert, EntityId, Labels, Severity};
use serde::{Deserialize, Serialize};

use super::config::CorrelatorOptions;
use super::fingerprint::Fingerprint;
use super::graph::Graph;
use super::quiet::Hold;
use super::relation::{AlertId, IncidentNumber, Link};
use super::text::{self, Word, Words};

/// One alert from its first firing until it is forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) id: AlertId,
    pub(super) fingerprint: Fingerprint,
    pub(super) alert: Alert,
    /// What it is about, without what differs between copies.
    pub(super) locus: EntityId,
    pub(super) words: Words,
    /// Numbers of the changes that precede it and touch it.
    pub(super) changes: Vec<u64>,
    pub(super) incident: Option<IncidentNumber>,
    pub(super) held: Option<Hold>,
    pub(super) links: Vec<Link>,
    pub(super) onset: Timestamp,
    pub(super) first_seen: Timestamp,
    pub(super) last_seen: Timestamp,
    pub(super) resolved_at: Option<Timestamp>,
    /// Notifications, the first included.
    pub(super) count: u64,
    pub(super) flaps: u32,
    // What follows is derived from the above, the topology and the configuration.
    /// Node of `locus` in the graph.
    #[serde(skip)]
    pub(super) node: Option<usize>,
    #[serde(skip)]
    pub(super) scope: Vec<(String, String)>,
    #[serde(skip)]
    pub(super) near: Vec<(String, String)>,
}

impl Record {
    pub(super) fn derive(&mut self, graph: &Graph, options: &CorrelatorOptions) {
        self.node = graph.node(&self.locus);
        self.scope = pairs(&self.alert, &options.scope_labels);
        self.near = pairs(&self.alert, &options.near_labels);
    }

    pub(super) fn critical(&self) -> bool {
        self.alert.severity == Severity::Critical
    }

    /// Estimate of the memory it takes, with its places in the indices.
    pub(super) fn bytes(&self) -> usize {
        let labels = |labels: &Labels| labels.iter().map(|(k, v)| k.len() + v.len() + 64).sum::<usize>();
        let entity = self.alert.entity.name().len() + 3 * self.locus.name().len();
        let links: usize = self.links.iter().map(Link::bytes).sum();
        let index = 64 * (self.words.vector().count() + self.words.names.len() + self.changes.len() + 6);
        size_of::<Self>()
            + self.alert.name.len()
            + entity
            + labels(&self.alert.labels)
            + labels(&self.alert.annotations)
            + self.words.bytes()
            + links
            + index
    }
}

/// Cuts what an alert may bring to what is kept; whether anything was cut.
pub(super) fn trim(alert: &mut Alert, options: &CorrelatorOptions) -> bool {
    let most = options.max_label_bytes;
    let fits = |labels: &Labels| {
        labels.len() <= options.max_labels && labels.iter().all(|(k, v)| k.len() <= most && v.len() <= most)
    };
    let mut cut = false;
    if alert.name.len() > most {
        alert.name = head(&alert.name, most).to_owned();
        cut = true;
    }
    if alert.entity.name().len() > most {
        alert.entity = EntityId::new(alert.entity.kind(), head(alert.entity.name(), most));
        cut = true;
    }
    for labels in [&mut alert.labels, &mut alert.annotations] {
        if !fits(labels) {
            let kept = labels.iter().take(options.max_labels);
            *labels = kept.map(|(k, v)| (head(k, most), head(v, most))).collect();
            cut = true;
        }
    }
    cut
}

/// The longest beginning of `text` of at most `most` bytes.
fn head(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Alerts of an incident that are counted and no longer listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Folded {
    /// Informational ones.
    pub info: u64,
    /// Warnings.
    pub warning: u64,
    /// Critical ones.
    pub critical: u64,
}

impl Folded {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.info + self.warning + self.critical
    }

    pub(super) fn count(&mut self, severity: Severity) {
        let slot = match severity {
            Severity::Info => &mut self.info,
            Severity::Warning => &mut self.warning,
            Severity::Critical => &mut self.critical,
        };
        *slot = slot.saturating_add(1);
    }

    pub(super) fn add(&mut self, other: Self) {
        self.info = self.info.saturating_add(other.info);
        self.warning = self.warning.saturating_add(other.warning);
        self.critical = self.critical.saturating_add(other.critical);
    }
}

/// An open incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) number: IncidentNumber,
    pub(super) seed: Fingerprint,
    pub(super) seed_onset: Timestamp,
    pub(super) opened_at: Timestamp,
    pub(super) first_onset: Timestamp,
    pub(super) last_onset: Timestamp,
    pub(super) last_activity: Timestamp,
    pub(super) severity: Severity,
    pub(super) members: BTreeSet<AlertId>,
    pub(super) folded: Folded,
    /// Notifications of all its alerts.
    pub(super) notifications: u64,
    /// Alerts about what it is about that limits refused.
    pub(super) limited: u64,
    pub(super) merged: Vec<IncidentNumber>,
    pub(super) split_from: Option<IncidentNumber>,
    /// Those it was split from or that were split from it: never merged again.
    pub(super) apart: BTreeSet<IncidentNumber>,
    pub(super) storm: bool,
}

impl Group {
    pub(super) fn open(number: IncidentNumber, seed: &Record, at: Timestamp) -> Self {
        Self {
            number,
            seed: seed.fingerprint,
            seed_onset: seed.onset,
            opened_at: at,
            first_onset: seed.onset,
            last_onset: seed.onset,
            last_activity: at,
            severity: seed.alert.severity,
            members: BTreeSet::new(),
            folded: Folded::default(),
            notifications: 0,
            limited: 0,
            merged: Vec::new(),
            split_from: None,
            apart: BTreeSet::new(),
            storm: false,
        }
    }

    pub(super) fn add(&mut self, record: &Record, at: Timestamp) {
        self.members.insert(record.id);
        self.first_onset = self.first_onset.min(record.onset);
        self.last_onset = self.last_onset.max(record.onset);
        self.last_activity = self.last_activity.max(at);
        self.severity = self.severity.max(record.alert.severity);
        self.notifications = self.notifications.saturating_add(record.count);
    }

    /// Takes in everything of `other` but the records' own notion of where they are.
    pub(super) fn absorb(&mut self, other: Self) {
        self.opened_at = self.opened_at.min(other.opened_at);
        self.first_onset = self.first_onset.min(other.first_onset);
        self.last_onset = self.last_onset.max(other.last_onset);
        self.last_activity = self.last_activity.max(other.last_activity);
        self.severity = self.severity.max(other.severity);
        self.members.extend(other.members);
        self.folded.add(other.folded);
        self.notifications = self.notifications.saturating_add(other.notifications);
        self.limited = self.limited.saturating_add(other.limited);
        self.merged.extend(other.merged);
        self.merged.push(other.number);
        self.apart.extend(other.apart);
        self.storm |= other.storm;
    }
}

/// Alerts by what may relate them to a new one. A function of the records, so that it need not be stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Index {
    by_locus: BTreeMap<EntityId, BTreeSet<AlertId>>,
    by_node: BTreeMap<usize, BTreeSet<AlertId>>,
    by_name: BTreeMap<Word, BTreeSet<AlertId>>,
    by_word: BTreeMap<Word, BTreeSet<AlertId>>,
    by_near: BTreeMap<(String, String), BTreeSet<AlertId>>,
    by_change: BTreeMap<u64, BTreeSet<AlertId>>,
}

fn insert<K: Ord>(map: &mut BTreeMap<K, BTreeSet<AlertId>>, key: K, id: AlertId) {
    map.entry(key).or_default().insert(id);
}

fn remove<K: Ord>(map: &mut BTreeMap<K, BTreeSet<AlertId>>, key: &K, id: AlertId) {
    if let Some(ids) = map.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}

fn latest<K: Ord>(
    map: &BTreeMap<K, BTreeSet<AlertId>>,
    key: &K,
    most: usize,
) -> impl Iterator<Item = AlertId> {
    map.get(key).into_iter().flat_map(move |ids| ids.iter().rev().take(most).copied())
}

impl Index {
    pub(super) fn add(&mut self, record: &Record) {
        let id = record.id;
        insert(&mut self.by_locus, record.locus.clone(), id);
        if let Some(node) = record.node {
            insert(&mut self.by_node, node, id);
        }
        if let Some(name) = text::name(record.locus.name()) {
            insert(&mut self.by_name, name, id);
        }
        record.words.vector().for_each(|word| insert(&mut self.by_word, word, id));
        for word in &record.words.names {
            insert(&mut self.by_word, *word, id);
        }
        for pair in &record.near {
            insert(&mut self.by_near, pair.clone(), id);
        }
        for change in &record.changes {
            insert(&mut self.by_change, *change, id);
        }
    }

    pub(super) fn remove(&mut self, record: &Record) {
        let id = record.id;
        remove(&mut self.by_locus, &record.locus, id);
        if let Some(node) = record.node {
            remove(&mut self.by_node, &node, id);
        }
        if let Some(name) = text::name(record.locus.name()) {
            remove(&mut self.by_name, &name, id);
        }
        record.words.vector().for_each(|word| remove(&mut self.by_word, &word, id));
        for word in &record.words.names {
            remove(&mut self.by_word, word, id);
        }
        for pair in &record.near {
            remove(&mut self.by_near, pair, id);
        }
        for change in &record.changes {
            remove(&mut self.by_change, change, id);
        }
    }

    /// The latest alerts about `locus`, latest first.
    pub(super) fn at<'i>(&'i self, locus: &'i EntityId, most: usize) -> impl Iterator<Item = AlertId> {
        latest(&self.by_locus, locus, most)
    }

    /// The latest alerts about a node of the graph, latest first.
    pub(super) fn on(&self, node: usize, most: usize) -> impl Iterator<Item = AlertId> {
        self.by_node.get(&node).into_iter().flat_map(move |ids| ids.iter().rev().take(most).copied())
    }

    /// The latest alerts with a change, a word or a place in common with `record`, in order of id.
    pub(super) fn akin(&self, record: &Record, options: &CorrelatorOptions) -> BTreeSet<AlertId> {
        let most = options.max_candidates;
        let mut found: BTreeSet<AlertId> = BTreeSet::new();
        for change in &record.changes {
            found.extend(latest(&self.by_change, change, most));
        }
        for word in &record.words.names {
            found.extend(latest(&self.by_name, word, most));
        }
        if let Some(name) = text::name(record.locus.name()) {
            found.extend(latest(&self.by_word, &name, most));
        }
        for word in record.words.vector() {
            found.extend(latest(&self.by_word, &word, most));
        }
        for pair in &record.near {
            found.extend(latest(&self.by_near, pair, most));
        }
        found
    }
}

/// Those of `labels` that `alert` has, in their order.
fn pairs(alert: &Alert, labels: &[String]) -> Vec<(String, String)> {
    let pair = |label: &String| Some((label.clone(), alert.labels.get(label)?.to_owned()));
    labels.iter().filter_map(pair).collect()
}

/// Whether two lists of labels differ in the value of one they share.
pub(super) fn differ(a: &[(String, String)], b: &[(String, String)]) -> bool {
    a.iter().any(|(label, value)| b.iter().any(|(l, v)| l == label && v != value))
}
