//! `aiops-eval diagnose`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_eval::diagnose::diagnose;
use aiops_rca::{FusedLocalizer, RuleRca};
use clap::Args;

use super::{print, progress, sets};

/// Options of `diagnose`.
#[derive(Debug, Args)]
pub(crate) struct Diagnose {
    /// Folders of labelled incidents, or one folder of such.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Diagnose {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let folders = sets(&self.folders).map_err(|e| e.chain())?;
        let (localizer, rca) = (FusedLocalizer::default(), RuleRca::default());
        let report = diagnose(&folders, &localizer, &rca, progress("incidents")).map_err(|e| e.chain())?;
        print(self.json, &report, || report.text())?;
        // An evaluation of nothing is no success.
        Ok(if report.sets.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
