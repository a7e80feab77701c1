//! What the commands that evaluate one data set have in common.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_eval::metrics::{DataSet, MetricsReport, evaluate_set};
use clap::Args;

use super::print;

/// Options of a command about one data set.
#[derive(Debug, Args)]
pub(crate) struct OneSet {
    /// Folder of the data set.
    folder: PathBuf,
    /// Write the scores, row by row, below this folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl OneSet {
    pub(crate) fn run(&self, set: DataSet, seeds: u64) -> Result<ExitCode, String> {
        let sets = evaluate_set(set, &self.folder, seeds, self.out.as_deref()).map_err(|e| e.chain())?;
        let report = MetricsReport { sets, missing: Vec::new() };
        print(self.json, &report, || report.text())?;
        // An evaluation of nothing is no success.
        let some = report.sets.iter().any(|set| !set.files.is_empty());
        Ok(if some { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
