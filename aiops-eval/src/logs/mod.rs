//! Accuracy of log template mining on labelled sets it has never seen. // CMP-04
//!
//! Labels are read only after the predictions are written: they decide nothing but the scores. Grouping accuracy is about
//! the final assignment, so each line's template id is resolved after the last line (merges of the miner are retroactive),
//! and templates are what they are then.

mod failing;
mod score;
mod sets;

use std::fmt::Write as _;
use std::path::Path;

use aiops_compact::logs::{Header, LogMiner, MinerConfig, MinerOptions};
use serde::Serialize;

pub use failing::{Failing, failing};
pub use score::{Scores, score};
pub use sets::{Labels, LogSet};

use crate::EvalError;

/// What the miner is fed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Messages without headers.
    Content,
    /// Whole lines; headers are inferred.
    Raw,
}

/// Scores of one set; `None` where it has no labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetReport {
    /// Name of the set.
    pub name: String,
    /// Lines mined.
    pub lines: usize,
    /// Templates found.
    pub templates: usize,
    /// Accuracy.
    pub scores: Option<Scores>,
}

/// Scores of all sets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogReport {
    /// By name.
    pub sets: Vec<SetReport>,
    /// Unweighted mean of the scored sets.
    pub mean: Option<Scores>,
}

/// Mines every set of `folder` (only those named in `only`, unless it is empty), writes `<set>.csv` with the columns
/// `line_id,template_id,template` to `out`, then scores. What [fails](failing) is written to `costs`, if given, as
/// `<set>.csv`.
///
/// # Errors
/// When files cannot be read or written, or a set has not as many lines as line ids or labels.
pub fn evaluate(
    folder: &Path,
    input: Input,
    labels: Labels,
    only: &[String],
    out: &Path,
    costs: Option<&Path>,
) -> Result<LogReport, EvalError> {
    std::fs::create_dir_all(out).map_err(|source| EvalError::Write { path: out.to_owned(), source })?;
    let mut sets = LogSet::find(folder, labels)?;
    sets.retain(|set| only.is_empty() || only.contains(&set.name));
    let reports = sets.iter().map(|set| mine(set, input, out, costs)).collect::<Result<Vec<_>, _>>()?;
    let scored: Vec<Scores> = reports.iter().filter_map(|report| report.scores).collect();
    let over = |of: fn(&Scores) -> f64| scored.iter().map(of).sum::<f64>() / scored.len() as f64;
    let mean = (!scored.is_empty()).then(|| Scores {
        ga: over(|s| s.ga),
        fga: over(|s| s.fga),
        pa: over(|s| s.pa),
        fta: over(|s| s.fta),
    });
    Ok(LogReport { sets: reports, mean })
}

fn mine(set: &LogSet, input: Input, out: &Path, costs: Option<&Path>) -> Result<SetReport, EvalError> {
    let lines = match input {
        Input::Content => set.contents()?,
        Input::Raw => set.raw_lines()?,
    };
    let header = if input == Input::Raw { Header::Infer } else { Header::None };
    let config = MinerConfig::try_from(MinerOptions { header, ..MinerOptions::default() })
        .map_err(|error| EvalError::Miner { set: set.name.clone(), source: error })?;
    let mut miner = LogMiner::new(config);
    let pushed: Vec<_> = lines.iter().map(|line| miner.push(line)).collect();
    miner.settle();
    let mut groups = Vec::with_capacity(pushed.len());
    let mut templates = Vec::with_capacity(pushed.len());
    for id in pushed {
        let template = miner.template(id);
        groups.push(template.as_ref().map_or(id, |t| t.id).get());
        templates.push(template.map_or_else(Vec::new, |t| t.text));
    }
    write(set, &lines, &groups, &templates, out)?;
    let mut distinct = groups.clone();
    distinct.sort_unstable();
    distinct.dedup();
    // Only now.
    let truth = set.column("EventTemplate")?;
    if let Some(truth) = &truth
        && truth.len() != lines.len()
    {
        return Err(EvalError::LineCount { set: set.name.clone(), lines: lines.len(), labels: truth.len() });
    }
    if let (Some(truth), Some(costs)) = (&truth, costs) {
        failing::write(&set.name, &failing(truth, &groups, &templates), costs)?;
    }
    let scores = truth.map(|truth| score(&truth, &groups, &templates));
    Ok(SetReport { name: set.name.clone(), lines: lines.len(), templates: distinct.len(), scores })
}

fn write(
    set: &LogSet,
    lines: &[Vec<u8>],
    groups: &[u64],
    templates: &[Vec<u8>],
    out: &Path,
) -> Result<(), EvalError> {
    let line_ids = set.line_ids(lines.len())?;
    if line_ids.len() != lines.len() {
        return Err(EvalError::LineIds { set: set.name.clone(), lines: lines.len(), ids: line_ids.len() });
    }
    let path = out.join(format!("{}.csv", set.name));
    let csv_error = |source| EvalError::Csv { path: path.clone(), source };
    let mut writer = csv::Writer::from_path(&path).map_err(csv_error)?;
    writer.write_record(["line_id", "template_id", "template"]).map_err(csv_error)?;
    for ((line_id, group), template) in line_ids.iter().zip(groups).zip(templates) {
        writer.write_record([line_id, group.to_string().as_bytes(), template]).map_err(csv_error)?;
    }
    writer.flush().map_err(|source| EvalError::Write { path, source })
}

impl LogReport {
    /// A table.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{:<16} {:>8} {:>9} {:>7} {:>7} {:>7} {:>7}\n",
            "set", "lines", "templates", "GA", "FGA", "PA", "FTA"
        );
        let mut row = |name: &str, lines: String, templates: String, scores: Option<Scores>| {
            let cell = |of: fn(&Scores) -> f64| scores.map_or("-".to_owned(), |s| format!("{:.4}", of(&s)));
            let (ga, fga, pa, fta) = (cell(|s| s.ga), cell(|s| s.fga), cell(|s| s.pa), cell(|s| s.fta));
            let _ = writeln!(text, "{name:<16} {lines:>8} {templates:>9} {ga:>7} {fga:>7} {pa:>7} {fta:>7}");
        };
        for set in &self.sets {
            row(&set.name, set.lines.to_string(), set.templates.to_string(), set.scores);
        }
        row("mean", String::new(), String::new(), self.mean);
        text
    }
}
