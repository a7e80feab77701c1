use blake3::Hash;
use serde::{Deserialize, Serialize};

/// A Merkle tree over the lines of a ledger, as in RFC 6962 section 2.1 with BLAKE3 for SHA-256: a leaf hashes `0x00` and the line's
/// hash, an inner node `0x01` and its two children.
///
/// Keeps one hash for each full subtree, so at most 64; one step costs amortised two hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    leaves: u64,
    /// Roots of the full subtrees, largest first; one for each bit that is set in `leaves`.
    peaks: Vec<Hash>,
}

impl Tree {
    /// Number of lines.
    #[must_use]
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// Adds the line with this hash.
    pub fn push(&mut self, line: &Hash) {
        let mut node = leaf(line);
        // Two full subtrees of a size become one, as in counting up by one.
        for _ in 0..self.leaves.trailing_ones() {
            node = self.peaks.pop().map_or(node, |left| inner(&left, &node));
        }
        self.peaks.push(node);
        self.leaves = self.leaves.saturating_add(1);
    }

    /// Root of the tree; of no lines, the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let joined = self.peaks.iter().rev().copied().reduce(|right, left| inner(&left, &right));
        joined.unwrap_or_else(|| blake3::hash(b""))
    }
}

fn leaf(line: &Hash) -> Hash {
    blake3::Hasher::new().update(&[0]).update(line.as_bytes()).finalize()
}

fn inner(left: &Hash, right: &Hash) -> Hash {
    blake3::Hasher::new().update(&[1]).update(left.as_bytes()).update(right.as_bytes()).finalize()
}

/// Proof that a line is one of those below a root (RFC 6962 section 2.1.1), for somebody who has the line and the root but not the
/// ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// Number of the line, from 0.
    pub line: u64,
    /// Number of lines below the root.
    pub lines: u64,
    /// Siblings on the way up, in hexadecimal, lowest first.
    pub path: Vec<String>,
}

impl Inclusion {
    /// The proof for line number `line` among all `lines`, given by their hashes; `None` when there is no such line.
    ///
    /// Takes time in proportion to the number of lines.
    #[must_use]
    pub fn of(line: u64, lines: &[Hash]) -> Option<Self> {
        let at = usize::try_from(line).ok().filter(|at| *at < lines.len())?;
        let mut path = Vec::new();
        walk(at, lines, &mut path);
        Some(Self {
            line,
            lines: lines.len() as u64,
            path: path.iter().map(|h| h.to_hex().to_string()).collect(),
        })
    }

    /// Whether the line with hash `line` stands at the stated place below `root`.
    #[must_use]
    pub fn proves(&self, line: &Hash, root: &Hash) -> bool {
        if self.line >= self.lines {
            return false;
        }
        // RFC 9162 section 2.1.3.2.
        let (mut at, mut last) = (self.line, self.lines - 1);
        let mut node = leaf(line);
        for sibling in &self.path {
            let Ok(sibling) = Hash::from_hex(sibling) else { return false };
            if last == 0 {
                return false;
            }
            if at & 1 == 1 || at == last {
                node = inner(&sibling, &node);
                // A right edge skips the levels on which it has no sibling.
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                node = inner(&node, &sibling);
            }
            at >>= 1;
            last >>= 1;
        }
        last == 0 && node == *root
    }
}

/// Root of the tree of `lines`, which are not empty.
fn root(lines: &[Hash]) -> Hash {
    let mut tree = Tree::default();
    lines.iter().for_each(|line| tree.push(line));
    tree.root()
}

/// Adds the siblings from line `at` up to the root of `lines`.
fn walk(at: usize, lines: &[Hash], path: &mut Vec<Hash>) {
    if lines.len() < 2 {
        return;
    }
    // The largest power of two below the number of lines goes left.
    let half = lines.len().next_power_of_two() / 2;
    let (left, right) = lines.split_at(half);
    if at < half {
        walk(at, left, path);
        path.push(root(right));
    } else {
        walk(at - half, right, path);
        path.push(root(left));
    }
}
