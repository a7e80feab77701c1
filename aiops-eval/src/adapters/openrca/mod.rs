//! OpenRCA's layout (Xu et al., ICLR 2025): recorded telemetry, questions in words, answers of time, component and reason.
//!
//! A system is a folder with `query.csv` (`task_index`, `instruction`, `scoring_points`) and `telemetry/YYYY_MM_DD/{metric,trace,log}/*.csv`.
//! Tables are told apart by their columns, but for one name: `metric_node.csv` has the columns of `metric_container.csv`, and tells of
//! nodes. A table whose columns are no known kind is refused. Days and answers are in UTC+8.
//!
//! The benchmark states in its prompts which components and reasons may be answered; here they stand in `candidates.json` beside
//! `query.csv`:
//!
//! ```
//! # use aiops_eval::adapters::openrca::Candidates;
//! let text = r#"{"reasons": ["high CPU usage", "network latency"], "components": ["Tomcat01", "Mysql01"]}"#;
//! let candidates: Candidates = serde_json::from_str(text)?;
//! assert!(candidates.allows("Mysql01") && !candidates.allows("Redis01"));
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! Predictions are written before a scoring point is read, and scored from what was written. `record.csv` is never read. Axes stay apart:
//! there is no figure over time, component and reason together but whether everything asked for is right.

mod answer;
mod export;
mod index;
mod predict;
mod question;
mod read;
mod schema;
mod table;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiops_core::jiff::tz::Offset;
use aiops_core::model::duration;
use serde::{Deserialize, Serialize};

pub use answer::{Answer, Scored, ScoringPoints, from_text, predictions, score, scoring_points, to_json};
pub use export::{Exported, export};
pub use predict::{Predicted, predict};
pub use question::{Asked, MOST_FAILURES, Question, questions};
pub use read::{LeftOut, Reading, Telemetry};
pub use words::Candidates;

use crate::EvalError;
use crate::localise::Share;

/// How questions are answered; one for every system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct OpenRcaConfig {
    /// Hours by which the clock of days, questions and answers is ahead of UTC; default 8, −12 to 14.
    pub zone_hours: i8,
    /// How much is read of what precedes the stretch of time asked about, to learn what is normal; default 1 h, 10 min to 24 h.
    #[serde(with = "duration")]
    pub history: Duration,
    /// Failures of one question begin further apart than this; default 5 min, 1 min to 1 h.
    #[serde(with = "duration")]
    pub separation: Duration,
    /// Most rows of telemetry that are held at once; default 5,000,000, 1,000 to 1,000,000,000.
    pub most_rows: usize,
}

impl Default for OpenRcaConfig {
    fn default() -> Self {
        Self {
            zone_hours: 8,
            history: Duration::from_secs(3600),
            separation: Duration::from_secs(300),
            most_rows: 5_000_000,
        }
    }
}

impl OpenRcaConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`EvalError::Config`] with the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), EvalError> {
        let check = |ok: bool, field: &'static str, value: String, allowed: &'static str| {
            if ok { Ok(()) } else { Err(EvalError::Config { field, value, allowed }) }
        };
        let within = |d: Duration, least: u64, most: u64| (least..=most).contains(&d.as_secs());
        check((-12..=14).contains(&self.zone_hours), "zone_hours", self.zone_hours.to_string(), "-12 to 14")?;
        check(within(self.history, 600, 86_400), "history", format!("{:?}", self.history), "10 min to 24 h")?;
        let text = format!("{:?}", self.separation);
        check(within(self.separation, 60, 3600), "separation", text, "1 min to 1 h")?;
        let rows = (1000..=1_000_000_000).contains(&self.most_rows);
        check(rows, "most_rows", self.most_rows.to_string(), "1,000 to 1,000,000,000")
    }

    /// The zone of days, questions and answers.
    ///
    /// # Errors
    /// [`EvalError::Config`] for one that is out of range.
    pub fn zone(&self) -> Result<Offset, EvalError> {
        Offset::from_hours(self.zone_hours).map_err(|_| EvalError::Config {
            field: "zone_hours",
            value: self.zone_hours.to_string(),
            allowed: "-12 to 14",
        })
    }
}

/// Scores over some questions, each axis for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AxisScores {
    /// Times right to a minute, of those asked for.
    pub time: Share,
    /// Components.
    pub component: Share,
    /// Reasons.
    pub reason: Share,
    /// Questions with everything asked for right.
    pub full: Share,
}

impl AxisScores {
    fn of(scored: &Scored) -> Self {
        let full = Share::of(usize::from(scored.full), 1);
        Self { time: scored.time, component: scored.component, reason: scored.reason, full }
    }

    fn merge(&mut self, other: &Self) {
        let axes = [
            (&mut self.time, other.time),
            (&mut self.component, other.component),
            (&mut self.reason, other.reason),
            (&mut self.full, other.full),
        ];
        for (sum, share) in axes {
            sum.right += share.right;
            sum.of += share.of;
        }
    }

    /// In one line, axis by axis.
    fn text(&self) -> String {
        let share = |s: Share| match s.of {
            0 => "–".to_owned(),
            of => format!("{:.2} ({}/{of})", s.value(), s.right),
        };
        format!(
            "time {}, component {}, reason {}, all that was asked {}",
            share(self.time),
            share(self.component),
            share(self.reason),
            share(self.full)
        )
    }
}

/// One system.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SystemReport {
    /// Its folder below that of the data set; `.` when it is that.
    pub system: String,
    /// Questions.
    pub questions: usize,
    /// Over all of them.
    pub all: AxisScores,
    /// By task, `task_1` to `task_7`.
    pub tasks: BTreeMap<String, AxisScores>,
    /// What of the telemetry was not used.
    pub left_out: LeftOut,
    /// By line of `query.csv`: why it was answered with less than all that was there.
    pub notes: BTreeMap<u64, String>,
}

/// Every system of a data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OpenRcaReport {
    /// By folder.
    pub systems: Vec<SystemReport>,
}

/// Folders with a `query.csv`, `folder` itself or at most three below it, in order.
///
/// # Errors
/// [`EvalError::Read`], also where there is none.
pub fn systems(folder: &Path) -> Result<Vec<PathBuf>, EvalError> {
    fn look(folder: &Path, deep: usize, found: &mut Vec<PathBuf>) -> Result<(), EvalError> {
        if folder.join("query.csv").is_file() {
            found.push(folder.to_owned());
            return Ok(());
        }
        let failed = |source| EvalError::Read { path: folder.to_owned(), source };
        let entries = std::fs::read_dir(folder).map_err(failed)?;
        let mut inner =
            entries.map(|e| Ok(e?.path())).collect::<std::io::Result<Vec<PathBuf>>>().map_err(failed)?;
        inner.retain(|path| path.is_dir());
        inner.sort();
        if deep == 0 {
            return Ok(());
        }
        inner.iter().try_for_each(|path| look(path, deep - 1, found))
    }
    let mut found = Vec::new();
    look(folder, 3, &mut found)?;
    if found.is_empty() {
        let source =
            std::io::Error::new(std::io::ErrorKind::NotFound, "no query.csv here or three folders below");
        return Err(EvalError::Read { path: folder.to_owned(), source });
    }
    Ok(found)
}

/// Answers every question of every system below `folder`, writes each system's answers to `prediction.csv` in a folder of its name below
/// `out`, and then scores what was written.
///
/// # Errors
/// [`EvalError`] for what cannot be read or written, and for a configuration out of range.
pub fn run(
    folder: &Path,
    out: &Path,
    config: &OpenRcaConfig,
    mut progress: impl FnMut(usize, usize),
) -> Result<OpenRcaReport, EvalError> {
    config.validate()?;
    let mut report = OpenRcaReport::default();
    for system in systems(folder)? {
        let questions = questions(&system.join("query.csv"), config.zone()?)?;
        let candidates = Candidates::of(&system)?;
        let predicted = predict(&system, &questions, &candidates, config, &mut progress)?;
        let name = system.strip_prefix(folder).unwrap_or(&system);
        let place = out.join(name);
        std::fs::create_dir_all(&place).map_err(|source| EvalError::Write { path: place.clone(), source })?;
        let written = place.join("prediction.csv");
        answer::write(&written, &questions, &predicted.answers)?;
        // Labels from here on.
        let mut own = grade_system(&written, &system, config)?;
        if !name.as_os_str().is_empty() {
            own.system = name.display().to_string();
        }
        (own.left_out, own.notes) = (predicted.left_out, predicted.notes);
        report.systems.push(own);
    }
    Ok(report)
}

/// Scores anybody's `prediction.csv` about the one system in `folder`, by task.
///
/// # Errors
/// Those of [`grade`] and [`questions`].
pub fn grade_system(
    prediction: &Path,
    folder: &Path,
    config: &OpenRcaConfig,
) -> Result<SystemReport, EvalError> {
    let query = folder.join("query.csv");
    let questions = questions(&query, config.zone()?)?;
    let mut report = SystemReport {
        system: ".".to_owned(),
        questions: questions.len(),
        all: AxisScores::default(),
        tasks: BTreeMap::new(),
        left_out: LeftOut::default(),
        notes: BTreeMap::new(),
    };
    for (question, scored) in questions.iter().zip(grade(prediction, &query)?) {
        let scored = AxisScores::of(&scored);
        report.all.merge(&scored);
        report.tasks.entry(question.task.clone()).or_default().merge(&scored);
    }
    Ok(report)
}

/// Scores anybody's `prediction.csv` by the scoring points of a `query.csv`, row by row.
///
/// # Errors
/// [`EvalError::LineCount`] when one has more rows than the other, and those of reading.
pub fn grade(prediction: &Path, query: &Path) -> Result<Vec<Scored>, EvalError> {
    let (answers, points) = (predictions(prediction)?, scoring_points(query)?);
    if answers.len() != points.len() {
        let set = prediction.display().to_string();
        return Err(EvalError::LineCount { set, lines: answers.len(), labels: points.len() });
    }
    Ok(answers.iter().zip(&points).map(|(answers, points)| score(answers, points)).collect())
}

impl SystemReport {
    /// A line over all, one by task, and one of what was left out.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, scores) in std::iter::once((&self.system, &self.all)).chain(&self.tasks) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}: {}", scores.text());
        }
        let l = &self.left_out;
        if *l != LeftOut::default() {
            let _ = writeln!(
                text,
                "  left out: {} gaps, {} samples and {} spans that were there twice; {} lines mended",
                l.gaps, l.duplicate_samples, l.duplicate_spans, l.mended_lines
            );
        }
        let mut notes: BTreeMap<&str, usize> = BTreeMap::new();
        for note in self.notes.values() {
            *notes.entry(note).or_default() += 1;
        }
        for (note, questions) in notes {
            let _ = writeln!(text, "  {questions} questions: {note}");
        }
        text
    }
}

impl OpenRcaReport {
    /// A table by system and task.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut all = AxisScores::default();
        for system in &self.systems {
            text.push_str(&system.text());
            all.merge(&system.all);
        }
        let _ = writeln!(text, "{} systems: {}", self.systems.len(), all.text());
        text
    }
}
