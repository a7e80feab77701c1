//! Undoing a merge. // COR-03

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::jiff::Timestamp;

use super::correlator::Correlator;
use super::group::Group;
use super::relation::{AlertId, IncidentNumber, Link};
use super::state::Record;

/// Why an incident could not be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// There is no such open incident.
    #[error("there is no open {0}")]
    NoIncident(IncidentNumber),
    /// An alert is not in the incident.
    #[error("{0} is not in it")]
    NotAMember(AlertId),
    /// Nothing, or nobody, would be left on one side.
    #[error("a split needs an alert on either side")]
    OneSided,
}

impl Correlator {
    /// The alerts that only `link` holds in its incident, on the side of the alert that came later: what
    /// [`split`](Self::split) takes to undo that merge. Empty where there is no such incident or link.
    #[must_use]
    pub fn behind(&self, number: IncidentNumber, link: &Link) -> BTreeSet<AlertId> {
        let Some(group) = self.groups.get(&number) else { return BTreeSet::new() };
        let mut neighbours: BTreeMap<AlertId, Vec<AlertId>> = BTreeMap::new();
        let records = group.members.iter().filter_map(|id| self.records.get(id));
        let mut found = false;
        for other in records.flat_map(|record| &record.links) {
            if other == link {
                found = true;
            } else if group.members.contains(&other.to) {
                neighbours.entry(other.alert).or_default().push(other.to);
                neighbours.entry(other.to).or_default().push(other.alert);
            }
        }
        if !found {
            return BTreeSet::new();
        }
        let mut behind = BTreeSet::from([link.alert]);
        let mut queue = vec![link.alert];
        while let Some(id) = queue.pop() {
            for next in neighbours.get(&id).into_iter().flatten() {
                if behind.insert(*next) {
                    queue.push(*next);
                }
            }
        }
        // Links in a ring: both ends hold each other without it.
        if behind.contains(&link.to) { BTreeSet::new() } else { behind }
    }

    /// Takes `members` out of an incident into a new one, whose number is returned. The two are never made one again, and repeats go to
    /// where their alert is. What was folded stays with the first. O(members).
    ///
    /// # Errors
    /// [`SplitError`]; nothing is changed then.
    pub fn split(
        &mut self,
        number: IncidentNumber,
        members: &BTreeSet<AlertId>,
        at: Timestamp,
    ) -> Result<IncidentNumber, SplitError> {
        let group = self.groups.get(&number).ok_or(SplitError::NoIncident(number))?;
        if let Some(stranger) = members.difference(&group.members).next() {
            return Err(SplitError::NotAMember(*stranger));
        }
        let stay: BTreeSet<AlertId> = group.members.difference(members).copied().collect();
        if members.is_empty() || stay.is_empty() && group.folded.total() == 0 {
            return Err(SplitError::OneSided);
        }
        let Some(seed) = members.first().and_then(|id| self.records.get(id)) else {
            return Err(SplitError::OneSided);
        };
        self.index.remove_group(group, &self.graph);
        let part = IncidentNumber(self.next_incident);
        let mut fresh = Group::open(part, seed, at);
        fresh.split_from = Some(number);
        self.next_incident += 1;
        self.stats.opened += 1;
        for id in members {
            if let Some(record) = self.records.get_mut(id) {
                record.incident = Some(part);
                fresh.add(record, at);
            }
        }
        let mut cut = 0;
        for id in members.iter().chain(&stay) {
            let side = members.contains(id);
            if let Some(record) = self.records.get_mut(id) {
                record.links.retain(|link| {
                    let kept = members.contains(&link.to) == side;
                    cut += if kept { 0 } else { link.bytes() };
                    kept
                });
            }
        }
        self.bytes = self.bytes.saturating_sub(cut);
        if let Some(group) = self.groups.get_mut(&number) {
            // Both are apart from each other and from whatever the whole was apart from.
            fresh.apart = group.apart.clone();
            fresh.apart.insert(number);
            group.apart.insert(part);
            group.members = stay;
            group.alone = None;
            group.underive();
            let (mut first, mut last) = (None, None);
            for record in group.members.iter().filter_map(|id| self.records.get(id)) {
                first = Some(first.map_or(record.onset, |t: Timestamp| t.min(record.onset)));
                last = Some(last.map_or(record.onset, |t: Timestamp| t.max(record.onset)));
            }
            if group.folded.total() == 0 {
                group.first_onset = first.unwrap_or(group.first_onset);
                group.last_onset = last.unwrap_or(group.last_onset);
            }
            group.notifications = group.notifications.saturating_sub(fresh.notifications);
            group.last_activity = group.last_activity.max(at);
            let listed: Vec<&Record> = group.members.iter().filter_map(|id| self.records.get(id)).collect();
            listed.iter().for_each(|record| group.derive(record));
            if group.folded.critical == 0 {
                let gravest = listed.iter().map(|record| record.alert.severity).max();
                group.severity = gravest.unwrap_or(group.severity);
            }
            self.index.add_group(group, &self.graph);
        }
        for number in [number, part] {
            let group = if number == part { Some(&mut fresh) } else { self.groups.get_mut(&number) };
            if let Some(group) = group {
                let records = group.members.iter().filter_map(|id| self.records.get(id));
                group.doubt = records.flat_map(|r| &r.links).map(|link| 1.0 - link.strength).product();
            }
        }
        self.index.add_group(&fresh, &self.graph);
        for other in &fresh.apart {
            if let Some(group) = self.groups.get_mut(other) {
                group.apart.insert(part);
            }
        }
        self.groups.insert(part, fresh);
        Ok(part)
    }
}
