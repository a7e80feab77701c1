//! Spans of both windows with their names as numbers, and who is whose child.

use std::collections::HashMap;

use aiops_core::model::{EntityId, Span, SpanId};

use super::accuse::Peers;

/// Number of an operation of an entity; in the order of entity and name.
pub(super) type Operation = u32;

/// Stands for no operation, no span.
const NONE: u32 = u32::MAX;

/// The operations of both windows.
#[derive(Debug, Default)]
pub(super) struct Operations<'a>(Vec<(&'a EntityId, &'a str)>);

impl<'a> Operations<'a> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Entity and name.
    pub(super) fn get(&self, operation: Operation) -> Option<(&'a EntityId, &'a str)> {
        self.0.get(index(operation)).copied()
    }

    /// Every one, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Operation, &'a EntityId, &'a str)> + '_ {
        (0..).zip(&self.0).map(|(i, (entity, name))| (i, *entity, *name))
    }
}

/// One window's spans. A span that is there twice (by id) counts once: of different ones the first by start and length.
#[derive(Debug)]
pub(super) struct Spans<'a> {
    spans: &'a [Span],
    /// By span: its operation, [`NONE`] for duplicates.
    operations: Vec<Operation>,
    /// By id: the span's place, or for ids only named as a parent a slot after all places.
    slots: HashMap<SpanId, u32>,
    /// By slot: where its children begin in `children`; one more than slots.
    first_child: Vec<u32>,
    children: Vec<u32>,
}

/// A span with its operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) span: &'a Span,
    pub(super) operation: Operation,
    slot: u32,
}

/// Numbers the operations of two windows and joins spans with their children. O(spans + operations · log operations), in
/// expectation; the order of spans does not count.
pub(super) fn tables<'a>(windows: [&'a [Span]; 2]) -> (Operations<'a>, [Spans<'a>; 2]) {
    let mut known: HashMap<(&EntityId, &str), u32> = HashMap::new();
    let columns = windows.map(|spans| {
        let number_of = |span: &'a Span| {
            let next = number(known.len());
            *known.entry((&span.entity, &span.operation)).or_insert(next)
        };
        spans.iter().map(number_of).collect::<Vec<u32>>()
    });
    let mut names: Vec<((&EntityId, &str), u32)> = known.into_iter().collect();
    names.sort_unstable();
    let mut rank = vec![NONE; names.len()];
    for (to, (_, from)) in names.iter().enumerate() {
        if let Some(cell) = rank.get_mut(index(*from)) {
            *cell = number(to);
        }
    }
    let [a, b] = columns.map(|mut column| {
        column.iter_mut().for_each(|o| *o = rank.get(index(*o)).copied().unwrap_or(NONE));
        column
    });
    let operations = Operations(names.into_iter().map(|(name, _)| name).collect());
    let [first, second] = windows;
    (operations, [Spans::join(first, a), Spans::join(second, b)])
}

impl<'a> Spans<'a> {
    fn join(spans: &'a [Span], mut operations: Vec<Operation>) -> Self {
        let mut slots: HashMap<SpanId, u32> = HashMap::with_capacity(spans.len());
        for (at, span) in spans.iter().enumerate() {
            let order = |at: usize| {
                let name = operations.get(at).copied().unwrap_or(NONE);
                spans.get(at).map(|s| (s.start, s.duration, name, s.parent))
            };
            let place = slots.entry(span.span_id).or_insert_with(|| number(at));
            let kept = index(*place);
            if kept != at {
                let dropped =
                    if order(at) < order(kept) { std::mem::replace(place, number(at)) } else { number(at) };
                if let Some(cell) = operations.get_mut(index(dropped)) {
                    *cell = NONE;
                }
            }
        }
        let mut slots_used = spans.len();
        let mut parents = Vec::with_capacity(spans.len());
        for (span, operation) in spans.iter().zip(&operations) {
            let parent = span.parent.filter(|_| *operation != NONE).map(|id| {
                let next = number(slots_used);
                let slot = *slots.entry(id).or_insert(next);
                slots_used += usize::from(slot == next);
                slot
            });
            parents.push(parent.unwrap_or(NONE));
        }
        // Children by counting sort.
        let mut first_child = vec![0_u32; slots_used + 2];
        for parent in parents.iter().filter(|p| **p != NONE) {
            if let Some(cell) = first_child.get_mut(index(*parent) + 2) {
                *cell += 1;
            }
        }
        let mut sum = 0;
        for cell in &mut first_child {
            sum += *cell;
            *cell = sum;
        }
        let mut children = vec![NONE; index(sum)];
        for (at, parent) in parents.iter().enumerate().filter(|(_, p)| **p != NONE) {
            if let Some(next) = first_child.get_mut(index(*parent) + 1) {
                if let Some(cell) = children.get_mut(index(*next)) {
                    *cell = number(at);
                }
                *next += 1;
            }
        }
        Self { spans, operations, slots, first_child, children }
    }

    /// The spans, duplicates left out, in the order of the window.
    pub(super) fn iter(&self) -> impl Iterator<Item = Item<'a>> + '_ {
        let all = (0..).zip(self.spans).zip(&self.operations);
        all.filter(|(_, operation)| **operation != NONE).map(|((slot, span), operation)| Item {
            span,
            operation: *operation,
            slot,
        })
    }

    fn item(&self, slot: u32) -> Option<Item<'a>> {
        let operation = *self.operations.get(index(slot)).filter(|o| **o != NONE)?;
        Some(Item { span: self.spans.get(index(slot))?, operation, slot })
    }

    /// Operation of the span of this id.
    pub(super) fn operation_of(&self, id: SpanId) -> Option<Operation> {
        self.item(*self.slots.get(&id)?).map(|item| item.operation)
    }

    /// Its children, in no order.
    pub(super) fn children(&self, of: &Item<'_>) -> impl Iterator<Item = Item<'a>> + '_ {
        self.in_slot(index(of.slot))
    }

    /// Children of one parent after the other, whether the parent was seen or not; in no order.
    pub(super) fn siblings(&self) -> impl Iterator<Item = impl Iterator<Item = Item<'a>> + '_> + '_ {
        (0..self.first_child.len().saturating_sub(2)).map(|slot| self.in_slot(slot))
    }

    fn in_slot(&self, slot: usize) -> impl Iterator<Item = Item<'a>> + '_ {
        let bound = |at: usize| self.first_child.get(at).copied().map_or(0, index);
        let inside = self.children.get(bound(slot)..bound(slot + 1)).unwrap_or_default();
        inside.iter().filter_map(|child| self.item(*child))
    }
}

impl Item<'_> {
    /// Place of the span in its window.
    pub(super) fn place(&self) -> usize {
        index(self.slot)
    }
}

/// By operation: whom its spans call, as their attributes say. Where the first spans of an
/// operation name nobody, none does. O(spans).
pub(super) fn called<'a>(
    windows: [&Spans<'a>; 2],
    operations: usize,
    peers: &Peers<'a>,
) -> Vec<Option<&'a EntityId>> {
    let mut called: Vec<Option<&EntityId>> = vec![None; operations];
    let mut asked = vec![0_u8; operations];
    for item in windows.into_iter().flat_map(Spans::iter) {
        let at = index(item.operation);
        let (Some(asked), Some(callee)) = (asked.get_mut(at), called.get_mut(at)) else { continue };
        if *asked < ASKED && callee.is_none() {
            *asked += 1;
            *callee = peers.in_labels(&item.span.entity, &item.span.attributes);
        }
    }
    called
}

/// Spans of an operation whose attributes are read.
const ASKED: u8 = 4;

/// A window of 2³² spans would fill a terabyte.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE)
}

pub(super) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
