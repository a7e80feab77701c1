//! `aiops-eval window`.

use std::process::ExitCode;

use aiops_core::model::TokenBudget;
use aiops_eval::window;
use clap::Args;

use super::{print, progress};

/// Options of `window`.
#[derive(Debug, Args)]
pub(crate) struct Window {
    /// Size of the records' content, 10⁶ bytes.
    #[arg(long, default_value_t = 100)]
    mb: u64,
    /// Seed of the stream.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Token budget.
    #[arg(long, default_value_t = 4000)]
    tokens: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Window {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let report = window::measure(self.mb, self.seed, TokenBudget(self.tokens), progress("seconds"))
            .map_err(|e| e.chain())?;
        print(self.json, &report, || report.text())?;
        // A fault that the briefing does not show is a failure.
        Ok(if report.place.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
