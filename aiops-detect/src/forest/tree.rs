use serde::{Deserialize, Serialize};

use aiops_core::{Error, ErrorKind};

/// Deepest tree that is read back. One grown here is at most ⌈log₂ 65 536⌉ = 16 deep.
const MAX_HEIGHT: u32 = 64;

/// Average path length of an unsuccessful search in a binary search tree of `n` keys: c(n) of Liu et al. 2008, eq. 1,
/// with the exact values 0 and 1 for one and two keys, as scikit-learn has it.
#[must_use]
pub fn average_path_length(n: usize) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        n => {
            let n = n as f64;
            2.0 * ((n - 1.0).ln() + EULER) - 2.0 * (n - 1.0) / n
        }
    }
}

/// A node of a tree in a flat array. The children of a split stand side by side, so one index names both.
///
/// A leaf has the threshold +∞ and is its own lower child: nothing is greater than +∞, so a row that has arrived stays,
/// and every row takes the same number of steps, without a branch that depends on data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Node {
    pub(super) threshold: f64,
    pub(super) feature: u32,
    /// Where the rows `≤ threshold` go; the rest goes to the next one.
    pub(super) lower: u32,
}

impl Node {
    fn leaf(at: u32) -> Self {
        Self { threshold: f64::INFINITY, feature: 0, lower: at }
    }
}

/// Rows walked side by side, so that the loads of one hide those of the others.
pub(super) const LANES: usize = 8;

/// An isolation tree: where a row ends and how long its path is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Preorder", into = "Preorder")]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Of a leaf: its depth plus the average path length of the rows it was left with. Of a split: 0.
    path_lengths: Vec<f64>,
    /// Rows a leaf was left with when the tree was grown; 0 for a split.
    samples: Vec<u32>,
    height: u32,
}

impl Tree {
    /// A tree of one leaf.
    pub(super) fn root() -> Self {
        let mut tree = Self::default();
        tree.push();
        tree
    }

    fn push(&mut self) -> u32 {
        // At most 2 · 65 536 nodes are grown, and reading refuses more than u32 holds.
        let at = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node::leaf(at));
        self.path_lengths.push(0.0);
        self.samples.push(0);
        at
    }

    /// Turns leaf `at` into a split; returns its children.
    pub(super) fn split(&mut self, at: u32, feature: u32, threshold: f64) -> (u32, u32) {
        let lower = self.push();
        let upper = self.push();
        if let Some(node) = self.nodes.get_mut(at as usize) {
            *node = Node { threshold, feature, lower };
        }
        (lower, upper)
    }

    /// Says what leaf `at` was left with.
    pub(super) fn close(&mut self, at: u32, depth: u32, samples: usize) {
        self.height = self.height.max(depth);
        if let Some(path) = self.path_lengths.get_mut(at as usize) {
            *path = f64::from(depth) + average_path_length(samples);
        }
        if let Some(n) = self.samples.get_mut(at as usize) {
            *n = u32::try_from(samples).unwrap_or(u32::MAX);
        }
    }

    /// Adds the path length of each of [`LANES`] rows to its sum, as often as there are such groups: `lanes` holds
    /// `columns` entries a group, each the values of one column of its rows.
    pub(super) fn add_path_lengths(&self, lanes: &[[f64; LANES]], columns: usize, sums: &mut [[f64; LANES]]) {
        for (group, sums) in lanes.chunks_exact(columns).zip(sums) {
            let mut at = [0_u32; LANES];
            for _ in 0..self.height {
                for (lane, at) in at.iter_mut().enumerate() {
                    *at = self.step(group, lane, *at);
                }
            }
            for (sum, at) in sums.iter_mut().zip(at) {
                *sum += self.path_length(at);
            }
        }
    }

    /// The path length of one row.
    pub(super) fn path_length_of(&self, row: &[f64]) -> f64 {
        let end = (0..self.height).fold(0, |at, _| {
            let node = self.nodes.get(at as usize).copied().unwrap_or(Node::leaf(at));
            let value = row.get(node.feature as usize).copied().unwrap_or(f64::NAN);
            node.lower + u32::from(value > node.threshold)
        });
        self.path_length(end)
    }

    #[inline(always)]
    fn step(&self, group: &[[f64; LANES]], lane: usize, at: u32) -> u32 {
        let Some(node) = self.nodes.get(at as usize) else { return at };
        let value = group.get(node.feature as usize).and_then(|column| column.get(lane));
        node.lower + u32::from(value.is_some_and(|value| *value > node.threshold))
    }

    #[inline(always)]
    fn path_length(&self, at: u32) -> f64 {
        self.path_lengths.get(at as usize).copied().unwrap_or(0.0)
    }

    /// Largest column a split looks at, if there is a split.
    pub(super) fn last_feature(&self) -> Option<u32> {
        self.nodes.iter().filter(|n| n.threshold < f64::INFINITY).map(|n| n.feature).max()
    }

    /// Rows it was grown from.
    pub(super) fn sample_size(&self) -> usize {
        self.samples.iter().map(|n| *n as usize).sum()
    }
}

/// The stored form: nodes in preorder, the lower child first. Structure follows from which nodes are leaves.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Preorder {
    /// Column of each split, −1 for a leaf.
    feature: Vec<i64>,
    /// Threshold of each split, in order.
    threshold: Vec<f64>,
    /// Rows of each leaf, in order.
    samples: Vec<u32>,
}

impl From<Tree> for Preorder {
    fn from(tree: Tree) -> Self {
        let mut stored = Self::default();
        let mut waiting = vec![0_u32];
        while let Some(at) = waiting.pop() {
            let Some(node) = tree.nodes.get(at as usize) else { continue };
            if node.lower == at {
                stored.feature.push(-1);
                stored.samples.extend(tree.samples.get(at as usize));
            } else {
                stored.feature.push(i64::from(node.feature));
                stored.threshold.push(node.threshold);
                waiting.extend([node.lower + 1, node.lower]);
            }
        }
        stored
    }
}

impl TryFrom<Preorder> for Tree {
    type Error = Error;

    fn try_from(stored: Preorder) -> Result<Self, Error> {
        let damaged = |what: &'static str| Error::new(ErrorKind::Invalid, what);
        if stored.feature.len() > u32::MAX as usize {
            return Err(damaged("a stored tree is too large"));
        }
        let mut tree = Self::root();
        let (mut thresholds, mut samples) = (stored.threshold.into_iter(), stored.samples.into_iter());
        let mut waiting = vec![(0_u32, 0_u32)];
        for feature in stored.feature {
            let Some((at, depth)) = waiting.pop() else {
                return Err(damaged("a stored tree has nodes that hang nowhere"));
            };
            if feature == -1 {
                let rows = samples.next().filter(|n| *n > 0);
                let rows = rows.ok_or_else(|| damaged("a leaf of a stored tree has no rows"))?;
                tree.close(at, depth, rows as usize);
                continue;
            }
            let feature = u32::try_from(feature).map_err(|_| damaged("a stored split has no column"))?;
            let threshold = thresholds.next().filter(|t| t.is_finite());
            let threshold = threshold.ok_or_else(|| damaged("a stored split has no finite threshold"))?;
            if depth >= MAX_HEIGHT {
                return Err(damaged("a stored tree is too high"));
            }
            let (lower, upper) = tree.split(at, feature, threshold);
            waiting.extend([(upper, depth + 1), (lower, depth + 1)]);
        }
        if !waiting.is_empty() || thresholds.next().is_some() || samples.next().is_some() {
            return Err(damaged("a stored tree ends too early or too late"));
        }
        Ok(tree)
    }
}
