//! The naive versions of algorithms in `aiops-core`: slow, short and plain, to hold the real ones against.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::ErrorKind;
use aiops_core::action::{ActionOutcome, JournalEntry};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{EdgeKind, EntityId, MetricSeries, TimeAxis, Topology};

/// [`TimeAxis::index_at_or_after`] by looking at every instant. O(n).
#[must_use]
pub fn index_at_or_after(axis: &TimeAxis, t: Timestamp) -> usize {
    axis.iter().position(|at| at >= t).unwrap_or(axis.len())
}

/// [`Topology::path`]: of all shortest ways the first in the order of entity ids. Distances by relaxation, O(V · E).
#[must_use]
pub fn path(topology: &Topology, from: &EntityId, to: &EntityId) -> Option<Vec<EntityId>> {
    let travels = |kind| matches!(kind, EdgeKind::Calls | EdgeKind::DependsOn);
    let edges: BTreeSet<_> = topology.edges().filter(|e| travels(e.kind)).map(|e| (&e.from, &e.to)).collect();
    let mut distance = BTreeMap::from([(to, 0_usize)]);
    loop {
        let before = distance.len();
        for (a, b) in &edges {
            let Some(known) = distance.get(b).copied() else { continue };
            let d = distance.entry(a).or_insert(usize::MAX);
            *d = (*d).min(known + 1);
        }
        // Every round settles all distances of one more hop; as many rounds as nodes are enough.
        if distance.len() == before {
            for _ in 0..before {
                for (a, b) in &edges {
                    if let (Some(x), Some(y)) = (distance.get(a).copied(), distance.get(b).copied()) {
                        distance.insert(a, x.min(y + 1));
                    }
                }
            }
            break;
        }
    }
    let mut way = vec![from.clone()];
    let mut here = from;
    while here != to {
        let left = distance.get(here)?.checked_sub(1)?;
        let next =
            edges.iter().filter(|(a, b)| *a == here && distance.get(b) == Some(&left)).map(|(_, b)| *b);
        here = next.min()?;
        way.push(here.clone());
    }
    Some(way)
}

/// One column of a [`MetricFrame`](aiops_core::model::MetricFrame): for each row the last sample in its step. O(rows · n).
#[must_use]
pub fn frame_column(
    series: &MetricSeries,
    start: Timestamp,
    step: Duration,
    rows: usize,
) -> Vec<Option<f64>> {
    let inside = |row: usize, t: Timestamp| {
        let offset = t.duration_since(start).as_nanos();
        let (from, step) = (row as i128 * step.as_nanos() as i128, step.as_nanos() as i128);
        from <= offset && offset < from + step
    };
    (0..rows).map(|row| series.points().rfind(|(t, _)| inside(row, *t)).map(|(_, v)| v)).collect()
}

/// The rules of [`History::apply`](aiops_core::action::History::apply) by a search through everything accepted before. O(n) an entry.
#[derive(Debug, Clone, Default)]
pub struct NaiveJournal {
    accepted: Vec<JournalEntry>,
}

impl NaiveJournal {
    /// Entries accepted so far.
    #[must_use]
    pub fn accepted(&self) -> &[JournalEntry] {
        &self.accepted
    }

    /// How the action `key` ended, if it did.
    fn outcome(&self, wanted: &aiops_core::action::IdempotencyKey) -> Option<&ActionOutcome> {
        self.accepted.iter().find_map(|e| match e {
            JournalEntry::Outcome { key, outcome, .. } if key == wanted => Some(outcome),
            _ => None,
        })
    }

    /// Accepts or refuses `entry`.
    ///
    /// # Errors
    /// The kind of error that the real one must give.
    pub fn apply(&mut self, entry: &JournalEntry) -> Result<(), ErrorKind> {
        let intents = || {
            self.accepted.iter().filter_map(|e| if let JournalEntry::Intent(i) = e { Some(i) } else { None })
        };
        match entry {
            JournalEntry::Intent(new) => {
                let held = |i: &aiops_core::action::IntentRecord| {
                    i.proposal.action.target == new.proposal.action.target && self.outcome(&i.key).is_none()
                };
                if intents().any(|i| i.key == new.key || held(i)) {
                    return Err(ErrorKind::Conflict);
                }
            }
            JournalEntry::Outcome { key, outcome, .. } => {
                if !intents().any(|i| i.key == *key) {
                    return Err(ErrorKind::NotFound);
                }
                if self.outcome(key).is_some_and(|known| known != outcome) {
                    return Err(ErrorKind::Conflict);
                }
            }
            JournalEntry::Verified { key, .. } => {
                if !intents().any(|i| i.key == *key) {
                    return Err(ErrorKind::NotFound);
                }
                if self.outcome(key).is_none() {
                    return Err(ErrorKind::Conflict);
                }
            }
        }
        self.accepted.push(entry.clone());
        Ok(())
    }
}

/// When calls that come one after the other at `arrivals` may go on: a bucket of `burst` tokens, one more each `interval`.
/// Instants in ns; a call arrives no earlier than the one before went on.
#[must_use]
pub fn token_bucket(arrivals: &[u64], interval: u64, burst: u64) -> Vec<u64> {
    // What is in the bucket, in ns of filling.
    let (full, mut level, mut now) = (interval * burst, interval * burst, 0_u64);
    let mut went = Vec::with_capacity(arrivals.len());
    for arrival in arrivals {
        let at = now.max(*arrival);
        level = full.min(level + (at - now));
        let wait = interval.saturating_sub(level);
        level = level + wait - interval;
        now = at + wait;
        went.push(now);
    }
    went
}
