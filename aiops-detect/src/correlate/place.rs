//! Where a new alert goes.

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, time};

use super::correlator::{Correlator, Placed};
use super::evidence::{Candidates, Surroundings, apart};
use super::group::Group;
use super::relation::{AlertId, IncidentNumber, Link, Reason, Weighed};
use super::state::Record;
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
        let Self { records, pace, config, .. } = self;
        let record = records.get(&id)?;
        pace.began(text::hash_of(&record.locus), &record.near, record.onset, config.options());
        let record = self.records.get(&id)?;
        let around = self.surroundings(record);
        let candidates = self.candidates(record, &around);
        // The most probable one; of equal ones the older.
        let best = candidates.iter().max_by(|(a, x), (b, y)| x.0.total_cmp(&y.0).then(b.cmp(a)));
        let Some((home, (_, hit))) = best else { return self.open(id, at) };
        let home = *home;
        let link = self.explain(record, home, hit, &around);
        let others =
            if link.may_cause() { self.same_cause(record, home, &candidates, &around) } else { Vec::new() };
        self.bytes += link.bytes();
        self.records.get_mut(&id)?.links.push(link.clone());
        self.enter(home, id, at)?;
        self.groups.get_mut(&home)?.doubt *= 1.0 - link.strength;
        let mut placed = Placed { incident: home, link: Some(link), merged: Vec::new() };
        for (other, link) in others {
            placed.incident = self.unite(placed.incident, other, link).unwrap_or(placed.incident);
            placed.merged.push(other);
        }
        placed.merged.retain(|number| *number != placed.incident && !self.groups.contains_key(number));
        if placed.incident != home {
            placed.merged.push(home);
        }
        Some(placed)
    }

    /// Incidents, `home` left out, that an alert shows to be of the same cause: it may be that cause, and by itself would have drawn in
    /// the alert that is nearest to it. What both have in common as an effect says nothing about their causes.
    fn same_cause(
        &self,
        record: &Record,
        home: IncidentNumber,
        candidates: &Candidates,
        around: &Surroundings,
    ) -> Vec<(IncidentNumber, Link)> {
        let others = candidates.iter().filter(|(number, _)| **number != home);
        others
            .filter(|(number, (_, hit))| {
                self.alone(record, **number, hit, around) >= self.options().threshold
            })
            .map(|(number, (_, hit))| (*number, self.explain(record, *number, hit, around)))
            .filter(|(_, link)| link.may_cause())
            .collect()
    }

    /// Puts an alert that is in no incident into one.
    pub(super) fn enter(&mut self, number: IncidentNumber, id: AlertId, at: Timestamp) -> Option<()> {
        let Self { records, groups, index, graph, pace, config, .. } = self;
        let group = groups.get_mut(&number)?;
        if let Some(first) = group.alone.take().filter(|first| *first != id).and_then(|id| records.get(&id)) {
            pace.joined(first.fingerprint, &first.near, true, first.onset, config.options());
        }
        let record = records.get_mut(&id)?;
        let gaps = group.onsets.iter().map(|(onset, _)| apart(*onset, record.onset));
        // What began at the same instant shows no time of travel.
        if let Some(gap) = gaps.min().filter(|gap| !gap.is_zero()) {
            pace.followed(&record.near, gap, config.options());
        }
        record.incident = Some(number);
        index.enter(group, record, graph);
        group.add(record, at);
        Some(())
    }

    fn open(&mut self, id: AlertId, at: Timestamp) -> Option<Placed> {
        let full = self.groups.len() >= self.options().max_incidents;
        let record = self.records.get(&id)?;
        if full {
            return self.weather(id, at);
        }
        let number = IncidentNumber(self.next_incident);
        self.next_incident += 1;
        self.stats.opened += 1;
        let mut group = Group::open(number, record, at);
        group.alone = Some(id);
        self.pace.opened(record.fingerprint, &record.near, record.onset, self.config.options());
        self.groups.insert(number, group);
        // INVARIANT: `alone` is set again, because entering ends being alone and this is the first.
        self.enter(number, id, at)?;
        self.groups.get_mut(&number)?.alone = Some(id);
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
        let group = &*group;
        // Any member may stand for what was there; there is none when all were folded.
        let to = group.members.last().copied().unwrap_or(id);
        let gap = self.records.get(&to).map(|r| r.onset);
        let record = self.records.get_mut(&id)?;
        let gap = gap.map_or_else(Default::default, |onset| apart(onset, record.onset));
        let reasons = vec![Weighed { reason: Reason::Storm, log_ratio: 0.0 }];
        let link = Link { alert: id, to, gap, strength: 0.0, reasons };
        self.bytes += link.bytes();
        record.links.push(link.clone());
        self.enter(number, id, at)?;
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
        let Self { records, groups, index, graph, pace, config, .. } = self;
        let kept = groups.get_mut(&stays)?;
        for (lone, first) in [(kept.alone.take(), true), (gone.alone, false)] {
            if let Some(lone) = lone.and_then(|id| records.get(&id)) {
                pace.joined(lone.fingerprint, &lone.near, first, lone.onset, config.options());
            }
        }
        for id in &gone.members {
            if let Some(record) = records.get_mut(id) {
                record.incident = Some(stays);
            }
        }
        index.unite(&gone, kept, graph);
        kept.absorb(gone);
        kept.doubt *= 1.0 - link.strength;
        if self.storm == Some(goes) {
            self.storm = Some(stays);
        }
        self.bytes += link.bytes();
        if let Some(record) = self.records.get_mut(&link.alert) {
            record.links.push(link);
        }
        self.stats.merged += 1;
        Some(stays)
    }
}
