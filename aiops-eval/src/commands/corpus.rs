//! `aiops-eval corpus`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_eval::corpus::{self, CorpusOptions, generate};
use clap::Args;

use super::labels::LabelSet;
use super::print;

/// Options of `corpus`.
#[derive(Debug, Args)]
pub(crate) struct Corpus {
    /// Folder of labelled sets, one sub-folder each, or one set.
    folder: PathBuf,
    /// Folder for what is made, in the same layout.
    #[arg(long)]
    out: PathBuf,
    /// Lines of each set.
    #[arg(long, default_value_t = CorpusOptions::default().lines)]
    lines: usize,
    /// Seed of all draws.
    #[arg(long, default_value_t = CorpusOptions::default().seed)]
    seed: u64,
    /// Labels to take over; a set that has only the others gives those.
    #[arg(long, default_value = "corrected")]
    labels: LabelSet,
    /// Name of a set; repeat for more. Default: all.
    #[arg(long = "set")]
    sets: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Corpus {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let how = CorpusOptions { lines: self.lines, seed: self.seed, labels: self.labels.into() };
        let made = generate(&self.folder, &self.out, &self.sets, &how).map_err(|e| e.chain())?;
        print(self.json, &made, || corpus::text(&made))?;
        Ok(if made.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
