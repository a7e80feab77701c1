//! Many metrics of one machine: the multivariate model behind a daily profile, and a forest beside it.

use std::path::Path;
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_detect::Rows;
use aiops_detect::forest::{ForestConfig, ForestModel, ForestModelConfig, IsolationForest};
use aiops_detect::group::RowModel;
use aiops_detect::multivariate::{DailyProfile, MultivariateConfig, MultivariateModel};
use aiops_detect::relation::{RelationConfig, RelationModel};
use serde::Deserialize;

use super::files::{Labelled, text, write_scores};
use super::measure::Alarms;
use super::{FileFigures, PointMeasures, SetFigures};
use crate::EvalError;

#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    cols: usize,
}

/// Scores of the test rows by each method; 1 is the limit of what is normal.
struct Scored {
    method: &'static str,
    folder: String,
    scores: Vec<f64>,
}

pub(super) fn evaluate(
    folder: &Path,
    set: &'static str,
    step: Duration,
    out: Option<&Path>,
) -> Result<Vec<SetFigures>, EvalError> {
    let path = folder.join("index.json");
    let mut entries: Vec<Entry> =
        serde_json::from_str(&text(&path)?).map_err(|source| EvalError::Index { path, source })?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut methods: Vec<(&'static str, Vec<FileFigures>)> = Vec::new();
    for entry in entries {
        let part = |ending: &str| folder.join(format!("{}.{ending}", entry.name));
        let (train, test) = (floats(&part("train.f32"))?, floats(&part("test.f32"))?);
        let labels = Labelled::read(&part("label.csv"))?.labels;
        let scored = score(Rows::new(&train, entry.cols)?, Rows::new(&test, entry.cols)?, set, step)?;
        let days = labels.len() as f64 * step.as_secs_f64() / 86_400.0;
        for Scored { method, folder, scores } in scored {
            write_scores(out, &format!("{folder}/{}.label.csv", entry.name), &scores)?;
            let mut figures = PointMeasures::of(&labels, &scores).named();
            figures.extend(Alarms::count(&labels, &scores, 1.0).named(days));
            let file = FileFigures { name: entry.name.clone(), figures };
            match methods.iter_mut().find(|(name, _)| *name == method) {
                Some((_, files)) => files.push(file),
                None => methods.push((method, vec![file])),
            }
        }
    }
    Ok(methods.into_iter().map(|(method, files)| SetFigures::new(set, method, files)).collect())
}

fn score(train: Rows<'_>, test: Rows<'_>, set: &str, step: Duration) -> Result<Vec<Scored>, EvalError> {
    // The rows have no clock: the first one is midnight, and test follows train.
    let start = Timestamp::UNIX_EPOCH;
    let rows = u32::try_from(train.len()).unwrap_or(u32::MAX);
    let later = aiops_core::model::time::after(start, step.saturating_mul(rows));
    let profile = DailyProfile::learn(train, start, step)?;
    let learned = profile.residuals(train, start, step)?;
    let judged = profile.residuals(test, later, step)?;
    let (learned, judged) = (Rows::new(&learned, train.columns())?, Rows::new(&judged, train.columns())?);
    let model = MultivariateModel::learn(learned, &MultivariateConfig::default())?;
    let forest = ForestModel::learn(train, &ForestModelConfig::default())?;
    let plain = IsolationForest::fit(train, ForestConfig::default())?;
    Ok(vec![
        Scored {
            method: "multivariate behind a daily profile",
            folder: format!("{set}/multivariate"),
            scores: model.judge(judged)?,
        },
        Scored {
            method: "multivariate, rows as they are",
            folder: format!("{set}/multivariate-raw"),
            scores: MultivariateModel::learn(train, &MultivariateConfig::default())?.judge(test)?,
        },
        Scored {
            method: "broken relations behind a daily profile",
            folder: format!("{set}/relation"),
            scores: RelationModel::learn(learned, &RelationConfig::default())?.judge(judged)?,
        },
        Scored { method: "isolation forest", folder: format!("{set}/forest"), scores: forest.judge(test)? },
        Scored {
            method: "isolation forest, plain threshold of -0.5",
            folder: format!("{set}/forest-plain"),
            // 1 is where `score_samples` is −0.5.
            scores: plain.score_samples(test)?.iter().map(|score| score / -0.5).collect(),
        },
        Scored {
            method: "largest deviation, 3 sigma",
            folder: format!("{set}/sigma"),
            scores: largest_deviation(train, test),
        },
    ])
}

/// The plain threshold: the largest deviation of any column from the mean of the train rows, in thirds of 3 σ.
fn largest_deviation(train: Rows<'_>, test: Rows<'_>) -> Vec<f64> {
    let mut moments = vec![aiops_compact::Moments::new(); train.columns()];
    for row in train.iter() {
        moments.iter_mut().zip(row).for_each(|(m, v)| m.push(*v));
    }
    let deviation = |v: &f64, m: &aiops_compact::Moments| {
        let away = (v - m.mean().unwrap_or(0.0)).abs();
        let sigma = m.standard_deviation().unwrap_or(0.0);
        if away == 0.0 { 0.0 } else { away / (3.0 * sigma) }
    };
    let of = |row: &[f64]| row.iter().zip(&moments).map(|(v, m)| deviation(v, m)).fold(0.0, f64::max);
    test.iter().map(of).collect()
}

/// Little-endian f32, as they lie in the file.
fn floats(path: &Path) -> Result<Vec<f64>, EvalError> {
    let bytes = std::fs::read(path).map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
    let (whole, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(EvalError::Table {
            path: path.to_owned(),
            line: 0,
            what: "not a whole number of 32-bit floats".to_owned(),
        });
    }
    Ok(whole.iter().map(|four| f64::from(f32::from_le_bytes(*four))).collect())
}
