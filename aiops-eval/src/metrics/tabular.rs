//! Rows without an order in time: the isolation forest, mean of five seeds.

use std::path::Path;

use aiops_detect::Rows;
use aiops_detect::forest::{ForestConfig, ForestOptions, IsolationForest};

use super::files::{Labelled, names, write_scores};
use super::{FileFigures, PointMeasures, SetFigures};
use crate::EvalError;

const SEEDS: u64 = 5;

pub(super) fn evaluate(folder: &Path, out: Option<&Path>) -> Result<SetFigures, EvalError> {
    let mut files = Vec::new();
    for name in names(folder, ".csv")? {
        let table = Labelled::read(&folder.join(format!("{name}.csv")))?;
        let rows = Rows::new(&table.values, table.columns)?;
        let mut sums: Vec<(&'static str, f64)> = Vec::new();
        for seed in 0..SEEDS {
            let config = ForestConfig::try_from(ForestOptions { seed, ..Default::default() })?;
            let forest = IsolationForest::fit(rows, config)?;
            let scores: Vec<f64> = forest.score_samples(rows)?.iter().map(|score| -score).collect();
            write_scores(out, &format!("tabular/seed-{seed}/{name}.csv"), &scores)?;
            let measured = PointMeasures::of(&table.labels, &scores).named();
            if sums.is_empty() {
                sums = measured;
            } else {
                sums.iter_mut().zip(measured).for_each(|(sum, (_, value))| sum.1 += value);
            }
        }
        sums.iter_mut().for_each(|sum| sum.1 /= SEEDS as f64);
        files.push(FileFigures { name, figures: sums });
    }
    Ok(SetFigures::new("tabular", "isolation forest, mean of 5 seeds", files))
}
