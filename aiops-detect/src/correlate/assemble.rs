//! From what is remembered to an [`Incident`].

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::action::IncidentId;
use aiops_core::model::{Change, Confidence, EntityId, FittedHash, Severity, TimeRange, time};

use super::correlator::Correlator;
use super::group::Group;
use super::incident::{BlastRadius, Incident, IncidentState, Member, Priority};
use super::relation::IncidentNumber;
use super::root::Suspicion;
use super::state::Record;
use crate::taxonomy::IncidentLabel;

/// Changes an incident lists.
const MAX_CHANGES: usize = 32;

/// Runbooks an incident lists.
const MAX_RUNBOOKS: usize = 16;

/// What one signal of a severity contributes to the score of an incident.
fn signal(severity: Severity) -> f64 {
    match severity {
        Severity::Info => 0.1,
        Severity::Warning => 0.3,
        Severity::Critical => 0.6,
    }
}

impl Correlator {
    /// The open incidents, in order of number. O(alerts + entities · edges).
    #[must_use]
    pub fn incidents(&self) -> Vec<Incident> {
        self.groups.values().map(|group| self.assemble(group)).collect()
    }

    /// Numbers of the open incidents, in order.
    pub fn open_incidents(&self) -> impl Iterator<Item = IncidentNumber> {
        self.groups.keys().copied()
    }

    /// One open incident.
    #[must_use]
    pub fn incident(&self, number: IncidentNumber) -> Option<Incident> {
        self.groups.get(&number).map(|group| self.assemble(group))
    }

    fn assemble(&self, group: &Group) -> Incident {
        let records: Vec<&Record> = group.members.iter().filter_map(|id| self.records.get(id)).collect();
        let suspects = self.suspects(group);
        let first = records.iter().min_by_key(|r| (r.onset, r.id));
        let primary_service = match (suspects.first(), first) {
            (Some(suspect), _) => suspect.entity.clone(),
            (None, Some(record)) => record.locus.clone(),
            // All its alerts are folded: what they were about is no longer known.
            (None, None) => EntityId::service("unknown"),
        };
        let blast_radius = self.blast_radius(&records, suspects.first());
        let changes = self.changes_of(group, &blast_radius.alerting);
        let owner = self.owner(&primary_service, &records);
        let exposed = self.topology.get(&primary_service).is_some_and(|entity| entity.internet_facing);
        let wide = exposed || blast_radius.alerting.len() >= self.options().wide;
        let holds = records.iter().any(|r| r.resolved_at.is_none()) || group.folded.total() > 0;
        let onsets = TimeRange::ending_at(
            group.last_onset,
            super::evidence::apart(group.first_onset, group.last_onset),
        );
        let seed = format!("{} {}", group.seed, group.seed_onset);
        let root_cause = cause(suspects.first(), &records, &changes);
        let label = self.label(&records, suspects.first());
        let confidence = standing_out(&suspects).and_then(|p| Confidence::uncalibrated(p).ok());
        Incident {
            number: group.number,
            id: IncidentId::new(format!("inc-{}", FittedHash::of(seed.as_bytes()).0)),
            state: if holds { IncidentState::Firing } else { IncidentState::Ended },
            opened_at: group.opened_at,
            onsets,
            last_activity: group.last_activity,
            severity: group.severity,
            priority: priority(group.severity, wide),
            score: score(&records, group),
            summary: summary(group, &records, &primary_service, blast_radius.alerting.len()),
            root_cause,
            confidence,
            suggested_actions: actions(suspects.first(), &changes, &records),
            runbooks: runbooks(&records, &primary_service),
            suspects,
            blast_radius,
            changes,
            owner,
            primary_service,
            members: records.into_iter().map(member).collect(),
            folded: group.folded,
            notifications: group.notifications,
            limited: group.limited,
            merged: group.merged.clone(),
            split_from: group.split_from,
            storm: group.storm,
            label,
        }
    }

    fn label(&self, records: &[&Record], suspect: Option<&Suspicion>) -> Option<IncidentLabel> {
        let labeller = self.labeller.as_ref()?;
        let root =
            suspect.and_then(|s| records.iter().find(|r| r.id == s.alert)).map(|r| r.alert.name.as_str());
        labeller.label(root, records.iter().map(|r| (r.locus.name(), r.alert.name.as_str())))
    }

    fn blast_radius(&self, records: &[&Record], suspect: Option<&Suspicion>) -> BlastRadius {
        let alerting: BTreeSet<EntityId> = records.iter().map(|record| record.locus.clone()).collect();
        let limit = self.options().max_neighbours;
        let dependents = suspect.map(|s| self.graph.dependents(&s.entity, limit)).unwrap_or_default();
        let at_risk = dependents
            .into_keys()
            .filter_map(|node| self.graph.entity(node))
            .filter(|entity| !alerting.contains(entity))
            .cloned()
            .collect();
        BlastRadius { alerting, at_risk }
    }

    fn changes_of(&self, group: &Group, alerting: &BTreeSet<EntityId>) -> Vec<Change> {
        let options = self.options();
        let range = (time::before(group.first_onset, options.change_lookback), group.last_onset);
        let mut concerned: BTreeSet<&EntityId> = alerting.iter().collect();
        for entity in alerting {
            let needed = self.graph.dependencies(entity, options.max_neighbours);
            concerned.extend(needed.into_keys().filter_map(|node| self.graph.entity(node)));
        }
        let mut changes: BTreeMap<u64, &Change> = BTreeMap::new();
        for entity in concerned {
            changes.extend(self.events.of(entity, range));
        }
        let mut changes: Vec<Change> = changes.into_values().cloned().collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.time));
        changes.truncate(MAX_CHANGES);
        changes
    }

    fn owner(&self, primary: &EntityId, records: &[&Record]) -> Option<String> {
        let known = self.topology.get(primary).and_then(|entity| entity.owner.clone());
        known.or_else(|| {
            let own = records.iter().filter(|record| record.locus == *primary);
            own.flat_map(|record| ["team", "owner"].map(|label| record.alert.labels.get(label)))
                .flatten()
                .next()
                .map(ToOwned::to_owned)
        })
    }
}

fn priority(severity: Severity, wide: bool) -> Priority {
    match (severity, wide) {
        (Severity::Critical, true) => Priority::P1,
        (Severity::Critical, false) => Priority::P2,
        (Severity::Warning, true) => Priority::P3,
        (Severity::Warning, false) => Priority::P4,
        (Severity::Info, _) => Priority::P5,
    }
}

/// Independent signals joined: one for each name of an alert about an entity, its gravest.
fn score(records: &[&Record], group: &Group) -> f64 {
    let mut signals: BTreeMap<(&EntityId, &str), Severity> = BTreeMap::new();
    for record in records {
        let entry = signals.entry((&record.locus, &record.alert.name)).or_insert(record.alert.severity);
        *entry = record.alert.severity.max(*entry);
    }
    let against: f64 = signals.into_values().map(|severity| 1.0 - signal(severity)).product();
    (1.0 - against).max(signal(group.severity))
}

/// How far the first suspect stands out: its score, less half that of the second.
fn standing_out(suspects: &[Suspicion]) -> Option<f64> {
    let [first, rest @ ..] = suspects else { return None };
    let second = rest.first().map_or(0.0, |s| s.score);
    Some((first.score - 0.5 * second).clamp(0.0, 1.0))
}

fn summary(group: &Group, records: &[&Record], primary: &EntityId, entities: usize) -> String {
    let alerts = records.len() as u64 + group.folded.total();
    let plural = |n: u64| if n == 1 { "" } else { "s" };
    let lead = records
        .iter()
        .filter(|record| record.locus == *primary)
        .min_by_key(|record| (std::cmp::Reverse(record.alert.severity), record.onset, record.id))
        .map_or("alerts", |record| &record.alert.name);
    format!(
        "{} on {primary}: {alerts} alert{} ({} notification{}) about {entities} entit{} since {}",
        lead,
        plural(alerts),
        group.notifications,
        plural(group.notifications),
        if entities == 1 { "y" } else { "ies" },
        group.first_onset,
    )
}

/// The change of the suspect that came last before it alerted, or what its first alert says.
fn cause(suspect: Option<&Suspicion>, records: &[&Record], changes: &[Change]) -> Option<String> {
    let suspect = suspect?;
    let first = records.iter().find(|record| record.id == suspect.alert)?;
    let change = changes.iter().find(|c| c.entity == suspect.entity && c.time <= first.onset);
    Some(match change {
        Some(change) => format!(
            "suspected: {} of {} ({}) at {}, before {} began",
            name(change),
            change.entity,
            change.summary,
            change.time,
            first.alert.name
        ),
        None => format!("suspected: {} on {}", first.alert.name, suspect.entity),
    })
}

fn name(change: &Change) -> &'static str {
    use aiops_core::model::ChangeKind as Kind;
    match change.kind {
        Kind::Deployment => "deployment",
        Kind::ConfigRollout => "roll-out of configuration",
        Kind::FeatureFlag => "feature flag",
        Kind::Scaling => "scaling",
        Kind::Patch => "patch",
        Kind::Restart => "restart",
        Kind::Rollback => "rollback",
        Kind::Maintenance => "upkeep",
        _ => "change",
    }
}

fn actions(suspect: Option<&Suspicion>, changes: &[Change], records: &[&Record]) -> Vec<String> {
    let Some(suspect) = suspect else { return Vec::new() };
    let onset = records.iter().find(|r| r.id == suspect.alert).map(|r| r.onset);
    let mut actions: Vec<String> = changes
        .iter()
        .filter(|change| change.entity == suspect.entity && onset.is_some_and(|onset| change.time <= onset))
        .map(|change| match &change.revision {
            Some(revision) if revision.from.is_some() => format!(
                "consider rolling {} back to {} (change {})",
                change.entity,
                revision.from.as_deref().unwrap_or("?"),
                change.id
            ),
            _ => format!("review change {} of {}", change.id, change.entity),
        })
        .take(3)
        .collect();
    actions.push(format!("diagnose {} first", suspect.entity));
    actions
}

fn runbooks(records: &[&Record], primary: &EntityId) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let (own, others): (Vec<&Record>, Vec<&Record>) =
        records.iter().copied().partition(|record| record.locus == *primary);
    for record in own.into_iter().chain(others) {
        for label in ["runbook_url", "runbook"] {
            if let Some(link) = record.alert.annotations.get(label)
                && found.len() < MAX_RUNBOOKS
                && !found.iter().any(|known| known == link)
            {
                found.push(link.to_owned());
            }
        }
    }
    found
}

fn member(record: &Record) -> Member {
    Member {
        id: record.id,
        fingerprint: record.fingerprint,
        alert: record.alert.clone(),
        about: record.locus.clone(),
        onset: record.onset,
        first_seen: record.first_seen,
        last_seen: record.last_seen,
        resolved_at: record.resolved_at,
        notifications: record.count,
        flaps: record.flaps,
        links: record.links.clone(),
    }
}
