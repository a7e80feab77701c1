//! Grouping and template accuracy of log template miners.
//!
//! The definitions are those of Loghub-2.0 (Jiang et al., "A Large-Scale Evaluation for Log Parsing Techniques",
//! ISSTA 2024); template strings are compared after runs of blanks are made one.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

/// The four accuracies, each 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Scores {
    /// Grouping accuracy: share of the lines whose predicted group is exactly their true group.
    pub ga: f64,
    /// F1 of grouping accuracy over groups.
    pub fga: f64,
    /// Parsing accuracy: share of the lines whose predicted template is the true one, character by character.
    pub pa: f64,
    /// F1 of template accuracy: predicted templates all of whose lines truly have that template.
    pub fta: f64,
}

/// Scores predicted groups and templates of the same lines in the same order; lines beyond the shorter side are ignored.
///
/// ```
/// use aiops_eval::logs::score;
/// let truth = ["a <*>", "a <*>", "b"].map(|t| t.as_bytes().to_vec());
/// let found = ["a <*>", "a  <*>", "c"].map(|t| t.as_bytes().to_vec());
/// let scores = score(&truth, &[1, 1, 2], &found);
/// assert_eq!((scores.ga, scores.fga), (1.0, 1.0));
/// assert_eq!((scores.pa, scores.fta), (2.0 / 3.0, 0.5));
/// ```
#[must_use]
pub fn score(truth: &[Vec<u8>], groups: &[u64], templates: &[Vec<u8>]) -> Scores {
    let lines = truth.len().min(groups.len()).min(templates.len());
    if lines == 0 {
        return Scores::default();
    }
    let truth: Vec<Vec<u8>> = truth.iter().take(lines).map(|t| blanks_joined(t)).collect();
    let templates: Vec<Vec<u8>> = templates.iter().take(lines).map(|t| blanks_joined(t)).collect();
    let mut predicted: HashMap<u64, usize> = HashMap::new();
    let mut actual: HashMap<&[u8], (usize, HashSet<u64>)> = HashMap::new();
    let mut true_of: HashMap<&[u8], HashSet<&[u8]>> = HashMap::new();
    for ((t, g), p) in truth.iter().zip(groups).zip(&templates) {
        *predicted.entry(*g).or_default() += 1;
        let entry = actual.entry(t).or_default();
        entry.0 += 1;
        entry.1.insert(*g);
        true_of.entry(p).or_default().insert(t);
    }
    let (mut right_groups, mut right_lines) = (0, 0);
    for (size, seen) in actual.values() {
        // Equal line sets: one predicted group, of the same size.
        if seen.len() == 1 && seen.iter().all(|g| predicted.get(g) == Some(size)) {
            right_groups += 1;
            right_lines += size;
        }
    }
    let same = truth.iter().zip(&templates).filter(|(t, p)| t == p).count();
    let right = true_of.iter().filter(|(p, t)| t.len() == 1 && t.contains(*p)).count();
    Scores {
        ga: right_lines as f64 / lines as f64,
        fga: f1(right_groups, predicted.len(), actual.len()),
        pa: same as f64 / lines as f64,
        fta: f1(right, true_of.len(), actual.len()),
    }
}

fn f1(right: usize, predicted: usize, actual: usize) -> f64 {
    let sum = predicted + actual;
    if sum == 0 { 0.0 } else { 2.0 * right as f64 / sum as f64 }
}

pub(super) fn blanks_joined(text: &[u8]) -> Vec<u8> {
    let words = text.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
}
