//! From spans as they arrive to a summary.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use jiff::Timestamp;

use super::assemble::Assembler;
use super::columns::SpanColumns;
use super::config::TraceConfig;
use super::hash::Folded;
use super::quality::TraceQuality;
use super::row::{Row, arrange};
use super::summary::TraceSummary;
use super::tables::{OTHER, Tables};

/// A trace some of whose spans have arrived.
#[derive(Debug)]
struct Open {
    rows: Vec<Row>,
    /// When the last span arrived, ns, by the clock given to `close_idle`.
    touched: i64,
    /// Which opening of the trace this is: the queue may still hold an earlier one.
    opening: u64,
}

/// Compacts spans that arrive in any order, in bounded memory. // CMP-05, CMP-07
///
/// [`push`](Self::push) holds the spans of open traces; a trace is assembled when it is idle
/// ([`close_idle`](Self::close_idle)), when too much is open, and in [`finish`](Self::finish). As long as each trace
/// is closed once, the summary does not depend on how its spans were cut into batches or ordered (but for the count of
/// spans out of order), and is the one that [`summarize`](Self::summarize) gives. O(1) amortised per span in order.
///
/// ```
/// use aiops_compact::traces::{SpanColumns, SpanRecord, TraceCompactor, TraceConfig};
/// let mut columns = SpanColumns::new();
/// let (shop, cart) = (columns.intern("shop"), columns.intern("cart"));
/// let get = columns.intern("GET /cart");
/// let root = SpanRecord { trace: 1, span: 1, parent: 0, start: 0, duration: 9_000, service: shop, operation: get, error: false };
/// columns.push(root);
/// columns.push(SpanRecord { span: 2, parent: 1, start: 2_000, duration: 6_000, service: cart, ..root });
/// let mut compactor = TraceCompactor::new(TraceConfig::default());
/// compactor.push(&columns);
/// let summary = compactor.finish();
/// let shop = summary.services()["shop"].totals;
/// assert_eq!((shop.duration, shop.own, shop.child_time()), (9_000, 3_000, 6_000));
/// ```
#[derive(Debug)]
pub struct TraceCompactor {
    config: TraceConfig,
    open: HashMap<u128, Open, Folded>,
    /// Open traces in the order of opening. Entries of traces that were closed since are passed over.
    queue: VecDeque<(u128, u64)>,
    openings: u64,
    open_spans: usize,
    now: i64,
    spare: Vec<Vec<Row>>,
    assembler: Assembler,
    tables: Tables,
    quality: TraceQuality,
    /// Ids of the names of the columns being pushed.
    names: Vec<u32>,
}

impl TraceCompactor {
    /// A compactor that has seen nothing.
    #[must_use]
    pub fn new(config: TraceConfig) -> Self {
        Self {
            tables: Tables::new(config.options()),
            config,
            open: HashMap::default(),
            queue: VecDeque::new(),
            openings: 0,
            open_spans: 0,
            now: i64::MIN,
            spare: Vec::new(),
            assembler: Assembler::default(),
            quality: TraceQuality::default(),
            names: Vec::new(),
        }
    }

    /// The summary of columns whose traces are complete: as `push` and `finish`, but nothing is held, so no limit of
    /// open traces and spans applies. O(n) where the spans of a trace lie together in order of their starts.
    #[must_use]
    pub fn summarize(config: TraceConfig, columns: &SpanColumns) -> TraceSummary {
        let mut compactor = Self::new(config);
        compactor.push_complete(columns);
        compactor.finish()
    }

    /// Adds columns whose traces are complete and come in no other columns: nothing of them is held. A trace that is
    /// open from [`push`](Self::push) stays so, and is another one. O(n) where the spans of a trace lie together in
    /// order of their starts.
    pub fn push_complete(&mut self, columns: &SpanColumns) {
        self.translate(columns);
        let mut slots: HashMap<u128, u32, Folded> = HashMap::default();
        let mut of_run = Vec::new();
        let runs: Vec<Range<usize>> = runs(&columns.trace)
            .map(|(trace, run)| {
                // Runs are fewer than 2³² wherever their spans fit into memory.
                let next = slots.len() as u32;
                of_run.push(*slots.entry(trace).or_insert(next));
                run
            })
            .collect();
        let mut rows = Vec::new();
        for range in grouped(&of_run, slots.len(), &runs) {
            rows.clear();
            for run in range {
                self.gather(columns, run, &mut rows);
            }
            self.assemble_whole(&mut rows);
        }
        self.tables.settle();
    }

    /// Assembles every span of one trace, in parts if it is longer than is held.
    fn assemble_whole(&mut self, rows: &mut [Row]) {
        let most = self.config.options().max_spans_per_trace;
        for part in rows.chunks_mut(most) {
            if part.len() == most {
                self.count_evicted(part.len());
            }
            self.assemble(part);
        }
    }

    fn translate(&mut self, columns: &SpanColumns) {
        self.names.clear();
        self.names.extend(columns.names.iter().map(|name| self.tables.intern(name)));
    }

    /// Appends the rows of `range`, with ids of names of this compactor.
    #[inline]
    fn gather(&mut self, columns: &SpanColumns, range: Range<usize>, rows: &mut Vec<Row>) {
        let known = self.names.as_slice();
        let mut unknown = 0;
        let mut id = |name: &u32| {
            let id = known.get(*name as usize).copied().unwrap_or(OTHER);
            unknown += u64::from(id == OTHER);
            id
        };
        // Where traces are interleaved a run is mostly one span, for which it does not pay to set up so many iterators.
        if let (1, Some(mut row)) = (range.len(), columns.row(range.start)) {
            (row.service, row.operation) = (id(&row.service), id(&row.operation));
            rows.push(row);
        } else {
            rows.extend(columns.rows(&range).map(|row| Row {
                service: id(&row.service),
                operation: id(&row.operation),
                ..row
            }));
        }
        if unknown > 0 {
            self.tables.overflow(unknown);
        }
    }

    /// Adds spans.
    pub fn push(&mut self, columns: &SpanColumns) {
        self.translate(columns);
        let most = self.config.options().max_spans_per_trace;
        for (trace, mut run) in runs(&columns.trace) {
            while !run.is_empty() {
                let mut held = self.open.remove(&trace).unwrap_or_else(|| {
                    self.openings += 1;
                    self.queue.push_back((trace, self.openings));
                    Open {
                        rows: self.spare.pop().unwrap_or_default(),
                        touched: self.now,
                        opening: self.openings,
                    }
                });
                let end = run.end.min(run.start.saturating_add(most.saturating_sub(held.rows.len())));
                self.gather(columns, run.start..end, &mut held.rows);
                self.open_spans += end - run.start;
                run.start = end;
                held.touched = self.now;
                if held.rows.len() >= most {
                    self.evict(held);
                } else {
                    self.open.insert(trace, held);
                }
            }
            self.keep_bounds();
        }
    }

    /// Closes the traces to which no span came for [`idle_ms`](super::TraceOptions::idle_ms), by the caller's clock:
    /// spans pushed since the last call count as arriving at its instant. A clock that goes back closes nothing.
    /// O(open traces).
    pub fn close_idle(&mut self, now: Timestamp) {
        let now = i64::try_from(now.as_nanosecond()).unwrap_or(if now < Timestamp::UNIX_EPOCH {
            i64::MIN
        } else {
            i64::MAX
        });
        if self.now == i64::MIN {
            // The first instant known: whatever is open arrived by then.
            self.open.values_mut().for_each(|open| open.touched = now);
        }
        let idle = i64::try_from(self.config.options().idle_ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        let mut queue = std::mem::take(&mut self.queue);
        queue.retain(|(trace, opening)| {
            let Some(open) = self.open.get(trace).filter(|open| open.opening == *opening) else {
                return false;
            };
            if now.saturating_sub(open.touched) < idle {
                return true;
            }
            if let Some(open) = self.open.remove(trace) {
                self.close(open);
            }
            false
        });
        self.queue = queue;
        self.now = now;
    }

    /// Closes the traces opened first while there are too many.
    fn keep_bounds(&mut self) {
        let options = *self.config.options();
        while self.open.len() > options.max_open_traces || self.open_spans > options.max_open_spans {
            let Some((trace, opening)) = self.queue.pop_front() else { break };
            if self.open.get(&trace).is_some_and(|open| open.opening == opening)
                && let Some(open) = self.open.remove(&trace)
            {
                self.evict(open);
            }
        }
        if self.queue.len() > 2 * self.open.len() + 64 {
            let open = &self.open;
            self.queue
                .retain(|(trace, opening)| open.get(trace).is_some_and(|held| held.opening == *opening));
        }
    }

    fn count_evicted(&mut self, spans: usize) {
        self.quality.evicted_traces += 1;
        self.quality.evicted_spans += spans as u64;
    }

    fn evict(&mut self, open: Open) {
        self.count_evicted(open.rows.len());
        self.close(open);
    }

    fn close(&mut self, mut open: Open) {
        self.open_spans = self.open_spans.saturating_sub(open.rows.len());
        self.assemble(&mut open.rows);
        // Memory of a few closed traces is enough for those being opened.
        if self.spare.len() < 1024 && open.rows.capacity() <= 1024 {
            open.rows.clear();
            self.spare.push(open.rows);
        }
    }

    fn assemble(&mut self, rows: &mut [Row]) {
        let Some(first) = rows.iter().map(|row| row.start).min() else { return };
        let Self { assembler, tables, quality, config, .. } = self;
        tables.begin(first);
        arrange(rows, tables.names(), config.limits(), quality);
        // Two closures write to the tables: leads are rare and kept until the calls are added.
        let mut leads = Vec::new();
        assembler.assemble(rows, config.limits(), quality, |lead| leads.push(lead), |call| tables.add(&call));
        leads.into_iter().for_each(|lead| tables.lead(lead));
    }

    /// Traces held while their spans arrive.
    #[must_use]
    pub fn open_traces(&self) -> usize {
        self.open.len()
    }

    /// Spans held for them.
    #[must_use]
    pub fn open_spans(&self) -> usize {
        self.open_spans
    }

    /// What was closed so far; open traces are not in it. O(call types and paths).
    #[must_use]
    pub fn summary(&self) -> TraceSummary {
        self.tables.summary(&self.quality)
    }

    /// Closes every trace and returns the summary of everything.
    #[must_use]
    pub fn finish(mut self) -> TraceSummary {
        // In the order of opening, which a limit of call types may make matter.
        while let Some((trace, opening)) = self.queue.pop_front() {
            if self.open.get(&trace).is_some_and(|open| open.opening == opening)
                && let Some(open) = self.open.remove(&trace)
            {
                self.close(open);
            }
        }
        self.tables.into_summary(&self.quality)
    }
}

/// Runs of equal ids.
fn runs(ids: &[u128]) -> impl Iterator<Item = (u128, Range<usize>)> + '_ {
    let mut at = 0;
    ids.chunk_by(|a, b| a == b).filter_map(move |run| {
        let range = at..at + run.len();
        at = range.end;
        run.first().map(|id| (*id, range))
    })
}

/// The runs of each slot, in order: a counting sort.
fn grouped<'a>(
    of_run: &[u32],
    slots: usize,
    runs: &'a [Range<usize>],
) -> impl Iterator<Item = impl Iterator<Item = Range<usize>> + 'a> + 'a {
    let mut starts = vec![0_usize; slots + 1];
    for slot in of_run {
        if let Some(count) = starts.get_mut(*slot as usize + 1) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    let mut order = vec![0_u32; runs.len()];
    let mut next = starts.clone();
    for (run, slot) in (0_u32..).zip(of_run) {
        if let Some(place) = next.get_mut(*slot as usize) {
            if let Some(entry) = order.get_mut(*place) {
                *entry = run;
            }
            *place += 1;
        }
    }
    (0..slots).map(move |slot| {
        let range = starts.get(slot).copied().unwrap_or(0)..starts.get(slot + 1).copied().unwrap_or(0);
        let of_slot = order.get(range).unwrap_or_default().to_vec();
        of_slot.into_iter().filter_map(|run| runs.get(run as usize).cloned())
    })
}
