//! Which lines cost accuracy, so that somebody can look at them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde::Serialize;

use super::score::blanks_joined;
use crate::EvalError;

/// The lines of one true template that are grouped or written otherwise than labelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failing {
    /// The first of them, counted from 1.
    pub first_line: usize,
    /// Lines of the template.
    pub lines: usize,
    /// Of these, lines that count against the grouping accuracy: all or none.
    pub misgrouped: usize,
    /// Groups over which they were spread.
    pub groups: usize,
    /// Lines of other templates in those groups.
    pub foreign: usize,
    /// Lines whose template is written otherwise.
    pub miswritten: usize,
    /// The true template.
    pub truth: String,
    /// What the first line that fails was said to be.
    pub predicted: String,
}

/// What fails, the costliest first: by misgrouped lines, then by miswritten ones, then by place. Texts are compared as
/// [`score`](super::score) compares them; lines beyond the shortest of the three are ignored.
#[must_use]
pub fn failing(truth: &[Vec<u8>], groups: &[u64], templates: &[Vec<u8>]) -> Vec<Failing> {
    // Line, group, and what was found.
    type Line = (usize, u64, Vec<u8>);
    let mut sizes: HashMap<u64, usize> = HashMap::new();
    // By true template.
    let mut of: BTreeMap<Vec<u8>, Vec<Line>> = BTreeMap::new();
    for (at, ((truth, group), template)) in truth.iter().zip(groups).zip(templates).enumerate() {
        *sizes.entry(*group).or_default() += 1;
        of.entry(blanks_joined(truth)).or_default().push((at + 1, *group, blanks_joined(template)));
    }
    let size = |group: &u64| sizes.get(group).copied().unwrap_or(0);
    let mut failing: Vec<Failing> = of
        .iter()
        .filter_map(|(truth, lines)| {
            let spread: BTreeSet<u64> = lines.iter().map(|(_, group, _)| *group).collect();
            let held: usize = spread.iter().map(size).sum();
            let foreign = held - lines.len();
            let misgrouped = if spread.len() == 1 && foreign == 0 { 0 } else { lines.len() };
            let otherwise = || lines.iter().filter(|(.., text)| text != truth);
            let first = otherwise().next().or(lines.first().filter(|_| misgrouped > 0))?;
            Some(Failing {
                first_line: first.0,
                lines: lines.len(),
                misgrouped,
                groups: spread.len(),
                foreign,
                miswritten: otherwise().count(),
                truth: String::from_utf8_lossy(truth).into_owned(),
                predicted: String::from_utf8_lossy(&first.2).into_owned(),
            })
        })
        .collect();
    failing.sort_by(|a, b| {
        let cost = |f: &Failing| (f.misgrouped, f.miswritten);
        cost(b).cmp(&cost(a)).then(a.first_line.cmp(&b.first_line))
    });
    failing
}

/// Writes them as `<set>.csv` with the fields as columns.
pub(super) fn write(set: &str, failing: &[Failing], out: &Path) -> Result<(), EvalError> {
    std::fs::create_dir_all(out).map_err(|source| EvalError::Write { path: out.to_owned(), source })?;
    let path = out.join(format!("{set}.csv"));
    let csv_error = |source| EvalError::Csv { path: path.clone(), source };
    let mut writer = csv::Writer::from_path(&path).map_err(csv_error)?;
    for row in failing {
        writer.serialize(row).map_err(csv_error)?;
    }
    writer.flush().map_err(|source| EvalError::Write { path, source })
}
