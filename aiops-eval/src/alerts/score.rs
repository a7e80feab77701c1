//! How well a grouping matches the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{Alert, EntityId, time};
use aiops_detect::correlate::{AlertId, Correlator, CorrelatorConfig, Incident};
use serde::Serialize;

use super::stream::Stream;

/// Where each alert went.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouping {
    /// Name of the method.
    pub method: String,
    /// Group of each episode; none where it was handed on in none.
    pub groups: Vec<Option<u64>>,
    /// First suspect of each group, where the method has an opinion.
    pub suspects: Option<BTreeMap<u64, EntityId>>,
}

/// How well a grouping matches the truth of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// Of the pairs of alerts that were put together: share that belongs together.
    pub precision: f64,
    /// Of the pairs of alerts that belong together: share that was put together.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// Groups.
    pub groups: usize,
    /// 1 − groups / notifications.
    pub reduction: f64,
    /// 1 − groups / alerts.
    pub alert_reduction: f64,
    /// Of the incidents with an alert about what was at fault: share in which such an alert is in the group that holds most
    /// of the incident's alerts.
    pub root_kept: f64,
    /// The same, in whatever group.
    pub root_handed_on: f64,
    /// Of the same incidents: share in which the first suspect of that group is what was at fault.
    pub suspect_right: Option<f64>,
}

fn pairs(n: usize) -> f64 {
    n as f64 * n.saturating_sub(1) as f64 / 2.0
}

impl Grouping {
    /// Scores it. Alerts in no group count as one group each.
    #[must_use]
    pub fn score(&self, stream: &Stream) -> Score {
        self.score_part(stream, |_| true)
    }

    /// Scores what it made of the alerts and incidents of the systems to `keep`, as if there were no others.
    #[must_use]
    pub fn score_part(&self, stream: &Stream, keep: impl Fn(&str) -> bool) -> Score {
        let mut cells: BTreeMap<(usize, Option<u64>, usize), usize> = BTreeMap::new();
        let mut by_truth: BTreeMap<usize, usize> = BTreeMap::new();
        let mut by_group: BTreeMap<(Option<u64>, usize), usize> = BTreeMap::new();
        let mut alerts = 0_usize;
        for (at, (episode, group)) in stream.episodes.iter().zip(&self.groups).enumerate() {
            if !keep(&episode.system) {
                continue;
            }
            alerts += 1;
            let alone = if group.is_some() { usize::MAX } else { at };
            *cells.entry((episode.truth, *group, alone)).or_default() += 1;
            *by_truth.entry(episode.truth).or_default() += 1;
            *by_group.entry((*group, alone)).or_default() += 1;
        }
        let both: f64 = cells.values().map(|n| pairs(*n)).sum();
        let (together, belong): (f64, f64) =
            (by_group.values().map(|n| pairs(*n)).sum(), by_truth.values().map(|n| pairs(*n)).sum());
        // Nothing put together is nothing put together wrongly.
        let precision = if together > 0.0 { both / together } else { 1.0 };
        let recall = if belong > 0.0 { both / belong } else { 1.0 };
        let f1 = if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
        let groups = by_group.len();
        let [rooted, kept, handed, right] = self.roots(stream, &keep);
        let sent = |n: &&super::stream::Notification| {
            stream.episodes.get(n.episode).is_some_and(|episode| keep(&episode.system))
        };
        let notifications = stream.notifications.iter().filter(sent).count();
        let share = |n: usize| n as f64 / rooted.max(1) as f64;
        Score {
            precision,
            recall,
            f1,
            groups,
            reduction: 1.0 - groups as f64 / notifications.max(1) as f64,
            alert_reduction: 1.0 - groups as f64 / alerts.max(1) as f64,
            root_kept: share(kept),
            root_handed_on: share(handed),
            suspect_right: self.suspects.as_ref().map(|_| share(right)),
        }
    }

    /// Incidents with an alert about their root; of these, in how many it is in the main group, in any, and suspected first.
    fn roots(&self, stream: &Stream, keep: &impl Fn(&str) -> bool) -> [usize; 4] {
        let mut members: BTreeMap<usize, Vec<(usize, Option<u64>)>> = BTreeMap::new();
        for (at, (episode, group)) in stream.episodes.iter().zip(&self.groups).enumerate() {
            members.entry(episode.truth).or_default().push((at, *group));
        }
        let mut counts = [0; 4];
        for (truth, incident) in stream.incidents.iter().enumerate().filter(|(_, i)| keep(&i.system)) {
            let alerts = members.get(&truth).map_or(&[][..], Vec::as_slice);
            let about_root =
                |at: &usize| stream.episodes.get(*at).is_some_and(|e| e.alert.entity == incident.root);
            let roots: BTreeSet<Option<u64>> =
                alerts.iter().filter(|(at, _)| about_root(at)).map(|(_, group)| *group).collect();
            if roots.is_empty() {
                continue;
            }
            let mut sizes: BTreeMap<u64, usize> = BTreeMap::new();
            for group in alerts.iter().filter_map(|(_, group)| *group) {
                *sizes.entry(group).or_default() += 1;
            }
            let main =
                sizes.iter().max_by_key(|(group, n)| (**n, std::cmp::Reverse(**group))).map(|(g, _)| *g);
            let suspect = main.and_then(|main| self.suspects.as_ref()?.get(&main));
            let [rooted, kept, handed, right] = &mut counts;
            *rooted += 1;
            *kept += usize::from(main.is_some() && roots.contains(&main));
            *handed += usize::from(roots.iter().any(Option::is_some));
            *right += usize::from(suspect == Some(&incident.root));
        }
        counts
    }
}

/// Pushes the stream through a correlator, which is told the time once a minute.
#[must_use]
pub fn correlate(stream: &Stream, config: &CorrelatorConfig) -> Grouping {
    let mut correlator = Correlator::new(config.clone());
    correlator.set_topology(stream.topology.clone());
    let mut alerts: Vec<Option<AlertId>> = vec![None; stream.episodes.len()];
    let mut closed: Vec<Incident> = Vec::new();
    let mut told: Option<Timestamp> = None;
    for notification in &stream.notifications {
        let at = notification.at;
        if told.is_none_or(|told| time::elapsed(told, at) >= Duration::from_secs(60)) {
            told = Some(at);
            closed.extend(correlator.advance(at));
        }
        let outcome = correlator.push(&notification.alert, at);
        if let Some(slot) = alerts.get_mut(notification.episode) {
            *slot = slot.or(outcome.alert);
        }
    }
    closed.extend(correlator.incidents());
    let mut home: BTreeMap<AlertId, u64> = BTreeMap::new();
    let mut suspects = BTreeMap::new();
    for incident in &closed {
        let group = incident.number.get();
        home.extend(incident.members.iter().map(|member| (member.id, group)));
        suspects.extend(incident.suspects.first().map(|suspect| (group, suspect.entity.clone())));
    }
    let groups = alerts.iter().map(|id| id.and_then(|id| home.get(&id).copied())).collect();
    Grouping { method: "correlator".to_owned(), groups, suspects: Some(suspects) }
}

/// Baseline: everything is one group.
#[must_use]
pub fn one_for_all(stream: &Stream) -> Grouping {
    let groups = vec![Some(0); stream.episodes.len()];
    Grouping { method: "one group for all".to_owned(), groups, suspects: None }
}

/// Baseline: every alert is a group.
#[must_use]
pub fn no_grouping(stream: &Stream) -> Grouping {
    let groups = (0..stream.episodes.len() as u64).map(Some).collect();
    Grouping { method: "no grouping".to_owned(), groups, suspects: None }
}

/// Baseline: alerts with the same key whose onsets follow within five minutes of each other.
#[must_use]
pub fn sessions(stream: &Stream, name: &str, key: impl Fn(&Alert) -> String) -> Grouping {
    let mut order: Vec<usize> = (0..stream.episodes.len()).collect();
    let onset = |at: &usize| stream.episodes.get(*at).map(|e| e.alert.started_at);
    order.sort_by_key(onset);
    let mut open: BTreeMap<String, (u64, Timestamp)> = BTreeMap::new();
    let mut next = 0;
    let mut groups = vec![None; stream.episodes.len()];
    for at in order {
        let Some(alert) = stream.episodes.get(at).map(|e| &e.alert) else { continue };
        let began = alert.started_at;
        let slot = open.entry(key(alert)).or_insert((u64::MAX, began));
        if slot.0 == u64::MAX || time::elapsed(slot.1, began) > Duration::from_secs(300) {
            slot.0 = next;
            next += 1;
        }
        slot.1 = began;
        if let Some(group) = groups.get_mut(at) {
            *group = Some(slot.0);
        }
    }
    Grouping { method: format!("same {name}, 5 min apart"), groups, suspects: None }
}
