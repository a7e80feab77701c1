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

use super::ensemble::{combined, following};
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

/// What the members of the ensemble say of `test`, learned from `train`; each part begins at its own instant.
fn members(
    (train, start): (Rows<'_>, Timestamp),
    (test, later): (Rows<'_>, Timestamp),
    step: Duration,
) -> Result<[Vec<f64>; 3], EvalError> {
    let profile = DailyProfile::learn(train, start, step)?;
    let learned = profile.residuals(train, start, step)?;
    let judged = profile.residuals(test, later, step)?;
    let (learned, judged) = (Rows::new(&learned, train.columns())?, Rows::new(&judged, train.columns())?);
    Ok([
        MultivariateModel::learn(learned, &MultivariateConfig::default())?.judge(judged)?,
        RelationModel::learn(learned, &RelationConfig::default())?.judge(judged)?,
        ForestModel::learn(train, &ForestModelConfig::default())?.judge(test)?,
    ])
}

const MEMBERS: [(&str, &str); 3] = [
    ("multivariate behind a daily profile", "multivariate"),
    ("broken relations behind a daily profile", "relation"),
    ("isolation forest", "forest"),
];

/// Scores of the train rows by members that were learned from the other half of them.
fn out_of_sample(train: Rows<'_>, start: Timestamp, step: Duration) -> Result<[Vec<f64>; 3], EvalError> {
    let half = train.len() / 2;
    let later =
        aiops_core::model::time::after(start, step.saturating_mul(u32::try_from(half).unwrap_or(u32::MAX)));
    let values: Vec<f64> = train.iter().flatten().copied().collect();
    let (first, second) = values.split_at(half * train.columns());
    let first = (Rows::new(first, train.columns())?, start);
    let second = (Rows::new(second, train.columns())?, later);
    let (mut scores, rest) = (members(second, first, step)?, members(first, second, step)?);
    scores.iter_mut().zip(rest).for_each(|(all, rest)| all.extend(rest));
    Ok(scores)
}

fn score(train: Rows<'_>, test: Rows<'_>, set: &str, step: Duration) -> Result<Vec<Scored>, EvalError> {
    // The rows have no clock: the first one is midnight, and test follows train.
    let start = Timestamp::UNIX_EPOCH;
    let rows = u32::try_from(train.len()).unwrap_or(u32::MAX);
    let later = aiops_core::model::time::after(start, step.saturating_mul(rows));
    let judged = members((train, start), (test, later), step)?;
    let healthy = out_of_sample(train, start, step)?;
    let named: Vec<(&str, &[f64])> =
        MEMBERS.iter().zip(&healthy).map(|((name, _), scores)| (*name, scores.as_slice())).collect();
    let told: Vec<&[f64]> = judged.iter().map(Vec::as_slice).collect();
    let mut ensembles = combined(&named, &told)?;
    ensembles.extend(following(&named, &told));
    let plain = IsolationForest::fit(train, ForestConfig::default())?;
    let mut all: Vec<Scored> = MEMBERS
        .iter()
        .zip(judged)
        .map(|((method, folder), scores)| Scored { method, folder: format!("{set}/{folder}"), scores })
        .collect();
    all.extend(ensembles.into_iter().map(|(method, folder, scores)| Scored {
        method,
        folder: format!("{set}/{folder}"),
        scores,
    }));
    all.extend([
        Scored {
            method: "multivariate, rows as they are",
            folder: format!("{set}/multivariate-raw"),
            scores: MultivariateModel::learn(train, &MultivariateConfig::default())?.judge(test)?,
        },
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
    ]);
    Ok(all)
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
