//! Rows without an order in time: the isolation forest, mean over seeds.

use std::path::Path;

use aiops_compact::Moments;
use aiops_detect::Rows;
use aiops_detect::forest::{ForestConfig, ForestOptions, IsolationForest};

use super::files::{Labelled, names, write_scores};
use super::{FileFigures, PointMeasures, SetFigures};
use crate::EvalError;

/// The specification's threshold on scikit-learn's `score_samples`, as a score that rises with strangeness.
const PLAIN: f64 = 0.5;

pub(super) fn evaluate(folder: &Path, seeds: u64, out: Option<&Path>) -> Result<SetFigures, EvalError> {
    let mut files = Vec::new();
    // Mean over the files by seed: how far it moves from seed to seed says how far it can be trusted.
    let mut by_seed = vec![Moments::new(); usize::try_from(seeds).unwrap_or(0)];
    for name in names(folder, ".csv")? {
        let table = Labelled::read(&folder.join(format!("{name}.csv")))?;
        let rows = Rows::new(&table.values, table.columns)?;
        let mut measured: Vec<(&'static str, Moments)> = Vec::new();
        for (seed, mean) in (0..seeds).zip(&mut by_seed) {
            let config = ForestConfig::try_from(ForestOptions { seed, ..Default::default() })?;
            let forest = IsolationForest::fit(rows, config)?;
            let scores: Vec<f64> = forest.score_samples(rows)?.iter().map(|score| -score).collect();
            write_scores(out, &format!("tabular/seed-{seed}/{name}.csv"), &scores)?;
            let points = PointMeasures::of(&table.labels, &scores);
            mean.push(points.roc_auc);
            for (figure, value) in points.named().into_iter().chain(plain(&table.labels, &scores)) {
                match measured.iter_mut().find(|(name, _)| *name == figure) {
                    Some((_, moments)) => moments.push(value),
                    None => measured.push((figure, [value].into_iter().collect())),
                }
            }
        }
        let mut figures: Vec<(&'static str, f64)> =
            measured.iter().map(|(figure, m)| (*figure, m.mean().unwrap_or(f64::NAN))).collect();
        let roc = measured.iter().find(|(figure, _)| *figure == "roc_auc").map(|(_, m)| *m);
        figures.push(("roc_auc_standard_error", roc.map_or(f64::NAN, |m| standard_error(&m))));
        files.push(FileFigures { name, figures });
    }
    let mut set = SetFigures::new("tabular", format!("isolation forest, mean of {seeds} seeds"), files);
    // The error of the mean over files is not the mean of their errors.
    set.mean.retain(|(figure, _)| *figure != "roc_auc_standard_error");
    let means: Moments = by_seed.iter().filter_map(Moments::mean).collect();
    set.mean.push(("roc_auc_standard_error", standard_error(&means)));
    set.mean.push(("roc_auc_least_seed", means.min().unwrap_or(f64::NAN)));
    set.mean.push(("roc_auc_most_seed", means.max().unwrap_or(f64::NAN)));
    Ok(set)
}

/// Of the mean, from the spread over seeds.
fn standard_error(seeds: &Moments) -> f64 {
    seeds.standard_deviation().map_or(f64::NAN, |deviation| deviation / (seeds.count() as f64).sqrt())
}

/// What the plain threshold finds.
fn plain(labels: &[bool], scores: &[f64]) -> [(&'static str, f64); 3] {
    let (mut flagged, mut hits, mut labelled) = (0.0, 0.0, 0.0);
    for (label, score) in labels.iter().zip(scores) {
        let (label, flag) = (f64::from(u8::from(*label)), f64::from(u8::from(*score > PLAIN)));
        labelled += label;
        flagged += flag;
        hits += label * flag;
    }
    [
        ("flagged_at_-0.5", flagged / labels.len() as f64),
        ("precision_at_-0.5", hits / flagged),
        ("recall_at_-0.5", hits / labelled),
    ]
}
