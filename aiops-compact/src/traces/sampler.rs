//! Which whole traces to keep. // ING-09

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use aiops_core::model::{Span, SpanStatus, TraceId};

use super::assemble::{Assembler, Call, ROOT, UNKNOWN};
use super::config::TraceConfig;
use super::hash::Folded;
use super::quality::TraceQuality;
use super::row::{Row, arrange};
use super::sample::{SampledTrace, SamplerMismatch, Stratum, StratumKind, TraceSample};
use super::sampler_config::SamplerConfig;
use super::summary::{CallPath, CallType, Caller, TraceSummary};

/// A trace by its random rank: the hash of its id under the seed. The lowest ranks of a stratum are kept.
type Ranked = (u64, u128);

#[derive(Debug, Clone, Default)]
struct Members {
    offered: u64,
    /// The lowest ranks: as many as are kept and one more, which is the threshold they are below.
    lowest: BTreeSet<Ranked>,
}

#[derive(Debug, Clone)]
struct Held<T> {
    rank: u64,
    strata: Vec<Stratum>,
    payload: T,
    /// Strata that keep it.
    keepers: usize,
}

/// Keeps whole traces, chosen when they are complete: all with errors, all that are slow or have a rare path, and a
/// random few for each path of the rest, each up to a limit for its path; in bounded memory. // ING-09
///
/// Every trace has one random rank, and each stratum keeps its lowest ranks: a multi-objective bottom-k sample
/// (Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007; Cohen, "Multi-objective weighted
/// sampling", HotWeb 2015). Where a stratum has no more traces than it keeps, they are certain and weigh 1. Otherwise a
/// weight is the inverse of the chance that the trace had given the ranks of the others (rank conditioning), so that
/// sums of weights are unbiased. With one seed the sample depends on neither order nor sharding:
/// [`merge`](Self::merge) gives what one sampler of everything gives, unless a limit on strata or traces was reached,
/// whereafter weights stay valid.
///
/// Memory: at most [`max_traces`](super::SamplerOptions::max_traces) payloads, and for each stratum 32 bytes for each
/// trace that it may keep. An offer takes O(n + p log s) for n spans in order with p distinct paths and s strata.
///
/// ```
/// use aiops_compact::traces::{SamplerConfig, TailSampler, TraceSummary};
/// use aiops_core::model::{EntityId, Span, SpanId, SpanStatus, TraceId};
/// let mut sampler = TailSampler::new(SamplerConfig::default(), &TraceSummary::new());
/// for id in 1..=1_000_u64 {
///     let (start, time) = (jiff::Timestamp::UNIX_EPOCH, std::time::Duration::from_millis(5));
///     let span = Span::new(TraceId(id.into()), SpanId(id), EntityId::service("shop"), "GET /", start, time);
///     let spans = [span.with_status(if id == 77 { SpanStatus::Error } else { SpanStatus::Ok })];
///     sampler.offer(&spans, spans.len());
/// }
/// let sample = sampler.finish();
/// assert!(sample.traces.iter().any(|kept| kept.trace == TraceId(77) && kept.weight == 1.0));
/// assert!(sample.traces.len() < 20);
/// ```
#[derive(Debug)]
pub struct TailSampler<T> {
    config: SamplerConfig,
    /// Longest usual duration by call type, ns.
    thresholds: Arc<BTreeMap<CallType, u64>>,
    strata: BTreeMap<Stratum, Members>,
    held: BTreeMap<u128, Held<T>>,
    level: u32,
    overflowed: u64,
    repeated: u64,
    foreign_spans: u64,
    quality: TraceQuality,
    assembler: Assembler,
}

impl<T> TailSampler<T> {
    /// A sampler to which slow is what exceeds the quantile of its call type in `baseline`; with an empty baseline
    /// nothing is slow.
    #[must_use]
    pub fn new(config: SamplerConfig, baseline: &TraceSummary) -> Self {
        let options = config.options();
        let least = options.min_excess_us.saturating_mul(1_000);
        let thresholds = baseline
            .calls()
            .iter()
            .filter(|(_, stats)| stats.totals.calls >= options.min_baseline)
            .filter_map(|(call, stats)| {
                let threshold = stats.duration.quantile_ceiling(options.slow_quantile)?.saturating_add(least);
                Some((call.clone(), threshold))
            })
            .collect();
        Self {
            config,
            thresholds: Arc::new(thresholds),
            strata: BTreeMap::new(),
            held: BTreeMap::new(),
            level: 0,
            overflowed: 0,
            repeated: 0,
            foreign_spans: 0,
            quality: TraceQuality::default(),
            assembler: Assembler::default(),
        }
    }

    /// Offers one complete trace, by its spans in any order; whether it is kept for now.
    pub fn offer(&mut self, spans: &[Span], payload: T) -> bool {
        let Some(trace) = spans.first().map(|span| span.trace_id) else { return false };
        if self.held.contains_key(&trace.0) {
            self.repeated += 1;
            return true;
        }
        let wanted = self.strata_of(trace, spans);
        let strata = self.admitted(wanted);
        let rank = self.rank(trace.0);
        let mut keepers = 0;
        for stratum in &strata {
            let capacity = self.config.capacity(stratum.kind, self.level);
            let Some(members) = self.strata.get_mut(stratum) else { continue };
            members.offered = members.offered.saturating_add(1);
            let entry = (rank, trace.0);
            let full = members.lowest.len() > capacity;
            if full && members.lowest.last().is_some_and(|last| *last <= entry) {
                continue;
            }
            members.lowest.insert(entry);
            if full {
                members.lowest.pop_last();
            }
            let threshold = members.lowest.last().filter(|_| members.lowest.len() > capacity).copied();
            if threshold == Some(entry) {
                continue;
            }
            keepers += 1;
            if let Some((_, pushed_out)) = threshold {
                release(&mut self.held, pushed_out);
            }
        }
        if keepers > 0 {
            self.held.insert(trace.0, Held { rank, strata, payload, keepers });
        }
        self.keep_bounds();
        self.held.contains_key(&trace.0)
    }

    /// Adds what `other` was offered; a trace offered to both counts twice in the counts of its strata and is kept
    /// once. O(kept + strata).
    ///
    /// # Errors
    /// [`SamplerMismatch`] when the configurations (the seed is part of it) or baselines differ; nothing changes then.
    pub fn merge(&mut self, other: Self) -> Result<(), SamplerMismatch> {
        if self.config != other.config || self.thresholds != other.thresholds {
            return Err(SamplerMismatch);
        }
        self.level = self.level.max(other.level);
        self.overflowed = self.overflowed.saturating_add(other.overflowed);
        self.repeated = self.repeated.saturating_add(other.repeated);
        self.foreign_spans = self.foreign_spans.saturating_add(other.foreign_spans);
        self.quality.merge(&other.quality);
        for (stratum, theirs) in other.strata {
            let place = self.place(&stratum);
            self.overflowed =
                self.overflowed.saturating_add(if place == stratum { 0 } else { theirs.offered });
            let mine = self.strata.entry(place).or_default();
            mine.offered = mine.offered.saturating_add(theirs.offered);
            mine.lowest.extend(theirs.lowest);
        }
        for (trace, held) in other.held {
            let strata = held.strata.iter().map(|stratum| self.place(stratum));
            let strata: BTreeSet<Stratum> = strata
                .chain(self.held.get(&trace).into_iter().flat_map(|mine| mine.strata.clone()))
                .collect();
            let mine = self.held.entry(trace).or_insert(held);
            mine.strata = strata.into_iter().collect();
        }
        self.trim();
        self.keep_bounds();
        Ok(())
    }

    /// Traces kept so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The sample, with weights.
    #[must_use]
    pub fn finish(self) -> TraceSample<T> {
        let Self { config, strata, held, level, overflowed, repeated, foreign_spans, quality, .. } = self;
        let weight = |held: &Held<T>, trace: u128| {
            let below = |stratum: &Stratum| {
                let capacity = config.capacity(stratum.kind, level);
                let lowest = &strata.get(stratum)?.lowest;
                // The chance to be kept here: that of a rank below the k-th of the other traces. Without k others
                // it is certain.
                let others = lowest.iter().filter(|entry| **entry != (held.rank, trace));
                others.map(|(rank, _)| *rank).nth(capacity.saturating_sub(1))
            };
            // Kept is what any stratum keeps. No threshold, no chance to be left out.
            let chances = held.strata.iter().map(|stratum| below(stratum).map_or(1.0, unit));
            1.0 / chances.fold(f64::MIN_POSITIVE, f64::max)
        };
        let traces = held
            .into_iter()
            .map(|(trace, held)| SampledTrace {
                trace: TraceId(trace),
                weight: weight(&held, trace),
                strata: held.strata,
                payload: held.payload,
            })
            .collect();
        let offered = strata.into_iter().map(|(stratum, members)| (stratum, members.offered)).collect();
        TraceSample { traces, offered, overflowed, repeated, foreign_spans, level, quality }
    }

    /// Uniform over `u64`, by the id and the seed alone.
    fn rank(&self, trace: u128) -> u64 {
        let seeded = mix(self.config.options().seed);
        mix(mix(seeded ^ (trace >> 64) as u64) ^ trace as u64)
    }

    /// Strata of one trace, in order.
    fn strata_of(&mut self, trace: TraceId, spans: &[Span]) -> Vec<Stratum> {
        // Names get numbers for this trace only: nothing a sender makes up is remembered.
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut ids: HashMap<&str, u32, Folded> = HashMap::default();
        let mut rows = Vec::with_capacity(spans.len());
        for span in spans.iter().filter(|span| span.trace_id == trace) {
            let mut id = |name| {
                *ids.entry(name).or_insert_with(|| {
                    names.push(name.into());
                    names.len() as u32 - 1
                })
            };
            let nanos = span.start.as_nanosecond().clamp(i64::MIN.into(), i64::MAX.into());
            rows.push(Row {
                start: i64::try_from(nanos).unwrap_or(i64::MAX),
                span: span.span_id.0,
                parent: span.parent.map_or(0, |parent| parent.0),
                duration: u64::try_from(span.duration.as_nanos()).unwrap_or(u64::MAX),
                service: id(span.entity.name()),
                operation: id(&span.operation),
                error: span.status == SpanStatus::Error,
            });
        }
        self.foreign_spans += (spans.len() - rows.len()) as u64;
        let mut calls: Vec<Call> = Vec::with_capacity(rows.len());
        let limits = TraceConfig::default().limits();
        arrange(&mut rows, &names, limits, &mut self.quality);
        self.assembler.assemble(&rows, limits, &mut self.quality, |_| {}, |call| calls.push(call));

        let name = |id: u32| names.get(id as usize).map_or_else(|| "".into(), Arc::clone);
        let caller = |id: u32| match id {
            ROOT => Caller::Root,
            UNKNOWN => Caller::Unknown,
            id => Caller::Service(name(id)),
        };
        let mut strata = BTreeSet::new();
        for call in calls {
            let path = CallPath {
                far: caller(call.path.far),
                near: caller(call.path.near),
                callee: name(call.path.service),
                operation: name(call.path.operation),
                internal: call.path.internal,
            };
            let direct =
                if path.internal { Caller::Service(Arc::clone(&path.callee)) } else { path.near.clone() };
            let call_type = CallType {
                caller: direct,
                callee: Arc::clone(&path.callee),
                operation: Arc::clone(&path.operation),
            };
            let slow = self.thresholds.get(&call_type).is_some_and(|longest| call.duration > *longest);
            let kinds =
                [(StratumKind::Error, call.own_error), (StratumKind::Slow, slow), (StratumKind::Any, true)];
            for (kind, _) in kinds.into_iter().filter(|(_, holds)| *holds) {
                strata.insert(Stratum { kind, path: Some(path.clone()) });
            }
        }
        strata.into_iter().collect()
    }

    /// The strata, those too many replaced, each once and in the table.
    fn admitted(&mut self, strata: Vec<Stratum>) -> Vec<Stratum> {
        let mut admitted = BTreeSet::new();
        for stratum in strata {
            let place = self.place(&stratum);
            self.overflowed += u64::from(place != stratum);
            if !self.strata.contains_key(&place) {
                self.strata.insert(place.clone(), Members::default());
            }
            admitted.insert(place);
        }
        admitted.into_iter().collect()
    }

    /// The stratum itself if it is in the table or fits into it.
    fn place(&self, stratum: &Stratum) -> Stratum {
        let known = stratum.path.is_none() || self.strata.contains_key(stratum);
        if known || self.strata.len() < self.config.options().max_strata {
            stratum.clone()
        } else {
            Stratum { path: None, ..*stratum }
        }
    }

    /// Makes the sample coarser until it fits.
    fn keep_bounds(&mut self) {
        while self.held.len() > self.config.options().max_traces && self.level < self.config.last_level() {
            self.level += 1;
            self.trim();
        }
    }

    /// Cuts every stratum to what it may keep, and drops the traces that none keeps.
    fn trim(&mut self) {
        self.held.values_mut().for_each(|held| held.keepers = 0);
        for (stratum, members) in &mut self.strata {
            let capacity = self.config.capacity(stratum.kind, self.level);
            while members.lowest.len() > capacity + 1 {
                members.lowest.pop_last();
            }
            for (_, trace) in members.lowest.iter().take(capacity) {
                if let Some(held) = self.held.get_mut(trace) {
                    held.keepers += 1;
                }
            }
        }
        self.held.retain(|_, held| held.keepers > 0);
    }
}

fn release<T>(held: &mut BTreeMap<u128, Held<T>>, trace: u128) {
    if let Some(entry) = held.get_mut(&trace) {
        entry.keepers = entry.keepers.saturating_sub(1);
        if entry.keepers == 0 {
            held.remove(&trace);
        }
    }
}

/// A rank as a share of all ranks.
fn unit(rank: u64) -> f64 {
    rank as f64 / 18_446_744_073_709_551_616.0
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a bijection without visible structure.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}
