//! An open incident, and how to find it.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, Severity, float};
use serde::{Deserialize, Serialize};

use super::config::CorrelatorOptions;
use super::fingerprint::Fingerprint;
use super::graph::Graph;
use super::relation::{AlertId, IncidentNumber};
use super::state::{Folded, Record};
use super::text::{self, Word};

/// Instants of onsets that an incident remembers; closer ones are put together beyond that.
const ONSETS: usize = 16;

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
    /// Listed members that have not ended, and when the last that ended did.
    pub(super) firing: u64,
    pub(super) last_end: Option<Timestamp>,
    /// What its listed members are about, and how many.
    pub(super) loci: BTreeMap<EntityId, u64>,
    /// Last onset by label and value of its places.
    pub(super) places: BTreeMap<String, BTreeMap<String, Timestamp>>,
    /// The system it is in, as far as its alerts tell.
    pub(super) scope: Vec<(String, String)>,
    /// When its alerts began, and how many then, in order of time.
    pub(super) onsets: Vec<(Timestamp, u32)>,
    /// Probability that none of its alerts has anything to do with another: `Π(1 − strength)` of their links.
    #[serde(with = "float")]
    pub(super) doubt: f64,
    /// Its alert, while it has no other and is counted as alone.
    pub(super) alone: Option<AlertId>,
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
            firing: 0,
            last_end: None,
            loci: BTreeMap::new(),
            places: BTreeMap::new(),
            scope: Vec::new(),
            onsets: Vec::new(),
            doubt: 1.0,
            alone: None,
        }
    }

    pub(super) fn add(&mut self, record: &Record, at: Timestamp) {
        self.members.insert(record.id);
        self.first_onset = self.first_onset.min(record.onset);
        self.last_onset = self.last_onset.max(record.onset);
        self.last_activity = self.last_activity.max(at);
        self.severity = self.severity.max(record.alert.severity);
        self.notifications = self.notifications.saturating_add(record.count);
        self.derive(record);
    }

    /// Takes in what is derived of a member that is listed.
    pub(super) fn derive(&mut self, record: &Record) {
        match record.resolved_at {
            Some(end) => self.last_end = self.last_end.max(Some(end)),
            None => self.firing += 1,
        }
        *self.loci.entry(record.locus.clone()).or_default() += 1;
        for (label, value) in &record.near {
            let last = self.places.entry(label.clone()).or_default().entry(value.clone());
            let last = last.or_insert(record.onset);
            *last = record.onset.max(*last);
        }
        for pair in &record.scope {
            if !self.scope.contains(pair) {
                self.scope.push(pair.clone());
            }
        }
        self.began(record.onset, 1);
    }

    /// Forgets what is derived of its members.
    pub(super) fn underive(&mut self) {
        self.firing = 0;
        self.last_end = None;
        self.loci.clear();
        self.places.clear();
        self.scope.clear();
        self.onsets.clear();
    }

    /// Counts a member instead of listing it; whether nothing is listed about the same any more.
    pub(super) fn fold(&mut self, record: &Record) -> bool {
        self.members.remove(&record.id);
        self.folded.count(record.alert.severity);
        self.firing = self.firing.saturating_sub(u64::from(record.resolved_at.is_none()));
        let left = self.loci.get(&record.locus).map_or(0, |n| n.saturating_sub(1));
        if left > 0 {
            self.loci.insert(record.locus.clone(), left);
        } else {
            self.loci.remove(&record.locus);
        }
        left == 0
    }

    /// Whether all its alerts have ended, as far as is known of them.
    pub(super) fn has_ended(&self) -> bool {
        self.firing == 0 && self.folded.total() == 0
    }

    fn began(&mut self, onset: Timestamp, alerts: u32) {
        let at = self.onsets.partition_point(|(t, _)| *t < onset);
        match self.onsets.get_mut(at).filter(|(t, _)| *t == onset) {
            Some((_, n)) => *n = n.saturating_add(alerts),
            None => self.onsets.insert(at, (onset, alerts)),
        }
        if self.onsets.len() > ONSETS {
            // The two that are closest together become one, at the later.
            let gaps =
                self.onsets.iter().zip(self.onsets.iter().skip(1)).map(|(a, b)| b.0.duration_since(a.0));
            let closest = gaps.enumerate().min_by_key(|(at, gap)| (*gap, *at)).map_or(0, |(at, _)| at);
            let (_, n) = self.onsets.remove(closest);
            if let Some((_, more)) = self.onsets.get_mut(closest) {
                *more = more.saturating_add(n);
            }
        }
    }

    /// Whether it has a place by one of these labels, and none in common with them.
    pub(super) fn elsewhere(&self, near: &[(String, String)]) -> bool {
        let known = |label: &str| self.places.get(label);
        !near.iter().any(|(label, value)| known(label).is_some_and(|values| values.contains_key(value)))
            && near.iter().any(|(label, _)| known(label).is_some())
    }

    /// The place it shares with these.
    pub(super) fn shares<'n>(&self, near: &'n [(String, String)]) -> Option<&'n (String, String)> {
        let shared = |(label, value): &&(String, String)| {
            self.places.get(label).is_some_and(|values| values.contains_key(value))
        };
        near.iter().find(shared)
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
        self.doubt *= other.doubt;
        self.firing += other.firing;
        self.last_end = self.last_end.max(other.last_end);
        for (locus, n) in other.loci {
            *self.loci.entry(locus).or_default() += n;
        }
        for (label, values) in other.places {
            let own = self.places.entry(label).or_default();
            for (value, last) in values {
                let slot = own.entry(value).or_insert(last);
                *slot = last.max(*slot);
            }
        }
        for pair in other.scope {
            if !self.scope.contains(&pair) {
                self.scope.push(pair);
            }
        }
        for (onset, alerts) in other.onsets {
            self.began(onset, alerts);
        }
    }

    /// Estimate of the memory it takes besides its members.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.loci.keys().map(|locus| 160 + locus.name().len()).sum::<usize>()
            + self.places.values().flatten().map(|(value, _)| 160 + value.len()).sum::<usize>()
            + self.onsets.len() * 16
            + 8 * (self.merged.len() + self.apart.len())
    }

    pub(super) fn is_sound(&self) -> bool {
        self.onsets.len() <= ONSETS
            && self.onsets.is_sorted_by(|a, b| a.0 < b.0)
            && (0.0..=1.0).contains(&self.doubt)
            && self.firing <= self.members.len() as u64
            && self.loci.values().sum::<u64>() == self.members.len() as u64
    }
}

/// Incidents by where they are, and alerts by what they say. A function of both, so that it need not be stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Index {
    by_locus: BTreeMap<EntityId, BTreeSet<IncidentNumber>>,
    by_node: BTreeMap<usize, BTreeSet<IncidentNumber>>,
    /// By label and value, in order of the last onset there.
    by_place: BTreeMap<String, BTreeMap<String, BTreeSet<(Timestamp, IncidentNumber)>>>,
    alerts: BTreeMap<EntityId, BTreeSet<AlertId>>,
    by_name: BTreeMap<Word, BTreeSet<AlertId>>,
    by_word: BTreeMap<Word, BTreeSet<AlertId>>,
    by_change: BTreeMap<u64, BTreeSet<AlertId>>,
}

fn insert<K: Ord, V: Ord>(map: &mut BTreeMap<K, BTreeSet<V>>, key: K, value: V) {
    map.entry(key).or_default().insert(value);
}

fn remove<K: Ord, V: Ord>(map: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(values) = map.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            map.remove(key);
        }
    }
}

fn latest<K: Ord, V: Copy + Ord>(
    map: &BTreeMap<K, BTreeSet<V>>,
    key: &K,
    most: usize,
) -> impl Iterator<Item = V> {
    map.get(key).into_iter().flat_map(move |values| values.iter().rev().take(most).copied())
}

impl Index {
    /// Lists an alert by what it says.
    pub(super) fn add(&mut self, record: &Record) {
        let id = record.id;
        insert(&mut self.alerts, record.locus.clone(), id);
        if let Some(name) = text::name(record.locus.name()) {
            insert(&mut self.by_name, name, id);
        }
        for word in record.words.all() {
            insert(&mut self.by_word, word, id);
        }
        for change in &record.changes {
            insert(&mut self.by_change, *change, id);
        }
    }

    pub(super) fn remove(&mut self, record: &Record) {
        let id = record.id;
        remove(&mut self.alerts, &record.locus, &id);
        if let Some(name) = text::name(record.locus.name()) {
            remove(&mut self.by_name, &name, &id);
        }
        for word in record.words.all() {
            remove(&mut self.by_word, &word, &id);
        }
        for change in &record.changes {
            remove(&mut self.by_change, change, &id);
        }
    }

    /// Lists an incident, whose number is `as_number`, at one locus.
    fn at_locus(&mut self, locus: &EntityId, number: IncidentNumber, graph: &Graph) {
        insert(&mut self.by_locus, locus.clone(), number);
        if let Some(node) = graph.node(locus) {
            insert(&mut self.by_node, node, number);
        }
    }

    /// No longer lists an incident at one locus.
    pub(super) fn leave_locus(&mut self, locus: &EntityId, number: IncidentNumber, graph: &Graph) {
        remove(&mut self.by_locus, locus, &number);
        if let Some(node) = graph.node(locus) {
            remove(&mut self.by_node, &node, &number);
        }
    }

    fn at_place(&mut self, label: &str, value: &str, last: Timestamp, number: IncidentNumber) {
        let values = self.by_place.entry(label.to_owned()).or_default();
        insert(values, value.to_owned(), (last, number));
    }

    fn leave_place(&mut self, label: &str, value: &String, last: Timestamp, number: IncidentNumber) {
        if let Some(values) = self.by_place.get_mut(label) {
            remove(values, value, &(last, number));
            if values.is_empty() {
                self.by_place.remove(label);
            }
        }
    }

    /// Notes that `group` takes `record` in, before it does.
    pub(super) fn enter(&mut self, group: &Group, record: &Record, graph: &Graph) {
        if !group.loci.contains_key(&record.locus) {
            self.at_locus(&record.locus, group.number, graph);
        }
        for (label, value) in &record.near {
            let before = group.places.get(label).and_then(|values| values.get(value)).copied();
            if before.is_some_and(|before| before >= record.onset) {
                continue;
            }
            if let Some(before) = before {
                self.leave_place(label, value, before, group.number);
            }
            self.at_place(label, value, record.onset, group.number);
        }
    }

    /// Lists an incident everywhere it is.
    pub(super) fn add_group(&mut self, group: &Group, graph: &Graph) {
        for locus in group.loci.keys() {
            self.at_locus(locus, group.number, graph);
        }
        for (label, values) in &group.places {
            for (value, last) in values {
                self.at_place(label, value, *last, group.number);
            }
        }
    }

    /// No longer lists an incident anywhere.
    pub(super) fn remove_group(&mut self, group: &Group, graph: &Graph) {
        for locus in group.loci.keys() {
            self.leave_locus(locus, group.number, graph);
        }
        for (label, values) in &group.places {
            for (value, last) in values {
                self.leave_place(label, value, *last, group.number);
            }
        }
    }

    /// Lists what was `gone` under `stays`, before that takes it in. O(loci and places of what is gone).
    pub(super) fn unite(&mut self, gone: &Group, stays: &Group, graph: &Graph) {
        self.remove_group(gone, graph);
        for locus in gone.loci.keys() {
            self.at_locus(locus, stays.number, graph);
        }
        for (label, values) in &gone.places {
            for (value, last) in values {
                let before = stays.places.get(label).and_then(|values| values.get(value)).copied();
                if let Some(before) = before.filter(|before| before < last) {
                    self.leave_place(label, value, before, stays.number);
                }
                if before.is_none_or(|before| before < *last) {
                    self.at_place(label, value, *last, stays.number);
                }
            }
        }
    }

    /// The latest alerts about `locus`, latest first.
    pub(super) fn about<'i>(
        &'i self,
        locus: &'i EntityId,
        most: usize,
    ) -> impl Iterator<Item = AlertId> + 'i {
        latest(&self.alerts, locus, most)
    }

    /// The latest incidents about `locus`.
    pub(super) fn at<'i>(
        &'i self,
        locus: &'i EntityId,
        most: usize,
    ) -> impl Iterator<Item = IncidentNumber> + 'i {
        latest(&self.by_locus, locus, most)
    }

    /// The latest incidents about a node of the graph.
    pub(super) fn on(&self, node: usize, most: usize) -> impl Iterator<Item = IncidentNumber> {
        self.by_node.get(&node).into_iter().flat_map(move |numbers| numbers.iter().rev().take(most).copied())
    }

    /// The incidents of a place that had an onset there last.
    pub(super) fn within<'i>(
        &'i self,
        (label, value): &'i (String, String),
        most: usize,
    ) -> impl Iterator<Item = IncidentNumber> + 'i {
        let values = self.by_place.get(label);
        values.into_iter().flat_map(move |values| latest(values, value, most)).map(|(_, number)| number)
    }

    /// The latest alerts with a change, a word or a rare label in common with `record`, in order of id.
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
        for word in record.words.rare() {
            found.extend(latest(&self.by_word, &word, most));
        }
        found
    }
}
