//! Key figures of web services: the contextual baseline, learned from the train part and then fixed.

use std::path::Path;
use std::time::Duration;

use aiops_compact::rolling::{RollingConfig, RollingSigma};
use aiops_core::jiff::Timestamp;
use aiops_core::model::time::after;
use aiops_detect::baseline::{
    BaselineConfig, BaselineOptions, ContextualBaseline, Judged, SeriesBaseline, Watch,
};
use aiops_detect::forecast::{ForecastConfig, ForecastOptions};
use aiops_detect::novelty::{NoveltyConfig, NoveltyDetector};
use serde::Deserialize;

use super::ensemble::{Told, combined, following};
use super::files::{Labelled, text, write_scores};
use super::measure::Alarms;
use super::{FileFigures, PointMeasures, SetFigures, forecast};
use crate::EvalError;

/// Zone of the services, as the origin of the data states it.
const ZONE: &str = "Asia/Shanghai";

#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    step_s: u64,
    start_unix: i64,
}

/// What one way to use the baseline said of the test rows.
#[derive(Default)]
struct Scored {
    scores: Vec<f64>,
    /// The deviation of each row by itself.
    sigmas: Vec<f64>,
    alarms: Vec<bool>,
    event: Vec<bool>,
}

impl Scored {
    fn add(&mut self, judged: Option<Judged>) {
        self.scores.push(judged.map_or(f64::NAN, |j| j.score.abs()));
        self.sigmas.push(judged.and_then(|j| j.sigma).map_or(f64::NAN, f64::abs));
        self.alarms.push(judged.is_some_and(|j| j.alarm.is_some()));
        self.event.push(judged.is_some_and(|j| j.in_event));
    }
}

pub(super) fn evaluate(folder: &Path, out: Option<&Path>) -> Result<Vec<SetFigures>, EvalError> {
    let path = folder.join("index.json");
    let mut entries: Vec<Entry> =
        serde_json::from_str(&text(&path)?).map_err(|source| EvalError::Index { path, source })?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let options = BaselineOptions { time_zone: ZONE.to_owned(), ..Default::default() };
    let contextual = ContextualBaseline::new(BaselineConfig::try_from(options)?);
    let forecasts = ForecastOptions { time_zone: ZONE.to_owned(), ..Default::default() };
    let forecasts = ForecastConfig::try_from(forecasts)?;
    let (mut fixed, mut learning, mut ahead) = (Vec::new(), Vec::new(), Vec::new());
    let mut together: Vec<(&'static str, Vec<FileFigures>)> = Vec::new();
    for entry in entries {
        let part = |part: &str| Labelled::read(&folder.join(format!("{}.{part}.csv", entry.name)));
        let (train, test) = (part("train")?, part("test")?);
        let step = Duration::from_secs(entry.step_s.max(1));
        let start = Timestamp::from_second(entry.start_unix).unwrap_or_default();
        let at = |row: usize| after(start, step.saturating_mul(u32::try_from(row).unwrap_or(u32::MAX)));
        let usual = contextual.fit(train.values.iter().enumerate().map(|(row, value)| (at(row), *value)))?;
        ahead.push(forecast::evaluate(&entry.name, &train.values, &test.values, step, at, &forecasts)?);
        let days = test.labels.len() as f64 * step.as_secs_f64() / 86_400.0;
        for (method, folder, scores) in members(&contextual, &train.values, &test.values, at)? {
            write_scores(out, &format!("kpi/{folder}/{}.test.csv", entry.name), &scores)?;
            let mut figures = PointMeasures::of(&test.labels, &scores).named();
            figures.extend(Alarms::count(&test.labels, &scores, 1.0).named(days));
            let file = FileFigures { name: entry.name.clone(), figures };
            match together.iter_mut().find(|(name, _)| *name == method) {
                Some((_, files)) => files.push(file),
                None => together.push((method, vec![file])),
            }
        }
        for (learns, folder, files) in
            [(false, "kpi/baseline", &mut fixed), (true, "kpi/baseline-learning", &mut learning)]
        {
            let scored = judge(&contextual, usual.clone(), &train.values, &test.values, at, learns);
            write_scores(out, &format!("{folder}/{}.test.csv", entry.name), &scored.scores)?;
            let mut figures = PointMeasures::of(&test.labels, &scored.scores).named();
            figures.push(("weekday", f64::from(u8::from(usual.uses_weekday()))));
            let alarms = scored.alarms.iter().filter(|alarm| **alarm).count();
            let false_ones = false_alarms(&test.labels, &scored);
            figures.push(("alarms_per_day", alarms as f64 / days));
            figures.push(("false_alarms_per_day", false_ones as f64 / days));
            let in_event: Vec<f64> = scored.event.iter().map(|e| f64::from(u8::from(*e))).collect();
            let hit = Alarms::count(&test.labels, &in_event, 1.0);
            figures.push(("events", hit.events as f64));
            figures.push(("events_hit", hit.events_hit as f64));
            // The plain thresholds, without persistence and hold-off: runs of rows beyond each.
            for (name, threshold) in [("runs_per_day_2.8_sigma", 2.8), ("runs_per_day_4_sigma", 4.0)] {
                let runs = Alarms::count(&test.labels, &scored.sigmas, threshold);
                figures.push((name, runs.raised as f64 / days));
            }
            files.push(FileFigures { name: entry.name.clone(), figures });
        }
    }
    let mut all = vec![
        SetFigures::new("kpi", "contextual baseline, learned from train", fixed),
        SetFigures::new("kpi", "contextual baseline, learning on", learning),
        SetFigures::new(
            "kpi",
            "forecast, intervals for 95 %; widths and errors per error of the day before",
            ahead,
        ),
    ];
    all.extend(together.into_iter().map(|(method, files)| SetFigures::new("kpi", method, files)));
    Ok(all)
}

/// The baseline, newness, and the deviation from the day before as members, by themselves and combined. The baseline is calibrated
/// on each half of train as learned from the other; the other two learn from what came before each row anyway.
fn members(
    contextual: &ContextualBaseline,
    train: &[f64],
    test: &[f64],
    at: impl Fn(usize) -> Timestamp,
) -> Result<Vec<Told>, EvalError> {
    let half = train.len() / 2;
    let learn = |rows: std::ops::Range<usize>| {
        let values = train.get(rows.clone()).unwrap_or_default();
        contextual.fit(rows.map(&at).zip(values.iter().copied()))
    };
    let by = |usual: SeriesBaseline, rows: std::ops::Range<usize>| -> Vec<f64> {
        let mut watch = Watch::default();
        let values = train.iter().chain(test).enumerate().skip(rows.start).take(rows.len());
        let judged = values.map(|(row, value)| contextual.judge(&usual, &mut watch, at(row), *value));
        judged.map(|j| j.map_or(f64::NAN, |j| j.score.abs())).collect()
    };
    let end = train.len() + test.len();
    let mut baseline = by(learn(half..train.len())?, 0..half);
    baseline.extend(by(learn(0..half)?, half..train.len()));
    // Train is judged too, so that the recent spread is known where test begins.
    let whole = by(learn(0..train.len())?, 0..end);
    baseline.extend(whole.get(train.len()..).unwrap_or_default());
    let mut novel = NoveltyDetector::new(NoveltyConfig::default());
    let novelty: Vec<f64> = train.iter().chain(test).map(|value| novel.push(*value).score).collect();
    let mut rolling = RollingSigma::new(RollingConfig::new(288)?);
    let sigma: Vec<f64> = train.iter().chain(test).map(|value| rolling.push(*value).to_f64().abs()).collect();
    let parts = [("baseline", &baseline), ("novelty", &novelty), ("sigma", &sigma)]
        .map(|(name, scores)| (name, scores.split_at(train.len().min(scores.len()))));
    let healthy = parts.map(|(name, (before, _))| (name, before));
    let judged = parts.map(|(_, (_, scored))| scored);
    let [_, new, off] = judged;
    let scaled = |scores: &[f64], by: f64| scores.iter().map(|score| score / by).collect();
    let mut all: Vec<Told> = vec![
        ("novelty", "novelty", scaled(new, 4.0)),
        ("deviation from the 288 samples before, 3 sigma", "sigma", scaled(off, 3.0)),
    ];
    all.extend(combined(&healthy, &judged)?);
    all.extend(following(&healthy, &judged));
    Ok(all)
}

/// Judges the train rows too, unscored, so that the recent spread is known where test begins.
fn judge(
    contextual: &ContextualBaseline,
    mut usual: SeriesBaseline,
    train: &[f64],
    test: &[f64],
    at: impl Fn(usize) -> Timestamp,
    learns: bool,
) -> Scored {
    let (mut watch, mut scored) = (Watch::default(), Scored::default());
    for (row, value) in train.iter().chain(test).enumerate() {
        let in_test = row >= train.len();
        let judged = if learns && in_test {
            contextual.push(&mut usual, &mut watch, at(row), *value)
        } else {
            contextual.judge(&usual, &mut watch, at(row), *value)
        };
        if in_test {
            // What is rejected has no score.
            scored.add(judged.ok());
        }
    }
    scored
}

/// Alarms whose event has no labelled row.
fn false_alarms(labels: &[bool], scored: &Scored) -> usize {
    let rows: Vec<((bool, bool), bool)> =
        scored.alarms.iter().copied().zip(scored.event.iter().copied()).zip(labels.iter().copied()).collect();
    // An event begins with its alarm and lasts as long as rows are in one.
    rows.chunk_by(|_, next| next.0.1 && !next.0.0)
        .filter(|event| event.first().is_some_and(|row| row.0.0) && event.iter().all(|row| !row.1))
        .count()
}
