//! Which of an incident's alerts is nearest to its cause.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, Severity, float, time};
use serde::{Deserialize, Serialize};

use super::correlator::Correlator;
use super::evidence::apart;
use super::group::Group;
use super::relation::AlertId;
use super::state::Record;

/// Onsets this close together are at the same time: no two collectors agree better.
const SIMULTANEOUS: Duration = Duration::from_secs(60);

/// What speaks for a suspect, each 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuspicionParts {
    /// Share of the other alerting entities that need it, directly or not.
    #[serde(with = "float")]
    pub coverage: f64,
    /// 1 for the first to begin, 0 for the last.
    #[serde(with = "float")]
    pub onset: f64,
    /// Share of the incident's alerts that are about it.
    #[serde(with = "float")]
    pub breadth: f64,
    /// 1 for critical, ½ for a warning, 0 for an informational alert.
    #[serde(with = "float")]
    pub severity: f64,
    /// 1 when it was changed within the change window before it alerted.
    #[serde(with = "float")]
    pub change: f64,
}

/// A suspected root of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspicion {
    /// What is suspected.
    pub entity: EntityId,
    /// Its first alert; of several within a minute the gravest.
    pub alert: AlertId,
    /// Mean of the parts, weighted by [`RootWeights`](super::RootWeights); 0 to 1.
    #[serde(with = "float")]
    pub score: f64,
    /// What speaks for it.
    pub parts: SuspicionParts,
}

impl Correlator {
    /// The alerting entities of an incident, the most suspect first; ties go to the one that began first, then to the
    /// smaller id. O(entities · edges reached).
    pub(super) fn suspects(&self, group: &Group) -> Vec<Suspicion> {
        let mut by_locus: BTreeMap<&EntityId, Vec<&Record>> = BTreeMap::new();
        for record in group.members.iter().filter_map(|id| self.records.get(id)) {
            by_locus.entry(&record.locus).or_default().push(record);
        }
        let alerts: usize = by_locus.values().map(Vec::len).sum();
        let nodes: BTreeSet<usize> = by_locus.keys().filter_map(|locus| self.graph.node(locus)).collect();
        let options = self.options();
        let weights = &options.root;
        let whole = weights.coverage + weights.onset + weights.breadth + weights.severity + weights.change;
        let span = apart(group.first_onset, group.last_onset);
        let mut suspects: Vec<(Timestamp, Suspicion)> = Vec::new();
        for (locus, records) in &by_locus {
            let Some(first) = records.iter().min_by_key(|r| (r.onset, r.id)) else { continue };
            // Of those that began together, the gravest.
            let together = time::after(first.onset, SIMULTANEOUS);
            let lead = records.iter().filter(|r| r.onset <= together);
            let lead =
                lead.min_by_key(|r| (std::cmp::Reverse(r.alert.severity), r.onset, r.id)).unwrap_or(first);
            let dependents = self.graph.dependents(locus, options.max_neighbours);
            let covered = nodes.iter().filter(|node| dependents.contains_key(node)).count();
            let late = time::elapsed(group.first_onset, first.onset).saturating_sub(SIMULTANEOUS);
            let gravest = records.iter().map(|r| r.alert.severity).max().unwrap_or(Severity::Info);
            let before = (time::before(first.onset, options.change_window), first.onset);
            let parts = SuspicionParts {
                coverage: covered as f64 / (by_locus.len() - 1).max(1) as f64,
                onset: 1.0 - late.as_secs_f64() / span.max(SIMULTANEOUS).as_secs_f64(),
                breadth: records.len() as f64 / alerts.max(1) as f64,
                severity: match gravest {
                    Severity::Info => 0.0,
                    Severity::Warning => 0.5,
                    Severity::Critical => 1.0,
                },
                change: f64::from(self.events.of(locus, before).next().is_some()),
            };
            let score = weights.coverage * parts.coverage
                + weights.onset * parts.onset
                + weights.breadth * parts.breadth
                + weights.severity * parts.severity
                + weights.change * parts.change;
            let entity = (*locus).clone();
            suspects.push((first.onset, Suspicion { entity, alert: lead.id, score: score / whole, parts }));
        }
        suspects.sort_by(|a, b| b.1.score.total_cmp(&a.1.score).then(a.0.cmp(&b.0)));
        suspects.into_iter().map(|(_, suspicion)| suspicion).collect()
    }
}
