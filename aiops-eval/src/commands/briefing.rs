//! `aiops-eval briefing`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_compact::briefing::WindowConfig;
use aiops_eval::briefing;
use aiops_eval::incidents::IncidentSet;
use clap::Args;

use super::{print, progress, settings};

/// Options of `briefing`.
#[derive(Debug, Args)]
pub(crate) struct Briefing {
    /// Folder of incidents with its labels.csv.
    folder: PathBuf,
    /// Token budgets.
    #[arg(long, value_delimiter = ',', default_values_t = [4000, 1000])]
    tokens: Vec<usize>,
    /// Show the briefing of this incident instead, at the first budget.
    #[arg(long)]
    show: Option<String>,
    /// JSON of a `WindowConfig`, for all sets alike. Default: the defaults.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Briefing {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let config: WindowConfig = settings(self.config.as_deref())?;
        let set = IncidentSet::open(&self.folder).map_err(|e| e.chain())?;
        if let Some(case) = &self.show {
            let budget = self.tokens.first().copied().unwrap_or_default();
            let briefing = briefing::show(&set, case, budget, &config).map_err(|e| e.chain())?;
            print(self.json, &briefing, || briefing.to_markdown())?;
            return Ok(ExitCode::SUCCESS);
        }
        let report =
            briefing::score(&set, &self.tokens, &config, progress("incidents")).map_err(|e| e.chain())?;
        print(self.json, &report, || report.text())?;
        Ok(ExitCode::SUCCESS)
    }
}
