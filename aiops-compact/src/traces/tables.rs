//! The accumulators a compactor adds calls to: dense, addressed by interned ids.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::assemble::{Call, Lead, Path};
use super::call_times::{CallTimes, NO_TIME, Sketches};
use super::config::TraceOptions;
use super::hash::Folded;
use super::ids::Ids;
use super::names::{Names, OTHER_NAME, sorted};
use super::quality::TraceQuality;
use super::sketch::bucket;
use super::summary::{CallPath, CallStats, CallType, ClockSkew, ServiceStats, Totals, TraceSummary};

/// Id of the name that stands for all that did not fit.
pub(super) const OTHER: u32 = 0;

/// Everything beyond a limit.
const OTHER_PATH: Path = Path { far: OTHER, near: OTHER, service: OTHER, operation: OTHER, internal: false };

/// What is known of a path: one cache line, since thousands of them are met in no order.
#[derive(Debug)]
#[repr(align(64))]
struct PathEntry {
    path: Path,
    call: u32,
    /// Calls since the last time that these counts were carried over; fewer than 2³², and so are errors.
    calls: u64,
    errors: u32,
    own_errors: u32,
    children: u64,
    duration: u64,
    own: u64,
}

impl PathEntry {
    /// Whether the sums have room for one more call. Self time is at most the duration; children of 2³² calls fit.
    #[inline]
    fn has_room(&self, call: &Call) -> bool {
        self.calls < u64::from(u32::MAX) && self.duration.checked_add(call.duration).is_some()
    }

    #[inline]
    fn add(&mut self, call: &Call) {
        self.calls += 1;
        self.errors += u32::from(call.error);
        self.own_errors += u32::from(call.own_error);
        self.children += u64::from(call.children);
        self.duration += call.duration;
        self.own += call.own;
    }

    fn totals(&self) -> Totals {
        Totals {
            calls: self.calls,
            errors: self.errors.into(),
            own_errors: self.own_errors.into(),
            children: self.children,
            duration: self.duration.into(),
            own: self.own.into(),
        }
    }
}

#[derive(Debug)]
struct CallEntry {
    caller: u32,
    callee: u32,
    operation: u32,
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
    path_ids: Ids,
    /// What was carried over from paths whose counts were full.
    carried: BTreeMap<u32, Totals>,
    calls: Vec<CallEntry>,
    /// For each of them.
    calls_per_trace: Vec<PerTrace>,
    call_ids: HashMap<(u32, u32, u32), u32, Folded>,
    times: CallTimes,
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

impl Tables {
    pub(super) fn new(options: &TraceOptions) -> Self {
        let other: Arc<str> = OTHER_NAME.into();
        Self {
            name_ids: [(Arc::clone(&other), OTHER)].into_iter().collect(),
            names: vec![other],
            paths: Vec::new(),
            path_ids: Ids::default(),
            carried: BTreeMap::new(),
            calls: Vec::new(),
            calls_per_trace: Vec::new(),
            call_ids: HashMap::default(),
            times: CallTimes::default(),
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

    /// Leaves no time of a call waiting for its sketch.
    pub(super) fn settle(&mut self) {
        self.times.settle();
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
        let id = match self.find(&call.path) {
            Some(id) => id,
            None => self.admit(call.path),
        };
        let Some(path) = self.paths.get_mut(id as usize) else { return };
        if !path.has_room(call) {
            let carried = self.carried.entry(id).or_default();
            carried.merge(&path.totals());
            (path.calls, path.errors, path.own_errors) = (0, 0, 0);
            (path.children, path.duration, path.own) = (0, 0, 0);
        }
        path.add(call);
        if !path.path.internal
            && let Some(service) = self.services.get_mut(path.path.service as usize)
        {
            service.count(self.trace);
        }
        if let Some(per_trace) = self.calls_per_trace.get_mut(path.call as usize) {
            per_trace.count(self.trace);
        }
        let own = if call.waits { NO_TIME } else { bucket(call.own) };
        self.times.push(path.call, [bucket(call.duration), own, call.gap.map_or(NO_TIME, bucket)]);
    }

    #[inline]
    fn find(&self, path: &Path) -> Option<u32> {
        let is = |id: u32| self.paths.get(id as usize).is_some_and(|entry| entry.path == *path);
        self.path_ids.find(self.path_ids.hash(path), is)
    }

    /// A path not seen before. Too many: first without its operation, then all as one.
    #[cold]
    fn admit(&mut self, path: Path) -> u32 {
        let without = Path { operation: OTHER, ..path };
        for (path, share) in [(path, 1), (without, 2), (OTHER_PATH, usize::MAX)] {
            if let Some(id) = self.find(&path) {
                self.overflowed += u64::from(share > 1);
                return id;
            }
            if self.paths.len() >= self.max_paths.saturating_mul(share) {
                continue;
            }
            let Some(call) = self.call(&path, share) else { continue };
            self.overflowed += u64::from(share > 1);
            let id = self.paths.len() as u32;
            let (errors, own_errors) = (0, 0);
            let empty =
                PathEntry { path, call, calls: 0, errors, own_errors, children: 0, duration: 0, own: 0 };
            self.paths.push(empty);
            let Self { path_ids, paths, .. } = self;
            path_ids.insert(id, |id| paths.get(id as usize).map(|entry| entry.path));
            let services = (path.service as usize).saturating_add(1).max(self.services.len());
            self.services.resize(services, PerTrace::default());
            return id;
        }
        u32::MAX
    }

    /// The call type of a path; `None` when there are too many.
    fn call(&mut self, path: &Path, share: usize) -> Option<u32> {
        let caller = if path.internal { path.service } else { path.near };
        let key = (caller, path.service, path.operation);
        if let Some(id) = self.call_ids.get(&key) {
            return Some(*id);
        }
        if self.calls.len() >= self.max_calls.saturating_mul(share) {
            return None;
        }
        let id = self.calls.len() as u32;
        self.calls.push(CallEntry { caller, callee: path.service, operation: path.operation });
        self.calls_per_trace.push(PerTrace::default());
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

    /// Everything added so far, by name. O(p log p) for p paths, and O(bins) for the sketches.
    pub(super) fn summary(&self, quality: &TraceQuality) -> TraceSummary {
        self.summary_with(self.times.clone().sketches(self.calls.len()), quality)
    }

    /// The same without a copy of the sketches.
    pub(super) fn into_summary(mut self, quality: &TraceQuality) -> TraceSummary {
        let times = std::mem::take(&mut self.times);
        self.summary_with(times.sketches(self.calls.len()), quality)
    }

    fn summary_with(&self, times: Vec<Sketches>, quality: &TraceQuality) -> TraceSummary {
        let names = Names::of(&self.names);
        let mut of_calls = vec![Totals::default(); self.calls.len()];
        let mut of_services = vec![ServiceStats::default(); self.services.len()];
        let paths: Vec<(&Path, Totals)> = (0..)
            .zip(&self.paths)
            .map(|(id, entry)| {
                let mut totals = entry.totals();
                if let Some(carried) = self.carried.get(&id) {
                    totals.merge(carried);
                }
                if let Some(of_call) = of_calls.get_mut(entry.call as usize) {
                    of_call.merge(&totals);
                }
                if let Some(service) = of_services.get_mut(entry.path.service as usize) {
                    service.totals.merge(&totals);
                    service.entries += if entry.path.internal { 0 } else { totals.calls };
                }
                (&entry.path, totals)
            })
            .collect();
        let services = of_services.into_iter().zip(&self.services).zip(0_u32..);
        let services = services
            .filter(|((stats, _), _)| stats.totals.calls > 0)
            .map(|((stats, per_trace), id)| (id, ServiceStats { traces: per_trace.traces, ..stats }));
        let calls = self.calls.iter().zip(&self.calls_per_trace).zip(of_calls).zip(times);
        let calls = calls.map(|(((entry, per_trace), totals), times)| {
            let stats = CallStats {
                totals,
                traces: per_trace.traces,
                squares: per_trace.squared(),
                duration: times.duration,
                own: times.own,
                gap: times.gap,
            };
            (entry, stats)
        });
        TraceSummary {
            services: sorted(services, |id| names.rank(*id).into(), |id| names.name(*id)),
            paths: sorted(
                paths.into_iter(),
                |path| {
                    let end = u64::from(names.rank(path.operation)) << 1 | u64::from(path.internal);
                    let hops = [path.far, path.near].map(|id| u128::from(names.caller_rank(id)));
                    let [far, near] = hops;
                    far << 97 | near << 65 | u128::from(names.rank(path.service)) << 33 | u128::from(end)
                },
                |path| CallPath {
                    far: names.caller(path.far),
                    near: names.caller(path.near),
                    callee: names.name(path.service),
                    operation: names.name(path.operation),
                    internal: path.internal,
                },
            ),
            calls: sorted(
                calls,
                |entry| {
                    let ranks = [
                        names.caller_rank(entry.caller),
                        names.rank(entry.callee),
                        names.rank(entry.operation),
                    ];
                    ranks.into_iter().fold(0, |key, rank| key << 32 | u128::from(rank))
                },
                |entry| CallType {
                    caller: names.caller(entry.caller),
                    callee: names.name(entry.callee),
                    operation: names.name(entry.operation),
                },
            ),
            skews: self
                .skews
                .iter()
                .map(|(pair, skew)| ((names.name((pair >> 32) as u32), names.name(*pair as u32)), *skew))
                .collect(),
            minutes: self.minutes.clone(),
            max_minutes: self.max_minutes,
            quality: TraceQuality { overflowed: self.overflowed, ..*quality },
        }
    }
}
