//! `aiops-eval forest-speed`.

use std::process::ExitCode;

use aiops_eval::metrics::forest_speed;
use clap::Args;

use super::print;

/// Options of `forest-speed`.
#[derive(Debug, Args)]
pub(crate) struct ForestSpeed {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl ForestSpeed {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let speed = forest_speed().map_err(|e| e.chain())?;
        print(self.json, &speed, || {
            format!("fit {:.4} s, score {:.4} s\n", speed.fit_seconds, speed.score_seconds)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
