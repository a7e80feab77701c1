//! `aiops-eval incidents`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_eval::localise::{FaultTime, LocaliseOptions, Modalities, localise};
use aiops_rca::{FusedLocalizer, FusionConfig};
use clap::{Args, ValueEnum};

use super::{print, progress, sets, settings};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Time {
    /// As the set says.
    Given,
    /// Wrong by up to a minute.
    Jitter,
    /// Not stated: found by the system itself.
    Detected,
}

/// Options of `incidents`.
#[derive(Debug, Args)]
pub(crate) struct Incidents {
    /// Folders of labelled incidents, or one folder of such.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// When the fault is said to have begun.
    #[arg(long, value_enum, default_value_t = Time::Given)]
    time: Time,
    /// What may be seen: any of metrics, spans, logs with commas between them, or all.
    #[arg(long, default_value = "all")]
    modalities: Modalities,
    /// Run on every other choice of modalities, and without each component, too.
    #[arg(long)]
    ablate: bool,
    /// Draws with `--time jitter`.
    #[arg(long, default_value_t = 20)]
    seeds: u32,
    /// JSON file of settings of the localiser.
    #[arg(long)]
    config: Option<PathBuf>,
    /// JSON file of settings of `--time detected`.
    #[arg(long)]
    watch: Option<PathBuf>,
    /// Folder to write rankings to: <set>.csv and, with evidence, <set>.json.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the incidents whose root or class was missed.
    #[arg(long)]
    cases: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Incidents {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let config: FusionConfig = settings(self.config.as_deref())?;
        let localizer = FusedLocalizer::default().with_config(config).map_err(|e| e.to_string())?;
        let time = match self.time {
            Time::Given => FaultTime::Given,
            Time::Jitter => FaultTime::Jitter { seeds: self.seeds },
            Time::Detected => FaultTime::Detected,
        };
        let mut run = LocaliseOptions::default();
        (run.time, run.modalities, run.ablate) = (time, self.modalities, self.ablate);
        run.watch = settings(self.watch.as_deref())?;
        let mut reports = Vec::new();
        for folder in sets(&self.folders).map_err(|e| e.chain())? {
            let report = localise(&folder, &localizer, &run, progress("incidents")).map_err(|e| e.chain())?;
            if let Some(out) = &self.out {
                report.write(out).map_err(|e| e.chain())?;
            }
            reports.push(report);
        }
        print(self.json, &reports, || reports.iter().map(|r| r.text(self.cases)).collect())?;
        // An evaluation of nothing is no success.
        Ok(if reports.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
