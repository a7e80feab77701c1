//! `aiops-eval rolling`.

use std::process::ExitCode;

use aiops_eval::rolling::{RollingOptions, measure};
use clap::Args;

use super::{print, progress};

/// Options of `rolling`.
#[derive(Debug, Args)]
pub(crate) struct Rolling {
    /// Updates of each stream.
    #[arg(long, default_value_t = RollingOptions::default().updates)]
    updates: u64,
    /// Slots of the window.
    #[arg(long, default_value_t = RollingOptions::default().window)]
    window: usize,
    /// Seed of the streams.
    #[arg(long, default_value_t = RollingOptions::default().seed)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Rolling {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let options = RollingOptions { updates: self.updates, window: self.window, seed: self.seed };
        let report = measure(&options, progress("blocks")).map_err(|e| e.chain())?;
        print(self.json, &report, || report.text())?;
        Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
