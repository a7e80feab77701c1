//! Which labels of a log set are meant.

use aiops_eval::logs;
use clap::ValueEnum;

/// Labels as an option.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LabelSet {
    Corrected,
    Original,
}

impl From<LabelSet> for logs::Labels {
    fn from(labels: LabelSet) -> Self {
        match labels {
            LabelSet::Corrected => Self::Corrected,
            LabelSet::Original => Self::Original,
        }
    }
}
