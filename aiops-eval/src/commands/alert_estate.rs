//! `aiops-eval alert-estate`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_detect::correlate::CorrelatorConfig;
use aiops_eval::alerts::{self, EstateOptions};
use clap::Args;

use super::streams::Streams;
use super::{print, settings};

/// Options of `alert-estate`.
#[derive(Debug, Args)]
pub(crate) struct AlertEstate {
    #[command(flatten)]
    streams: Streams,
    /// Estates, one for each seed from the first on.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Share of the edges that the topology does not tell.
    #[arg(long, default_value_t = EstateOptions::default().unknown)]
    unknown: f64,
    /// Services of each system.
    #[arg(long, default_value_t = EstateOptions::default().services)]
    services: usize,
    /// Mean seconds that trouble takes from one to the next.
    #[arg(long, default_value_t = EstateOptions::default().hop_seconds)]
    hop_seconds: f64,
    /// JSON file of settings of the correlator.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl AlertEstate {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let config: CorrelatorConfig = settings(self.config.as_deref())?;
        let layout = self.streams.layout();
        let made = EstateOptions {
            unknown: self.unknown,
            services: self.services,
            hop_seconds: self.hop_seconds,
            ..EstateOptions::default()
        };
        let report = alerts::evaluate_generated(&layout, &made, self.seeds, &config);
        print(self.json, &report, || report.text())?;
        Ok(ExitCode::SUCCESS)
    }
}
