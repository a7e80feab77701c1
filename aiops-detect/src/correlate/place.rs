//! Where a new alert goes.

use std::collections::BTreeMap;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, time};

use super::correlator::{Correlator, Placed};
use super::graph::Near;
use super::relation::{AlertId, IncidentNumber, Link, Reason, Weighed};
use super::state::{Group, Record, differ, near};
use super::text;

/// Changes that relate an alert to others: the latest ones.
const MAX_CHANGES: usize = 8;

impl Correlator {
    /// Numbers of the latest changes of what `locus` is or needs, shortly before `onset`.
    pub(super) fn changes_before(&self, locus: &EntityId, onset: Timestamp) -> Vec<u64> {
        let options = self.options();
        let range = (time::before(onset, options.change_window), onset);
        let mut numbers: Vec<u64> = self.events.of(locus, range).map(|(n, _)| n).collect();
        for node in self.graph.dependencies(locus, options.max_neighbours).into_keys() {
            if let Some(entity) = self.graph.entity(node) {
                numbers.extend(self.events.of(entity, range).map(|(n, _)| n));
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        numbers.split_off(numbers.len().saturating_sub(MAX_CHANGES))
    }

    /// Finds the incident of an alert that is in none, or opens one.
    pub(super) fn place(&mut self, id: AlertId, at: Timestamp) -> Option<Placed> {
        let links = self.links(self.records.get(&id)?);
        // The strongest link decides; of equal ones that to the older incident.
        let best = links.iter().max_by(|(a, x), (b, y)| x.strength.total_cmp(&y.strength).then(b.cmp(a)));
        let Some((home, link)) = best.map(|(number, link)| (*number, link.clone())) else {
            return self.open(id, at);
        };
        self.bytes += link.bytes();
        let record = self.records.get_mut(&id)?;
        record.incident = Some(home);
        record.links.push(link.clone());
        self.groups.get_mut(&home)?.add(record, at);
        let mut placed = Placed { incident: home, link: Some(link.clone()), merged: Vec::new() };
        if link.may_cause() {
            for (other, link) in
                links.into_iter().filter(|(number, link)| *number != home && link.may_cause())
            {
                placed.incident = self.unite(placed.incident, other, link).unwrap_or(placed.incident);
                placed.merged.push(other);
            }
            placed.merged.retain(|number| *number != placed.incident && !self.groups.contains_key(number));
            if placed.incident != home {
                placed.merged.push(home);
            }
        }
        Some(placed)
    }

    fn open(&mut self, id: AlertId, at: Timestamp) -> Option<Placed> {
        let full = self.groups.len() >= self.options().max_incidents;
        let record = self.records.get_mut(&id)?;
        if full {
            return self.weather(id, at);
        }
        let number = IncidentNumber(self.next_incident);
        self.next_incident += 1;
        self.stats.opened += 1;
        record.incident = Some(number);
        let mut group = Group::open(number, record, at);
        group.add(record, at);
        self.groups.insert(number, group);
        Some(Placed { incident: number, link: None, merged: Vec::new() })
    }

    /// Puts an alert into the incident of the storm; the one heard of last becomes that where there is none.
    fn weather(&mut self, id: AlertId, at: Timestamp) -> Option<Placed> {
        let alive = self.storm.filter(|number| self.groups.contains_key(number));
        let number = match alive {
            Some(number) => number,
            None => *self.groups.last_key_value()?.0,
        };
        self.storm = Some(number);
        self.stats.stormed += 1;
        let group = self.groups.get_mut(&number)?;
        group.storm = true;
        // Any member may stand for what was there; there is none when all were folded.
        let to = group.members.last().copied().unwrap_or(id);
        let gap = self.records.get(&to).map(|r| r.onset);
        let record = self.records.get_mut(&id)?;
        let gap = gap.map_or_else(Default::default, |onset| apart(onset, record.onset));
        let reasons = vec![Weighed { reason: Reason::Storm, weight: 0.0 }];
        let link = Link { alert: id, to, gap, strength: 0.0, reasons };
        self.bytes += link.bytes();
        record.links.push(link.clone());
        record.incident = Some(number);
        group.add(record, at);
        Some(Placed { incident: number, link: Some(link), merged: Vec::new() })
    }

    /// Makes two incidents one, the younger part of the older, unless a person or their lengths keep them apart. The
    /// number of what is left.
    fn unite(&mut self, a: IncidentNumber, b: IncidentNumber, link: Link) -> Option<IncidentNumber> {
        let (one, two) = (self.groups.get(&a)?, self.groups.get(&b)?);
        let span = apart(one.first_onset.min(two.first_onset), one.last_onset.max(two.last_onset));
        if one.apart.contains(&b) || two.apart.contains(&a) || span > self.options().max_span {
            return None;
        }
        let (older, younger) = (a.min(b), a.max(b));
        let gone = self.groups.remove(&younger)?;
        for id in &gone.members {
            if let Some(record) = self.records.get_mut(id) {
                record.incident = Some(older);
            }
        }
        if self.storm == Some(younger) {
            self.storm = Some(older);
        }
        self.groups.get_mut(&older)?.absorb(gone);
        self.bytes += link.bytes();
        if let Some(record) = self.records.get_mut(&link.alert) {
            record.links.push(link);
        }
        self.stats.merged += 1;
        Some(older)
    }

    /// The strongest link of `record` to each incident, where there is one that is strong enough.
    fn links(&self, record: &Record) -> BTreeMap<IncidentNumber, Link> {
        let options = self.options();
        // Where hardly anything alerts, it is not worth while to look around.
        let around = if self.index.loci() > 1 {
            self.graph.near(&record.locus, options.max_distance, options.max_neighbours)
        } else {
            Vec::new()
        };
        let mut found: BTreeMap<IncidentNumber, Link> = BTreeMap::new();
        let mut compare = |id: AlertId, near: Option<Near>| {
            let Some(other) = self.records.get(&id).filter(|other| other.id != record.id) else { return };
            let Some(number) = other.incident else { return };
            let Some(group) = self.groups.get(&number).filter(|group| self.takes(group, record)) else {
                return;
            };
            let Some(link) = self.relate(record, other, near) else { return };
            let strength = link.strength;
            let kept = found.entry(group.number).or_insert_with(|| link.clone());
            if strength > kept.strength {
                *kept = link;
            }
        };
        let mut by_locus: BTreeMap<&EntityId, Near> = BTreeMap::new();
        for near in around {
            if let Some(entity) = self.graph.entity(near.node).filter(|entity| self.index.has(entity)) {
                by_locus.insert(entity, near);
                self.index.at(entity, options.max_candidates).for_each(|id| compare(id, Some(near)));
            }
        }
        for id in self.index.akin(record, options) {
            let locus = self.records.get(&id).map(|other| &other.locus);
            compare(id, locus.and_then(|locus| by_locus.get(locus)).copied());
        }
        found
    }

    /// Whether an incident may still take the alert.
    fn takes(&self, group: &Group, record: &Record) -> bool {
        let span = apart(group.first_onset.min(record.onset), group.last_onset.max(record.onset));
        span <= self.options().max_span
    }

    /// What relates two alerts, where it is enough.
    fn relate(&self, new: &Record, old: &Record, hop: Option<Near>) -> Option<Link> {
        let options = self.options();
        let gap = apart(new.onset, old.onset);
        if gap > options.change_window || differ(&new.alert, &old.alert, &options.scope_labels) {
            return None;
        }
        let weights = &options.weights;
        let mut reasons = Vec::new();
        let mut say = |reason: Reason, weight: f64| reasons.push(Weighed { reason, weight });
        let shared = new.changes.iter().rev().find(|change| old.changes.contains(change));
        if let Some(change) = shared.and_then(|number| self.events.change(*number)) {
            say(Reason::Change { change: change.id.clone() }, weights.change);
        } else if gap > options.window {
            return None;
        }
        let half = if reasons.is_empty() { options.window } else { options.change_window };
        let mut say = |reason: Reason, weight: f64| reasons.push(Weighed { reason, weight });
        let foreign = differ(&new.alert, &old.alert, &options.near_labels);
        if new.locus == old.locus {
            if !foreign {
                say(Reason::Service { entity: new.locus.clone() }, weights.service);
            }
        } else if let Some(Near { distance, way, .. }) = hop {
            let beyond = i32::try_from(distance.saturating_sub(1)).unwrap_or(i32::MAX);
            let (from, to) = (new.locus.clone(), old.locus.clone());
            let weight = weights.topology * weights.hop.powi(beyond);
            say(Reason::Topology { from, to, hops: distance, way }, weight);
        }
        if !foreign {
            let unknown = !self.graph.knows(&new.locus) || !self.graph.knows(&old.locus);
            let shared = near(&new.alert, options)
                .into_iter()
                .find(|(label, value)| old.alert.labels.get(label) == Some(value));
            if let (true, Some((label, value))) = (unknown && new.locus != old.locus, shared) {
                say(Reason::Near { label, value }, weights.near);
            }
            let similarity = new.words.similarity(&old.words);
            if similarity >= options.text_similarity {
                say(Reason::Text { similarity }, weights.text * similarity);
            }
        }
        if new.locus != old.locus {
            let names = |one: &Record, other: &Record| {
                text::name(other.locus.name()).is_some_and(|name| one.words.names.contains(&name))
            };
            if names(new, old) {
                say(Reason::Mention { entity: old.locus.clone() }, weights.mention);
            } else if names(old, new) {
                say(Reason::Mention { entity: new.locus.clone() }, weights.mention);
            }
        }
        if reasons.is_empty() {
            return None;
        }
        let link = Link::new(new.id, old.id, gap, half, reasons);
        (link.strength >= options.threshold).then_some(link)
    }
}

/// Time between two instants, whichever is first.
pub(super) fn apart(a: Timestamp, b: Timestamp) -> std::time::Duration {
    time::elapsed(a.min(b), a.max(b))
}
