//! `aiops-eval tabular`.

use std::process::ExitCode;

use aiops_eval::metrics::{DataSet, SEEDS};
use clap::Args;

use super::one_set::OneSet;

/// Options of `tabular`.
#[derive(Debug, Args)]
pub(crate) struct Tabular {
    #[command(flatten)]
    one: OneSet,
    /// Seeds whose figures are averaged.
    #[arg(long, default_value_t = SEEDS)]
    seeds: u64,
}

impl Tabular {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        self.one.run(DataSet::Tabular, self.seeds)
    }
}
