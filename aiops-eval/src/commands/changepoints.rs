//! `aiops-eval changepoints`.

use std::process::ExitCode;

use aiops_eval::metrics::{DataSet, SEEDS};
use clap::Args;

use super::one_set::OneSet;

/// Options of `changepoints`.
#[derive(Debug, Args)]
pub(crate) struct Changepoints {
    #[command(flatten)]
    one: OneSet,
}

impl Changepoints {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        self.one.run(DataSet::Changepoint, SEEDS)
    }
}
