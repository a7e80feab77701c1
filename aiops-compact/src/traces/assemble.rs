//! From the spans of one trace to what each call did itself.

use super::hash::Folded;
use super::quality::TraceQuality;
use super::row::{Limits, Row};

/// No caller: a root.
pub(super) const ROOT: u32 = u32::MAX;
/// A caller that did not arrive.
pub(super) const UNKNOWN: u32 = u32::MAX - 1;

const NO_PARENT: u32 = u32::MAX;

/// The chain of the last services on the way to a span, and its operation: callers that are the service itself
/// (spans within one service) are one hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Path {
    /// The caller's caller.
    pub far: u32,
    /// The calling service.
    pub near: u32,
    pub service: u32,
    pub operation: u32,
    /// Whether the direct parent is of the same service.
    pub internal: bool,
}

/// One call as it leaves assembly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub path: Path,
    pub duration: u64,
    /// Time no child covers.
    pub own: u64,
    /// Whether the own time is that of a span that only waits for one call of another service: the way there and
    /// back, not work.
    pub waits: bool,
    /// For a call from a span that does nothing but wait for it: how much longer the caller saw it take.
    pub gap: Option<u64>,
    pub children: u32,
    pub error: bool,
    /// An error that no erroneous child explains.
    pub own_error: bool,
}

/// A child that begins before its parent, by services.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lead {
    pub caller: u32,
    pub callee: u32,
    /// By how much it begins too early, ns.
    pub nanos: u64,
    /// Middle of the child minus middle of the parent, ns: the offset between the clocks if the way there took as
    /// long as the way back.
    pub offset: i64,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    parent: u32,
    /// Whether `far` and `near` are known; a cycle is met where they are being looked for.
    state: State,
    internal: bool,
    duplicate: bool,
    child_error: bool,
    far: u32,
    near: u32,
    children: u32,
    /// The last child of another service.
    remote: u32,
    /// End of what children cover so far.
    until: i64,
    covered: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Walking,
    Known,
}

const FRESH: Node = Node {
    parent: NO_PARENT,
    state: State::Fresh,
    internal: false,
    duplicate: false,
    child_error: false,
    far: ROOT,
    near: ROOT,
    children: 0,
    remote: NO_PARENT,
    until: i64::MIN,
    covered: 0,
};

/// One slot of the table from span id to row. Slots of another generation are free.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    span: u64,
    row: u32,
    generation: u32,
}

/// Scratch memory of assembly, reused from trace to trace: O(spans of the largest trace).
#[derive(Debug, Default)]
pub(super) struct Assembler {
    hash: Folded,
    slots: Vec<Slot>,
    generation: u32,
    nodes: Vec<Node>,
    walk: Vec<u32>,
    /// Intervals of children relative to what they are children of: (parent, start, end).
    intervals: Vec<(u32, i64, i64)>,
}

/// Index of a span in the table: the rows of one trace fit `u32`, see `max_spans_per_trace`.
fn get<T: Copy>(items: &[T], at: u32) -> Option<T> {
    items.get(at as usize).copied()
}

impl Assembler {
    /// Assembles one trace, its rows [arranged](super::row::arrange). O(n).
    pub(super) fn assemble(
        &mut self,
        rows: &[Row],
        limits: Limits,
        quality: &mut TraceQuality,
        mut lead: impl FnMut(Lead),
        mut call: impl FnMut(Call),
    ) {
        quality.traces += 1;
        quality.spans += rows.len() as u64;
        self.index(rows, quality);
        self.link(rows, quality);
        self.cover(rows, limits, quality, &mut lead);
        for (row, node) in rows.iter().zip(&self.nodes).filter(|(_, node)| !node.duplicate) {
            let waits = |row: &Row, node: &Node| {
                // An entry span works; a span inside a service whose only child is elsewhere is the caller's side.
                node.internal && node.children == 1 && node.remote != NO_PARENT && row.duration > 0
            };
            let gap = match (rows.get(node.parent as usize), self.nodes.get(node.parent as usize)) {
                (Some(above), Some(parent)) if !node.internal && waits(above, parent) => {
                    Some(above.duration.saturating_sub(row.duration))
                }
                _ => None,
            };
            call(Call {
                path: Path {
                    far: node.far,
                    near: node.near,
                    service: row.service,
                    operation: row.operation,
                    internal: node.internal,
                },
                duration: row.duration,
                own: row.duration.saturating_sub(node.covered),
                waits: waits(row, node),
                gap,
                children: node.children,
                error: row.error,
                own_error: row.error && !node.child_error,
            });
        }
    }

    /// Fills the table from span id to row; marks duplicates.
    fn index(&mut self, rows: &[Row], quality: &mut TraceQuality) {
        self.nodes.clear();
        self.nodes.resize(rows.len(), FRESH);
        let size = (rows.len() * 2).next_power_of_two().max(16);
        if self.slots.len() < size {
            self.slots = vec![Slot::default(); size];
            self.generation = 0;
        }
        self.generation = self.generation.checked_add(1).unwrap_or_else(|| {
            self.slots.fill(Slot::default());
            1
        });
        let mask = size - 1;
        for (at, (row, node)) in (0_u32..).zip(rows.iter().zip(&mut self.nodes)) {
            if row.span == 0 {
                quality.invalid_ids += 1;
                continue;
            }
            let mut place = self.hash.word(row.span) as usize & mask;
            // INVARIANT: the table is at most half full, so the search ends at a free slot.
            while let Some(slot) = self.slots.get_mut(place) {
                if slot.generation != self.generation {
                    *slot = Slot { span: row.span, row: at, generation: self.generation };
                    break;
                }
                if slot.span == row.span {
                    node.duplicate = true;
                    let same = rows.get(slot.row as usize) == Some(row);
                    *(if same { &mut quality.duplicates } else { &mut quality.conflicting_ids }) += 1;
                    break;
                }
                place = (place + 1) & mask;
            }
        }
    }

    fn find(&self, span: u64, mask: usize) -> u32 {
        let mut place = self.hash.word(span) as usize & mask;
        while let Some(slot) = self.slots.get(place) {
            if slot.generation != self.generation {
                break;
            }
            if slot.span == span {
                return slot.row;
            }
            place = (place + 1) & mask;
        }
        NO_PARENT
    }

    /// Finds parents and chains of services.
    fn link(&mut self, rows: &[Row], quality: &mut TraceQuality) {
        let mask = (rows.len() * 2).next_power_of_two().max(16) - 1;
        let (mut roots, mut broken) = (0_u64, 0_u64);
        for at in 0..rows.len() as u32 {
            let Some(row) = rows.get(at as usize) else { break };
            let parent = if row.parent == 0 { NO_PARENT } else { self.find(row.parent, mask) };
            let above = get(&self.nodes, parent).filter(|above| above.state == State::Known);
            let above_service = rows.get(parent as usize).map(|row| row.service);
            let Some(node) = self.nodes.get_mut(at as usize) else { break };
            if node.duplicate {
                continue;
            }
            node.parent = parent;
            match (above, above_service) {
                (Some(above), Some(service)) => node.follow(row.service, &above, service),
                (None, Some(_)) => broken += 1,
                _ if row.parent == 0 => {
                    roots += 1;
                    node.state = State::Known;
                }
                _ => {
                    quality.orphans += 1;
                    node.orphan();
                }
            }
        }
        if broken > 0 {
            self.walk_up(rows, quality);
        }
        quality.rootless_traces += u64::from(roots == 0);
        quality.many_rooted_traces += u64::from(roots > 1);
    }

    /// Chains of spans that begin before their parents, and cycles.
    fn walk_up(&mut self, rows: &[Row], quality: &mut TraceQuality) {
        for first in 0..rows.len() as u32 {
            self.walk.clear();
            let mut at = first;
            while let Some(node) = self.nodes.get_mut(at as usize) {
                match node.state {
                    State::Known => break,
                    State::Walking => {
                        // The link that closes the circle is that of the last span walked to.
                        quality.cycles += 1;
                        let last = self.walk.pop();
                        if let Some(node) = last.and_then(|last| self.nodes.get_mut(last as usize)) {
                            node.parent = NO_PARENT;
                            node.orphan();
                        }
                        break;
                    }
                    State::Fresh if node.duplicate => break,
                    State::Fresh => {
                        node.state = State::Walking;
                        self.walk.push(at);
                        at = node.parent;
                    }
                }
            }
            while let Some(at) = self.walk.pop() {
                let parent = get(&self.nodes, at).map_or(NO_PARENT, |node| node.parent);
                let above = get(&self.nodes, parent);
                let above_service = rows.get(parent as usize).map(|row| row.service);
                if let (Some(node), Some(row), Some(above), Some(service)) =
                    (self.nodes.get_mut(at as usize), rows.get(at as usize), above, above_service)
                {
                    node.follow(row.service, &above, service);
                }
            }
        }
    }

    /// Time of each span that its children cover: the union of their intervals, clipped to the span.
    fn cover(
        &mut self,
        rows: &[Row],
        limits: Limits,
        quality: &mut TraceQuality,
        lead: &mut impl FnMut(Lead),
    ) {
        let tolerance = i64::try_from(limits.tolerance).unwrap_or(i64::MAX);
        let mut early = false;
        for (at, row) in (0_u32..).zip(rows) {
            let Some(node) = get(&self.nodes, at) else { break };
            let (Some(above), Some(parent)) =
                (rows.get(node.parent as usize), self.nodes.get_mut(node.parent as usize))
            else {
                continue;
            };
            parent.children += 1;
            parent.child_error |= row.error;
            if !node.internal {
                parent.remote = at;
            }
            quality.outlasting_children += u64::from(row.end().saturating_sub(above.end()) > tolerance);
            let ahead = above.start.saturating_sub(row.start);
            if ahead > tolerance {
                quality.leading_children += 1;
                early = true;
                let offset = (i128::from(row.start) + i128::from(row.end())
                    - i128::from(above.start)
                    - i128::from(above.end()))
                    / 2;
                lead(Lead {
                    caller: above.service,
                    callee: row.service,
                    nanos: ahead.unsigned_abs(),
                    offset: offset.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
                });
            }
            parent.cover(row.start.max(above.start), row.end().min(above.end()));
        }
        if early {
            self.cover_amid(rows, tolerance);
        }
    }

    /// The same where a child's clock is behind its parent's: it is placed amid the parent (Jaeger's adjustment),
    /// relative to that parent alone, which also holds for its own children, whose times are on its clock.
    fn cover_amid(&mut self, rows: &[Row], tolerance: i64) {
        self.intervals.clear();
        for (row, node) in rows.iter().zip(&self.nodes) {
            let Some(above) = rows.get(node.parent as usize) else { continue };
            let (start, end) = if above.start.saturating_sub(row.start) > tolerance {
                let inside = row.duration.min(above.duration);
                let start = above.start.saturating_add_unsigned((above.duration - inside) / 2);
                (start, start.saturating_add_unsigned(inside))
            } else {
                (row.start.max(above.start), row.end().min(above.end()))
            };
            self.intervals.push((node.parent, start, end));
        }
        self.intervals.sort_unstable();
        for node in &mut self.nodes {
            (node.until, node.covered) = (i64::MIN, 0);
        }
        for (parent, start, end) in &self.intervals {
            if let Some(node) = self.nodes.get_mut(*parent as usize) {
                node.cover(*start, *end);
            }
        }
    }
}

impl Node {
    /// Adds an interval; intervals come in order of their starts.
    fn cover(&mut self, start: i64, end: i64) {
        let from = start.max(self.until);
        if end > from {
            self.covered = self.covered.saturating_add(end.abs_diff(from));
            self.until = end;
        }
    }

    fn orphan(&mut self) {
        (self.far, self.near, self.internal, self.state) = (ROOT, UNKNOWN, false, State::Known);
    }

    fn follow(&mut self, service: u32, above: &Self, above_service: u32) {
        self.state = State::Known;
        self.internal = service == above_service;
        (self.far, self.near) =
            if self.internal { (above.far, above.near) } else { (above.near, above_service) };
    }
}
