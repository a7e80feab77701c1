//! `aiops-eval metrics`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_eval::metrics::evaluate;
use clap::Args;

use super::print;

/// Options of `metrics`.
#[derive(Debug, Args)]
pub(crate) struct Metrics {
    /// Folder with a folder for each data set.
    folder: PathBuf,
    /// Write the scores, row by row, below this folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Metrics {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let report = evaluate(&self.folder, self.out.as_deref()).map_err(|e| e.chain())?;
        print(self.json, &report, || report.text())?;
        Ok(if report.sets.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
