//! The Numenta Anomaly Benchmark: alarms of one series at a time, early ones worth more, each false one at a price (Lavin
//! and Ahmad, *Evaluating real-time anomaly detection algorithms*, 2015). Standard profile; one threshold and hold-off for
//! all files, fixed beforehand.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use aiops_compact::rolling::{RollingConfig, RollingSigma};
use aiops_detect::novelty::{Novel, NoveltyConfig, NoveltyDetector};

use super::ensemble::{RULES, joined, streamed};
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

/// Thresholds around the default, to see how much depends on it.
const THRESHOLDS: [(&str, f64); 9] = [
    ("nab_score_at_2.5", 2.5),
    ("nab_score_at_3", 3.0),
    ("nab_score_at_3.5", 3.5),
    ("nab_score_at_3.75", 3.75),
    ("nab_score_at_4", 4.0),
    ("nab_score_at_4.25", 4.25),
    ("nab_score_at_4.5", 4.5),
    ("nab_score_at_5", 5.0),
    ("nab_score_at_6", 6.0),
];

/// The plain way: this many σ from the day before, every sample by itself.
const PLAIN: f64 = 3.0;

/// `-log10` of the p-value from which on an ensemble raises an alarm: one healthy sample in ten thousand.
const RARE: f64 = 4.0;

/// Samples of the plain way's window: a day of samples every five minutes.
const PLAIN_WINDOW: usize = 288;

pub(super) fn evaluate(folder: &Path, out: Option<&Path>) -> Result<Vec<SetFigures>, EvalError> {
    let path = folder.join("labels/combined_windows.json");
    let labels: BTreeMap<String, Vec<(String, String)>> =
        serde_json::from_str(&text(&path)?).map_err(|source| EvalError::Index { path, source })?;
    let config = NoveltyConfig::default();
    let hold_off = config.options().hold_off;
    let (mut novelty, mut plain, mut held) = (Method::default(), Method::default(), Method::default());
    let mut together = RULES.map(|_| Method::default());
    let mut sensitivity: Vec<(&'static str, Total)> =
        THRESHOLDS.iter().map(|(name, _)| (*name, Total::default())).collect();
    for (name, labelled) in labels {
        let path = folder.join("data").join(&name);
        if !path.is_file() {
            continue;
        }
        let series = read(&path, &labelled)?;
        let mut detector = NoveltyDetector::new(config.clone());
        let judged: Vec<Novel> = series.values.iter().map(|value| detector.push(*value)).collect();
        // Rows that raise no alarm are none at any threshold.
        let scores: Vec<f64> = judged.iter().map(|n| if n.alarm { n.score } else { 0.0 }).collect();
        write_scores(out, &format!("nab/novelty/{name}"), &scores)?;
        let alarms: Vec<usize> =
            (0..scores.len()).filter(|row| scores.get(*row).is_some_and(|s| *s > 0.0)).collect();
        novelty.add(&name, &series, &alarms);
        for ((_, total), (_, threshold)) in sensitivity.iter_mut().zip(THRESHOLDS) {
            let alarms = raised(judged.iter().map(|n| n.score), threshold, hold_off);
            total.add(&score(judged.len(), &alarms, &series.windows));
        }
        let sigmas = deviations(&series.values)?;
        plain.add(&name, &series, &raised(sigmas.iter().copied(), PLAIN, 0));
        held.add(&name, &series, &raised(sigmas.iter().copied(), PLAIN, hold_off));
        let p_values = streamed(&[judged.iter().map(|n| n.score).collect(), sigmas]);
        for (method, (rule, _, folder)) in together.iter_mut().zip(RULES) {
            let scores = joined(&p_values, rule);
            let alarms = raised(scores.iter().copied(), RARE, hold_off);
            let rare = |row: &f64| if *row >= RARE { *row } else { 0.0 };
            let told: Vec<f64> = scores.iter().map(rare).collect();
            write_scores(out, &format!("nab/{folder}/{name}"), &told)?;
            method.add(&name, &series, &alarms);
        }
    }
    let mut set = novelty.figures("novelty, one threshold, standard profile");
    set.mean.extend(sensitivity.iter().map(|(name, total)| (*name, total.nab_score())));
    let mut all = vec![
        set,
        plain.figures("plain 3 sigma of the 288 samples before"),
        held.figures("plain 3 sigma of the 288 samples before, hold-off of 100 samples"),
    ];
    all.extend(together.into_iter().zip(RULES).map(|(method, (_, name, _))| method.figures(name)));
    Ok(all)
}

/// Sums over the files.
#[derive(Debug, Clone, Copy, Default)]
struct Total {
    raw: f64,
    windows: f64,
}

impl Total {
    fn add(&mut self, scored: &Scored) {
        self.raw += scored.raw;
        self.windows += scored.windows as f64;
    }

    /// From −windows, where all are missed, to windows: not a mean over files.
    fn nab_score(&self) -> f64 {
        100.0 * (self.raw + self.windows) / (2.0 * self.windows)
    }
}

#[derive(Debug, Default)]
struct Method {
    files: Vec<FileFigures>,
    total: Total,
}

impl Method {
    fn add(&mut self, name: &str, series: &Series, alarms: &[usize]) {
        let scored = score(series.values.len(), alarms, &series.windows);
        self.total.add(&scored);
        let figures = vec![
            ("raw", scored.raw),
            ("windows", scored.windows as f64),
            ("windows_hit", scored.hit as f64),
            ("false_alarms", scored.false_alarms as f64),
            ("alarms_per_day", alarms.len() as f64 / days(&series.times)),
        ];
        self.files.push(FileFigures { name: name.to_owned(), figures });
    }

    fn figures(self, method: &str) -> SetFigures {
        let mut set = SetFigures::new("nab", method, self.files);
        set.mean.insert(0, ("nab_score", self.total.nab_score()));
        set
    }
}

/// Rows that raise an alarm: at or beyond the threshold, and none within the hold-off after another.
fn raised(scores: impl Iterator<Item = f64>, threshold: f64, hold_off: usize) -> Vec<usize> {
    let mut alarms: Vec<usize> = Vec::new();
    for (row, score) in scores.enumerate() {
        if score >= threshold && alarms.last().is_none_or(|last| row - last > hold_off) {
            alarms.push(row);
        }
    }
    alarms
}

/// Distance of each sample from the mean of those before it, in their standard deviations.
fn deviations(values: &[f64]) -> Result<Vec<f64>, EvalError> {
    let mut rolling = RollingSigma::new(RollingConfig::new(PLAIN_WINDOW)?);
    Ok(values.iter().map(|value| rolling.push(*value).to_f64().abs()).collect())
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
