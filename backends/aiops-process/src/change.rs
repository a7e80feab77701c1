//! Change log: what was rolled out, scaled, restarted or purged, when and by whom.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// A new configuration revision.
    RollOut,
    /// Back to an earlier revision.
    RollBack,
    /// Another number of replicas.
    Scale,
    /// Replicas replaced without a change of configuration.
    Restart,
    /// All replicas stopped.
    Stop,
    /// Replicas started after a stop.
    Start,
    /// Cache purged.
    CachePurge,
    /// Log file rotated.
    LogRotation,
    /// Throughput reduced by a configuration overlay.
    Throttle,
}

/// One entry of the change log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRecord {
    /// Position in the log, from 1; gaps at the front show how many entries were dropped.
    pub sequence: u64,
    /// When it began to take effect.
    pub started: Timestamp,
    /// When it was complete; absent while it runs or when it failed.
    pub finished: Option<Timestamp>,
    /// The service changed.
    pub service: String,
    /// What kind of change.
    pub kind: ChangeKind,
    /// Who asked for it.
    pub author: String,
    /// Neutral one-line summary.
    pub summary: String,
    /// Revision before, where configuration was concerned.
    pub from_revision: Option<u64>,
    /// Revision after.
    pub to_revision: Option<u64>,
    /// Commit of the revision after.
    pub commit: Option<String>,
    /// Replicas wanted before and after.
    pub replicas: Option<(u32, u32)>,
}

/// A bounded log; the oldest entry is dropped first.
#[derive(Debug)]
pub(crate) struct ChangeLog {
    entries: VecDeque<ChangeRecord>,
    capacity: usize,
    next: u64,
}

impl ChangeLog {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity, next: 1 }
    }

    /// Appends and returns the sequence number.
    pub(crate) fn push(&mut self, mut record: ChangeRecord) -> u64 {
        let sequence = self.next;
        self.next = self.next.saturating_add(1);
        record.sequence = sequence;
        if self.entries.len() >= self.capacity {
            self.entries.pop_front();
        }
        self.entries.push_back(record);
        sequence
    }

    pub(crate) fn finish(&mut self, sequence: u64, at: Timestamp) {
        if let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.sequence == sequence) {
            entry.finished = Some(at);
        }
    }

    /// Entries that began at `since` or later, oldest first.
    pub(crate) fn since(&self, since: Timestamp) -> Vec<ChangeRecord> {
        self.entries.iter().filter(|entry| entry.started >= since).cloned().collect()
    }
}
