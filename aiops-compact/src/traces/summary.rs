//! What is kept of traces.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::quality::TraceQuality;
use super::sketch::DurationSketch;

/// Who called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// Nobody: a root span.
    Root,
    /// A span that did not arrive.
    Unknown,
    /// A service.
    Service(Arc<str>),
}

impl Caller {
    /// The service, when it is one.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        if let Self::Service(name) = self { Some(name) } else { None }
    }
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Root => "(root)",
            Self::Unknown => "(unknown)",
            Self::Service(name) => name,
        })
    }
}

/// Who calls whom for what. Spans within one service have it as caller and callee.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallType {
    /// Service of the parent span.
    pub caller: Caller,
    /// Service of the span.
    pub callee: Arc<str>,
    /// Operation of the span.
    pub operation: Arc<str>,
}

impl std::fmt::Display for CallType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} > {}: {}", self.caller, self.callee, self.operation)
    }
}

/// The last three services on the way to a span, and its operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallPath {
    /// The service that called the caller.
    pub far: Caller,
    /// The service that called `callee`; spans within one service are no hop.
    pub near: Caller,
    /// Service of the span.
    pub callee: Arc<str>,
    /// Operation of the span.
    pub operation: Arc<str>,
    /// Whether the direct parent is of the same service.
    pub internal: bool,
}

impl std::fmt::Display for CallPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} > {} > {}: {}", self.far, self.near, self.callee, self.operation)
    }
}

/// Counts and sums of calls; all exact (sums saturate at 2¹²⁸ ns).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Spans.
    pub calls: u64,
    /// Spans that failed.
    pub errors: u64,
    /// Spans that failed with no failed child to explain it.
    pub own_errors: u64,
    /// Direct children.
    pub children: u64,
    /// Sum of durations, ns.
    pub duration: u128,
    /// Sum of self times, ns: what no child covers.
    pub own: u128,
}

impl Totals {
    /// Adds the counts and sums of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.errors = self.errors.saturating_add(other.errors);
        self.own_errors = self.own_errors.saturating_add(other.own_errors);
        self.children = self.children.saturating_add(other.children);
        self.duration = self.duration.saturating_add(other.duration);
        self.own = self.own.saturating_add(other.own);
    }

    /// Sum of the parts of durations that children cover, ns.
    #[must_use]
    pub fn child_time(&self) -> u128 {
        self.duration.saturating_sub(self.own)
    }
}

/// What is known of one call type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallStats {
    /// Counts and sums.
    pub totals: Totals,
    /// Traces with at least one such call.
    pub traces: u64,
    /// Sum over traces of the square of the number of such calls: their spread.
    pub squares: u128,
    /// Durations.
    pub duration: DurationSketch,
    /// Self times of spans that work. A span inside a service whose only child is a call of another service waits
    /// for it: what it takes longer than that call is in the `gap` of the callee's call type instead.
    pub own: DurationSketch,
    /// How much longer the caller saw the call take than the callee: network, connection, queue. Needs a caller's
    /// span that does nothing else, and no clocks.
    pub gap: DurationSketch,
}

impl CallStats {
    /// Adds what `other` knows.
    pub fn merge(&mut self, other: &Self) {
        self.totals.merge(&other.totals);
        self.traces = self.traces.saturating_add(other.traces);
        self.squares = self.squares.saturating_add(other.squares);
        self.duration.merge(&other.duration);
        self.own.merge(&other.own);
        self.gap.merge(&other.gap);
    }
}

/// What is known of one service as callee.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceStats {
    /// Counts and sums of all its spans.
    pub totals: Totals,
    /// Spans called from elsewhere: by other services, by nobody or by an unknown caller.
    pub entries: u64,
    /// Traces it took part in.
    pub traces: u64,
}

impl ServiceStats {
    fn merge(&mut self, other: &Self) {
        self.totals.merge(&other.totals);
        self.entries = self.entries.saturating_add(other.entries);
        self.traces = self.traces.saturating_add(other.traces);
    }
}

/// Children that begin before their parents, of one pair of services: the callee's clock is behind, or the caller's
/// ahead, by at least `largest_lead`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockSkew {
    /// Such children.
    pub leading: u64,
    /// The most a child began too early, ns.
    pub largest_lead: u64,
    /// Sum of the distances of the children's middles from their parents' middles, ns.
    pub offset: i128,
}

impl ClockSkew {
    fn merge(&mut self, other: &Self) {
        self.leading = self.leading.saturating_add(other.leading);
        self.largest_lead = self.largest_lead.max(other.largest_lead);
        self.offset = self.offset.saturating_add(other.offset);
    }

    /// Estimate of the callee's clock minus the caller's, ns, as NTP's: right when the way there took as long as the
    /// way back. `None` without a leading child.
    #[must_use]
    pub fn estimate(&self) -> Option<f64> {
        (self.leading > 0).then(|| self.offset as f64 / self.leading as f64)
    }
}

/// Caller and callee.
pub type ServicePair = (Arc<str>, Arc<str>);

/// Counts, sums and sketches of any number of traces. // CMP-05, CMP-07
///
/// `merge` adds integers and takes maxima: exactly associative and commutative, sketches included. Summaries of
/// shards that were cut between traces merge to the summary of everything, apart from what a shard had to leave out
/// at a limit, which [`quality`](Self::quality) counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct TraceSummary {
    pub(super) calls: BTreeMap<CallType, CallStats>,
    pub(super) paths: BTreeMap<CallPath, Totals>,
    pub(super) services: BTreeMap<Arc<str>, ServiceStats>,
    pub(super) skews: BTreeMap<ServicePair, ClockSkew>,
    pub(super) minutes: BTreeMap<i64, u64>,
    pub(super) max_minutes: usize,
    pub(super) quality: TraceQuality,
}

/// The stored form: lists instead of maps, since JSON knows only strings as keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    calls: Vec<(CallType, CallStats)>,
    paths: Vec<(CallPath, Totals)>,
    services: Vec<(Arc<str>, ServiceStats)>,
    skews: Vec<(ServicePair, ClockSkew)>,
    minutes: Vec<(i64, u64)>,
    max_minutes: usize,
    quality: TraceQuality,
}

const VERSION: u32 = 1;

impl From<TraceSummary> for Stored {
    fn from(summary: TraceSummary) -> Self {
        Self {
            version: VERSION,
            calls: summary.calls.into_iter().collect(),
            paths: summary.paths.into_iter().collect(),
            services: summary.services.into_iter().collect(),
            skews: summary.skews.into_iter().collect(),
            minutes: summary.minutes.into_iter().collect(),
            max_minutes: summary.max_minutes,
            quality: summary.quality,
        }
    }
}

impl TryFrom<Stored> for TraceSummary {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        if stored.version != VERSION {
            return Err(format!("version {} of a trace summary is not known", stored.version));
        }
        Ok(Self {
            calls: unique("calls", stored.calls)?,
            paths: unique("paths", stored.paths)?,
            services: unique("services", stored.services)?,
            skews: unique("skews", stored.skews)?,
            minutes: unique("minutes", stored.minutes)?,
            max_minutes: stored.max_minutes,
            quality: stored.quality,
        })
    }
}

fn unique<K: Ord, V>(what: &str, entries: Vec<(K, V)>) -> Result<BTreeMap<K, V>, String> {
    let count = entries.len();
    let map: BTreeMap<K, V> = entries.into_iter().collect();
    if map.len() == count { Ok(map) } else { Err(format!("`{what}` of a trace summary repeats a key")) }
}

fn join<K: Ord + Clone, V: Clone>(
    mine: &mut BTreeMap<K, V>,
    theirs: &BTreeMap<K, V>,
    merge: impl Fn(&mut V, &V),
) {
    for (key, value) in theirs {
        match mine.entry(key.clone()) {
            Entry::Occupied(mut entry) => merge(entry.get_mut(), value),
            Entry::Vacant(entry) => {
                entry.insert(value.clone());
            }
        }
    }
}

impl TraceSummary {
    /// Of no trace.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds everything `other` has seen. O((n + m) log n) in the number of entries.
    pub fn merge(&mut self, other: &Self) {
        join(&mut self.calls, &other.calls, CallStats::merge);
        join(&mut self.paths, &other.paths, Totals::merge);
        join(&mut self.services, &other.services, ServiceStats::merge);
        join(&mut self.skews, &other.skews, ClockSkew::merge);
        join(&mut self.minutes, &other.minutes, |mine, theirs| *mine = mine.saturating_add(*theirs));
        self.max_minutes = self.max_minutes.max(other.max_minutes);
        self.quality.merge(&other.quality);
        self.keep_latest_minutes();
    }

    pub(super) fn keep_latest_minutes(&mut self) {
        // The latest minutes of a union are among the latest of its parts, so the order of merges decides nothing.
        while self.minutes.len() > self.max_minutes {
            self.minutes.pop_first();
        }
    }

    /// Call types in order.
    #[must_use]
    pub fn calls(&self) -> &BTreeMap<CallType, CallStats> {
        &self.calls
    }

    /// Call paths of three hops in order.
    #[must_use]
    pub fn paths(&self) -> &BTreeMap<CallPath, Totals> {
        &self.paths
    }

    /// Services as callees, in order.
    #[must_use]
    pub fn services(&self) -> &BTreeMap<Arc<str>, ServiceStats> {
        &self.services
    }

    /// Pairs of caller and callee with children that begin before their parents.
    #[must_use]
    pub fn skews(&self) -> &BTreeMap<ServicePair, ClockSkew> {
        &self.skews
    }

    /// Traces by the minute (since the epoch) in which their first span begins.
    #[must_use]
    pub fn minutes(&self) -> &BTreeMap<i64, u64> {
        &self.minutes
    }

    /// What was wrong with the spans.
    #[must_use]
    pub fn quality(&self) -> &TraceQuality {
        &self.quality
    }
}
