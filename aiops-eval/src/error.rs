use std::path::PathBuf;

/// Why something could not be evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A file or folder could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no case file of a known version.
    #[error("{} is no case file", path.display())]
    Case {
        /// Which.
        path: PathBuf,
        /// Why.
        source: aiops_core::Error,
    },
    /// A file holds neither a case nor telemetry windows.
    #[error("{} is not a case file and not JSON lines of telemetry windows", path.display())]
    Recording {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: aiops_core::Error,
    },
    /// A recording holds no metric sample in any window.
    #[error("{} holds no metric samples", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no CSV.
    #[error("{} cannot be read or written as CSV", path.display())]
    Csv {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: csv::Error,
    },
    /// A CSV file lacks a column.
    #[error("{} has no column {column}", path.display())]
    NoColumn {
        /// Which file.
        path: PathBuf,
        /// Which column.
        column: &'static str,
    },
    /// A log set has no file of raw lines.
    #[error("no *.log beside {}", folder.display())]
    NoRawLog {
        /// The set's structured file.
        folder: PathBuf,
    },
    /// A log set's lines and labels do not belong together.
    #[error("{set} has {lines} lines and {labels} labels")]
    LineCount {
        /// Which set.
        set: String,
        /// Lines mined.
        lines: usize,
        /// Lines labelled.
        labels: usize,
    },
    /// A log set's lines and their numbers do not belong together.
    #[error("{set} has {lines} lines and {ids} line ids")]
    LineIds {
        /// Which set.
        set: String,
        /// Lines mined.
        lines: usize,
        /// Line ids.
        ids: usize,
    },
    /// A template miner cannot be configured.
    #[error("no miner for {set}")]
    Miner {
        /// For which set.
        set: String,
        /// Why.
        source: aiops_compact::ConfigError,
    },
    /// A table is not what it should be.
    #[error("{}:{line}: {what}", path.display())]
    Table {
        /// Which.
        path: PathBuf,
        /// Line of the file, from 1; 0 where unknown.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// A setting is out of range.
    #[error("{field} is {value}; allowed: {allowed}")]
    Config {
        /// Name of the field.
        field: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// A configuration file cannot be understood.
    #[error("{} is no configuration that is known here", path.display())]
    ConfigFile {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The index of a data set cannot be understood.
    #[error("{} is no index of a data set", path.display())]
    Index {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The CPU time cannot be read.
    #[error("the CPU time cannot be read")]
    Clock(#[source] std::io::Error),
    /// There was too little to learn from.
    #[error("nothing can be learned")]
    Learn(#[from] aiops_detect::FitError),
    /// A detector's configuration is out of range.
    #[error("a detector's configuration is not allowed")]
    Detector(#[from] aiops_compact::ConfigError),
    /// A run on real processes did not come to its end.
    #[error("{what} on real processes failed")]
    Live {
        /// Which.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The shipped calibration is of other rules, or of another arena.
    #[error(
        "the shipped calibration is stale: it was fitted with {what} {fitted}, and these are {present}; fit it again with \
         scripts/arena_calibrate.sh, give another one (--calibration), or let every action wait for a person (--uncalibrated)"
    )]
    Stale {
        /// What differs: rules or arena.
        what: &'static str,
        /// What it was fitted with.
        fitted: String,
        /// What is there now.
        present: String,
    },
    /// Detection on the recording failed.
    #[error("the telemetry cannot be judged")]
    Judge(#[from] aiops_core::Error),
}

impl EvalError {
    /// The error and everything that caused it, in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
