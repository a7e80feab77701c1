//! The accumulators a compactor adds calls to: dense, addressed by interned ids.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::assemble::{Call, Lead, Path, ROOT, UNKNOWN};
use super::config::TraceOptions;
use super::hash::Folded;
use super::quality::TraceQuality;
use super::sketch::{DurationSketch, bucket};
use super::summary::{CallPath, CallStats, CallType, Caller, ClockSkew, Totals, TraceSummary};

/// Id of the name that stands for all that did not fit.
pub(super) const OTHER: u32 = 0;
const OTHER_NAME: &str = "<other>";

/// Everything beyond a limit.
const OTHER_PATH: Path = Path { far: OTHER, near: OTHER, service: OTHER, operation: OTHER, internal: false };

#[derive(Debug)]
struct PathEntry {
    path: Path,
    call: u32,
    totals: Totals,
}

#[derive(Debug)]
struct CallEntry {
    caller: u32,
    callee: u32,
    operation: u32,
    per_trace: PerTrace,
    pending: Vec<Times>,
    times: Sketches,
}

/// Buckets of duration, self time and gap of one call; [`NO_TIME`] where it has none.
type Times = [u16; 3];

/// Beyond the last bucket.
const NO_TIME: u16 = u16::MAX;

/// Calls that wait before their times go into the sketches: the bins of thousands of call types do not fit a cache,
/// the end of each list of those that wait does. They take 3 kB, less than bins would for as few calls.
const MAX_PENDING: usize = 512;

#[derive(Debug, Clone, Default)]
struct Sketches {
    duration: DurationSketch,
    own: DurationSketch,
    gap: DurationSketch,
}

impl Sketches {
    #[cold]
    fn push(&mut self, times: &[Times]) {
        let some = |bucket: &u16| *bucket != NO_TIME;
        self.duration.push_buckets(times.iter().map(|[duration, ..]| *duration).filter(some));
        self.own.push_buckets(times.iter().map(|[_, own, _]| *own).filter(some));
        self.gap.push_buckets(times.iter().map(|[.., gap]| *gap).filter(some));
    }
}

/// How often something happens per trace.
#[derive(Debug, Clone, Copy, Default)]
struct PerTrace {
    /// The trace being counted.
    trace: u64,
    /// Occurrences in it so far.
    run: u64,
    traces: u64,
    squares: u128,
}

impl PerTrace {
    #[inline]
    fn count(&mut self, trace: u64) {
        if self.trace != trace {
            *self = Self { trace, run: 0, traces: self.traces + 1, squares: self.squared() };
        }
        self.run += 1;
    }

    fn squared(&self) -> u128 {
        self.squares.saturating_add(u128::from(self.run) * u128::from(self.run))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tables {
    names: Vec<Arc<str>>,
    name_ids: HashMap<Arc<str>, u32, Folded>,
    paths: Vec<PathEntry>,
    path_ids: HashMap<u128, u32, Folded>,
    calls: Vec<CallEntry>,
    call_ids: HashMap<u128, u32, Folded>,
    services: Vec<PerTrace>,
    skews: HashMap<u64, ClockSkew, Folded>,
    minutes: BTreeMap<i64, u64>,
    max_names: usize,
    max_paths: usize,
    max_calls: usize,
    max_minutes: usize,
    trace: u64,
    overflowed: u64,
}

/// Names are fewer than 2³¹, see `max_names`; the two ids above that are cut to distinct ones.
const ID: u32 = u32::MAX >> 1;

fn key(path: &Path) -> u128 {
    let high = u64::from(path.far) << 32 | u64::from(path.near);
    let operation = path.operation & ID | u32::from(path.internal) << 31;
    u128::from(high) << 64 | u128::from(u64::from(path.service) << 32 | u64::from(operation))
}

impl Tables {
    pub(super) fn new(options: &TraceOptions) -> Self {
        let other: Arc<str> = OTHER_NAME.into();
        Self {
            name_ids: [(Arc::clone(&other), OTHER)].into_iter().collect(),
            names: vec![other],
            paths: Vec::new(),
            path_ids: HashMap::default(),
            calls: Vec::new(),
            call_ids: HashMap::default(),
            services: Vec::new(),
            skews: HashMap::default(),
            minutes: BTreeMap::new(),
            max_names: options.max_names,
            max_paths: options.max_paths,
            max_calls: options.max_call_types,
            max_minutes: options.max_minutes,
            trace: 0,
            overflowed: 0,
        }
    }

    /// Id of a name, [`OTHER`] when there are too many.
    pub(super) fn intern(&mut self, name: &Arc<str>) -> u32 {
        if let Some(id) = self.name_ids.get(name) {
            return *id;
        }
        if self.names.len() > self.max_names {
            return OTHER;
        }
        let id = self.names.len() as u32;
        self.names.push(Arc::clone(name));
        self.name_ids.insert(Arc::clone(name), id);
        id
    }

    /// The names, each at its id.
    pub(super) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    pub(super) fn overflow(&mut self, spans: u64) {
        self.overflowed += spans;
    }

    /// Begins the next trace, whose first span starts at `start`, ns.
    pub(super) fn begin(&mut self, start: i64) {
        self.trace += 1;
        *self.minutes.entry(start.div_euclid(60_000_000_000)).or_default() += 1;
        if self.minutes.len() > self.max_minutes {
            self.minutes.pop_first();
        }
    }

    #[inline]
    pub(super) fn add(&mut self, call: &Call) {
        let id = match self.path_ids.get(&key(&call.path)) {
            Some(id) => *id,
            None => self.admit(call.path),
        };
        let Some(path) = self.paths.get_mut(id as usize) else { return };
        let totals = &mut path.totals;
        totals.calls += 1;
        totals.errors += u64::from(call.error);
        totals.own_errors += u64::from(call.own_error);
        totals.children += u64::from(call.children);
        totals.duration = totals.duration.saturating_add(call.duration.into());
        totals.own = totals.own.saturating_add(call.own.into());
        if !path.path.internal
            && let Some(service) = self.services.get_mut(path.path.service as usize)
        {
            service.count(self.trace);
        }
        let Some(entry) = self.calls.get_mut(path.call as usize) else { return };
        entry.per_trace.count(self.trace);
        if entry.pending.len() >= MAX_PENDING {
            entry.times.push(&entry.pending);
            entry.pending.clear();
        }
        let own = if call.waits { NO_TIME } else { bucket(call.own) };
        entry.pending.push([bucket(call.duration), own, call.gap.map_or(NO_TIME, bucket)]);
    }

    /// A path not seen before. Too many: first without its operation, then all as one.
    #[cold]
    fn admit(&mut self, path: Path) -> u32 {
        let without = Path { operation: OTHER, ..path };
        for (path, share) in [(path, 1), (without, 2), (OTHER_PATH, usize::MAX)] {
            if let Some(id) = self.path_ids.get(&key(&path)) {
                self.overflowed += u64::from(share > 1);
                return *id;
            }
            if self.paths.len() >= self.max_paths.saturating_mul(share) {
                continue;
            }
            let Some(call) = self.call(&path, share) else { continue };
            self.overflowed += u64::from(share > 1);
            let id = self.paths.len() as u32;
            self.paths.push(PathEntry { path, call, totals: Totals::default() });
            self.path_ids.insert(key(&path), id);
            let services = (path.service as usize).saturating_add(1).max(self.services.len());
            self.services.resize(services, PerTrace::default());
            return id;
        }
        u32::MAX
    }

    /// The call type of a path; `None` when there are too many.
    fn call(&mut self, path: &Path, share: usize) -> Option<u32> {
        let caller = if path.internal { path.service } else { path.near };
        let key = key(&Path { far: 0, near: caller, internal: false, ..*path });
        if let Some(id) = self.call_ids.get(&key) {
            return Some(*id);
        }
        if self.calls.len() >= self.max_calls.saturating_mul(share) {
            return None;
        }
        let id = self.calls.len() as u32;
        self.calls.push(CallEntry {
            caller,
            callee: path.service,
            operation: path.operation,
            per_trace: PerTrace::default(),
            pending: Vec::new(),
            times: Sketches::default(),
        });
        self.call_ids.insert(key, id);
        Some(id)
    }

    #[cold]
    pub(super) fn lead(&mut self, lead: Lead) {
        let pair = u64::from(lead.caller) << 32 | u64::from(lead.callee);
        // Bounded like call types, of which each pair of services has at least one.
        let pair = if self.skews.len() < self.max_calls || self.skews.contains_key(&pair) { pair } else { 0 };
        let skew = self.skews.entry(pair).or_default();
        skew.leading += 1;
        skew.largest_lead = skew.largest_lead.max(lead.nanos);
        skew.offset = skew.offset.saturating_add(lead.offset.into());
    }

    fn name(&self, id: u32) -> Arc<str> {
        self.names.get(id as usize).map_or_else(|| OTHER_NAME.into(), Arc::clone)
    }

    fn caller(&self, id: u32) -> Caller {
        match id {
            ROOT => Caller::Root,
            UNKNOWN => Caller::Unknown,
            id => Caller::Service(self.name(id)),
        }
    }

    /// Everything added so far, by name.
    pub(super) fn summary(&self, quality: &TraceQuality) -> TraceSummary {
        let mut summary = TraceSummary {
            minutes: self.minutes.clone(),
            max_minutes: self.max_minutes,
            quality: TraceQuality { overflowed: self.overflowed, ..*quality },
            ..TraceSummary::default()
        };
        let mut of_calls = vec![Totals::default(); self.calls.len()];
        for PathEntry { path, call, totals } in &self.paths {
            let callee = self.name(path.service);
            let per_trace = self.services.get(path.service as usize).copied().unwrap_or_default();
            let service = summary.services.entry(Arc::clone(&callee)).or_default();
            service.totals.merge(totals);
            service.traces = per_trace.traces;
            service.entries += if path.internal { 0 } else { totals.calls };
            if let Some(of_call) = of_calls.get_mut(*call as usize) {
                of_call.merge(totals);
            }
            let path = CallPath {
                far: self.caller(path.far),
                near: self.caller(path.near),
                callee,
                operation: self.name(path.operation),
                internal: path.internal,
            };
            summary.paths.entry(path).or_default().merge(totals);
        }
        for (entry, totals) in self.calls.iter().zip(of_calls) {
            let call = CallType {
                caller: self.caller(entry.caller),
                callee: self.name(entry.callee),
                operation: self.name(entry.operation),
            };
            let mut times = entry.times.clone();
            times.push(&entry.pending);
            let stats = CallStats {
                totals,
                traces: entry.per_trace.traces,
                squares: entry.per_trace.squared(),
                duration: times.duration.trimmed(),
                own: times.own.trimmed(),
                gap: times.gap.trimmed(),
            };
            // Keys repeat only where a service is itself called `<other>`.
            match summary.calls.entry(call) {
                Entry::Vacant(place) => {
                    place.insert(stats);
                }
                Entry::Occupied(mut known) => known.get_mut().merge(&stats),
            }
        }
        for (pair, skew) in &self.skews {
            summary.skews.insert((self.name((pair >> 32) as u32), self.name(*pair as u32)), *skew);
        }
        summary
    }
}
