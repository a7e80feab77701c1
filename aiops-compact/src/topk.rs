//! The k best of a stream. // CMP-03

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Keeps the `k` items of highest score: O(log k) per item, O(k) memory.
///
/// Equal scores are ordered by item (the smaller first), so the result does not depend on the order of arrival, and
/// [`merge`](Self::merge) over shards gives what one pass over everything gives, exactly.
///
/// ```
/// use aiops_compact::TopK;
/// let mut top = TopK::new(2);
/// for (score, name) in [(1.0, "a"), (5.0, "c"), (5.0, "b")] {
///     top.push(score, name);
/// }
/// assert_eq!(top.offered(), 3);
/// assert_eq!(top.into_sorted_vec(), [(5.0, "b"), (5.0, "c")]);
/// ```
#[derive(Debug, Clone)]
pub struct TopK<T> {
    k: usize,
    /// Worst kept item on top.
    heap: BinaryHeap<Reverse<Entry<T>>>,
    offered: u64,
}

#[derive(Debug, Clone)]
struct Entry<T> {
    score: f64,
    item: T,
}

impl<T: Ord> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.item.cmp(&self.item))
    }
}

impl<T: Ord> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T: Ord> Eq for Entry<T> {}

impl<T: Ord> TopK<T> {
    /// Keeps at most `k` items.
    #[must_use]
    pub fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::new(), offered: 0 }
    }

    /// Offers an item. A NaN score ranks below every number, negative zero equals zero.
    pub fn push(&mut self, score: f64, item: T) {
        self.offered += 1;
        let score = if score.is_nan() { -f64::NAN.abs() } else { score + 0.0 };
        self.keep(Entry { score, item });
    }

    /// Offers everything `other` kept.
    pub fn merge(&mut self, other: Self) {
        self.offered += other.offered;
        for Reverse(entry) in other.heap {
            self.keep(entry);
        }
    }

    fn keep(&mut self, entry: Entry<T>) {
        if self.heap.len() < self.k {
            self.heap.push(Reverse(entry));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && entry > worst.0
        {
            *worst = Reverse(entry);
        }
    }

    /// Items offered so far, kept or not.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// Items kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The kept items with their scores, best first.
    #[must_use]
    pub fn into_sorted_vec(self) -> Vec<(f64, T)> {
        // Reversed entries ascend from best to worst.
        self.heap.into_sorted_vec().into_iter().map(|Reverse(entry)| (entry.score, entry.item)).collect()
    }
}
