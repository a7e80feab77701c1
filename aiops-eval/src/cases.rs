//! What recorded cases say: suspect, cause, actions, ending.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use aiops_core::action::ActionOutcome;
use aiops_core::jiff::Timestamp;
use aiops_core::model::{FaultType, Recovery, time};
use aiops_core::{Case, CasePart, CaseStatus};
use serde::{Deserialize, Serialize};

use crate::EvalError;

/// A diagnosed cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CauseSummary {
    /// Failing system.
    pub system: String,
    /// Kind of fault.
    pub fault: FaultType,
    /// The cause in one sentence.
    pub statement: String,
    /// How sure, 0 to 1.
    pub confidence: f64,
    /// Whether that number was fitted on outcomes.
    pub calibrated: bool,
}

/// An action that was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionSummary {
    /// What was done to whom.
    pub action: String,
    /// How it ended.
    pub outcome: ActionOutcome,
    /// What the verifier said of it; `None` when nothing was verified after it.
    pub recovery: Option<Recovery>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseSummary {
    /// File it was read from.
    pub file: PathBuf,
    /// Id of the incident.
    pub id: String,
    /// When it was opened.
    pub opened: Timestamp,
    /// First suspect of the first ranking. Later rankings know what did not help, and are no first guess any more.
    pub first_suspect: Option<String>,
    /// Cause of the first diagnosis, when it told one.
    pub cause: Option<CauseSummary>,
    /// Diagnoses made.
    pub diagnoses: usize,
    /// Actions run, in order.
    pub actions: Vec<ActionSummary>,
    /// How it ended; `None` when the file ends before the case does.
    pub ending: Option<CaseStatus>,
    /// Seconds from the opening to the last entry.
    pub seconds: f64,
}

impl CaseSummary {
    /// Sums up `case`, read from `file`. O(entries).
    #[must_use]
    pub fn of(file: PathBuf, case: &Case) -> Self {
        let parts = || case.entries().iter().map(|entry| &entry.part);
        let ranking = parts().find_map(|p| if let CasePart::Localized(r) = p { Some(r) } else { None });
        let diagnoses =
            || parts().filter_map(|p| if let CasePart::Diagnosed(d) = p { Some(d) } else { None });
        let cause = diagnoses().next().and_then(|d| d.cause()).map(|h| CauseSummary {
            system: h.system.to_string(),
            fault: h.fault,
            statement: h.statement.clone(),
            confidence: h.confidence.probability(),
            calibrated: h.confidence.is_calibrated(),
        });
        let actions = case.attempts().map(|(receipt, recovery)| ActionSummary {
            action: receipt.action.to_string(),
            outcome: receipt.outcome.clone(),
            recovery,
        });
        let last = case.entries().last().map_or(case.opened_at(), |entry| entry.at);
        Self {
            file,
            id: case.id().to_string(),
            opened: case.opened_at(),
            first_suspect: ranking.and_then(|r| r.first()).map(|s| s.entity.to_string()),
            cause,
            diagnoses: diagnoses().count(),
            actions: actions.collect(),
            ending: case.status().cloned(),
            seconds: time::elapsed(case.opened_at(), last).as_secs_f64(),
        }
    }

    /// The summary in a few lines.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}  opened {}  ({})\n", self.id, self.opened, self.file.display());
        let suspect = self.first_suspect.as_deref().unwrap_or("nobody");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  first suspect: {suspect}");
        let _ = match &self.cause {
            Some(c) => {
                let mark = if c.calibrated { "" } else { ", uncalibrated" };
                writeln!(text, "  cause: {} ({}, {:.0} %{mark})", c.statement, c.fault, c.confidence * 100.0)
            }
            None => writeln!(text, "  cause: not told"),
        };
        for taken in &self.actions {
            let outcome = match &taken.outcome {
                ActionOutcome::Completed => "completed".to_owned(),
                ActionOutcome::Failed { reason } => format!("failed: {reason}"),
                ActionOutcome::NotStarted { reason } => format!("not started: {reason}"),
            };
            let recovery = match taken.recovery {
                Some(Recovery::Recovered) => "recovered",
                Some(Recovery::NotRecovered) => "not recovered",
                Some(Recovery::Inconclusive) => "inconclusive",
                None => "not verified",
            };
            let _ = writeln!(text, "  action: {}: {outcome}, {recovery}", taken.action);
        }
        let ending = match &self.ending {
            Some(CaseStatus::Recovered) => "recovered".to_owned(),
            Some(CaseStatus::Escalated { reason }) => format!("escalated: {reason}"),
            Some(CaseStatus::Yielded { reason }) => format!("yielded: {reason}"),
            None => "open".to_owned(),
        };
        let _ = writeln!(text, "  ended: {ending}, after {:.1} s", self.seconds);
        text
    }
}

/// Counts over a folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Cases read.
    pub cases: usize,
    /// Closed as recovered.
    pub recovered: usize,
    /// Handed to a person.
    pub escalated: usize,
    /// Left to another replica.
    pub yielded: usize,
    /// Without an ending.
    pub open: usize,
    /// Actions run.
    pub actions: usize,
    /// Actions after which recovery was verified.
    pub actions_recovered: usize,
    /// Median seconds from opening to verified recovery; the lower one of two.
    pub median_seconds_to_recover: Option<f64>,
    /// JSON files that are something else than a case.
    pub other_files: usize,
    /// Files that could not be read.
    pub unreadable: usize,
}

/// A file that could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unreadable {
    /// Which.
    pub file: PathBuf,
    /// Why.
    pub error: String,
}

/// All cases of a folder, in the order of file names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseReport {
    /// Cases.
    pub cases: Vec<CaseSummary>,
    /// Files that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// Counts.
    pub totals: Totals,
}

/// Reads every case file of `folder`, not of folders below it: `*.case`, and `*.json` files that hold a case. Other valid
/// JSON objects (records of runs lie in the same folder) are counted as such; whatever else cannot be read is reported.
/// `progress` is told how many of how many files were read.
///
/// # Errors
/// [`EvalError::Read`] when the folder itself cannot be read.
pub fn read_folder(folder: &Path, mut progress: impl FnMut(usize, usize)) -> Result<CaseReport, EvalError> {
    let unreadable = |source| EvalError::Read { path: folder.to_owned(), source };
    let entries: Vec<_> = std::fs::read_dir(folder).and_then(Iterator::collect).map_err(unreadable)?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.is_file() && path.extension().is_some_and(|e| e == "case" || e == "json"));
    files.sort();
    let mut report = CaseReport::default();
    let total = files.len();
    for (done, file) in files.into_iter().enumerate() {
        match read_case(&file) {
            Ok(Some(case)) => report.cases.push(CaseSummary::of(file, &case)),
            Ok(None) => report.totals.other_files += 1,
            Err(e) => report.unreadable.push(Unreadable { file, error: e.chain() }),
        }
        progress(done + 1, total);
    }
    report.count();
    Ok(report)
}

/// The case in `file`; `None` for a `.json` file that holds an object of another kind.
fn read_case(file: &Path) -> Result<Option<Case>, EvalError> {
    #[derive(Deserialize)]
    struct Probe {
        entries: Option<serde::de::IgnoredAny>,
    }
    let bytes = std::fs::read(file).map_err(|source| EvalError::Read { path: file.to_owned(), source })?;
    if file.extension().is_some_and(|e| e == "json") {
        let other = serde_json::from_slice::<Probe>(&bytes).is_ok_and(|probe| probe.entries.is_none());
        if other {
            return Ok(None);
        }
    }
    Case::from_json(&bytes).map(Some).map_err(|source| EvalError::Case { path: file.to_owned(), source })
}

impl CaseReport {
    fn count(&mut self) {
        let totals = &mut self.totals;
        totals.cases = self.cases.len();
        totals.unreadable = self.unreadable.len();
        let mut times = Vec::new();
        for case in &self.cases {
            match &case.ending {
                Some(CaseStatus::Recovered) => {
                    totals.recovered += 1;
                    times.push(case.seconds);
                }
                Some(CaseStatus::Escalated { .. }) => totals.escalated += 1,
                Some(CaseStatus::Yielded { .. }) => totals.yielded += 1,
                None => totals.open += 1,
            }
            totals.actions += case.actions.len();
            let recovered = |a: &&ActionSummary| a.recovery == Some(Recovery::Recovered);
            totals.actions_recovered += case.actions.iter().filter(recovered).count();
        }
        times.sort_by(f64::total_cmp);
        totals.median_seconds_to_recover = times.get(times.len().saturating_sub(1) / 2).copied();
    }

    /// The report as text: every case, every unreadable file, the totals.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text: String = self.cases.iter().map(CaseSummary::text).collect();
        for bad in &self.unreadable {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "unreadable: {}", bad.error);
        }
        let t = &self.totals;
        let median = t.median_seconds_to_recover.map_or_else(|| "-".to_owned(), |s| format!("{s:.1} s"));
        let _ = writeln!(
            text,
            "{} cases: {} recovered (median {median}), {} escalated, {} yielded, {} open; {} actions, {} of them recovered; \
             {} other files, {} unreadable",
            t.cases,
            t.recovered,
            t.escalated,
            t.yielded,
            t.open,
            t.actions,
            t.actions_recovered,
            t.other_files,
            t.unreadable
        );
        text
    }
}
