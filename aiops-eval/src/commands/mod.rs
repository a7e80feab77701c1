//! Subcommands, a module each with its options and what it does, and what they share.

pub(crate) mod aiopslab;
pub(crate) mod alert_estate;
pub(crate) mod alert_speed;
pub(crate) mod alerts;
pub(crate) mod arena;
pub(crate) mod briefing;
pub(crate) mod cases;
pub(crate) mod changepoints;
pub(crate) mod corpus;
pub(crate) mod diagnose;
pub(crate) mod forest_speed;
pub(crate) mod incidents;
mod labels;
pub(crate) mod logs;
pub(crate) mod metrics;
mod one_set;
pub(crate) mod openrca;
pub(crate) mod replay;
pub(crate) mod rescore;
pub(crate) mod rolling;
pub(crate) mod series;
mod streams;
pub(crate) mod tabular;
pub(crate) mod window;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use aiops_eval::EvalError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Says every tenth of long work on standard error.
fn progress(what: &'static str) -> impl FnMut(usize, usize) {
    let mut said = 0;
    move |done, total| {
        let tenth = done * 10 / total.max(1);
        if tenth > said && total >= 10 {
            said = tenth;
            eprintln!("{what}: {done} of {total}");
        }
    }
}

/// Prints `report` as JSON, or `text`.
fn print(json: bool, report: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), String> {
    let text =
        if json { serde_json::to_string_pretty(report).map_err(|e| e.to_string())? + "\n" } else { text() };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(|e| e.to_string())
}

/// The settings in a file of JSON; the defaults without one.
fn settings<T: Default + DeserializeOwned>(path: Option<&Path>) -> Result<T, String> {
    let Some(path) = path else { return Ok(T::default()) };
    let path = path.to_owned();
    let bytes =
        std::fs::read(&path).map_err(|source| EvalError::Read { path: path.clone(), source }.chain())?;
    serde_json::from_slice(&bytes).map_err(|source| EvalError::ConfigFile { path, source }.chain())
}

/// Each folder that holds labels, and those within one that does not.
fn sets(folders: &[PathBuf]) -> Result<Vec<PathBuf>, EvalError> {
    let mut sets = Vec::new();
    for folder in folders {
        if folder.join("labels.csv").exists() {
            sets.push(folder.clone());
            continue;
        }
        let failed = |source| EvalError::Read { path: folder.clone(), source };
        let entries = std::fs::read_dir(folder).map_err(failed)?;
        let inner: Vec<PathBuf> =
            entries.map(|e| Ok(e?.path())).collect::<std::io::Result<_>>().map_err(failed)?;
        sets.extend(inner.into_iter().filter(|f| f.join("labels.csv").exists()));
    }
    sets.sort();
    Ok(sets)
}
