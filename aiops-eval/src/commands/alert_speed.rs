//! `aiops-eval alert-speed`.

use std::process::ExitCode;

use aiops_detect::correlate::CorrelatorConfig;
use aiops_eval::alerts;
use clap::Args;

use super::print;

/// Options of `alert-speed`.
#[derive(Debug, Args)]
pub(crate) struct AlertSpeed {
    /// Notifications.
    #[arg(long, default_value_t = 1_000_000)]
    notifications: usize,
    /// Seed of the alerts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl AlertSpeed {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let report = alerts::measure(self.notifications, self.seed, &CorrelatorConfig::default());
        print(self.json, &report, || report.text())?;
        Ok(ExitCode::SUCCESS)
    }
}
