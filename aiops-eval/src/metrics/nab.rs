//! The Numenta Anomaly Benchmark: alarms of one series at a time, early ones worth more, each false one at a price (Lavin
//! and Ahmad, *Evaluating real-time anomaly detection algorithms*, 2015). Standard profile; one threshold and hold-off for
//! all files, fixed beforehand.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use aiops_detect::novelty::{NoveltyConfig, NoveltyDetector};

use super::files::{text, write_scores};
use super::{FileFigures, SetFigures};
use crate::EvalError;

/// What a false alarm costs, where a window found at its beginning is worth 1.
const FALSE_ALARM: f64 = 0.11;

/// One file: when its rows were taken, their values, and its windows as first and last row.
struct Series {
    times: Vec<String>,
    values: Vec<f64>,
    windows: Vec<(usize, usize)>,
}

pub(super) fn evaluate(folder: &Path, out: Option<&Path>) -> Result<SetFigures, EvalError> {
    let path = folder.join("labels/combined_windows.json");
    let labels: BTreeMap<String, Vec<(String, String)>> =
        serde_json::from_str(&text(&path)?).map_err(|source| EvalError::Index { path, source })?;
    let mut files = Vec::new();
    let (mut total, mut windows) = (0.0, 0);
    for (name, labelled) in labels {
        let path = folder.join("data").join(&name);
        if !path.is_file() {
            continue;
        }
        let series = read(&path, &labelled)?;
        let mut detector = NoveltyDetector::new(NoveltyConfig::default());
        let scores: Vec<f64> = series
            .values
            .iter()
            .map(|value| {
                let novel = detector.push(*value);
                // Rows that raise no alarm are none at any threshold.
                if novel.alarm { novel.score } else { 0.0 }
            })
            .collect();
        write_scores(out, &format!("nab/novelty/{name}"), &scores)?;
        let alarms: Vec<usize> =
            (0..scores.len()).filter(|row| scores.get(*row).is_some_and(|s| *s > 0.0)).collect();
        let scored = score(scores.len(), &alarms, &series.windows);
        total += scored.raw;
        windows += scored.windows;
        let figures = vec![
            ("raw", scored.raw),
            ("windows", scored.windows as f64),
            ("windows_hit", scored.hit as f64),
            ("false_alarms", scored.false_alarms as f64),
            ("alarms_per_day", alarms.len() as f64 / days(&series.times)),
        ];
        files.push(FileFigures { name, figures });
    }
    let mut set = SetFigures::new("nab", "novelty, one threshold, standard profile", files);
    // From −windows, where all are missed, to windows: not a mean over files.
    let windows = windows as f64;
    set.mean.insert(0, ("nab_score", 100.0 * (total + windows) / (2.0 * windows)));
    Ok(set)
}

fn read(path: &Path, labelled: &[(String, String)]) -> Result<Series, EvalError> {
    let malformed = |line: usize, what: &str| EvalError::Table {
        path: path.to_owned(),
        line: line as u64 + 1,
        what: what.to_owned(),
    };
    let text = text(path)?;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for (at, line) in text.lines().enumerate().skip(1) {
        let row = line.split_once(',').and_then(|(time, value)| Some((time, value.trim().parse().ok()?)));
        let (time, value) = row.ok_or_else(|| malformed(at, "not a time and a number"))?;
        times.push(second(time));
        values.push(value);
    }
    let mut rows: HashMap<&str, usize> = HashMap::new();
    for (row, time) in times.iter().enumerate() {
        rows.entry(time).or_insert(row);
    }
    let row = |time: &String| {
        rows.get(second(time).as_str()).copied().ok_or_else(|| malformed(0, "a window ends between rows"))
    };
    let windows = labelled
        .iter()
        .map(|(first, last)| Ok((row(first)?, row(last)?)))
        .collect::<Result<_, EvalError>>()?;
    Ok(Series { times, values, windows })
}

/// A time of the benchmark, to the second.
fn second(time: &str) -> String {
    time.trim().replace('T', " ").split('.').next().unwrap_or_default().to_owned()
}

/// Days from the first row to the last.
fn days(times: &[String]) -> f64 {
    let at = |time: Option<&String>| time?.parse::<aiops_core::jiff::civil::DateTime>().ok();
    match (at(times.first()), at(times.last())) {
        (Some(first), Some(last)) => last.duration_since(first).as_secs_f64() / 86_400.0,
        _ => f64::NAN,
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Scored {
    raw: f64,
    windows: usize,
    hit: usize,
    false_alarms: usize,
}

/// 1 far before a position of 0, −1 far behind it.
fn sigmoid(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// Scores alarms (rows, ascending) of a file of `rows` rows. The first 15 %, at most 750 rows, are not scored.
fn score(rows: usize, alarms: &[usize], windows: &[(usize, usize)]) -> Scored {
    let unscored = (rows * 15 / 100).min(750);
    let mut scored = Scored { raw: 0.0, windows: 0, hit: 0, false_alarms: 0 };
    for (first, last) in windows {
        if *last < unscored {
            continue;
        }
        scored.windows += 1;
        let width = (last - first + 1) as f64;
        // The earliest alarm is worth most.
        let found = alarms.iter().find(|row| (*first.max(&unscored)..=*last).contains(row));
        scored.hit += usize::from(found.is_some());
        scored.raw += found.map_or(-1.0, |row| sigmoid(-((last - row + 1) as f64) / width) / sigmoid(-1.0));
    }
    for row in alarms.iter().filter(|row| **row >= unscored) {
        if windows.iter().any(|(first, last)| (first..=last).contains(&row)) {
            continue;
        }
        scored.false_alarms += 1;
        let before = windows.iter().rfind(|(_, last)| last < row);
        let cost = before
            .map_or(-1.0, |(first, last)| sigmoid((row - last) as f64 / ((last - first) as f64).max(1e-12)));
        scored.raw += FALSE_ALARM * cost;
    }
    scored
}
