//! When alerts are held back: upkeep that was announced, and the minutes after a change. // COR-04

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::jiff::Timestamp;
use aiops_core::model::{Calendar, Change, ChangeId, EntityId, EventKind, Severity, TimeRange, time};
use serde::{Deserialize, Serialize};

use super::config::CorrelatorOptions;
use super::graph::Graph;

/// A time in which things are known to be out of order. // ING-06
///
/// Alerts about it that begin within are held back: kept and counted, in no incident. What still fires when it ends
/// becomes part of an incident then.
///
/// Windows are announced one by one as somebody starts upkeep; those that are planned stand in a
/// [`Calendar`] ([`Correlator::set_calendar`](super::Correlator::set_calendar)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MaintenanceWindow {
    /// Its id; a window of the same id replaces the former.
    pub id: String,
    /// When.
    pub range: TimeRange,
    /// About what, parts included; none means everything.
    #[serde(default)]
    pub entities: BTreeSet<EntityId>,
    /// Whether critical alerts are held back too.
    #[serde(default)]
    pub holds_critical: bool,
}

impl MaintenanceWindow {
    /// A window over `entities` that lets critical alerts through.
    pub fn new(
        id: impl Into<String>,
        range: TimeRange,
        entities: impl IntoIterator<Item = EntityId>,
    ) -> Self {
        Self { id: id.into(), range, entities: entities.into_iter().collect(), holds_critical: false }
    }

    /// The same window, holding back critical alerts too.
    #[must_use]
    pub fn holding_critical(mut self) -> Self {
        self.holds_critical = true;
        self
    }
}

/// What holds an alert back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// A maintenance window.
    Maintenance(String),
    /// A change made just before.
    Change(ChangeId),
}

/// Held back until when and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hold {
    pub(super) until: Timestamp,
    pub(super) by: HeldBy,
}

/// Changes and maintenance windows, the latest ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Events {
    /// By number, in order of arrival.
    changes: BTreeMap<u64, Change>,
    next: u64,
    windows: Vec<MaintenanceWindow>,
    /// Numbers of the changes of each entity; derived.
    #[serde(skip)]
    by_entity: BTreeMap<EntityId, BTreeSet<u64>>,
}

impl Events {
    /// Takes a change in, once.
    pub(super) fn changed(&mut self, change: Change, graph: &Graph, most: usize) {
        let entity = locus(&change.entity, graph);
        let known = self.by_entity.get(&entity).into_iter().flatten();
        if known.filter_map(|n| self.changes.get(n)).any(|c| c.id == change.id) {
            return;
        }
        if self.changes.len() >= most
            && let Some((number, gone)) = self.changes.pop_first()
        {
            let entity = locus(&gone.entity, graph);
            if let Some(numbers) = self.by_entity.get_mut(&entity) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    self.by_entity.remove(&entity);
                }
            }
        }
        self.by_entity.entry(entity).or_default().insert(self.next);
        self.changes.insert(self.next, change);
        self.next += 1;
    }

    /// Takes a window in, in place of one of the same id. The oldest one goes when there are too many.
    pub(super) fn announce(&mut self, window: MaintenanceWindow, most: usize) {
        self.windows.retain(|w| w.id != window.id);
        if self.windows.len() >= most {
            self.windows.remove(0);
        }
        self.windows.push(window);
    }

    /// Forgets what is long over.
    pub(super) fn expire(&mut self, at: Timestamp, graph: &Graph, options: &CorrelatorOptions) {
        let gone = time::before(at, options.change_lookback.saturating_add(options.max_span));
        self.windows.retain(|w| w.range.end() > gone);
        let before = self.changes.len();
        self.changes.retain(|_, change| change.time > gone);
        if self.changes.len() != before {
            self.reindex(graph);
        }
    }

    /// Finds the changes of each entity again.
    pub(super) fn reindex(&mut self, graph: &Graph) {
        self.by_entity.clear();
        for (number, change) in &self.changes {
            self.by_entity.entry(locus(&change.entity, graph)).or_default().insert(*number);
        }
    }

    /// Whether no change is known.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn change(&self, number: u64) -> Option<&Change> {
        self.changes.get(&number)
    }

    /// The changes of `entity` within `range`, both ends included, the latest of them by number first.
    pub(super) fn of<'e>(
        &'e self,
        entity: &EntityId,
        range: (Timestamp, Timestamp),
    ) -> impl Iterator<Item = (u64, &'e Change)> + use<'e> {
        let numbers = self.by_entity.get(entity).into_iter().flatten().rev();
        numbers
            .filter_map(|n| Some((*n, self.changes.get(n)?)))
            .filter(move |(_, change)| range.0 <= change.time && change.time <= range.1)
    }

    /// What holds back an alert about `entity`, part of `locus`, that began at `onset`; the one that lasts longest.
    pub(super) fn hold(
        &self,
        (entity, locus): (&EntityId, &EntityId),
        severity: Severity,
        (onset, at): (Timestamp, Timestamp),
        (options, calendar): (&CorrelatorOptions, &Calendar),
    ) -> Option<Hold> {
        let critical = severity == Severity::Critical;
        let is_about = |entities: &BTreeSet<EntityId>| {
            entities.is_empty() || entities.contains(entity) || entities.contains(locus)
        };
        let known = calendar
            .holding(at)
            .filter(|held| held.event.kind == EventKind::Maintenance && held.range.contains(onset))
            .filter(|held| (held.event.holds_critical || !critical) && is_about(&held.event.about))
            .map(|held| Hold { until: held.range.end(), by: HeldBy::Maintenance(held.event.id.clone()) });
        let planned = self
            .windows
            .iter()
            .filter(|w| w.holds_critical || !critical)
            .filter(|w| w.range.contains(at) && w.range.contains(onset))
            .filter(|w| is_about(&w.entities))
            .map(|w| Hold { until: w.range.end(), by: HeldBy::Maintenance(w.id.clone()) });
        let range = (time::before(onset, options.suppress_for), onset);
        let changed = self
            .of(locus, range)
            .filter(|(_, change)| !critical && options.suppress_kinds.contains(&change.kind))
            .map(|(_, change)| Hold {
                until: time::after(change.time, options.suppress_for),
                by: HeldBy::Change(change.id.clone()),
            });
        planned.chain(known).chain(changed).filter(|hold| hold.until > at).max()
    }

    pub(super) fn is_sound(&self, most: usize) -> bool {
        self.changes.len() <= most
            && self.windows.len() <= most
            && self.changes.last_key_value().is_none_or(|(last, _)| *last < self.next)
    }
}

/// The whole that `entity` is a part of, as far as the topology knows.
pub(super) fn locus(entity: &EntityId, graph: &Graph) -> EntityId {
    graph.whole(entity).unwrap_or(entity).clone()
}
