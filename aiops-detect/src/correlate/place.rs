//! Where a new alert goes.

use std::collections::BTreeMap;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, time};

use super::correlator::{Correlator, Placed};
use super::graph::Near;
use super::relation::{AlertId, IncidentNumber, Link, Reason, Weighed};
use super::state::{Group, Record, differ};
use super::text;

/// Changes that relate an alert to others: the latest ones.
const MAX_CHANGES: usize = 8;

impl Correlator {
    /// Numbers of the latest changes of what `locus` is or needs, shortly before `onset`.
    pub(super) fn changes_before(&self, locus: &EntityId, onset: Timestamp) -> Vec<u64> {
        let options = self.options();
        if self.events.is_empty() {
            return Vec::new();
        }
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
        let record = self.records.get(&id)?;
        self.pace.opened(&record.near, record.onset, self.config.options());
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

    /// Makes two incidents one, the smaller part of the larger, unless a person or their lengths keep them apart. The
    /// number of what is left.
    fn unite(&mut self, a: IncidentNumber, b: IncidentNumber, link: Link) -> Option<IncidentNumber> {
        let (one, two) = (self.groups.get(&a)?, self.groups.get(&b)?);
        let span = apart(one.first_onset.min(two.first_onset), one.last_onset.max(two.last_onset));
        if one.apart.contains(&b) || two.apart.contains(&a) || span > self.options().max_span {
            return None;
        }
        // The larger takes the smaller in, so that an alert changes its incident only log(n) times.
        let b_stays = (two.members.len(), std::cmp::Reverse(b)) > (one.members.len(), std::cmp::Reverse(a));
        let (stays, goes) = if b_stays { (b, a) } else { (a, b) };
        let gone = self.groups.remove(&goes)?;
        for id in &gone.members {
            if let Some(record) = self.records.get_mut(id) {
                record.incident = Some(stays);
            }
        }
        if self.storm == Some(goes) {
            self.storm = Some(stays);
        }
        self.groups.get_mut(&stays)?.absorb(gone);
        self.bytes += link.bytes();
        if let Some(record) = self.records.get_mut(&link.alert) {
            record.links.push(link);
        }
        self.stats.merged += 1;
        Some(stays)
    }

    /// The strongest link of `record` to each incident, where there is one that is strong enough. Nearest come first, and no
    /// more than [`max_compared`](super::CorrelatorOptions::max_compared) are compared.
    fn links(&self, record: &Record) -> BTreeMap<IncidentNumber, Link> {
        let options = self.options();
        let around =
            record.node.map(|node| self.graph.near(node, options.max_distance, options.max_neighbours));
        let around = around.unwrap_or_default();
        let mut ways: BTreeMap<usize, Near> = BTreeMap::new();
        let mut left = options.max_compared;
        let mut found: BTreeMap<IncidentNumber, (f64, AlertId, Option<Near>)> = BTreeMap::new();
        let mut compare = |id: AlertId, near: Option<Near>| {
            let Some(other) = self.records.get(&id).filter(|other| other.id != record.id) else { return };
            let Some(number) = other.incident else { return };
            let strength = self.strength(record, other, near);
            if strength < options.threshold
                || !self.groups.get(&number).is_some_and(|group| self.takes(group, record))
            {
                return;
            }
            let kept = found.entry(number).or_insert((strength, id, near));
            if strength > kept.0 {
                *kept = (strength, id, near);
            }
        };
        for id in self.index.at(&record.locus, options.max_candidates) {
            compare(id, None);
        }
        for near in around.iter() {
            if left == 0 {
                break;
            }
            for id in self.index.on(near.node, options.max_candidates.min(left)) {
                ways.insert(near.node, *near);
                compare(id, Some(*near));
                left -= 1;
            }
        }
        for id in self.index.akin(record, options) {
            // What is not related by the topology must not go without a look because much else is.
            let node = self.records.get(&id).and_then(|other| other.node);
            compare(id, node.and_then(|node| ways.get(&node)).copied());
        }
        found
            .into_iter()
            .filter_map(|(number, (_, id, near))| {
                Some((number, self.explain(record, self.records.get(&id)?, near)))
            })
            .collect()
    }

    /// Whether an incident may still take the alert.
    fn takes(&self, group: &Group, record: &Record) -> bool {
        let span = apart(group.first_onset.min(record.onset), group.last_onset.max(record.onset));
        span <= self.options().max_span
    }

    /// How strongly two alerts are related, 0 to 1.
    fn strength(&self, new: &Record, old: &Record, hop: Option<Near>) -> f64 {
        let mut against = 1.0;
        self.evidence(new, old, hop, |weight, _| against *= 1.0 - weight);
        1.0 - against
    }

    /// The same in words.
    fn explain(&self, new: &Record, old: &Record, hop: Option<Near>) -> Link {
        let mut reasons = Vec::new();
        self.evidence(new, old, hop, |weight, reason| reasons.push(Weighed { reason: reason(), weight }));
        Link::new(new.id, old.id, apart(new.onset, old.onset), reasons)
    }

    /// Hands what relates two alerts to `say`, each with its weight at their gap.
    fn evidence(
        &self,
        new: &Record,
        old: &Record,
        hop: Option<Near>,
        mut say: impl FnMut(f64, &dyn Fn() -> Reason),
    ) {
        let options = self.options();
        let gap = apart(new.onset, old.onset);
        if gap > options.change_window || differ(&new.scope, &old.scope) {
            return;
        }
        let weights = &options.weights;
        let fading = |half: std::time::Duration| (-gap.as_secs_f64() / half.as_secs_f64()).exp2();
        let shared = new.changes.iter().rev().find(|change| old.changes.contains(change));
        let shared = shared.and_then(|number| self.events.change(*number));
        if let Some(change) = shared {
            say(weights.change * fading(options.change_window), &|| Reason::Change {
                change: change.id.clone(),
            });
        } else if gap > options.window {
            return;
        }
        let faded = fading(if shared.is_some() { options.change_window } else { options.window });
        let foreign = differ(&new.near, &old.near);
        let same = new.locus == old.locus;
        if same && !foreign {
            say(weights.service * faded, &|| Reason::Service { entity: new.locus.clone() });
        }
        if let Some(Near { distance, way, .. }) = hop.filter(|_| !same) {
            let beyond = i32::try_from(distance.saturating_sub(1)).unwrap_or(i32::MAX);
            let weight = weights.topology * weights.hop.powi(beyond);
            say(weight * faded, &|| {
                let (from, to) = (new.locus.clone(), old.locus.clone());
                Reason::Topology { from, to, hops: distance, way }
            });
        }
        if !foreign && !same {
            let shared = new.near.iter().rev().find(|pair| old.near.contains(pair)).filter(|_| hop.is_none());
            if let Some(scope) = shared {
                let strangers = new.node.is_some() && old.node.is_some();
                let doubt = if strangers { weights.unrelated } else { 1.0 };
                let weight = weights.near * doubt * self.pace.no_coincidence(scope, gap, new.onset, options);
                say(weight, &|| Reason::Near { label: scope.0.clone(), value: scope.1.clone() });
            }
        }
        if !foreign {
            let similarity = new.words.similarity(&old.words);
            if similarity >= options.text_similarity {
                say(weights.text * similarity * faded, &|| Reason::Text { similarity });
            }
        }
        if !same {
            let names = |one: &Record, other: &Record| {
                text::name(other.locus.name()).is_some_and(|name| one.words.names.contains(&name))
            };
            if let Some(named) =
                [(new, old), (old, new)].into_iter().find(|(one, other)| names(one, other)).map(|(_, o)| o)
            {
                say(weights.mention * faded, &|| Reason::Mention { entity: named.locus.clone() });
            }
        }
    }
}

/// Time between two instants, whichever is first.
pub(super) fn apart(a: Timestamp, b: Timestamp) -> std::time::Duration {
    time::elapsed(a.min(b), a.max(b))
}
