//! `aiops-eval alerts`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_detect::correlate::CorrelatorConfig;
use aiops_eval::alerts;
use clap::Args;

use super::streams::Streams;
use super::{print, progress, sets, settings};

/// Options of `alerts`.
#[derive(Debug, Args)]
pub(crate) struct Alerts {
    /// Folders of labelled incidents, or one folder of such.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    streams: Streams,
    /// Streams, one for each seed from the first on.
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// JSON file of settings of the correlator.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Alerts {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let config: CorrelatorConfig = settings(self.config.as_deref())?;
        let layout = self.streams.layout();
        let folders = sets(&self.folders).map_err(|e| e.chain())?;
        let report = alerts::evaluate(&folders, &layout, self.seeds, &config, &mut progress("sets"))
            .map_err(|e| e.chain())?;
        print(self.json, &report, || report.text())?;
        // An evaluation of nothing is no success.
        let any = report.systems.iter().any(|system| system.incidents > 0);
        Ok(if any { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
