use fastrand::Rng;

use super::tree::Tree;
use crate::rows::Rows;

/// Grows isolation trees; keeps its buffers from tree to tree.
#[derive(Debug)]
pub(super) struct Grower<'a> {
    rows: Rows<'a>,
    /// Rows without NaN and ±∞, by index.
    usable: Vec<usize>,
    rng: Rng,
    /// The drawn rows, column by column: a split looks at one column of many rows.
    columns: Vec<f64>,
    order: Vec<u32>,
    candidates: Vec<u32>,
}

/// A node still to be split: `start..end` of the order.
struct Open {
    at: u32,
    depth: u32,
    start: usize,
    end: usize,
}

impl<'a> Grower<'a> {
    pub(super) fn new(rows: Rows<'a>, seed: u64) -> Self {
        let finite = |row: &[f64]| row.iter().all(|v| v.is_finite());
        let usable = rows.iter().enumerate().filter(|(_, row)| finite(row)).map(|(i, _)| i).collect();
        Self {
            rows,
            usable,
            rng: Rng::with_seed(seed),
            columns: Vec::new(),
            order: Vec::new(),
            candidates: Vec::new(),
        }
    }

    pub(super) fn usable(&self) -> usize {
        self.usable.len()
    }

    /// A tree from `sample_size` rows (of at most as many as are usable), split at random until each row is alone, all
    /// left are alike, or the height of a balanced tree is reached: beyond it rows are normal anyway (Liu et al. 2008,
    /// algorithm 2). O(`sample_size` · log `sample_size` + columns of the sample).
    pub(super) fn tree(&mut self, sample_size: usize) -> Tree {
        self.draw(sample_size);
        let limit = sample_size.max(2).next_power_of_two().ilog2();
        let mut tree = Tree::root();
        let mut open = vec![Open { at: 0, depth: 0, start: 0, end: sample_size }];
        while let Some(Open { at, depth, start, end }) = open.pop() {
            let size = end - start;
            let split = if size > 1 && depth < limit { self.split(start, end) } else { None };
            let Some((feature, threshold, middle)) = split else {
                tree.close(at, depth, size);
                continue;
            };
            let (lower, upper) = tree.split(at, feature, threshold);
            let depth = depth + 1;
            open.push(Open { at: upper, depth, start: middle, end });
            open.push(Open { at: lower, depth, start, end: middle });
        }
        tree
    }

    /// Moves `n` usable rows drawn without replacement into `columns`: a partial Fisher–Yates shuffle. What an earlier
    /// tree left of the order does not matter, every order is as good to draw from.
    fn draw(&mut self, n: usize) {
        for i in 0..n {
            let j = self.rng.usize(i..self.usable.len());
            self.usable.swap(i, j);
        }
        self.columns.clear();
        for column in 0..self.rows.columns() {
            let drawn = self.usable.iter().take(n);
            let values = drawn.filter_map(|i| self.rows.get(*i).and_then(|row| row.get(column)));
            self.columns.extend(values);
        }
        self.order.clear();
        self.order.extend((0..n).map(|i| u32::try_from(i).unwrap_or(u32::MAX)));
    }

    /// Splits a node at a uniform threshold of a uniform column among those that vary in it.
    fn split(&mut self, start: usize, end: usize) -> Option<(u32, f64, usize)> {
        let sample_size = self.order.len();
        let members = self.order.get_mut(start..end)?;
        self.candidates.clear();
        self.candidates.extend((0..self.rows.columns()).map(|c| u32::try_from(c).unwrap_or(u32::MAX)));
        while !self.candidates.is_empty() {
            let feature = self.candidates.swap_remove(self.rng.usize(0..self.candidates.len()));
            let column = self.columns.get(feature as usize * sample_size..)?;
            let value = |i: &u32| column.get(*i as usize).copied().unwrap_or(f64::NAN);
            let (low, high) = members
                .iter()
                .map(value)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
            if low < high {
                let share = self.rng.f64();
                // Weighted so, because `high - low` may overflow; rounding may reach `high`, which must go up.
                let drawn = low * (1.0 - share) + high * share;
                let threshold = if drawn < high { drawn.max(low) } else { low };
                let middle = start + partition(members, |i| value(i) <= threshold);
                return Some((feature, threshold, middle));
            }
        }
        None
    }
}

/// Moves what is `lower` to the front; returns how many those are.
fn partition(members: &mut [u32], lower: impl Fn(&u32) -> bool) -> usize {
    let mut count = 0;
    for i in 0..members.len() {
        if members.get(i).is_some_and(&lower) {
            members.swap(count, i);
            count += 1;
        }
    }
    count
}
