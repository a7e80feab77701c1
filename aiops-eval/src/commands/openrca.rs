//! `aiops-eval openrca`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_eval::adapters::openrca::{OpenRcaConfig, export, grade_system, run};
use aiops_eval::arena::protocol::RunConfig;
use clap::Args;

use super::{print, progress, settings};

/// Options of `openrca`.
#[derive(Debug, Args)]
pub(crate) struct OpenRca {
    /// Folder of a system in OpenRCA's layout, or one with such at most three below it.
    folder: PathBuf,
    /// Folder to write predictions to: <system>/prediction.csv. Default: `predictions` in FOLDER.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Score this prediction.csv, anybody's, about the one system in FOLDER, and answer nothing.
    #[arg(long, value_name = "FILE", conflicts_with = "export_arena")]
    grade: Option<PathBuf>,
    /// Write so many episodes of the arena into FOLDER in this layout, and answer nothing.
    #[arg(long, value_name = "EPISODES", num_args = 0..=1, default_missing_value = "5")]
    export_arena: Option<usize>,
    /// First seed of those episodes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Take them from the held-out half of seeds.
    #[arg(long)]
    held_out: bool,
    /// JSON file of settings.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl OpenRca {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let config: OpenRcaConfig = settings(self.config.as_deref())?;
        if let Some(episodes) = self.export_arena {
            let of = RunConfig {
                first_seed: self.seed,
                held_out: self.held_out,
                nulls: 0,
                ..RunConfig::default()
            };
            let done =
                export(&self.folder, episodes, of, &config, progress("episodes")).map_err(|e| e.chain())?;
            print(self.json, &done, || {
                format!("{} episodes written, {} passed over\n", done.systems.len(), done.passed_over)
            })?;
            return Ok(if done.systems.len() == episodes { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        if let Some(prediction) = &self.grade {
            let report = grade_system(prediction, &self.folder, &config).map_err(|e| e.chain())?;
            print(self.json, &report, || report.text())?;
            return Ok(if report.questions == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        let out = self.out.clone().unwrap_or_else(|| self.folder.join("predictions"));
        let report =
            run(&self.folder, &out, &config, progress("stretches of time")).map_err(|e| e.chain())?;
        print(self.json, &report, || report.text())?;
        // An evaluation of nothing is no success.
        Ok(if report.systems.iter().all(|s| s.questions == 0) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}
