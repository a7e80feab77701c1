//! `aiops-eval series`.

use std::process::ExitCode;

use aiops_eval::metrics::{DataSet, SEEDS};
use clap::{Args, ValueEnum};

use super::one_set::OneSet;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SeriesSet {
    Nab,
    Smd,
    Asd,
    Kpi,
}

impl From<SeriesSet> for DataSet {
    fn from(set: SeriesSet) -> Self {
        match set {
            SeriesSet::Nab => Self::Nab,
            SeriesSet::Smd => Self::Smd,
            SeriesSet::Asd => Self::Asd,
            SeriesSet::Kpi => Self::Kpi,
        }
    }
}

/// Options of `series`.
#[derive(Debug, Args)]
pub(crate) struct Series {
    /// Which data set, and so which layout.
    #[arg(value_enum)]
    set: SeriesSet,
    #[command(flatten)]
    one: OneSet,
}

impl Series {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        self.one.run(self.set.into(), SEEDS)
    }
}
