//! `aiops-eval logs`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_eval::logs;
use clap::{Args, ValueEnum};

use super::labels::LabelSet;
use super::print;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Feed {
    Content,
    Raw,
}

/// Options of `logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Folder of sets, one sub-folder each, or one set.
    folder: PathBuf,
    /// Feed messages without headers, or whole lines.
    #[arg(long, default_value = "content")]
    input: Feed,
    /// Labels to score against; a set that has only the others is scored against those.
    #[arg(long, default_value = "corrected")]
    labels: LabelSet,
    /// Folder for the predictions, `<set>.csv` each.
    #[arg(long)]
    out: PathBuf,
    /// Another folder, for `<set>.csv` with the templates that cost accuracy, the costliest first.
    #[arg(long)]
    failing: Option<PathBuf>,
    /// Name of a set; repeat for more. Default: all.
    #[arg(long = "set")]
    sets: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Logs {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let input = match self.input {
            Feed::Content => logs::Input::Content,
            Feed::Raw => logs::Input::Raw,
        };
        let labels = self.labels.into();
        let costs = self.failing.as_deref();
        let report = logs::evaluate(&self.folder, input, labels, &self.sets, &self.out, costs)
            .map_err(|e| e.chain())?;
        print(self.json, &report, || report.text())?;
        // An evaluation of nothing is no success.
        Ok(if report.sets.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
