//! `aiops-eval cases`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_eval::cases::read_folder;
use clap::Args;

use super::{print, progress};

/// Options of `cases`.
#[derive(Debug, Args)]
pub(crate) struct Cases {
    /// Folder of case files.
    folder: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Cases {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let report = read_folder(&self.folder, progress("cases")).map_err(|e| e.chain())?;
        print(self.json, &report, || report.text())?;
        // An evaluation of nothing is no success.
        let whole = report.unreadable.is_empty() && !report.cases.is_empty();
        Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
