//! Change points of annotated series: F1 and covering as in the Turing Change Point Dataset (van den Burg and Williams,
//! *An evaluation of change point detection algorithms*, 2020, §4).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aiops_detect::Rows;
use aiops_detect::changepoint::{OnlineChangePoints, OnlineConfig, SegmentConfig, change_points};
use serde::Deserialize;

use super::files::{names, text, write_json};
use super::{FileFigures, SetFigures};
use crate::EvalError;

/// A found change within so many rows of an annotated one is that one.
const MARGIN: usize = 5;

#[derive(Debug, Deserialize)]
struct Document {
    series: Vec<Dimension>,
}

#[derive(Debug, Deserialize)]
struct Dimension {
    raw: Vec<Option<f64>>,
}

pub(super) fn evaluate(folder: &Path, out: Option<&Path>) -> Result<Vec<SetFigures>, EvalError> {
    let path = folder.join("annotations.json");
    let annotations: BTreeMap<String, BTreeMap<String, Vec<usize>>> = serde_json::from_str(&text(&path)?)
        .map_err(|source| EvalError::Index { path: path.clone(), source })?;
    let (mut single, mut several, mut nothing, mut online) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut predicted: BTreeMap<&str, BTreeMap<String, BTreeSet<usize>>> = BTreeMap::new();
    for name in names(folder, ".json")? {
        let Some(annotators) = annotations.get(&name) else { continue };
        let wrong = |path: &Path, what: String| EvalError::Table { path: path.to_owned(), line: 0, what };
        if annotators.is_empty() {
            return Err(wrong(&path, format!("{name} has no annotator")));
        }
        let annotations = &path;
        let path = folder.join(format!("{name}.json"));
        let document: Document = serde_json::from_str(&text(&path)?)
            .map_err(|source| EvalError::Index { path: path.clone(), source })?;
        let rows = document.series.first().map_or(0, |dimension| dimension.raw.len());
        if rows == 0 {
            return Err(wrong(&path, "a series without rows".to_owned()));
        }
        if let Some(change) = annotators.values().flatten().find(|change| **change >= rows) {
            return Err(wrong(annotations, format!("{name}: a change at row {change} of {rows}")));
        }
        let cell =
            |row: usize, dimension: &Dimension| dimension.raw.get(row).copied().flatten().unwrap_or(f64::NAN);
        let values: Vec<f64> =
            (0..rows).flat_map(|row| document.series.iter().map(move |d| cell(row, d))).collect();
        let view = Rows::new(&values, document.series.len())?;
        let found: BTreeSet<usize> =
            change_points(view, &SegmentConfig::default()).iter().map(|change| change.onset).collect();
        let annotated: Vec<BTreeSet<usize>> =
            annotators.values().map(|changes| changes.iter().copied().collect()).collect();
        let file = |found: &BTreeSet<usize>| FileFigures {
            name: name.clone(),
            figures: vec![("f1", f1(&annotated, found)), ("cover", covering(&annotated, found, rows))],
        };
        if document.series.len() == 1 {
            let told = followed(&values);
            single.push(file(&found));
            nothing.push(file(&BTreeSet::new()));
            online.push(file(&told));
            predicted.entry("online").or_default().insert(name.clone(), told);
        } else {
            several.push(file(&found));
        }
        predicted.entry("segmentation").or_default().insert(name, found);
    }
    for (method, changes) in &predicted {
        write_json(out, &format!("changepoint/{method}.json"), changes)?;
    }
    let set = "changepoint";
    let mut sets = vec![
        SetFigures::new(set, "penalised segmentation, one dimension", single),
        SetFigures::new(set, "no change at all, one dimension", nothing),
        SetFigures::new(set, "online (Bayesian), one dimension", online),
    ];
    if !several.is_empty() {
        sets.push(SetFigures::new(set, "penalised segmentation, several dimensions", several));
    }
    Ok(sets)
}

/// Changes that were told while the rows came in, one after another.
fn followed(values: &[f64]) -> BTreeSet<usize> {
    let mut changes = OnlineChangePoints::new(OnlineConfig::default());
    let told = values.iter().filter_map(|value| changes.push(*value));
    told.filter_map(|change| usize::try_from(change.onset).ok()).collect()
}

/// The first row always counts as a change.
fn with_start(changes: &BTreeSet<usize>) -> BTreeSet<usize> {
    changes.iter().copied().chain([0]).collect()
}

/// How many of `truth` have a found change of their own within the margin.
fn matched(truth: &BTreeSet<usize>, found: &BTreeSet<usize>) -> usize {
    let mut free = found.clone();
    let mut count = 0;
    for change in truth {
        let near = free.range(change.saturating_sub(MARGIN)..=change.saturating_add(MARGIN));
        let nearest = near.copied().min_by_key(|at| at.abs_diff(*change));
        if nearest.is_some_and(|at| free.remove(&at)) {
            count += 1;
        }
    }
    count
}

/// Precision against all annotators together, recall as the mean over them.
fn f1(annotated: &[BTreeSet<usize>], found: &BTreeSet<usize>) -> f64 {
    let found = with_start(found);
    let annotated: Vec<BTreeSet<usize>> = annotated.iter().map(with_start).collect();
    let all: BTreeSet<usize> = annotated.iter().flatten().copied().collect();
    let precision = matched(&all, &found) as f64 / found.len() as f64;
    let share = |changes: &BTreeSet<usize>| matched(changes, &found) as f64 / changes.len() as f64;
    let recall = annotated.iter().map(share).sum::<f64>() / annotated.len() as f64;
    2.0 * precision * recall / (precision + recall)
}

/// Mean over annotators of how well each of their segments is covered by one that was found.
fn covering(annotated: &[BTreeSet<usize>], found: &BTreeSet<usize>, rows: usize) -> f64 {
    let segments = |changes: &BTreeSet<usize>| -> Vec<(usize, usize)> {
        let starts = with_start(changes);
        let ends = starts.iter().skip(1).copied().chain([rows]).collect::<Vec<_>>();
        starts.into_iter().zip(ends).collect()
    };
    let found = segments(found);
    let overlap = |a: (usize, usize), b: (usize, usize)| {
        let shared = a.1.min(b.1).saturating_sub(a.0.max(b.0));
        shared as f64 / (a.1.max(b.1) - a.0.min(b.0)) as f64
    };
    let covered = |changes: &BTreeSet<usize>| -> f64 {
        let best = |segment: (usize, usize)| {
            let most = found.iter().map(|f| overlap(segment, *f)).fold(0.0, f64::max);
            (segment.1 - segment.0) as f64 * most
        };
        segments(changes).into_iter().map(best).sum::<f64>() / rows as f64
    };
    annotated.iter().map(covered).sum::<f64>() / annotated.len() as f64
}
